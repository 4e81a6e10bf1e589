// What every script of the screens uses.
"use strict";

// Calls `act(element, event)` for events on elements that match `selector`, also on later ones.
const on = (type, selector, act) =>
  document.addEventListener(type, (event) => {
    const element = event.target instanceof Element && event.target.closest(selector);
    if (element) act(element, event);
  });

const isTextField = (element) => element.matches("input, textarea, select, [contenteditable]");
