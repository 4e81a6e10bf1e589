// Buttons that copy an example with a sandbox token, which is made on the click and shown once.
"use strict";

on("click", "[data-sandbox-copy]", async (button) => {
  const example = document.querySelector(button.dataset.sandboxCopy);
  const note = button.parentElement.querySelector("[role=status]");
  button.disabled = true;
  const workspace = location.pathname.split("/")[2];
  const response = await fetch(`/sandbox-token?workspace=${encodeURIComponent(workspace)}`, {
    method: "POST",
    headers: { "X-Requested-With": "innkeeper" },
  });
  const answer = await response.json().catch(() => ({ message: "The server does not answer." }));
  button.disabled = false;
  if (!response.ok) {
    note.textContent = answer.message;
    return;
  }
  example.textContent = example.textContent.replace("CLIENT_KEY:API_TOKEN", answer.login);
  await navigator.clipboard.writeText(example.textContent.trim());
  button.hidden = true;
  note.textContent = "Copied. The token is valid for an hour in the sandbox and is not shown again.";
});
