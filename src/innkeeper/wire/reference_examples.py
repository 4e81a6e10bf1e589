"""Examples of the API reference: each operation in curl, Python and JavaScript."""

import json
from collections.abc import Mapping
from typing import Any, Final

from innkeeper.resources.kinds import Schema

URL: Final = "https://innkeeper.example"
"""Stands for the address of the server, which puts its own in its place."""
_KEY: Final = "CLIENT_KEY", "API_TOKEN"
_DEEPEST: Final = 4
_FEW: Final = 3
"""Members shown of a body that requires none."""
_FORMATS: Final = {
    "uuid": "00000000-0000-4000-8000-000000000001",
    "date": "1990-05-17",
    "date-time": "2026-11-30T10:00:00.000Z",
    "uri": "https://example.com/hook",
    "email": "jane.doe@example.com",
}
_TYPES: Final[Mapping[str, Any]] = {
    "string": "text",
    "integer": 1,
    "number": 9.5,
    "boolean": True,
    "object": {},
    "array": [],
}


def example_request(document: Schema, path: str, operation: Schema) -> tuple[str, Any]:
    """Return the path with its query and the body of an example; the body is None if it takes
    none."""
    url, query = path, []
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            url = url.replace(f"{{{parameter['name']}}}", parameter["name"].upper())
        elif parameter["in"] == "query" and parameter.get("required"):
            value = sample(document, parameter["schema"])
            query.append(f"{parameter['name']}={value}")
    url += "?" + "&".join(query) if query else ""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return url, None if content is None else sample(document, content["schema"])


def examples(document: Schema, method: str, path: str, operation: Schema) -> dict[str, str]:
    """Return language -> a request of an operation."""
    target, body = example_request(document, path, operation)
    url = URL + target
    has_key = operation.get("security") != []
    return {
        "curl": _curl(method, url, body, has_key=has_key),
        "Python": _python(method, url, body, has_key=has_key),
        "JavaScript": _javascript(method, url, body, has_key=has_key),
    }


def sample(document: Schema, schema: Schema, depth: int = 0) -> Any:
    """Return a value that a schema describes: its required members, or the first ones."""
    schema = schema.get("anyOf", [schema])[0]
    while "$ref" in schema:
        _, _, kind, name = schema["$ref"].split("/")
        schema = document["components"][kind][name]
    kinds = schema.get("type", "object")
    kind = kinds if isinstance(kinds, str) else next(each for each in kinds if each != "null")
    if "enum" in schema:
        return schema["enum"][0]
    if kind == "object" and depth < _DEEPEST:
        members = schema.get("properties", {})
        names = schema.get("required") or [*members][:_FEW]
        return {
            name: sample(document, members[name], depth + 1) for name in names if name in members
        }
    if kind == "array" and "items" in schema and depth < _DEEPEST:
        return [sample(document, schema["items"], depth + 1)]
    return _FORMATS.get(schema.get("format", ""), schema.get("default", _TYPES.get(kind)))


def _curl(method: str, url: str, body: Any, *, has_key: bool) -> str:
    lines = [f"curl -X {method.upper()} '{url}'"]
    lines += [f"-u '{':'.join(_KEY)}'"] if has_key else []
    if body is not None:
        text = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
        lines += ["-H 'Content-Type: application/json'", f"-d '{text}'"]
    return " \\\n  ".join(lines)


def _python(method: str, url: str, body: Any, *, has_key: bool) -> str:
    more = [f"auth={_KEY!r}"] if has_key else []
    more += [f"json={body!r}"] if body is not None else []
    arguments = "".join(f"    {each},\n" for each in (repr(method.upper()), repr(url), *more))
    call = f"response = httpx.request(\n{arguments})"
    return f"import httpx\n\n{call}\nprint(response.status_code, response.text)"


def _javascript(method: str, url: str, body: Any, *, has_key: bool) -> str:
    headers = {"Content-Type": "application/json"} if body is not None else {}
    lines = [f"  method: {json.dumps(method.upper())},"]
    named = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in headers.items()]
    named += [f'Authorization: "Basic " + btoa("{":".join(_KEY)}")'] if has_key else []
    lines += [f"  headers: {{ {', '.join(named)} }},"] if named else []
    if body is not None:
        lines.append(f"  body: JSON.stringify({json.dumps(body, ensure_ascii=False)}),")
    options = "\n".join(lines)
    call = f"const response = await fetch({json.dumps(url)}, {{\n{options}\n}});"
    return f"{call}\nconsole.log(response.status, await response.text());"
