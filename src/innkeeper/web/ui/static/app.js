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
