"""Find the files of a folder with the data that a tenant exports from the vendor.

2026-11-30/guests/part-0.parquet    the data lake export: guests, orders, order_items, sessions,
                                    events, at any depth
batches/2026-11-01.json.gz          batch files, of any name
identity-rules.json                 the response of GET /v2/tenants/identity-rules
points-of-sale.json                 the response of GET /v2/tenants/points-of-sale
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from innkeeper.errors import Invalid, OperatorError
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.configuration import PointOfSale
from innkeeper.rules.identity_rules import IdentityRule
from innkeeper.store.parquet_rows import parquet_rows
from innkeeper.store.readers import expanded, lines
from innkeeper.wire.bulk.batch_plans import plan_of
from innkeeper.wire.bulk.batch_records import BadText, identifiers_in, json_value
from innkeeper.wire.bulk.sitecore import READERS, fields_of
from innkeeper.wire.identity.rules import ReplaceIdentityRulesRequest
from innkeeper.wire.payloads import decode_strictly

_DATE: Final = re.compile(r"\d{4}-?\d{2}-?\d{2}", re.ASCII)
_REBUILT: Final = ("guests", "orders", "order_items")
"""Entities that each daily export contains completely; the others come in parts."""
_POINT_OF_SALE: Final = plan_of(PointOfSale, {}, {"timeout_minutes": "timeout"})
_RULES: Final = "identity-rules.json"
_POINTS: Final = "points-of-sale.json"


@dataclass(slots=True)
class SitecoreFolder:
    """The files of a folder by content."""

    entities: dict[str, list[Path]] = field(default_factory=lambda: defaultdict(list))
    """Parquet files by entity, the newest export first."""
    batches: list[Path] = field(default_factory=list)
    rules: Path | None = None
    points_of_sale: Path | None = None
    ignored: list[Path] = field(default_factory=list)


def read_folder(folder: Path) -> SitecoreFolder:
    """Return the files of a folder; raises OperatorError if there is nothing to import."""
    if not folder.is_dir():
        raise OperatorError(f"{folder} is not a folder.")
    files = SitecoreFolder()
    dated = defaultdict[str, list[tuple[str, Path]]](list)
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        inside = path.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts):
            continue
        entity, date = _entity(inside)
        if path.name == _RULES:
            files.rules = path
        elif path.name == _POINTS:
            files.points_of_sale = path
        elif entity and path.suffix == ".parquet":
            dated[entity].append((date, path))
        elif path.name.endswith((".json", ".ndjson", ".jsonl", ".gz")):
            files.batches.append(path)
        else:
            files.ignored.append(path)
    for entity, paths in dated.items():
        newest = max(date for date, _ in paths)
        for date, path in sorted(paths, key=lambda each: each[0], reverse=True):
            older = entity in _REBUILT and date < newest
            (files.ignored if older else files.entities[entity]).append(path)
    if not (files.entities or files.batches):
        raise OperatorError(
            f"{folder} holds neither Parquet files in folders called {', '.join(READERS)} nor "
            "batch files."
        )
    return files


def _entity(inside: Path) -> tuple[str, str]:
    """Return the entity of a file, by its name or those of its folders, and the export's date."""
    date = ""
    for part in (*inside.parts[:-1], inside.name.partition(".")[0]):
        name = part.lower().replace(" ", "_").replace("-", "_")
        if name in READERS:
            return name, date
        if _DATE.fullmatch(part):
            date = part.replace("-", "")
    return "", date


def rows_of(paths: list[Path]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (number, row) of Parquet files; raises `Unreadable`."""
    number = 0
    for path in paths:
        for _, text in parquet_rows(path):
            number += 1
            yield number, json_value(text)


def migrations_of(paths: list[Path]) -> Iterator[tuple[Record, Record]]:
    """Yield (absorbed, survivor) of each migration in batch files, as people."""
    for path in paths:
        with path.open("rb") as stream:
            for _, line in lines(expanded(stream)):
                if b'"migration"' not in line:
                    continue
                try:
                    read = json_value(line)
                except BadText:
                    continue
                value = read.get("value") if isinstance(read, dict) else None
                if isinstance(value, dict) and read.get("schema") == "migration":
                    parties = (value.get("migrateFrom"), value.get("migrateTo"))
                    yield _person(parties[0]), _person(parties[1])


def _person(party: Any) -> Record:
    identifiers = party.get("identifiers") if isinstance(party, Mapping) else None
    return {"identifiers": identifiers_in(identifiers)}


def identity_rules(path: Path) -> list[IdentityRule]:
    """Return the identity rules of a stored response; raises OperatorError."""
    body = {
        "rules": [
            {"identityRule": each.get("identityRule"), "providers": each.get("providers")}
            for each in _objects(path)
        ]
    }
    try:
        request: ReplaceIdentityRulesRequest = decode_strictly(ReplaceIdentityRulesRequest, body)
    except Invalid as refused:
        problems = "; ".join(problem.message for problem in refused.problems)
        raise OperatorError(f"{path} is not a response of the API: {problems}.") from refused
    return request.identity_rules() or []


def points_of_sale(path: Path) -> list[Changes]:
    """Return the points of sale of a stored response; raises OperatorError."""
    read = [fields_of(_POINT_OF_SALE, each) for each in _objects(path)]
    return [point for point in read if point.get("name")]


def _objects(path: Path) -> list[dict[str, Any]]:
    try:
        value = json_value(path.read_bytes())
    except BadText as error:
        raise OperatorError(f"{path} is not JSON.") from error
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise OperatorError(f"{path} must contain a list of objects, as the API returns it.")
    return value
