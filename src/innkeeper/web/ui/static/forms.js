// Forms: fields that send their form when they change, and lists whose rows can be moved.
"use strict";

on("change", "[data-submits], form[data-submits-changes] [name]", (field) => field.form.requestSubmit());

// After such a form came back, what is still empty in it is to be filled in next.
const emptyField = [...document.querySelectorAll("form[data-submits-changes] .rule [name]:not([type=hidden])")].find(
  (field) => !field.value,
);
emptyField?.focus();

// Checks the boxes of a preset and no others.
on("click", "[data-checks]", (button) => {
  const names = button.dataset.checks.split(" ");
  for (const box of button.form.querySelectorAll('[name="columns"][type="checkbox"]')) {
    box.checked = names.includes(box.value);
  }
});

// The fields of a row move with it, and are sent in the new order.
on("click", "[data-move]", (button) => {
  const row = button.closest("[data-movable]");
  const isUp = button.dataset.move === "up";
  const other = isUp ? row.previousElementSibling : row.nextElementSibling;
  if (!other || !other.matches("[data-movable]")) return;
  if (isUp) other.before(row);
  else other.after(row);
  button.focus();
});

// A search that narrows a list of boxes: `data-narrows` selects their parent.
on("input", "[data-narrows]", (field) => {
  const text = field.value.trim().toLowerCase();
  for (const set of document.querySelectorAll(`${field.dataset.narrows} fieldset`)) {
    const boxes = [...set.querySelectorAll(".check")];
    for (const box of boxes) box.hidden = !box.textContent.toLowerCase().includes(text);
    set.hidden = boxes.every((box) => box.hidden);
  }
});
