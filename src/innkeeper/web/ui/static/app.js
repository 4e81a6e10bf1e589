// What pages need beyond links and forms: keys, copying, dialogs, menus, the theme.
"use strict";

const on = (type, selector, act) =>
  document.addEventListener(type, (event) => {
    const found = event.target instanceof Element && event.target.closest(selector);
    if (found) act(found, event);
  });
const typing = (element) => element.matches("input, textarea, select, [contenteditable]");

// Keys: / to the search, arrows through a list, Escape closes what is open.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const at = document.activeElement || document.body;
  if (event.key === "/" && !typing(at)) {
    const search = document.querySelector("[data-search]");
    if (search) { event.preventDefault(); search.focus(); search.select(); }
  } else if (event.key === "Escape") {
    document.querySelectorAll("details.menu[open]").forEach((menu) => {
      menu.open = false;
      menu.querySelector("summary").focus();
    });
    document.querySelector(".side.open")?.classList.remove("open");
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const rows = [...document.querySelectorAll("[data-row] a.open")];
    const here = rows.indexOf(at);
    if (!rows.length || (typing(at) && !at.matches("[data-search]")) || at.closest("details, dialog")) return;
    if (here < 0 && at !== document.body && !at.matches("[data-search]")) return;
    const next = rows[here + (event.key === "ArrowDown" ? 1 : -1)];
    if (next) next.focus();
    else if (here === 0) document.querySelector("[data-search]")?.focus();
    event.preventDefault();
  }
});

// Menus close when something else is clicked.
document.addEventListener("click", (event) => {
  document.querySelectorAll("details.menu[open]").forEach((menu) => {
    if (!menu.contains(event.target)) menu.open = false;
  });
});
on("click", "[data-nav]", (button) => {
  const open = document.querySelector(".side").classList.toggle("open");
  button.setAttribute("aria-expanded", String(open));
});

on("click", "[data-copy]", async (button) => {
  const from = button.dataset.copy;
  const text = from.startsWith("#") ? document.querySelector(from).textContent : from;
  await navigator.clipboard.writeText(text.trim());
  const said = document.getElementById("said");
  said.textContent = "";
  said.textContent = "Copied";
  button.dataset.done = "";
  const use = button.querySelector("use");
  const before = use?.getAttribute("href");
  use?.setAttribute("href", before.replace(/#.*/, "#i-check"));
  setTimeout(() => use?.setAttribute("href", before), 1200);
});

// Dialogs: data-opens names one; a field with data-must-be enables its form's last button.
on("click", "[data-opens]", (button) => document.getElementById(button.dataset.opens).showModal());
on("click", "[data-closes]", (button) => button.closest("dialog").close());
on("click", "dialog", (dialog, event) => { if (event.target === dialog) dialog.close(); });
on("input", "[data-must-be]", (field) => {
  field.form.querySelector("[type=submit]").disabled = field.value.trim() !== field.dataset.mustBe;
});

on("change", "[data-submits]", (field) => field.form.requestSubmit());
on("click", "[data-theme-to]", (button) => {
  const theme = button.dataset.themeTo;
  const root = document.documentElement;
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  document.cookie = `innkeeper_theme=${theme};path=/;max-age=31536000;samesite=lax`;
});

// Lists that are put in order: buttons move their row, whose hidden fields go along.
on("click", "[data-move]", (button) => {
  const row = button.closest("[data-movable]");
  const other = button.dataset.move === "up" ? row.previousElementSibling : row.nextElementSibling;
  if (!other || !other.matches("[data-movable]")) return;
  if (button.dataset.move === "up") other.before(row);
  else other.after(row);
  button.focus();
});

// A link of the product this speaks the API of: /#/guests/list?filter=customer&q=bid:…
const old = location.hash.match(/^#\/guests\/list\?(.*)$/);
if (old) {
  const asked = new URLSearchParams(old[1]);
  const home = document.querySelector("[data-guests]");
  if (home) {
    const wanted = new URLSearchParams();
    if (asked.get("q")) wanted.set("q", asked.get("q"));
    if (asked.get("filter")) wanted.set("type", asked.get("filter").toLowerCase());
    location.replace(`${home.dataset.guests}?${wanted}`);
  }
}

// SQL: the words that mean something get a colour, behind the text that is typed.
const SQL = /(--[^\n]*)|('(?:''|[^'])*')|\b(select|from|where|and|or|not|in|is|null|group|by|having|order|limit|join|left|inner|on|as|with|case|when|then|else|end|between|like|ilike|distinct|union|all|exists|count|sum|min|max|avg|interval|desc|asc)\b|\b(\d+(?:\.\d+)?)\b/gi;
const light = () => {
  const typed = document.getElementById("sql");
  const lit = document.getElementById("sql-lit");
  if (!typed || !lit) return;
  typed.parentElement.classList.add("lit");
  lit.replaceChildren();
  let at = 0;
  for (const found of typed.value.matchAll(SQL)) {
    lit.append(typed.value.slice(at, found.index));
    const part = document.createElement("span");
    part.className = found[1] ? "cm" : found[2] ? "str" : found[3] ? "kw" : "num";
    part.textContent = found[0];
    lit.append(part);
    at = found.index + found[0].length;
  }
  lit.append(typed.value.slice(at));
};
on("input", "#sql", light);
document.addEventListener("DOMContentLoaded", light);

// The builder: each change is sent, and the form comes back with its count. One at a time, and
// what was typed meanwhile stays.
let turn = Promise.resolve();
const rebuild = (pressed) => {
  turn = turn.then(async () => {
    const form = document.querySelector("form[data-builder]");
    const sent = new URLSearchParams(new FormData(form));
    if (pressed) sent.set("do", pressed);
    const answer = await fetch(form.action, { method: "POST", body: sent });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("form[data-builder]");
    if (!fresh) return;
    const typed = [...form.elements].filter(
      (field) => field.matches("input:not([type=hidden]), select, textarea") && sent.get(field.name) !== field.value,
    ).map((field) => [field.name, field.value]);
    const focused = document.activeElement.id;
    form.replaceChildren(...fresh.childNodes);
    for (const [name, value] of typed) {
      const field = form.elements.namedItem(name);
      if (field && !pressed?.startsWith("drop")) field.value = value;
    }
    if (focused) document.getElementById(focused)?.focus();
    light();
  }).catch(() => {});
};
on("change", "form[data-builder] :is(input, select, textarea)", () => rebuild());
on("click", "form[data-builder] button[value]:not([value=save])", (button, event) => {
  event.preventDefault();
  rebuild(button.value);
});
