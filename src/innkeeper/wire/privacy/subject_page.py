"""All data about a person as a page that people can read."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from innkeeper.resources.naming import camel
from innkeeper.resources.values import plain

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%;margin:0 0 1rem}"
    "th,td{text-align:left;vertical-align:top;border-bottom:1px solid #ccc;padding:.2rem .5rem}"
    "th{width:14rem;font-weight:600}h2{margin-top:2rem}"
)


def page(held: Mapping[str, Any]) -> str:
    """Return an HTML page of the result of `privacy.access`; it loads no other resource."""
    subject = plain(held, camel)
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        f"<title>Data held on guest {escape(str(subject['guest']))}</title><style>{_STYLE}</style>",
        f"<h1>Data held on guest {escape(str(subject['guest']))}</h1>",
        f"<p>As of {escape(str(subject['at']))}, in workspace {escape(str(subject['workspace']))}. "
        f"{len(subject['guests'])} record(s) are one person here.</p>",
    ]
    for name, rows in held["held"].items():
        title = escape(str(name).replace("_", " ").capitalize())
        parts.append(f"<h2>{title} ({len(rows) if isinstance(rows, Sequence) else 1})</h2>")
        entries = rows if isinstance(rows, list) else [rows]
        parts += [_table(plain(entry, camel)) for entry in entries]
        if not entries:
            parts.append("<p>Nothing.</p>")
    return "\n".join(parts) + "\n"


def _table(value: Any) -> str:
    if isinstance(value, Mapping):
        rows = "".join(
            f"<tr><th>{escape(str(name))}</th><td>{_table(member)}</td></tr>"
            for name, member in value.items()
            if member is not None
        )
        return f"<table>{rows}</table>" if rows else "Nothing."
    if isinstance(value, list):
        return "<br>".join(_table(one) for one in value)
    return escape(str(value))
