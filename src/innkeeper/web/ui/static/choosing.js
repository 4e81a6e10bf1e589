// Boxes that choose the rows of a table, and the bar with what can be done with them.
"use strict";

const choiceBoxes = () => [...document.querySelectorAll("[data-choose]")];
const bulkBar = () => document.getElementById("bulk");

const showChosen = () => {
  const bar = bulkBar();
  if (!bar) return;
  const boxes = choiceBoxes();
  const number = boxes.filter((box) => box.checked).length;
  const page = document.querySelector("[data-choose-page]");
  page.checked = number > 0 && number === boxes.length;
  page.indeterminate = number > 0 && number < boxes.length;
  const isAll = bar.elements.namedItem("all").value !== "";
  const chosen = isAll ? Number(bar.dataset.total) : number;
  bar.querySelector("[data-chosen]").textContent = chosen.toLocaleString("en");
  bar.hidden = number === 0;
  const all = bar.querySelector("[data-choose-all]");
  if (all) all.hidden = isAll || number < boxes.length;
};

const choose = (isChosen, all = "") => {
  for (const box of choiceBoxes()) box.checked = isChosen;
  bulkBar().elements.namedItem("all").value = all;
  showChosen();
};

on("change", "[data-choose]", () => {
  bulkBar().elements.namedItem("all").value = "";
  showChosen();
});
on("change", "[data-choose-page]", (box) => choose(box.checked));
on("click", "[data-choose-all]", () => choose(true, "1"));
on("click", "[data-choose-none]", () => choose(false));

// All guests are named by the query alone; the boxes of one page are not sent with it.
on("submit", "#bulk", (bar) => {
  if (!bar.elements.namedItem("all").value) return;
  for (const box of choiceBoxes()) box.disabled = true;
  setTimeout(() => choiceBoxes().forEach((box) => (box.disabled = false)));
});
window.addEventListener("pageshow", showChosen);
