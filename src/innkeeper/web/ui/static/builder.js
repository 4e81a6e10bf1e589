// The forms of segments and computed traits: each change is sent, and the form comes back with its
// count. One request at a time; what is typed meanwhile stays.
"use strict";

let lastRebuild = Promise.resolve();
let isUnsaved = false;

const typedMeanwhile = (form, sent) =>
  [...form.elements]
    .filter((field) => field.matches("input:not([type=hidden]), select, textarea"))
    .filter((field) => sent.get(field.name) !== field.value)
    .map((field) => [field.name, field.value]);

const focusAgain = (id, caret) => {
  const field = id && document.getElementById(id);
  if (!field) return;
  field.focus({ preventScroll: true });
  if (field.matches("textarea, [type=text], .title")) field.setSelectionRange(caret, caret);
};

const sendBuilder = async (button) => {
  const form = document.querySelector("form[data-builder]");
  const sent = new URLSearchParams(new FormData(form));
  if (button) sent.set("do", button);
  const response = await fetch(form.action, { method: "POST", body: sent });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const newForm = page.querySelector("form[data-builder]");
  if (!newForm) throw new Error("no form came back");
  const typed = typedMeanwhile(form, sent);
  const focused = newForm.dataset.focus || document.activeElement.id;
  const caret = document.activeElement.selectionStart;
  form.replaceChildren(...newForm.childNodes);
  for (const [name, value] of typed) {
    const field = form.elements.namedItem(name);
    if (field && !button?.startsWith("drop")) field.value = value;
  }
  focusAgain(focused, caret);
  highlightSql();
};

const rebuild = (button) => {
  lastRebuild = lastRebuild.then(() => sendBuilder(button)).catch(() => {
    const count = document.querySelector("#live .loading + p");
    if (count) count.textContent = "The count failed. Change something to try again.";
  });
};

on("change", "form[data-builder] :is(input, select, textarea)", () => {
  isUnsaved = true;
  rebuild();
});
on("click", "form[data-builder] button[value]:not([value=save])", (button, event) => {
  event.preventDefault();
  rebuild(button.value);
});
document.addEventListener("submit", () => {
  isUnsaved = false;
});
window.addEventListener("beforeunload", (event) => {
  if (isUnsaved) event.preventDefault();
});
document.addEventListener("DOMContentLoaded", () => {
  // The page is there before its count. A form that was refused holds what was typed.
  const form = document.querySelector("form[data-builder]");
  if (form?.matches("[data-first]")) rebuild();
  else if (form) isUnsaved = true;
});
