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
    document.querySelectorAll("details.menu[open]").forEach((list) => {
      list.open = false;
      list.querySelector("summary").focus();
    });
    if (document.querySelector(".side.open")) { menu(false); document.querySelector("[data-nav]").focus(); }
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
  document.querySelectorAll("details.menu[open]").forEach((list) => {
    if (!list.contains(event.target)) list.open = false;
  });
});
const menu = (open) => {
  document.querySelector(".side").classList.toggle("open", open);
  document.querySelector("[data-nav]").setAttribute("aria-expanded", String(open));
};
on("click", "[data-nav]", () => {
  menu(true);
  document.querySelector(".side a").focus();
});
document.addEventListener("click", (event) => {
  const side = document.querySelector(".side.open");
  if (side && !side.contains(event.target) && !event.target.closest("[data-nav]")) menu(false);
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

// A dialog's form that was refused: open again, as it was typed, with what was wrong in it.
const fault = document.getElementById("fault");
if (fault) {
  const sent = Object.entries(JSON.parse(fault.dataset.sent));
  const form = [...document.querySelectorAll("dialog form")].find((each) => sent.length && sent.every(([name, value]) => {
    const field = each.elements.namedItem(name);
    return field && (field.type !== "hidden" || field.value === value);
  }));
  if (form) {
    for (const [name, value] of sent) {
      const field = form.elements.namedItem(name);
      if (!(field instanceof Element)) continue;
      if (field.matches("[type=checkbox]")) field.checked = true;
      else if (field.matches("input, select, textarea")) field.value = value;
    }
    form.querySelector(".body").prepend(fault);
    form.closest("dialog").showModal();
  }
}

on("change", "[data-submits]", (field) => field.form.requestSubmit());
on("click", "[data-theme-to]", (button) => {
  const theme = button.dataset.themeTo;
  const root = document.documentElement;
  if (theme === "system") delete root.dataset.theme;
  else root.dataset.theme = theme;
  // Over https cookies are for this host alone, which their name says.
  const [prefix, secure] = location.protocol === "https:" ? ["__Host-", ";secure"] : ["", ""];
  const kept = ";path=/;max-age=31536000;samesite=lax";
  document.cookie = `${prefix}innkeeper_theme=${theme}${kept}${secure}`;
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

// On a narrow screen the tab that is shown may lie outside.
for (const tabs of document.querySelectorAll(".tabs")) {
  const shown = tabs.querySelector("[aria-current]");
  if (shown) tabs.scrollLeft = shown.offsetLeft - (tabs.clientWidth - shown.offsetWidth) / 2 - tabs.offsetLeft;
}

// SQL: the words that mean something get a colour, behind the text that is typed; the word that
// the server could not read is underlined until something is typed.
const SQL = /(--[^\n]*)|('(?:''|[^'])*')|\b(select|from|where|and|or|not|in|is|null|group|by|having|order|limit|join|left|inner|on|as|with|case|when|then|else|end|between|like|ilike|distinct|union|all|exists|count|sum|min|max|avg|interval|desc|asc)\b|\b(\d+(?:\.\d+)?)\b|(\w+)/gi;
const offset = (text, place) => {
  const [line, column] = place.split(":").map(Number);
  return text.split("\n").slice(0, line - 1).reduce((sum, each) => sum + each.length + 1, 0) + column - 1;
};
const light = () => {
  const typed = document.getElementById("sql");
  const lit = document.getElementById("sql-lit");
  if (!typed || !lit) return;
  typed.parentElement.classList.add("lit");
  lit.replaceChildren();
  const wrong = typed.dataset.wrong ? offset(typed.value, typed.dataset.wrong) : -1;
  let at = 0;
  for (const found of typed.value.matchAll(SQL)) {
    const here = wrong >= found.index && wrong < found.index + found[0].length;
    if (found[5] && !here) continue;
    lit.append(typed.value.slice(at, found.index));
    const part = document.createElement("span");
    part.className = found[1] ? "cm" : found[2] ? "str" : found[3] ? "kw" : found[4] ? "num" : "";
    if (here) part.classList.add("wrong-here");
    part.textContent = found[0];
    lit.append(part);
    at = found.index + found[0].length;
  }
  lit.append(typed.value.slice(at));
};
on("input", "#sql", (typed) => { delete typed.dataset.wrong; light(); });
on("click", "[data-goto]", (button) => {
  const typed = document.getElementById("sql");
  const at = offset(typed.value, button.dataset.goto);
  typed.focus();
  typed.setSelectionRange(at, at + (typed.value.slice(at).match(/^\w+/)?.[0].length || 1));
});

// The builder: each change is sent, and the form comes back with its count. One at a time, and
// what was typed meanwhile stays.
let turn = Promise.resolve();
let unsaved = false;
const rebuild = (pressed) => {
  turn = turn.then(async () => {
    const form = document.querySelector("form[data-builder]");
    const sent = new URLSearchParams(new FormData(form));
    if (pressed) sent.set("do", pressed);
    const answer = await fetch(form.action, { method: "POST", body: sent });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page.querySelector("form[data-builder]");
    if (!fresh) throw new Error("no form came back");
    const typed = [...form.elements].filter(
      (field) => field.matches("input:not([type=hidden]), select, textarea") && sent.get(field.name) !== field.value,
    ).map((field) => [field.name, field.value]);
    const focused = fresh.dataset.focus || document.activeElement.id;
    const caret = document.activeElement.selectionStart;
    form.replaceChildren(...fresh.childNodes);
    for (const [name, value] of typed) {
      const field = form.elements.namedItem(name);
      if (field && !pressed?.startsWith("drop")) field.value = value;
    }
    const back = focused && document.getElementById(focused);
    if (back) {
      back.focus({ preventScroll: true });
      if (back.matches("textarea, [type=text], .title")) back.setSelectionRange(caret, caret);
    }
    light();
  }).catch(() => {
    const count = document.querySelector("#live .waits + p");
    if (count) count.textContent = "The count could not be asked; change something to try again.";
  });
};
on("change", "form[data-builder] :is(input, select, textarea)", () => { unsaved = true; rebuild(); });
document.addEventListener("submit", () => { unsaved = false; });
window.addEventListener("beforeunload", (event) => { if (unsaved) event.preventDefault(); });
on("click", "form[data-builder] button[value]:not([value=save])", (button, event) => {
  event.preventDefault();
  rebuild(button.value);
});
document.addEventListener("DOMContentLoaded", () => {
  light();
  // The page is there before what only the lake knows. One that was refused holds what was typed.
  const form = document.querySelector("form[data-builder]");
  if (form?.matches("[data-first]")) rebuild();
  else if (form) unsaved = true;
});

// Suggested values: asked for when their input is entered, and again as it is typed in.
let asking = 0;
const suggest = (field) => {
  clearTimeout(asking);
  asking = setTimeout(async () => {
    const answer = await fetch(`${field.dataset.suggests}&contains=${encodeURIComponent(field.value)}`);
    if (!answer.ok || !field.list) return;
    const page = new DOMParser().parseFromString(`<datalist>${await answer.text()}</datalist>`, "text/html");
    field.list.replaceChildren(...page.querySelectorAll("option"));
  }, field.value ? 150 : 0);
};
on("focusin", "[data-suggests]", suggest);
on("input", "[data-suggests]", suggest);
