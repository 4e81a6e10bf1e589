// Charts: the values of a place by pointer, touch or arrow keys.
"use strict";

const tableRows = (figure) => [...figure.querySelectorAll("table tbody tr")];

// Shows the values of a place in the tooltip of a chart, which screen readers announce.
const showValues = (figure, index) => {
  const rows = tableRows(figure);
  const svg = [...figure.querySelectorAll("svg[data-left]")].find((each) => each.clientWidth);
  if (!rows.length || !svg) return;
  const at = Math.max(0, Math.min(rows.length - 1, index));
  const tip = figure.querySelector(".tip");
  const names = [...figure.querySelectorAll("table thead th")].slice(1).map((each) => each.textContent.trim());
  const cells = [...rows[at].children].map((each) => each.textContent.trim());
  const lines = names.map((name, number) => `${name} ${Number(cells[number + 1]).toLocaleString("en")}`);
  tip.replaceChildren(...[cells[0], ...lines].map((text, number) => {
    const line = document.createElement(number ? "span" : "strong");
    line.textContent = text;
    return line;
  }));
  tip.hidden = false;
  figure.dataset.at = String(at);
  const scale = svg.clientWidth / svg.viewBox.baseVal.width;
  const left = Number(svg.dataset.left);
  const width = svg.viewBox.baseVal.width - left - Number(svg.dataset.right);
  const points = svg.querySelector("polyline")?.points;
  const x = (points ? points[at].x : left + (width * (at + 0.5)) / rows.length) * scale;
  const most = figure.clientWidth - tip.offsetWidth;
  tip.style.setProperty("left", `${Math.max(0, Math.min(most, x - tip.offsetWidth / 2))}px`);
  const mark = figure.querySelector(".mark");
  mark.hidden = false;
  mark.style.setProperty("left", `${x}px`);
  mark.style.setProperty("height", `${svg.clientHeight}px`);
};

const hideValues = (figure) => {
  for (const each of figure.querySelectorAll(".tip, .mark")) each.hidden = true;
};

const placeOf = (figure, event) => {
  const svg = event.target.closest("svg[data-left]");
  if (!svg) return null;
  const box = svg.getBoundingClientRect();
  const scale = box.width / svg.viewBox.baseVal.width;
  const left = Number(svg.dataset.left) * scale;
  const width = box.width - left - Number(svg.dataset.right) * scale;
  const x = event.clientX - box.left;
  const points = [...(svg.querySelector("polyline")?.points ?? [])].map((point) => Math.abs(point.x * scale - x));
  if (points.length) return points.indexOf(Math.min(...points));
  return Math.floor(((x - left) / width) * tableRows(figure).length);
};

for (const type of ["pointermove", "pointerdown"]) {
  on(type, "[data-values]", (figure, event) => {
    const place = placeOf(figure, event);
    if (place !== null) showValues(figure, place);
  });
}
document.addEventListener("pointerout", (event) => {
  const figure = event.target instanceof Element && event.target.closest("[data-values]");
  if (figure && event.pointerType === "mouse" && !figure.contains(event.relatedTarget)) hideValues(figure);
});
document.addEventListener("focusout", (event) => {
  const figure = event.target instanceof Element && event.target.closest("[data-values]");
  if (figure) hideValues(figure);
});
on("keydown", "[data-values]", (figure, event) => {
  const count = tableRows(figure).length;
  const at = Number(figure.dataset.at ?? -1);
  const places = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: count - 1 };
  if (event.key === "Escape") hideValues(figure);
  if (!(event.key in places)) return;
  event.preventDefault();
  showValues(figure, places[event.key]);
});
