// Buttons that copy: `data-copy` is the text, or `#` and the id of the element that holds it.
"use strict";

on("click", "[data-copy]", async (button) => {
  const source = button.dataset.copy;
  const text = source.startsWith("#") ? document.querySelector(source).textContent : source;
  await navigator.clipboard.writeText(text.trim());
  const announcement = document.getElementById("announcement");
  announcement.textContent = "";
  announcement.textContent = "Copied";
  button.dataset.done = "";
  const use = button.querySelector("use");
  const icon = use?.getAttribute("href");
  use?.setAttribute("href", icon.replace(/#.*/, "#i-check"));
  setTimeout(() => use?.setAttribute("href", icon), 1200);
});
