// Drop-down menus, and the main menu of narrow screens. Both close on a click elsewhere and on Escape.
"use strict";

const openMenus = () => document.querySelectorAll("details.menu[open]");

const showMainMenu = (isOpen) => {
  document.querySelector(".side").classList.toggle("open", isOpen);
  document.querySelector("[data-nav]").setAttribute("aria-expanded", String(isOpen));
};

document.addEventListener("click", (event) => {
  for (const menu of openMenus()) {
    if (!menu.contains(event.target)) menu.open = false;
  }
  const side = document.querySelector(".side.open");
  if (side && !side.contains(event.target) && !event.target.closest("[data-nav]")) showMainMenu(false);
});

on("click", "[data-nav]", () => {
  showMainMenu(true);
  document.querySelector(".side a").focus();
});

document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || event.ctrlKey || event.metaKey || event.altKey) return;
  for (const menu of openMenus()) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
  if (document.querySelector(".side.open")) {
    showMainMenu(false);
    document.querySelector("[data-nav]").focus();
  }
});
