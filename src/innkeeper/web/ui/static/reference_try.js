// Sends the requests of the API reference to a sandbox.
"use strict";
const NOTE = "The request goes to your sandbox, with a token that is valid for an hour. " +
  "Words in capitals in the path stand for values.";
let login = null;
const labelled = (text, field) => {
  const label = make("label");
  label.append(text, field);
  return label;
};
const token = async () => {
  if (login && login.until > Date.now()) return login;
  const response = await fetch("/sandbox-token", {
    method: "POST",
    headers: { "X-Requested-With": "innkeeper" },
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message);
  login = { words: answer.login, until: Date.parse(answer.expiresAt) };
  return login;
};
const send = async (method, path, body, output) => {
  output.textContent = "Sending…";
  try {
    const { words } = await token();
    const headers = { Authorization: `Basic ${btoa(words)}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const key = words.split(":")[0];
    const filled = body?.replace(/("client_?key"\s*:\s*)"[^"]*"/i, `$1"${key}"`);
    const started = performance.now();
    const response = await fetch(path, { method, headers, body: filled, credentials: "omit" });
    const text = await response.text();
    let shown = text;
    try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* It is no JSON. */ }
    const time = Math.round(performance.now() - started);
    const head = `${response.status} ${response.statusText}, ${time} ms`;
    output.textContent = `${head}\n\n${shown.slice(0, 20000)}`;
  } catch (error) {
    output.textContent = error.message;
  }
};
const build = (operation) => {
  const { method, path, body } = operation.dataset;
  const target = make("input", { value: path, spellcheck: false });
  const text = body && make("textarea", { value: body, rows: 8, spellcheck: false });
  const button = make("button", { type: "button", className: "button primary" });
  button.textContent = `Send ${method}`;
  const output = make("pre", { tabIndex: 0 });
  output.setAttribute("role", "status");
  const note = make("p", { textContent: NOTE });
  button.addEventListener("click", () => send(method, target.value, text?.value, output));
  const form = make("div", { className: "try" });
  form.append(make("h3", { textContent: "Try it" }), note, labelled("Path", target));
  if (text) form.append(labelled("Body", text));
  form.append(button, output);
  operation.querySelector(".samples").append(form);
};
document.addEventListener("toggle", (event) => {
  const operation = event.target;
  if (!operation.open || !operation.matches("details[data-method]")) return;
  if (!operation.querySelector(".try")) build(operation);
}, true);
document.querySelectorAll("details[data-method][open]").forEach(build);
