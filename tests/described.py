"""Answers against the API description: status, media type, headers and every member of the body.

Nothing an answer shows may be undeclared: an object whose schema lists its members has no others,
unless the schema says what others are. `Api` and `Bare` of `calling.py` check all they receive.
"""

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final
from urllib.parse import urlsplit

import jsonschema_rs

from innkeeper.wire.openapi import description

Schema = dict[str, Any]

UNDECLARED: Final = frozenset(
    {
        *("content-length", "content-type", "date", "connection", "vary", "transfer-encoding"),
        *("content-security-policy", "cross-origin-opener-policy", "permissions-policy"),
        *("strict-transport-security", "x-content-type-options"),
    }
)
"""Headers of HTTP itself and of browser security, which no description lists; nor those of CORS."""
STATUSES: Final[dict[str, set[int]]] = defaultdict(set)
"""operationId -> statuses of its answers so far, in this process."""
_METHODS: Final = ("get", "put", "post", "patch", "delete")
_ERRORS: Final = {
    "/v2.1/": "Error",
    "/v2/callflows": "FlowError",
    "/v2/": "V2Error",
    "/v4/": "Error",
    "/innkeeper/": "Error",
    "/v1.2/": "StreamError",
    "/v1/events/": "StreamError",
    "/v1/personalize": "FlowError",
}
"""Where a path starts -> schema of the errors of what the description has no operation for."""


@dataclass
class Document:
    """An API description, ready to check answers."""

    body: Schema
    operations: list[tuple[re.Pattern[str], dict[str, Schema]]] = field(default_factory=list)
    _validators: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        # Where two templates fit, the one with more literal text was meant.
        paths = sorted(self.body["paths"].items(), key=lambda one: one[0].count("{"))
        for path, item in paths:
            self.operations.append((_pattern(path), item))
        self.components = strict(self.body["components"])
        self._registry = jsonschema_rs.Registry(
            [("urn:api", {"components": self.components, "$schema": DRAFT})]
        )

    def operation(self, method: str, path: str) -> Schema | None:
        """The operation at a path; None when nothing is described there."""
        for pattern, item in self.operations:
            if pattern.fullmatch(path):
                response: Schema | None = item.get(method.lower())
                return response
        return None

    def resolved(self, schema: Schema) -> Schema:
        """A response or header, followed to where it is written."""
        while "$ref" in schema:
            _, _, group, name = schema["$ref"].split("/")
            schema = self.body["components"][group][name]
        return schema

    def problems(self, schema: Schema, value: Any) -> list[str]:
        """What is wrong with a value."""
        key = json.dumps(schema, sort_keys=True)
        validator = self._validators.get(key)
        if validator is None:
            whole = {**strict(schema), "$schema": DRAFT}
            validator = self._validators[key] = jsonschema_rs.Draft202012Validator(
                whole, registry=self._registry, validate_formats=True
            )
        errors = validator.iter_errors(value)
        return [f"{list(each.instance_path)}: {each.message}" for each in errors]


DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"


@cache
def document(compatibility: str) -> Document:
    """The description that a key of that compatibility is served."""
    return Document(json.loads(json.dumps(description(compatibility, ""))))


def strict(schema: Any) -> Any:
    """A schema in which objects have no members but those that are listed."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    out = {name: strict(each) for name, each in schema.items()}
    if isinstance(out.get("$ref"), str):
        out["$ref"] = out["$ref"].replace("#/components", "urn:api#/components")
    lists = isinstance(schema.get("properties"), dict) and "type" in schema
    if lists and not {"additionalProperties", "patternProperties"} & schema.keys():
        out["additionalProperties"] = False
    return out


def _pattern(path: str) -> re.Pattern[str]:
    pieces = re.split(r"\{\w+\}", path)
    return re.compile("[^/]+".join(map(re.escape, pieces)) + "/?", re.IGNORECASE)


def check_answer(
    compatibility: str,
    method: str,
    target: str,
    status: int,
    headers: Iterable[tuple[str, str]],
    content: bytes,
) -> None:
    """Fail where an answer is not as described; `target` is a path with its query, encoded."""
    if method == "OPTIONS":
        return
    existing = document(compatibility)
    path = "/" + urlsplit(target).path.lstrip("/")
    path = re.sub(r"^/(2\.1|2)/", r"/v\1/", path)
    payload = {name.lower(): value for name, value in headers}
    operation = existing.operation("GET" if method == "HEAD" else method, path)
    if operation is None:
        _check_elsewhere(existing, path, status, content)
        return
    STATUSES[operation["operationId"]].add(status)
    where = f"{method} {target} ({operation['operationId']}) answered {status}"
    response = operation["responses"].get(str(status))
    assert response is not None, f"{where}, which is not described: {content[:500]!r}"
    response = existing.resolved(response)
    _check_headers(existing, where, response.get("headers", {}), payload)
    if method == "HEAD":
        return
    _check_content(existing, where, response.get("content", {}), payload, content)


def _check_elsewhere(existing: Document, path: str, status: int, content: bytes) -> None:
    if path.endswith("/oauth/token"):
        return  # errors as RFC 6749 has them
    for start, name in _ERRORS.items():
        if path.lower().startswith(start) and status >= 400 and content:
            schema = {"$ref": f"#/components/schemas/{name}"}
            problems = existing.problems(schema, json.loads(content))
            assert not problems, f"{path} answered {status}: {problems}"
            return


def _check_headers(
    existing: Document, where: str, described: Mapping[str, Schema], payload: Mapping[str, str]
) -> None:
    names = {name.lower(): existing.resolved(each) for name, each in described.items()}
    others = {
        name
        for name in payload
        if name not in names and name not in UNDECLARED and not name.startswith("access-control-")
    }
    assert not others, f"{where} with headers that are not described: {sorted(others)}"
    for name, header in names.items():
        if header.get("required"):
            assert name in payload, f"{where} without {name}"
        if name in payload:
            value: Any = payload[name]
            if header["schema"].get("type") == "integer":
                value = int(value)
            problems = existing.problems(header["schema"], value)
            assert not problems, f"{where} with {name}: {problems}"


def _check_content(
    existing: Document,
    where: str,
    described: Mapping[str, Schema],
    payload: Mapping[str, str],
    content: bytes,
) -> None:
    if not described:
        assert not content, f"{where} with a body, which is not described: {content[:200]!r}"
        return
    media = payload.get("content-type", "").partition(";")[0]
    assert media in described, f"{where} with {media!r}, which is not described"
    schema = described[media]["schema"]
    value = json.loads(content) if media == "application/json" else content.decode()
    problems = existing.problems(schema, value)
    assert not problems, f"{where}: {problems[:5]} in {content[:2000]!r}"
