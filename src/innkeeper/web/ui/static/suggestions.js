// Suggested values: fetched when a field is entered, and again while it is typed in.
"use strict";

let suggestionTimer = 0;

const fetchSuggestions = async (field) => {
  const url = `${field.dataset.suggests}&contains=${encodeURIComponent(field.value)}`;
  const response = await fetch(url);
  if (!response.ok || !field.list) return;
  const html = `<datalist>${await response.text()}</datalist>`;
  const page = new DOMParser().parseFromString(html, "text/html");
  field.list.replaceChildren(...page.querySelectorAll("option"));
};

const suggest = (field) => {
  clearTimeout(suggestionTimer);
  suggestionTimer = setTimeout(() => fetchSuggestions(field), field.value ? 150 : 0);
};

on("focusin", "[data-suggests]", suggest);
on("input", "[data-suggests]", suggest);
