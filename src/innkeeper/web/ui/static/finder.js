// The command palette (Ctrl K), and suggestions below the search. A field with `data-finder` fetches
// options for what is typed; arrows move through them, Enter opens one, Escape closes. Enter that
// comes before the options for what is typed waits for them.
"use strict";

const FINDER_MS = 120;
let finderTimer = 0;
let finderRequest = 0;

const optionList = (field) => document.getElementById(field.getAttribute("aria-controls"));
const optionsOf = (field) => [...optionList(field).querySelectorAll("[role=option]")];
const activeOption = (field) => optionList(field).querySelector("[aria-selected=true]");

const activate = (field, option) => {
  for (const each of optionsOf(field)) each.setAttribute("aria-selected", String(each === option));
  if (option) {
    field.setAttribute("aria-activedescendant", option.id);
    option.scrollIntoView({ block: "nearest" });
  } else field.removeAttribute("aria-activedescendant");
};

const isPalette = (field) => field.closest("dialog") !== null;

const showOptions = (field, isShown) => {
  field.setAttribute("aria-expanded", String(isShown));
  optionList(field).hidden = !isShown;
};

const fetchOptions = async (field) => {
  clearTimeout(finderTimer);
  const request = ++finderRequest;
  const typed = field.value;
  const query = encodeURIComponent(typed);
  const response = await fetch(`${field.dataset.finder}${field.dataset.finder.includes("?") ? "&" : "?"}q=${query}`);
  const text = await response.text();
  if (!response.ok || request !== finderRequest) return;
  const page = new DOMParser().parseFromString(text, "text/html");
  optionList(field).replaceChildren(...page.body.childNodes);
  optionList(field).dataset.typed = typed;
  showOptions(field, isPalette(field) || (optionsOf(field).length > 0 && field === document.activeElement));
  activate(field, isPalette(field) ? optionsOf(field)[0] : null);
};

const isCurrent = (field) => optionList(field).dataset.typed === field.value;

const openActive = async (field) => {
  if (!isCurrent(field)) await fetchOptions(field);
  activeOption(field)?.click();
};

const openPalette = () => {
  const palette = document.getElementById("palette");
  if (!palette || document.querySelector("dialog[open]")) return;
  const field = palette.querySelector("input");
  field.value = "";
  palette.showModal();
  fetchOptions(field);
};

on("input", "[data-finder]", (field) => {
  clearTimeout(finderTimer);
  if (!field.value && !isPalette(field)) showOptions(field, false);
  else finderTimer = setTimeout(() => fetchOptions(field), FINDER_MS);
});
on("focusout", "[data-finder]", (field) => {
  if (!isPalette(field)) setTimeout(() => showOptions(field, false), 150);
});
on("click", "[data-palette]", openPalette);

document.addEventListener("keydown", (event) => {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
    event.preventDefault();
    openPalette();
    return;
  }
  const field = document.activeElement;
  if (!field?.matches("[data-finder]") || field.getAttribute("aria-expanded") !== "true") return;
  const options = optionsOf(field);
  const index = options.indexOf(activeOption(field));
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    event.stopImmediatePropagation();
    const step = event.key === "ArrowDown" ? 1 : -1;
    const next = index < 0 && step < 0 ? options.length - 1 : index + step;
    activate(field, options[(next + options.length) % options.length]);
  } else if (event.key === "Enter" && index >= 0 && (isPalette(field) || isCurrent(field))) {
    event.preventDefault();
    openActive(field);
  } else if (event.key === "Escape" && !isPalette(field)) showOptions(field, false);
});
