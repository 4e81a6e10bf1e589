// Shows the first rows of a chosen file: sends its start alone, while the file itself may be large.
"use strict";

const START_BYTES = 1 << 20;
let lastPreview;

on("change", "input[type=file][data-preview]", async (field) => {
  const shown = document.getElementById("file-preview");
  lastPreview?.abort();
  shown.replaceChildren();
  const [file] = field.files;
  if (!file) return;
  const { signal } = (lastPreview = new AbortController());
  const sent = new FormData();
  sent.set("csrf", field.form.elements.csrf.value);
  sent.set("file", file.slice(0, START_BYTES), file.name);
  try {
    const response = await fetch(field.dataset.preview, { method: "POST", body: sent, signal });
    if (!response.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    shown.replaceChildren(...page.body.childNodes);
  } catch {
    // Without a preview the upload works all the same.
  }
});
