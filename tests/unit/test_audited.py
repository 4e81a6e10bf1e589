"""F22: what the audit log records of configuration, and that nothing writes it unrecorded."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import innkeeper
from innkeeper.rules.audited import (
    EXPORT,
    IS_ANOTHER,
    IS_SET,
    KEY,
    KINDS,
    LONGEST,
    MOST_FIELDS,
    SEGMENT,
    TRAIT,
    differences,
)
from innkeeper.store.queries import Queries, catalogue

SOURCE = Path(innkeeper.__file__).parent
TABLES = (
    *("segments", "exports", "traits", "points_of_sale", "site_aliases", "identity_rules"),
    *("identity_settings", "api_keys", "client_key_aliases", "oauth_clients", "users"),
)
"""Tables that hold configuration."""
EXPLAINED = {
    "segments.calculated": "the result of a run",
    "demo.add_segment_runs": "results of runs",
    "segments.forget_guests": "the result of an erasure, which has its own row",
    "segments.forget_samples": "the result of an erasure, which has its own row",
    "exports.schedule": "when the schedule comes next",
    "identity.renew_version": "the version alone; the callers record what changed",
    "identity.set_key_form": "how keys are made, by an upgrade",
    "secrets.encrypt_of_segments": "the same secret under another key, or one that was lost; "
    "recorded once as secrets.rotate or secrets.reset",
    "secrets.encrypt_of_exports": "as secrets.encrypt_of_segments",
    "control.touch_key": "when a key was last used",
    "control.delete_expiring": "keys that end by themselves within an hour",
    "oauth.touch": "when a client was last used",
    "users.seen": "when somebody was last here",
}
"""Queries that write such a table without a change of configuration."""
NAMED = ("segments", "exports")
"""Tables whose rows `NamedRecords` writes, by queries that it names."""
HELPERS = {"segments._set_status": "publishing, whose start is recorded, goes on in the background"}
"""Functions whose callers record the change, or why some do not."""


@cache
def writing_queries() -> frozenset[str]:
    """The names of queries that write a table of configuration."""
    write = re.compile(rf"\b(?:INSERT INTO|UPDATE|DELETE FROM) \S*\.({'|'.join(TABLES)})\b")
    queries = Queries("ws_live")
    return frozenset(name for name in catalogue() if write.search(queries.text(name)))


def functions() -> Iterator[tuple[str, str, str]]:
    """(module, function, its source) of every function of the package."""
    for path in sorted(SOURCE.rglob("*.py")):
        text = path.read_text()
        lines = text.splitlines()
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.AsyncFunctionDef | ast.FunctionDef):
                yield path.stem, node.name, "\n".join(lines[node.lineno - 1 : node.end_lineno])


def test_f22_whoever_writes_configuration_records_it() -> None:
    """Every function that runs such a query calls `audit.record` or `audit.note` itself, or every
    function of its module that calls it does."""
    every = list(functions())
    expected = writing_queries() - EXPLAINED.keys()
    paths: set[str] = set()
    unrecorded = []
    for module, name, source in every:
        # The two of webhooks are named by their kind.
        text = source.replace("subscribe_{kind}", 'subscribe_segment", "webhooks.subscribe_export')
        if module == "named_records":
            text += "".join(f'"{table}.{name}"' for table in NAMED)
        ran = {query for query in expected if f'"{query}"' in text}
        paths |= ran
        if not ran or "audit." in source or "_record" in source:
            continue
        callers = [each for where, _, each in every if where == module and f"{name}(" in each]
        callers.remove(source)
        if f"{module}.{name}" in HELPERS:
            continue
        if not callers or not all("audit." in each or "_record" in each for each in callers):
            unrecorded.append((module, name, sorted(ran)))
    assert not unrecorded
    assert paths == expected, "each is run by somebody, so each was looked at"


def test_f22_what_is_explained_exists() -> None:
    assert writing_queries() >= EXPLAINED.keys()


def test_f22_json_is_recorded_by_the_members_that_differ() -> None:
    def group(value: str) -> dict[str, Any]:
        rule = {"field": "city", "comparator": "equals", "values": [value]}
        return {"filterGroups": [{"entity": "guest", "rules": [rule]}]}

    before = {"friendly_id": "x", "name": "X", "definition": group("Cork")}
    after = {**before, "definition": group("Sligo")}
    assert differences(SEGMENT, before, after) == {
        "filterGroups[0].rules[0].values": [["Cork"], ["Sligo"]]
    }
    changes = differences(SEGMENT, None, before)
    assert changes["name"] == [None, "X"]
    assert changes["filterGroups[0].entity"] == [None, "guest"]
    assert differences(SEGMENT, before, None)["filterGroups[0].entity"] == ["guest", None]


def test_f22_secrets_are_never_recorded() -> None:
    before = {"friendly_id": "x", "webhook": None, "webhook_secret": None}
    one = {**before, "webhook": "https://x.example/h?token=hush", "webhook_secret": "s1"}
    two = {**one, "webhook_secret": "s2"}
    assert differences(EXPORT, before, one) == {
        "webhook": [None, "https://x.example/h?•••"],
        "webhook_secret": [None, IS_SET],
    }
    assert differences(EXPORT, one, two) == {"webhook_secret": [IS_SET, IS_ANOTHER]}
    assert differences(EXPORT, one, before)["webhook_secret"] == [IS_SET, None]
    place = {"type": "WEBHOOK", "url": "https://x.example/?key=hush"}
    placed = differences(EXPORT, None, {"friendly_id": "x", "destination": place})
    assert placed["destination.url"] == [None, "https://x.example/?•••"]
    for kind in KINDS.values():
        for name in kind.fields:
            is_secret = "secret" in name or "token" in name or "password" in name
            assert is_secret == (name in kind.secrets), (kind.name, name)


def test_f22_a_row_is_bounded_whatever_was_sent() -> None:
    wide = {"name": "t", "definition": {f"m{at}": at for at in range(MOST_FIELDS + 7)}}
    changes = differences(TRAIT, None, wide)
    assert len(changes) == MOST_FIELDS + 1
    assert changes["…"] == [None, "7 more"]
    long = differences(KEY, None, {"client_key": "k", "name": "x" * (LONGEST + 5)})
    assert long["name"] == [None, "x" * LONGEST + "…"]
