"""What uses a segment, a trait or a point of sale: looked at before it is deleted."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from innkeeper.errors import InUse
from innkeeper.resources.base import Record
from innkeeper.resources.segments import TRAIT, snake
from innkeeper.rules.exports import traits_named
from innkeeper.rules.identity_keys import digest
from innkeeper.store.work import Work

SEGMENT: Final = "segment"
TRAIT_USE: Final = "trait"
EXPORT: Final = "export"
WEBHOOK: Final = "webhook"
SITE: Final = "site"
EVENTS: Final = "events"
RECENT_EVENTS: Final = 1000
"""The latest events that are looked at for their points of sale."""
_KINDS: Final = {
    SEGMENT: "Segment",
    TRAIT_USE: "Trait",
    EXPORT: "Audience export",
    WEBHOOK: "Webhook",
    SITE: "Site",
    EVENTS: "Events",
}
_POINT_OF_SALE: Final = frozenset({"point_of_sale", "pos"})


@dataclass(frozen=True, slots=True)
class Use:
    """One thing that uses another."""

    kind: str
    name: str
    """What it is addressed by: a friendly id, a trait's name, a URL, a site."""
    title: str
    verb: str
    """What it does with the thing: `reads it`."""

    @property
    def sentence(self) -> str:
        if self.kind == EVENTS:
            return f"{self.title} {self.verb}."
        return f"{_KINDS[self.kind]} {self.name} {self.verb}."


def token_of(uses: Iterable[Use]) -> str:
    """What a form sends back to say that these uses were shown; empty for none."""
    named = sorted(f"{use.kind}:{use.name}" for use in uses)
    return digest("uses", *named).hex if named else ""


def refuse_unless_accepted(what: str, uses: Sequence[Use], accepted: str) -> None:
    """Raise `InUse` when `what` is used by others than those that `accepted` stands for."""
    if token_of(uses) != accepted:
        raise InUse(what, [use.sentence for use in uses])


async def of_segment(work: Work, segment: Record) -> list[Use]:
    """Exports that read a segment, and the webhook that learns who enters and leaves it."""
    rows = await work.all("exports.of_segment", segment=segment["ref"])
    found = [Use(EXPORT, row["friendly_id"], row["name"], "reads it") for row in rows]
    if segment["webhook"]:
        url = segment["webhook"]
        found.append(Use(WEBHOOK, url, url, "learns who enters and leaves it"))
    return found


async def of_traits(work: Work) -> dict[str, list[Use]]:
    """Trait -> the segments and exports that ask for it, whatever their status."""
    found: dict[str, list[Use]] = defaultdict(list)
    for kind, row in await _list_definitions(work):
        names = (
            traits_in_export(row["shape"])
            if kind == EXPORT
            else traits_in_definition(row["definition"])
        )
        for name in names:
            found[name].append(Use(kind, row["friendly_id"], row["name"], f"asks for trait {name}"))
    return found


async def of_trait(work: Work, name: str) -> list[Use]:
    """The segments and exports that ask for a trait."""
    return (await of_traits(work)).get(name, [])


async def of_points_of_sale(work: Work) -> dict[str, list[Use]]:
    """Point of sale -> the definitions that compare it, the sites that mean it, late events."""
    found: dict[str, list[Use]] = defaultdict(list)
    for kind, row in [
        *await _list_definitions(work),
        *((TRAIT_USE, row) for row in await _traits(work)),
    ]:
        body = (row["shape"].get("filter") or {}) if kind == EXPORT else row["definition"]
        name = row["name"] if kind == TRAIT_USE else row["friendly_id"]
        for point in _points_of_sale(body):
            found[point].append(Use(kind, name, row["name"], "compares its name"))
    for row in await work.all("stream_settings.sites"):
        use = Use(SITE, row["site"], row["site"], "means it")
        found[row["point_of_sale"]].append(use)
    for row in await work.all("points_of_sale.recent", most=RECENT_EVENTS):
        title = f"{row['events']:,} of the last {row['total']:,} events"
        found[row["name"]].append(Use(EVENTS, row["name"], title, "name it"))
    return found


def traits_in_export(shape: Mapping[str, Any]) -> set[str]:
    """The traits that an export names in a column, in its template or in its filter."""
    return traits_named(shape) | traits_in_definition(shape.get("filter") or {})


def traits_in_definition(definition: Mapping[str, Any]) -> set[str]:
    """The traits that the JSON of a definition names, though it may be one of yesterday's."""
    return {rule["field"] for rule in _rules(definition) if rule.get("location") == TRAIT}


def _points_of_sale(definition: Mapping[str, Any]) -> set[str]:
    """The values that the rules of a definition compare points of sale with."""
    return {
        value
        for rule in _rules(definition)
        if snake(str(rule.get("field"))) in _POINT_OF_SALE
        for value in rule.get("values") or ()
        if isinstance(value, str)
    }


def _rules(definition: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every rule of the JSON of a segment or a trait: of its groups, and of steps of sequences."""
    yield from definition.get("rules") or ()
    for group in definition.get("filterGroups") or ():
        yield from group.get("rules") or ()
        for step in group.get("sequence") or ():
            yield from step.get("rules") or ()


async def _list_definitions(work: Work) -> list[tuple[str, Record]]:
    segments = await work.all("segments.list", parts={"columns": ("segments.columns",)})
    exports = await work.all("exports.list", parts={"columns": ("exports.columns",)})
    return [*((SEGMENT, row) for row in segments), *((EXPORT, row) for row in exports)]


async def _traits(work: Work) -> list[Record]:
    return await work.all("traits.list")
