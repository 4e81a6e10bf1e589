"""Presets: mappings of exports that are recognised by their header.

A preset is a TOML file like a mapping, with a `name`, the `header` (columns that show the export)
and `ignored` columns. Those of `presets/` are part of the package; people add their own.
"""

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from innkeeper.errors import OperatorError
from innkeeper.rules.normalize import folded
from innkeeper.wire.bulk.mapping import mapping_of
from innkeeper.wire.bulk.targets import PLANS

_OWN: Final = ("name", "header", "ignored")
MOST_PRESETS: Final = 1000
"""Most presets in a folder."""
MOST_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Preset:
    """The mapping of a well-known export."""

    name: str
    header: frozenset[str]
    """Folded names of columns that only this export has together."""
    document: Mapping[str, Any]
    ignored: frozenset[str]
    """Folded names of columns that are not imported."""
    ignored_prefixes: tuple[str, ...]

    @property
    def entity(self) -> str:
        return str(self.document["entity"])

    def is_ignored(self, column: str) -> bool:
        """Whether a column that the mapping does not name is left out."""
        return folded(column) in self.ignored or column.startswith(self.ignored_prefixes)

    @classmethod
    def of(cls, text: str, source: str) -> "Preset":
        """Read a preset; raises OperatorError that names its file."""
        try:
            document = tomllib.loads(text, parse_float=Decimal)
        except tomllib.TOMLDecodeError as error:
            raise OperatorError(f"The preset {source} is not valid TOML: {error}.") from error
        header, ignored = document.get("header"), document.get("ignored", {})
        if not _are_texts(header) or not header:
            raise OperatorError(f"The preset {source} needs header, a list of columns.")
        ignored = ignored if isinstance(ignored, dict) else {"columns": None}
        columns, prefixes = ignored.get("columns", []), ignored.get("prefixes", [])
        if document.get("entity") not in PLANS or not (
            _are_texts(columns) and _are_texts(prefixes)
        ):
            raise OperatorError(
                f'The preset {source} needs entity = "guests", "orders" or "events"; ignored has '
                "lists of columns and prefixes."
            )
        mapping = {name: each for name, each in document.items() if name not in _OWN}
        entity, named = mapping["entity"], mapping.get("columns", {})
        try:
            mapping_of(entity, {**mapping, "columns": {}, "group": "", "fallbacks": {}})
            for column, targets in named.items():
                # One by one: a field may have a column in each version of an export.
                mapping_of(entity, {"columns": {column: targets}})
        except OperatorError as error:
            raise OperatorError(f"The preset {source} is wrong. {error}") from error
        return cls(
            str(document.get("name", source)),
            frozenset(map(folded, header)),
            mapping,
            frozenset(map(folded, columns)),
            tuple(prefixes),
        )


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


@cache
def _shipped() -> tuple[Preset, ...]:
    folder = files("innkeeper.wire.bulk").joinpath("presets")
    return tuple(
        Preset.of(file.read_text(encoding="utf-8"), file.name)
        for file in sorted(folder.iterdir(), key=lambda one: one.name)
        if file.name.endswith(".toml")
    )


def preset_folders(data: Path, workspace: str) -> list[Path]:
    """Return the folders of presets that people add: that of the workspace, then that of all
    workspaces."""
    return [data / "presets" / workspace, data / "presets"]


def read_presets(folders: Iterable[Path]) -> list[Preset]:
    """Return the presets of folders, then those of the package; raises OperatorError."""
    presets = []
    for folder in folders:
        for path in sorted(folder.glob("*.toml"))[:MOST_PRESETS]:
            if path.stat().st_size > MOST_BYTES:
                raise OperatorError(f"The preset {path} is longer than {MOST_BYTES:,} bytes.")
            try:
                presets.append(Preset.of(path.read_text(encoding="utf-8"), str(path)))
            except UnicodeDecodeError as error:
                raise OperatorError(f"The preset {path} is not UTF-8. Save it as UTF-8.") from error
    return [*presets, *_shipped()]


def find_preset(
    columns: Sequence[str], entity: str | None, presets: Sequence[Preset]
) -> Preset | None:
    """Return the preset whose header the columns have; of several, the one with most columns."""
    names = {folded(column) for column in columns}
    matching = [
        preset for preset in presets if preset.header <= names and entity in (None, preset.entity)
    ]
    # Of equals the first: presets that people add come first.
    return max(matching, key=lambda one: len(one.header), default=None)
