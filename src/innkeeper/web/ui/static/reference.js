// The API reference: its search, its contents, and the language of its examples.
"use strict";

const make = (tag, members = {}) => Object.assign(document.createElement(tag), members);
const search = document.querySelector("#search");
const contents = document.querySelector("nav > details");
const sections = [...document.querySelectorAll("main > section")];
const linkOf = (section) => document.querySelector(`nav a[href="#${section.id}"]`);

search.addEventListener("input", () => {
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const section of sections) {
    let shown = 0;
    for (const each of section.querySelectorAll(":scope > details")) {
      const text = each.querySelector("summary").textContent.toLowerCase();
      each.hidden = !words.every((word) => text.includes(word));
      shown += each.hidden ? 0 : 1;
    }
    section.hidden = shown === 0;
    linkOf(section).hidden = shown === 0;
    count += shown;
  }
  document.querySelector("nav [role=status]").textContent =
    words.length ? `${count} operations` : "";
});

// On a narrow screen the contents are closed until they are needed.
const narrow = matchMedia("(max-width: 1023px)");
const fold = () => { contents.open = !narrow.matches; };
narrow.addEventListener("change", fold);
contents.addEventListener("click", (event) => {
  if (narrow.matches && event.target.closest("a")) contents.open = false;
});
fold();

const current = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    linkOf(target).toggleAttribute("aria-current", isIntersecting);
  }
}, { rootMargin: "0px 0px -75% 0px" });
sections.forEach((section) => current.observe(section));

const choose = (language) => {
  document.documentElement.dataset.language = language;
  localStorage.setItem("language", language);
  for (const each of document.querySelectorAll("[data-choose-language]")) {
    each.setAttribute("aria-pressed", each.dataset.chooseLanguage === language);
  }
};
const languages = ["curl", "Python", "JavaScript"];
const stored = localStorage.getItem("language");
document.documentElement.dataset.language = languages.includes(stored) ? stored : languages[0];
document.addEventListener("click", (event) => {
  const { chooseLanguage } = event.target.dataset;
  if (chooseLanguage) choose(chooseLanguage);
  if (!event.target.matches("[data-copy-example]")) return;
  const { language } = document.documentElement.dataset;
  const example = event.target.closest(".samples").querySelector(`pre[data-language=${language}]`);
  navigator.clipboard.writeText(example.textContent);
  event.target.textContent = "Copied";
});

const button = (text, data) => {
  const made = make("button", { type: "button", textContent: text });
  Object.assign(made.dataset, data);
  return made;
};
// What an operation needs beyond its text is made when it is opened.
document.addEventListener("toggle", ({ target }) => {
  const examples = target.open && target.querySelector(".languages");
  if (!examples || examples.querySelector("button")) return;
  const row = make("p", { className: "row" });
  row.append(...languages.map((each) => button(each, { chooseLanguage: each })));
  row.append(button("Copy", { copyExample: "" }));
  examples.prepend(row);
  choose(document.documentElement.dataset.language);
}, true);

const open = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.matches("details")) target.open = true;
};
addEventListener("hashchange", open);
open();
