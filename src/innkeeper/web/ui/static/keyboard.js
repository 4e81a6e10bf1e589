// Keys: / goes to the search, the arrows through the rows of a list.
"use strict";

const focusSearch = (event) => {
  const search = document.querySelector("[data-search]");
  if (!search) return;
  event.preventDefault();
  search.focus();
  search.select();
};

const focusNextRow = (event, active) => {
  const rows = [...document.querySelectorAll("[data-row] a.open")];
  const isSearch = active.matches("[data-search]");
  if (!rows.length || (isTextField(active) && !isSearch) || active.closest("details, dialog")) return;
  const current = rows.indexOf(active);
  if (current < 0 && active !== document.body && !isSearch) return;
  const next = rows[current + (event.key === "ArrowDown" ? 1 : -1)];
  if (next) next.focus();
  else if (current === 0) document.querySelector("[data-search]")?.focus();
  event.preventDefault();
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const active = document.activeElement || document.body;
  if (event.key === "/" && !isTextField(active)) focusSearch(event);
  else if (event.key === "ArrowDown" || event.key === "ArrowUp") focusNextRow(event, active);
});
