// On a narrow screen the current tab may lie outside of what is visible.
"use strict";

for (const tabs of document.querySelectorAll(".tabs")) {
  const current = tabs.querySelector("[aria-current]");
  const margin = current && (tabs.clientWidth - current.offsetWidth) / 2;
  if (current) tabs.scrollLeft = current.offsetLeft - margin - tabs.offsetLeft;
  // The side on which more tabs are fades.
  const fade = () => {
    const rest = tabs.scrollWidth - tabs.clientWidth - tabs.scrollLeft;
    tabs.dataset.cut = [tabs.scrollLeft > 1 && "left", rest > 1 && "right"].filter(Boolean).join(" ");
  };
  tabs.addEventListener("scroll", fade, { passive: true });
  addEventListener("resize", fade);
  fade();
}
