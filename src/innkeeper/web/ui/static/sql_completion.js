// Completion in the SQL editor: names of views, columns, functions and keywords at the caret. Arrow
// keys choose, Enter or Tab takes, Escape closes, Ctrl Space opens. The page lists what there is.
"use strict";

const SQL_MOST = 8;
const SQL_JOINED = /\b(?:from|join)\s+(\w+)(?:\s+(?:as\s+)?(\w+))?/gi;
const SQL_BEFORE = /(?:(\w+)\.)?(\w*)$/;

const sqlViews = () =>
  new Map(
    [...document.querySelectorAll("[data-view]")].map((view) => [
      view.dataset.view,
      [...view.querySelectorAll("[data-column]")].map((column) => column.textContent),
    ]),
  );

// The views in a text, also by their aliases.
const joinedViews = (text, views) => {
  const joined = new Map();
  for (const [, name, alias] of text.matchAll(SQL_JOINED)) {
    const columns = views.get(name.toLowerCase());
    if (!columns) continue;
    joined.set(name.toLowerCase(), columns);
    if (alias) joined.set(alias.toLowerCase(), columns);
  }
  return joined;
};

const isInText = (before) => (before.match(/'/g) || []).length % 2 === 1 || /--[^\n]*$/.test(before);

const sqlCandidates = (editor) => {
  const before = editor.value.slice(0, editor.selectionStart);
  const [, owner, prefix] = before.match(SQL_BEFORE);
  const views = sqlViews();
  const joined = joinedViews(editor.value, views);
  if (owner) {
    return { prefix, words: (joined.get(owner.toLowerCase()) || []).map((name) => [name, "column"]) };
  }
  const columns = new Set([...(joined.size ? joined : views).values()].flat());
  const words = [...columns].map((name) => [name, "column"]);
  words.push(...[...views.keys()].map((name) => [name, "view"]));
  words.push(...editor.dataset.functions.split(" ").map((name) => [name, "function"]));
  words.push(...SQL_KEYWORDS.split("|").map((name) => [name, "keyword"]));
  return { prefix, words };
};

const rankOf = (name, prefix) => {
  const start = name.replace(/^(core|meta)_/, "");
  if (name.startsWith(prefix)) return 0;
  if (start.startsWith(prefix)) return 1;
  return prefix.length > 1 && name.includes(prefix) ? 2 : 3;
};

const matchingWords = ({ prefix, words }) => {
  const low = prefix.toLowerCase();
  const seen = new Set();
  return words
    .filter(([name]) => !seen.has(name) && seen.add(name))
    .map(([name, kind]) => [rankOf(name, low), name, kind])
    .filter(([rank, name]) => rank < 3 && name !== low)
    .sort(([one], [other]) => one - other)
    .slice(0, SQL_MOST);
};

const closeCompletion = () => {
  document.getElementById("sql-list")?.remove();
  document.getElementById("sql")?.removeAttribute("aria-activedescendant");
};

const chooseCompletion = (list, index) => {
  const options = [...list.children];
  const chosen = options[(index + options.length) % options.length];
  for (const option of options) option.setAttribute("aria-selected", String(option === chosen));
  document.getElementById("sql").setAttribute("aria-activedescendant", chosen.id);
};

// Where the caret is: the coloured copy behind the text has the same lines.
const placeCompletion = (editor, list, offset) => {
  const copy = document.getElementById("sql-highlighted");
  const range = document.createRange();
  const walker = document.createTreeWalker(copy, NodeFilter.SHOW_TEXT);
  let left = offset;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (left <= node.length) {
      range.setStart(node, left);
      break;
    }
    left -= node.length;
  }
  const box = editor.parentElement.getBoundingClientRect();
  const caret = range.startContainer === document ? copy.getBoundingClientRect() : range.getBoundingClientRect();
  list.style.top = `${caret.bottom - box.top - editor.scrollTop + 4}px`;
  list.style.left = `${Math.max(0, Math.min(caret.left - box.left, box.width - list.offsetWidth))}px`;
};

const openCompletion = (editor, isAsked) => {
  closeCompletion();
  const before = editor.value.slice(0, editor.selectionStart);
  if (editor.selectionStart !== editor.selectionEnd || isInText(before)) return;
  const found = sqlCandidates(editor);
  if (!isAsked && !found.prefix && !before.endsWith(".")) return;
  const words = matchingWords(found);
  if (!words.length) return;
  const list = document.createElement("ul");
  list.id = "sql-list";
  list.className = "sql-list";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Completions");
  list.dataset.prefix = found.prefix;
  for (const [index, [, name, kind]] of words.entries()) {
    const option = document.createElement("li");
    option.id = `sql-word-${index}`;
    option.dataset.word = kind === "function" ? `${name}(` : name;
    option.setAttribute("role", "option");
    const hint = document.createElement("span");
    hint.textContent = kind;
    option.append(name, hint);
    list.append(option);
  }
  editor.after(list);
  editor.setAttribute("aria-controls", list.id);
  placeCompletion(editor, list, editor.selectionStart - found.prefix.length);
  chooseCompletion(list, 0);
};

const takeCompletion = (list, option) => {
  const editor = document.getElementById("sql");
  const end = editor.selectionStart;
  editor.setRangeText(option.dataset.word, end - list.dataset.prefix.length, end, "end");
  editor.focus();
  editor.dispatchEvent(new Event("input", { bubbles: true }));
  closeCompletion();
};

on("input", "#sql", (editor, event) => {
  if (event.isTrusted) openCompletion(editor, false);
});
on("keydown", "#sql", (editor, event) => {
  if (event.key === " " && event.ctrlKey) {
    event.preventDefault();
    openCompletion(editor, true);
    return;
  }
  const list = document.getElementById("sql-list");
  if (!list) return;
  const chosen = list.querySelector('[aria-selected="true"]');
  const index = [...list.children].indexOf(chosen);
  if (event.key === "ArrowDown") chooseCompletion(list, index + 1);
  else if (event.key === "ArrowUp") chooseCompletion(list, index - 1);
  else if (event.key === "Enter" || event.key === "Tab") takeCompletion(list, chosen);
  else if (event.key === "Escape") closeCompletion();
  else return;
  event.preventDefault();
  event.stopPropagation();
});
on("mousedown", "#sql-list li", (option, event) => {
  event.preventDefault();
  takeCompletion(option.parentElement, option);
});
on("click", "#sql", closeCompletion);
on("focusout", "#sql", closeCompletion);
