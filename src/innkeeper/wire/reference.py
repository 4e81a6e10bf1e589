"""The API reference as one HTML page, generated from the API description; works offline."""

import json
from html import escape
from typing import Final

from innkeeper.resources.kinds import Schema
from innkeeper.wire.reference_examples import example_request, examples

STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --soft: #8882; --accent: #0a6b5c; }
@media (prefers-color-scheme: dark) { :root { --accent: #5fd0bb; } }
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 60rem; padding: 1.5rem; }
h1 { margin-bottom: 0; } h2 { margin-top: 2.5rem; border-bottom: 1px solid var(--line); }
a { color: var(--accent); }
code { font: 0.9em ui-monospace, monospace; }
details { border: 1px solid var(--line); border-radius: 6px; margin: .5rem 0; }
summary { padding: .5rem .75rem; cursor: pointer; overflow-wrap: anywhere; }
summary b { display: inline-block; min-width: 4.5rem; color: var(--accent); }
.in { padding: 0 .75rem .75rem; overflow-x: auto; }
table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .25rem .5rem;
border-top: 1px solid var(--line); vertical-align: top; } th { font-weight: 600; }
.must { color: var(--accent); font-size: .85em; }
pre { background: var(--soft); border-radius: 6px; padding: .75rem; overflow-x: auto; }
input { font: inherit; width: 100%; padding: .4rem .6rem; border: 1px solid #888;
border-radius: 6px; box-sizing: border-box; background: Canvas; color: CanvasText; }
nav ul { list-style: none; padding: 0; margin: .5rem 0; }
nav a { display: block; padding: .2rem 0; }
.languages summary { font-weight: 600; }
.try { border: 1px solid var(--line); border-radius: 6px; padding: 0 .75rem .75rem;
margin: .75rem 0; }
.try h3 { margin: .6rem 0 0; } .try p { margin: .2rem 0 .5rem; font-size: .9em; }
.try label { display: block; font-size: .9em; margin-bottom: .5rem; }
.try input, .try textarea { font: .9em ui-monospace, monospace; width: 100%; }
textarea { padding: .4rem .6rem; border: 1px solid #888; border-radius: 6px; box-sizing: border-box;
background: Canvas; color: CanvasText; }
.try button { font: inherit; padding: .4rem .9rem; border: 0; border-radius: 6px; cursor: pointer;
background: var(--accent); color: Canvas; }
.try pre:empty { display: none; } .try pre { max-height: 30rem;
white-space: pre-wrap; overflow-wrap: anywhere; }
[hidden] { display: none; }
@media (max-width: 63.99rem) {
  nav ul { display: flex; gap: .2rem .9rem; overflow-x: auto; white-space: nowrap; }
}
@media (min-width: 64rem) {
  body { max-width: 80rem; display: grid; gap: 2.5rem;
  grid-template-columns: 15rem minmax(0, 1fr); }
  nav { position: sticky; top: 1.5rem; align-self: start; max-height: calc(100vh - 3rem);
  overflow-y: auto; }
}
"""
SCRIPT: Final = """
"use strict";
const search = document.querySelector("input[type=search]");
const show = () => {
  const words = search.value.toLowerCase().split(/\\s+/).filter(Boolean);
  let count = 0;
  for (const section of document.querySelectorAll("main > section")) {
    let shown = 0;
    for (const each of section.querySelectorAll(":scope > details")) {
      const text = each.querySelector("summary").textContent.toLowerCase();
      each.hidden = !words.every((word) => text.includes(word));
      shown += each.hidden ? 0 : 1;
    }
    section.hidden = shown === 0;
    document.querySelector(`nav a[href="#${section.id}"]`).hidden = shown === 0;
    count += shown;
  }
  document.querySelector("[role=status]").textContent = words.length ? `${count} operations` : "";
};
search.addEventListener("input", show);
const open = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target && target.matches("details")) target.open = true;
};
addEventListener("hashchange", open);
open();
"""


def reference_page(document: Schema) -> tuple[str, str]:
    """Return (HTML, style sheet) of the reference of an OpenAPI document."""
    info = document["info"]
    sections: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            section = _operation(document, method, path, operation)
            sections.setdefault(operation["tags"][0], []).append(section)
    contents = "".join(
        f'<section id="{_anchor(tag)}"><h2>{escape(tag)}</h2>{"".join(operations)}</section>'
        for tag, operations in sections.items()
    )
    links = "".join(f'<li><a href="#{_anchor(tag)}">{escape(tag)}</a></li>' for tag in sections)
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])} API</title>"
        '<link rel="stylesheet" href="/docs/style.css">'
        '<script src="/docs/search.js" defer></script>'
        '<script src="/docs/try.js" defer></script></head><body>'
        '<nav aria-label="Contents"><label for="search">Find an operation</label>'
        '<input id="search" type="search" autocomplete="off" '
        'placeholder="guest, /v2.1/orders, POST">'
        f'<p role="status"></p><ul>{links}</ul></nav><main>'
        f"<h1>{escape(info['title'])} API</h1><p>Version {escape(info['version'])}. "
        f"{escape(info['description'])}</p><p>Machine-readable: "
        '<a href="/openapi.json">/openapi.json</a>, or '
        '<a href="/openapi.json?compatibility=official">as an official key sees it</a>.</p>'
        f"{contents}</main></body></html>"
    )
    return page, STYLE


def _operation(document: Schema, method: str, path: str, operation: Schema) -> str:
    parts = [
        f'<details id="{operation["operationId"]}"{_to_try(document, method, path, operation)}>'
        f"<summary><b>{method.upper()}</b> "
        f'<code>{escape(path)}</code> {escape(operation["summary"])}</summary><div class="in">'
    ]
    parts.append(_examples(document, method, path, operation))
    if operation["parameters"]:
        rows = "".join(
            _row(
                item["name"],
                item["schema"],
                item.get("description", item["in"]),
                item.get("required", False),
            )
            for item in operation["parameters"]
        )
        parts.append(f"<h3>Parameters</h3><table>{rows}</table>")
    if "requestBody" in operation:
        parts.append(_members(document, "Body", operation["requestBody"]))
    good = operation["responses"][min(operation["responses"])]
    parts.append(_members(document, "Members of the answer", good))
    rows = "".join(
        f"<tr><th>{status}</th><td>{escape(_meaning(document, answer))}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    parts.append(f"<h3>Answers</h3><table>{rows}</table></div></details>")
    return "".join(parts)


def _to_try(document: Schema, method: str, path: str, operation: Schema) -> str:
    """Return the attributes by which a script sends the example; none for a bearer token."""
    if {"bearerAuth": []} in operation.get("security", ()):
        return ""
    target, body = example_request(document, path, operation)
    text = "" if body is None else json.dumps(body, ensure_ascii=False, indent=2)
    attribute = f' data-body="{escape(text)}"' if text else ""
    return f' data-method="{method.upper()}" data-path="{escape(target)}"{attribute}'


def _anchor(tag: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in tag.lower()).split())


def _examples(document: Schema, method: str, path: str, operation: Schema) -> str:
    """The request in each language, of which the first is open."""
    languages = "".join(
        f"<details{' open' if not position else ''}><summary>{language}</summary>"
        f'<div class="in"><pre tabindex="0">{escape(text)}</pre></div></details>'
        for position, (language, text) in enumerate(
            examples(document, method, path, operation).items()
        )
    )
    return f'<h3>Example</h3><div class="languages">{languages}</div>'


def _members(document: Schema, heading: str, message: Schema) -> str:
    """Return a table of the members of a request's or response's JSON, or of its elements."""
    schema = message.get("content", {}).get("application/json", {}).get("schema", {})
    schema = _resolved(document, schema)
    if schema.get("type") == "array":
        schema, heading = _resolved(document, schema["items"]), f"{heading}, each of an array"
    required = schema.get("required", ())
    rows = "".join(
        _row(name, member, member.get("description", ""), name in required)
        for name, member in schema.get("properties", {}).items()
    )
    description = f"<p>{escape(schema['description'])}</p>" if "description" in schema else ""
    return f"<h3>{heading}</h3>{description}<table>{rows}</table>" if rows else description


def _resolved(document: Schema, schema: Schema) -> Schema:
    """Return the part of the document that a reference refers to."""
    if "$ref" not in schema:
        return schema
    _, _, kind, name = schema["$ref"].split("/")
    resolved: Schema = document["components"][kind][name]
    return resolved


def _meaning(document: Schema, response: Schema) -> str:
    return str(_resolved(document, response)["description"])


def _row(name: str, schema: Schema, text: str, required: bool) -> str:
    must = ' <span class="must">required</span>' if required else ""
    if schema.get("default", "") != "":
        text = f"{text} By default {schema['default']}.".strip()
    return (
        f"<tr><th><code>{escape(name)}</code>{must}</th>"
        f"<td>{escape(_type(schema))}</td><td>{escape(text)}</td></tr>"
    )


def _type(schema: Schema) -> str:
    schema = schema.get("anyOf", [schema])[0]
    if "$ref" in schema:
        return str(schema["$ref"].rpartition("/")[2])
    if "items" in schema:
        return f"array of {_type(schema['items'])}"
    kind = schema.get("type", "any")
    words = kind if isinstance(kind, str) else " or ".join(word for word in kind if word != "null")
    if "format" in schema:
        words = schema["format"]
    if len(schema.get("enum", ())) in range(1, 15):
        words += ": " + ", ".join(str(word) for word in schema["enum"] if word is not None)
    return words
