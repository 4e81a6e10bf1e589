// Forms: fields that send their form when they change, and lists whose rows can be moved.
"use strict";

on("change", "[data-submits]", (field) => field.form.requestSubmit());

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
