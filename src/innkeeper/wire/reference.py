"""The API reference as one HTML page, generated from the API description; works offline."""

import json
from collections.abc import Sequence
from html import escape
from typing import Final

from innkeeper.resources.kinds import Schema
from innkeeper.wire.reference_examples import example_request, examples

_GROUPS: Final = {
    "(v2.1)": "REST API v2.1",
    "(v2)": "REST API v2",
    "(innkeeper)": "Innkeeper API",
    "API": "Stream API",
}
"""Last word of a tag -> the API that it belongs to; other tags are of Innkeeper's own API."""
_COLOURS: Final = {"get": "info", "post": "good", "put": "warn", "patch": "warn", "delete": "bad"}
_OWN: Final = "Innkeeper API"
_INTRODUCTION: Final = """
<p class="lead">{description}</p>
<dl class="kv"><dt>Authentication</dt><dd>HTTP Basic: the client key is the user name, the API
token the password. Create both in the settings of a workspace, or with
<code>innkeeper keys create</code>.</dd><dt>Errors</dt><dd>JSON that names every problem of the
request at once.</dd><dt>Machine-readable</dt><dd><a href="/openapi.json">/openapi.json</a>, or
<a href="/openapi.json?compatibility=official">as an official key sees it</a>.</dd></dl>
"""


def reference_page(document: Schema, styles: Sequence[str], scripts: Sequence[str]) -> str:
    """Return the HTML of the reference of an OpenAPI document."""
    info = document["info"]
    title = f"{escape(info['title'])} API"
    sections: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            section = _operation(document, method, path, operation)
            sections.setdefault(operation["tags"][0], []).append(section)
    contents = "".join(
        f'<section id="{_anchor(tag)}"><p class="soft small">{_group(tag)}</p>'
        f"<h2>{_words(tag)}</h2>{''.join(operations)}</section>"
        for tag, operations in sections.items()
    )
    words = escape(info["description"]).split("`")
    description = "".join(f"<code>{each}</code>" if i % 2 else each for i, each in enumerate(words))
    links = "".join(f'<link rel="stylesheet" href="{each}">' for each in styles)
    links += "".join(f'<script src="{each}" defer></script>' for each in scripts)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{title}</title>{links}</head><body class="reference">'
        '<a class="skip" href="#content">Skip to content</a>'
        f'<nav aria-label="Contents"><p class="brand"><a href="/">{escape(info["title"])}</a>'
        f'<span class="badge">API {escape(info["version"])}</span></p>'
        '<label class="sr-only" for="search">Find an operation</label>'
        '<input id="search" type="search" autocomplete="off" '
        'placeholder="Find an operation">'
        '<p class="soft small" role="status"></p>'
        f"<details open><summary>Contents</summary>{_contents(sections)}</details></nav>"
        f'<main id="content" tabindex="-1"><h1>{title}</h1>'
        f"{_INTRODUCTION.format(description=description)}{contents}</main></body></html>"
    )


def _contents(sections: dict[str, list[str]]) -> str:
    """Return the links to the sections, by API, with the number of operations of each."""
    groups: dict[str, list[str]] = {}
    for tag, operations in sections.items():
        link = f'<li><a href="#{_anchor(tag)}">{_words(tag)}<span>{len(operations)}</span></a></li>'
        groups.setdefault(_group(tag), []).append(link)
    return "".join(
        f'<div class="group"><p>{name}</p><ul>{"".join(links)}</ul></div>'
        for name, links in groups.items()
    )


def _group(tag: str) -> str:
    return _GROUPS.get(tag.rpartition(" ")[2], _OWN)


def _words(tag: str) -> str:
    """Return a tag as words: `OrderItem (v2.1)` is "Order item"."""
    name = tag.partition(" (")[0]
    if " " in name:
        return escape(name)
    return escape("".join(f" {c.lower()}" if i and c.isupper() else c for i, c in enumerate(name)))


def _operation(document: Schema, method: str, path: str, operation: Schema) -> str:
    parts = [
        f'<details id="{operation["operationId"]}"{_to_try(document, method, path, operation)}>'
        f'<summary><b class="badge {_COLOURS[method]}">{method.upper()}</b> '
        f"<code>{_breakable(path)}</code> <span>{escape(operation['summary'])}</span></summary>"
        '<div class="operation"><div class="about">'
    ]
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
    parts.append(_members(document, "Members of the response", good))
    rows = "".join(
        f"<tr><th>{status}</th><td>{escape(_meaning(document, answer))}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    parts.append(f"<h3>Responses</h3><table>{rows}</table></div>")
    parts.append(_examples(document, method, path, operation))
    return "".join([*parts, "</div></details>"])


def _breakable(path: str) -> str:
    """Return a path that lines may break before its slashes."""
    return escape(path).replace("/", "<wbr>/")


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
    """The request in each language; a script shows the chosen one."""
    languages = "".join(
        f'<pre tabindex="0" data-language="{language}" aria-label="{language}">{escape(text)}</pre>'
        for language, text in examples(document, method, path, operation).items()
    )
    return f'<div class="samples"><div class="languages">{languages}</div></div>'


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
        f"<tr><th><code>{escape(name)}</code>{must}"
        f'<span class="type">{escape(_type(schema))}</span></th><td>{escape(text)}</td></tr>'
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
