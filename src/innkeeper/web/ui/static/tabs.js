// On a narrow screen the current tab may lie outside of what is visible.
"use strict";

for (const tabs of document.querySelectorAll(".tabs")) {
  const current = tabs.querySelector("[aria-current]");
  if (!current) continue;
  const margin = (tabs.clientWidth - current.offsetWidth) / 2;
  tabs.scrollLeft = current.offsetLeft - margin - tabs.offsetLeft;
}
