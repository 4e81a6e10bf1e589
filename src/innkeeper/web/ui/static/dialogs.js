// Dialogs: `data-opens` is the id of one; a field with `data-must-be` enables the button of its form.
"use strict";

on("click", "[data-opens]", (button) => document.getElementById(button.dataset.opens).showModal());
on("click", "[data-closes]", (button) => button.closest("dialog").close());
on("click", "dialog", (dialog, event) => {
  if (event.target === dialog) dialog.close();
});
on("input", "[data-must-be]", (field) => {
  field.form.querySelector("[type=submit]").disabled = field.value.trim() !== field.dataset.mustBe;
});

// The dialog whose form was refused opens again, with what was typed and what is wrong.
const findRefusedForm = (fields) =>
  [...document.querySelectorAll("dialog form")].find((form) =>
    fields.every(([name, value]) => {
      const field = form.elements.namedItem(name);
      return field && (field.type !== "hidden" || field.value === value);
    }),
  );

const reopenDialog = (problem) => {
  const fields = Object.entries(JSON.parse(problem.dataset.sent));
  const form = fields.length && findRefusedForm(fields);
  if (!form) return;
  for (const [name, value] of fields) {
    const field = form.elements.namedItem(name);
    if (!(field instanceof Element)) continue;
    if (field.matches("[type=checkbox]")) field.checked = true;
    else if (field.matches("input, select, textarea")) field.value = value;
  }
  form.querySelector(".body").prepend(problem);
  form.closest("dialog").showModal();
};

const problem = document.getElementById("fault");
if (problem) reopenDialog(problem);
