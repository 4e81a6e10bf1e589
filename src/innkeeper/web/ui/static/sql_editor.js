// The SQL of a segment: a coloured copy lies behind the text field. The word that the server could
// not read is underlined until something is typed.
"use strict";

const SQL_KEYWORDS =
  "select|from|where|and|or|not|in|is|null|group|by|having|order|limit|join|left|inner|on|as|with|" +
  "case|when|then|else|end|between|like|ilike|distinct|union|all|exists|count|sum|min|max|avg|" +
  "interval|desc|asc";
const SQL_TOKENS = new RegExp(
  `(--[^\\n]*)|('(?:''|[^'])*')|\\b(${SQL_KEYWORDS})\\b|\\b(\\d+(?:\\.\\d+)?)\\b|(\\w+)`,
  "gi",
);
const SQL_CLASSES = ["", "comment", "string", "keyword", "number"];

// The index in a text of a position `line:column`, both counted from 1.
const textOffset = (text, position) => {
  const [line, column] = position.split(":").map(Number);
  const before = text.split("\n").slice(0, line - 1);
  return before.reduce((sum, each) => sum + each.length + 1, 0) + column - 1;
};

const highlightSql = () => {
  const editor = document.getElementById("sql");
  const highlighted = document.getElementById("sql-highlighted");
  if (!editor || !highlighted) return;
  const sql = editor.value;
  editor.parentElement.classList.add("highlighted");
  highlighted.replaceChildren();
  const wrong = editor.dataset.wrong ? textOffset(sql, editor.dataset.wrong) : -1;
  let end = 0;
  for (const token of sql.matchAll(SQL_TOKENS)) {
    const isWrong = wrong >= token.index && wrong < token.index + token[0].length;
    const kind = SQL_CLASSES.findIndex((_, group) => group && token[group]);
    if (kind < 0 && !isWrong) continue;
    highlighted.append(sql.slice(end, token.index));
    const part = document.createElement("span");
    part.className = kind < 0 ? "" : SQL_CLASSES[kind];
    if (isWrong) part.classList.add("wrong-here");
    part.textContent = token[0];
    highlighted.append(part);
    end = token.index + token[0].length;
  }
  highlighted.append(sql.slice(end));
};

on("input", "#sql", (editor) => {
  delete editor.dataset.wrong;
  highlightSql();
});
on("click", "[data-goto]", (button) => {
  const editor = document.getElementById("sql");
  const start = textOffset(editor.value, button.dataset.goto);
  const word = editor.value.slice(start).match(/^\w+/);
  editor.focus();
  editor.setSelectionRange(start, start + (word?.[0].length || 1));
});
document.addEventListener("rebuilt", highlightSql);
document.addEventListener("DOMContentLoaded", highlightSql);
