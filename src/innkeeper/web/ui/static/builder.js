// The forms of segments and computed traits: each change is sent, and the form comes back with its
// count; while somebody types, the count alone. One request at a time; what is typed meanwhile stays.
// A request that fails, or whose count the server was too busy for, is sent again a few times.
"use strict";

const TYPING_MS = 300;
const RETRIES_MS = [1000, 5000, 15000];
let lastRebuild = Promise.resolve();
let isUnsaved = false;
let typingTimer = 0;
let isCountPending = false;
let retryTimer = 0;
let lastSend = 0;
let pendingButtons = 0;

const typedMeanwhile = (form, sent) =>
  [...form.elements]
    .filter((field) => field.matches("input:not([type=hidden]), select, textarea"))
    .filter((field) => sent.get(field.name) !== field.value)
    .map((field) => [field.name, field.value]);

const focusAgain = (id, caret) => {
  const field = id && document.getElementById(id);
  if (!field) return;
  field.focus({ preventScroll: true });
  if (field.matches("[data-picks]") && !pickedField(field).value) openFieldPicker(field);
  if (field.matches("textarea, [type=text], .title")) field.setSelectionRange(caret, caret);
};

const fieldsOf = (form) => new URLSearchParams(new FormData(form));

// What is counted: names change no count (`data-name`), so none is sent for them.
const NOT_A_NAME = ":not([name=name], [data-name])";
const questionOf = (fields) => {
  const question = new URLSearchParams(fields);
  for (const { name } of document.querySelectorAll("form[data-builder] :is([name=name], [data-name])")) question.delete(name);
  return String(question);
};

const isBusy = () => document.querySelector("#live[data-busy]") !== null;

// The count on the page is of an older question until the next response.
const markStale = () => {
  const live = document.getElementById("live");
  live.classList.add("stale");
  const note = live.querySelector(".stale-note");
  if (note && live.querySelector(".count:not(.loading), .problem")) note.hidden = false;
};

// A button that leaves the question as it was leaves its count, too.
const markCurrent = () => {
  document.getElementById("live").classList.remove("stale");
  document.querySelector("#live .stale-note").hidden = true;
};

const requestForm = async (form, sent) => {
  const response = await fetch(form.action, { method: "POST", body: sent });
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  const newForm = page.querySelector("form[data-builder]");
  if (!newForm) throw new Error("no form came back");
  return newForm;
};

const showCount = (form, newForm, sent) => {
  document.getElementById("live").replaceWith(newForm.querySelector("#live"));
  for (const text of newForm.querySelectorAll("[data-problem]")) {
    const shown = document.getElementById(text.id);
    if (shown) shown.textContent = text.textContent;
  }
  if (questionOf(fieldsOf(form)) !== questionOf(sent)) markStale();
};

const sendCount = async () => {
  isCountPending = false;
  const form = document.querySelector("form[data-builder]");
  const sent = fieldsOf(form);
  showCount(form, await requestForm(form, sent), sent);
};

const sendBuilder = async (button) => {
  const form = document.querySelector("form[data-builder]");
  const sent = fieldsOf(form);
  if (button) sent.set("do", button);
  const newForm = await requestForm(form, sent);
  const typed = typedMeanwhile(form, sent);
  const focused = newForm.dataset.focus || document.activeElement.id;
  const caret = document.activeElement.selectionStart;
  const uncounted = newForm.querySelector("#live[data-uncounted]");
  if (uncounted) uncounted.replaceWith(form.querySelector("#live"));
  form.replaceChildren(...newForm.childNodes);
  if (uncounted) markCurrent();
  for (const [name, value] of typed) {
    const field = form.elements.namedItem(name);
    if (field && !button?.startsWith("drop")) field.value = value;
  }
  focusAgain(focused, caret);
  form.dispatchEvent(new Event("rebuilt", { bubbles: true }));
  if (typed.some(([name]) => name !== "name")) markStale();
};

const showFailure = (isLast) => {
  const count = document.querySelector("#live .loading + p, #live .stale-note");
  if (!count) return;
  count.textContent = isLast ? "The count failed. Change something to try again." : "The count failed. Trying again.";
  count.hidden = false;
};

// A later request makes sending this one again unnecessary.
const enqueue = (send, [wait, ...later] = RETRIES_MS) => {
  clearTimeout(retryTimer);
  const number = ++lastSend;
  const sendLater = (again) => {
    if (wait && number === lastSend) retryTimer = setTimeout(() => enqueue(again, later), wait);
  };
  const succeed = () => isBusy() && sendLater(() => sendBuilder());
  const fail = () => {
    showFailure(!wait);
    sendLater(send);
  };
  lastRebuild = lastRebuild.then(send).then(succeed, fail);
};

const rebuild = (button) => {
  clearTimeout(typingTimer);
  markStale();
  const isButton = Number(button !== undefined);
  pendingButtons += isButton;
  enqueue(() => sendBuilder(button).finally(() => (pendingButtons -= isButton)));
};

on("input", `form[data-builder] :is(input, textarea)${NOT_A_NAME}`, () => {
  isUnsaved = true;
  markStale();
  clearTimeout(typingTimer);
  typingTimer = setTimeout(() => {
    if (isCountPending) return;
    isCountPending = true;
    enqueue(sendCount);
  }, TYPING_MS);
});
on("change", "form[data-builder] :is(input, select, textarea)", (field) => {
  isUnsaved = true;
  if (field.matches(NOT_A_NAME) || field.id === "t-name") rebuild();
});
on("click", "form[data-builder] button[value]:not([value=save], [data-sends])", (button, event) => {
  event.preventDefault();
  rebuild(button.value);
});
// A form is saved with the rows that a button adds or removes, once they have come back.
on("click", "form[data-builder] button:is([value=save], [data-sends])", (button, event) => {
  if (!pendingButtons) return;
  event.preventDefault();
  const { value } = button;
  lastRebuild.then(() => document.querySelector(`form[data-builder] button[value="${value}"]:not(.sr-only)`)?.click());
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
