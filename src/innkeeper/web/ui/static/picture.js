// Saves what a page shows (charts, tables with bars) as a picture: SVG or PNG.
"use strict";

const UNDRAWN = ".sr-only, .tip, .mark, .button, .skeleton, option, script";
const MARGIN = 16;

// The shapes of an element, in their order: rectangles, lines and words, with resolved colours.
const shapesOf = (element, shapes) => {
  if (element.matches(UNDRAWN) || !element.checkVisibility()) return;
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  const isDrawn = element instanceof SVGElement;
  const svg = element.ownerSVGElement;
  const at = svg?.getBoundingClientRect();
  const scale = svg ? at.width / svg.viewBox.baseVal.width : 1;
  const opacity = Number(style.opacity);
  const add = (fill, x, y, width, height) => shapes.push({ fill, opacity, x, y, width, height });
  if (element.matches("polyline, polygon, line")) {
    const ends = ["1", "2"].map((end) => ({ x: element[`x${end}`]?.baseVal.value, y: element[`y${end}`]?.baseVal.value }));
    const points = [...(element.points ?? ends)].map(({ x, y }) => [at.left + x * scale, at.top + y * scale]);
    const isFilled = element.matches("polygon");
    shapes.push({ points, opacity, fill: isFilled ? style.fill : "none", stroke: isFilled ? "none" : style.stroke });
  } else if (element.matches("svg rect")) {
    add(style.fill, box.left, box.top, box.width, box.height);
  } else if (!isDrawn && style.backgroundColor !== "rgba(0, 0, 0, 0)") {
    add(style.backgroundColor, box.left, box.top, box.width, box.height);
  }
  if (element.matches("progress")) add(style.color, box.left, box.top, box.width * element.position, box.height);
  for (const child of element.childNodes) {
    if (child instanceof Element) shapesOf(child, shapes);
    if (!(child instanceof Text)) continue;
    for (const word of child.data.matchAll(/\S+/g)) {
      const range = document.createRange();
      range.setStart(child, word.index);
      range.setEnd(child, word.index + word[0].length);
      const { left: x, top, height } = range.getBoundingClientRect();
      const size = parseFloat(style.fontSize) * scale;
      const fill = svg ? style.fill : style.color;
      shapes.push({ text: word[0], size, weight: style.fontWeight, family: style.fontFamily, opacity, fill, x, y: top + height / 2 });
    }
  }
};

const corners = (shape) => shape.points ?? [[shape.x, shape.y], [shape.x + (shape.width ?? 0), shape.y + (shape.height ?? 0)]];

// The shapes of some elements, moved to a sheet of their size.
const sheetOf = (elements) => {
  const shapes = [];
  for (const element of elements) shapesOf(element, shapes);
  const all = shapes.flatMap(corners);
  const [left, top] = [0, 1].map((axis) => Math.min(...all.map((each) => each[axis])) - MARGIN);
  const [width, height] = [0, 1].map((axis) => Math.max(...all.map((each) => each[axis])) + MARGIN - [left, top][axis]);
  for (const shape of shapes) {
    if (shape.points) shape.points = shape.points.map(([x, y]) => [x - left, y - top]);
    else Object.assign(shape, { x: shape.x - left, y: shape.y - top });
  }
  const ground = { fill: getComputedStyle(document.body).backgroundColor, opacity: 1, x: 0, y: 0, width, height };
  return { shapes: [ground, ...shapes], width, height };
};

const asSvg = ({ shapes, width, height }) => {
  const space = "http://www.w3.org/2000/svg";
  const create = (name, attributes, text = "") => {
    const element = document.createElementNS(space, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.textContent = text;
    return element;
  };
  const picture = create("svg", { width, height, viewBox: `0 0 ${width} ${height}` });
  for (const { text, size, weight, family, points, ...rest } of shapes) {
    const font = { "font-family": family, "font-size": size, "font-weight": weight, "dominant-baseline": "central" };
    if (points) picture.append(create("polyline", { ...rest, points: points.join(" "), "stroke-width": 1.5 }));
    else if (text === undefined) picture.append(create("rect", rest));
    else picture.append(create("text", { ...rest, ...font }, text));
  }
  return new Blob([new XMLSerializer().serializeToString(picture)], { type: "image/svg+xml" });
};

const asPng = ({ shapes, width, height }) => {
  const canvas = document.createElement("canvas");
  // A browser draws no larger canvas.
  const scale = Math.min(2, 8192 / Math.max(width, height));
  [canvas.width, canvas.height] = [width * scale, height * scale];
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.textBaseline = "middle";
  pen.lineWidth = 1.5;
  for (const shape of shapes) {
    pen.globalAlpha = shape.opacity;
    pen.fillStyle = shape.fill;
    if (shape.points) {
      const path = new Path2D(`M${shape.points.join("L")}`);
      pen.strokeStyle = shape.stroke;
      if (shape.fill !== "none") pen.fill(path);
      if (shape.stroke !== "none") pen.stroke(path);
    } else if (shape.text === undefined) {
      pen.fillRect(shape.x, shape.y, shape.width, shape.height);
    } else {
      pen.font = `${shape.weight} ${shape.size}px ${shape.family}`;
      pen.fillText(shape.text, shape.x, shape.y);
    }
  }
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
};

on("click", "[data-picture]", async (button) => {
  const chosen = button.dataset.picture;
  const elements = chosen ? document.querySelectorAll(chosen) : [button.closest(".card")];
  const menu = button.closest("details");
  menu.open = false;
  const sheet = sheetOf(elements);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await (button.dataset.name.endsWith(".png") ? asPng(sheet) : asSvg(sheet)));
  link.download = button.dataset.name;
  link.click();
  URL.revokeObjectURL(link.href);
});
