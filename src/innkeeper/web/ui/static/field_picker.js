// The picker of fields: a dialog with a search; arrows move through the fields, Enter takes one. The
// most frequent values of the field in focus are fetched, and nothing waits for them.
"use strict";

const VALUES_MS = 200;
const fieldLists = new Map();
const fieldValues = new Map();
let pickingButton = null;
let valuesTimer = 0;

const fieldDialog = () => document.getElementById("field-picker");
const fieldSearch = () => fieldDialog().querySelector("input");
const shownFields = () => [...document.querySelectorAll("#field-options [role=option]:not([hidden])")];
const fieldInFocus = () => document.querySelector("#field-options [aria-selected=true]");

const fetchText = async (cache, url) => {
  if (!cache.has(url)) {
    const response = await fetch(url, { headers: { "HX-Request": "true" } });
    if (!response.ok) throw new Error(url);
    cache.set(url, await response.text());
  }
  return cache.get(url);
};

const fillFrom = (id, html) => {
  const page = new DOMParser().parseFromString(html, "text/html");
  document.getElementById(id).replaceChildren(...page.body.childNodes);
};

const showFieldValues = async (option) => {
  const url = option.dataset.values;
  if (!url) return fillFrom("field-values", "");
  const html = await fetchText(fieldValues, url).catch(() => "<p class='soft small'>No values to show now.</p>");
  if (fieldInFocus() === option) fillFrom("field-values", html);
};

const focusField = (option) => {
  for (const each of shownFields()) each.setAttribute("aria-selected", String(each === option));
  clearTimeout(valuesTimer);
  if (!option) return fieldSearch().removeAttribute("aria-activedescendant");
  fieldSearch().setAttribute("aria-activedescendant", option.id);
  option.scrollIntoView({ block: "nearest" });
  valuesTimer = setTimeout(() => showFieldValues(option), VALUES_MS);
};

// Every word that was typed must be in the name or the meaning of a field.
const narrowFields = () => {
  const words = fieldSearch().value.toLowerCase().split(/\s+/);
  for (const option of document.querySelectorAll("#field-options [role=option]")) {
    const text = option.textContent.toLowerCase();
    option.hidden = !words.every((word) => text.includes(word));
    option.setAttribute("aria-selected", "false");
  }
  for (const title of document.querySelectorAll("#field-options .finder-title")) {
    let next = title.nextElementSibling;
    while (next?.hidden) next = next.nextElementSibling;
    title.hidden = !next?.matches("[role=option]");
  }
  focusField(shownFields()[0]);
};

const openFieldPicker = async (button) => {
  pickingButton = button;
  fieldSearch().value = "";
  fillFrom("field-options", "<p class='finder-title'>Loading…</p>");
  fillFrom("field-values", "");
  if (!fieldDialog().open) fieldDialog().showModal();
  const html = await fetchText(fieldLists, button.dataset.fields).catch(
    () => "<p class='finder-title'>The fields cannot be read now. Close this and try again.</p>",
  );
  if (pickingButton !== button) return;
  fillFrom("field-options", html);
  narrowFields();
  const current = shownFields().find((option) => option.dataset.value === pickedField(button).value);
  if (current) focusField(current);
};

const pickedField = (button) =>
  [...button.parentElement.querySelectorAll("[data-picked]")].find(
    (field) => field.dataset.picked === button.dataset.picks,
  );

const pickField = (option) => {
  const field = pickedField(pickingButton);
  fieldDialog().close();
  field.value = option.dataset.value;
  field.dispatchEvent(new Event("change", { bubbles: true }));
};

on("click", "[data-picks]", openFieldPicker);
on("click", "#field-options [role=option]", pickField);
on("mouseover", "#field-options [role=option]", (option) => option !== fieldInFocus() && focusField(option));
on("input", "#field-picker input", narrowFields);

document.addEventListener("keydown", (event) => {
  if (document.activeElement !== document.querySelector("#field-picker[open] input")) return;
  const options = shownFields();
  const index = options.indexOf(fieldInFocus());
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    event.stopImmediatePropagation();
    const next = index + (event.key === "ArrowDown" ? 1 : -1);
    if (options.length) focusField(options[(next + options.length) % options.length]);
  } else if (event.key === "Enter" && index >= 0) {
    event.preventDefault();
    pickField(options[index]);
  }
});

// A new rule has no field yet: it is chosen next.
const openEmptyPicker = (form) => {
  const empty = [...form.querySelectorAll("[data-picked]")].find((field) => !field.value.trim());
  if (empty) openFieldPicker(form.querySelector(`[data-picks="${empty.dataset.picked}"]`));
};
document.addEventListener("DOMContentLoaded", () => {
  for (const form of document.querySelectorAll("form[data-submits-changes]")) openEmptyPicker(form);
});
