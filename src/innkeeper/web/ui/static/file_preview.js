// Shows the first rows of a chosen file: sends parts of it alone, while the file itself may be large. A Parquet
// file or a workbook is sent as a whole up to a size, since its contents are listed at its end.
"use strict";

const START_BYTES = 1 << 20;
const WHOLE_BYTES = 8 << 20;
const PARQUET = [0x50, 0x41, 0x52, 0x31];
const PACKED = [PARQUET, [0x50, 0x4b, 0x03, 0x04], [0xd0, 0xcf, 0x11, 0xe0]];
let lastPreview;

on("change", "input[type=file][data-preview]", (field) => preview(field, ""));
on("change", "#file-preview select[name=sheet]", async (menu) => {
  await preview(menu.form.elements.file, menu.value);
  document.getElementById("sheet")?.focus();
});

async function preview(field, sheet) {
  const shown = document.getElementById("file-preview");
  lastPreview?.abort();
  shown.replaceChildren();
  const [file] = field.files;
  if (!file) return;
  const { signal } = (lastPreview = new AbortController());
  const sent = new FormData();
  sent.set("csrf", field.form.elements.csrf.value);
  sent.set("size", file.size);
  sent.set("sheet", sheet);
  try {
    const head = new Uint8Array(await file.slice(0, 4).arrayBuffer());
    const startsWith = (bytes) => bytes.every((byte, at) => byte === head[at]);
    const isWhole = PACKED.some(startsWith) && (file.size <= WHOLE_BYTES || startsWith(PARQUET));
    const start = isWhole ? WHOLE_BYTES : START_BYTES;
    const isCut = startsWith(PARQUET) && file.size > start;
    const end = isCut ? file.slice(Math.max(start, file.size - START_BYTES)) : new Blob();
    sent.set("end", end.size);
    sent.set("file", new Blob([file.slice(0, start), end]), file.name);
    const response = await fetch(field.dataset.preview, { method: "POST", body: sent, signal });
    if (!response.ok) return;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    shown.replaceChildren(...page.body.childNodes);
  } catch {
    // Without a preview the upload works all the same.
  }
}
