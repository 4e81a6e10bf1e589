"""Find the uses of a segment, a trait or a point of sale, before it is deleted."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from innkeeper.errors import InUse
from innkeeper.resources.base import Record
from innkeeper.resources.segments import STATIC_LIST, TRAIT, snake
from innkeeper.rules.exports import traits_named
from innkeeper.rules.identity_keys import digest
from innkeeper.rules.segment_groups import groups_in
from innkeeper.store.work import Work

SEGMENT: Final = "segment"
TRAIT_USE: Final = "trait"
EXPORT: Final = "export"
WEBHOOK: Final = "webhook"
SITE: Final = "site"
EVENTS: Final = "events"
RECENT_EVENTS: Final = 1000
"""The number of latest events whose points of sale are counted."""
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
    """A definition, webhook, site or group of events that uses something else."""

    kind: str
    name: str
    """The id of the user: a friendly id, a trait's name, a URL, a site."""
    title: str
    verb: str
    """Verb phrase for the use: `reads it`."""

    @property
    def sentence(self) -> str:
        """The use as a sentence of an error message."""
        if self.kind == EVENTS:
            return f"{self.title} {self.verb}."
        return f"{_KINDS[self.kind]} {self.name} {self.verb}."


def token_of(uses: Iterable[Use]) -> str:
    """Return the token by which a form confirms that these uses were displayed; empty for none."""
    names = sorted(f"{use.kind}:{use.name}" for use in uses)
    return digest("uses", *names).hex if names else ""


def refuse_unless_accepted(what: str, uses: Sequence[Use], accepted: str) -> None:
    """Raise `InUse` if the uses of `what` are not those that the token `accepted` confirms."""
    if token_of(uses) != accepted:
        raise InUse(what, [use.sentence for use in uses])


async def of_segment(work: Work, segment: Record) -> list[Use]:
    """List the exports that read a segment and its webhook."""
    rows = await work.all("exports.of_segment", segment=segment["ref"])
    uses = [Use(EXPORT, row["friendly_id"], row["name"], "reads it") for row in rows]
    if segment["webhook"]:
        url = segment["webhook"]
        uses.append(Use(WEBHOOK, url, url, "receives the guests who enter and leave it"))
    return uses


async def of_static_list(work: Work, static_list: Record) -> list[Use]:
    """List the segments and exports whose rules name a list, and the exports that read it."""
    uses = [
        Use(kind, row["friendly_id"], row["name"], "uses its guests")
        for kind, row in await _list_definitions(work)
        if static_list["friendly_id"] in _lists_in(_definition_of(kind, row))
    ]
    rows = await work.all("exports.of_static_list", static_list=static_list["ref"])
    return uses + [Use(EXPORT, row["friendly_id"], row["name"], "reads it") for row in rows]


async def last_of_segments(work: Work) -> dict[Any, Record]:
    """Return ref of a segment -> its export that ran last: name, friendly_id, requested_at (of the
    run, None if it never ran), exports (their number)."""
    return {row["segment_ref"]: row for row in await work.all("exports.last_of_segments")}


async def of_traits(work: Work) -> dict[str, list[Use]]:
    """Return trait -> the segments and exports that use it, whatever their status."""
    uses: dict[str, list[Use]] = defaultdict(list)
    for kind, row in await _list_definitions(work):
        names = (
            traits_in_export(row["shape"])
            if kind == EXPORT
            else traits_in_definition(row["definition"])
        )
        for name in names:
            uses[name].append(Use(kind, row["friendly_id"], row["name"], f"uses trait {name}"))
    return uses


async def of_trait(work: Work, name: str) -> list[Use]:
    """List the segments and exports that use a trait."""
    return (await of_traits(work)).get(name, [])


async def of_points_of_sale(work: Work) -> dict[str, list[Use]]:
    """Return point of sale -> the definitions that compare it, the sites mapped to it, and the
    number of recent events with it."""
    uses: dict[str, list[Use]] = defaultdict(list)
    for kind, row in [
        *await _list_definitions(work),
        *((TRAIT_USE, row) for row in await _traits(work)),
    ]:
        body = _definition_of(kind, row)
        name = row["name"] if kind == TRAIT_USE else row["friendly_id"]
        for point in _points_of_sale(body):
            uses[point].append(Use(kind, name, row["name"], "compares its name"))
    for row in await work.all("stream_settings.sites"):
        use = Use(SITE, row["site"], row["site"], "means it")
        uses[row["point_of_sale"]].append(use)
    for row in await work.all("points_of_sale.recent", most=RECENT_EVENTS):
        title = f"{row['events']:,} of the last {row['total']:,} events"
        uses[row["name"]].append(Use(EVENTS, row["name"], title, "name it"))
    return uses


def traits_in_export(shape: Mapping[str, Any]) -> set[str]:
    """Return the traits that an export uses in a column, its template or its filter."""
    return traits_named(shape) | traits_in_definition(shape.get("filter") or {})


def traits_in_definition(definition: Mapping[str, Any]) -> set[str]:
    """Return the traits in the JSON of a definition, which need not be valid any more."""
    return {rule["field"] for rule in _rules(definition) if rule.get("location") == TRAIT}


def _definition_of(kind: str, row: Record) -> Mapping[str, Any]:
    """Return the definition of a segment or trait, or the filter of an export."""
    definition = row["shape"].get("filter") if kind == EXPORT else row["definition"]
    return definition or {}


def _lists_in(definition: Mapping[str, Any]) -> set[str]:
    """Return the static lists in the JSON of a definition, which need not be valid any more."""
    rules = _rules(definition)
    return {str(rule.get("field")) for rule in rules if rule.get("location") == STATIC_LIST}


def _points_of_sale(definition: Mapping[str, Any]) -> set[str]:
    """Return the values that the rules of a definition compare points of sale with."""
    return {
        value
        for rule in _rules(definition)
        if snake(str(rule.get("field"))) in _POINT_OF_SALE
        for value in rule.get("values") or ()
        if isinstance(value, str)
    }


def _rules(definition: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield every rule in the JSON of a segment or a trait: of groups and of sequence steps."""
    yield from definition.get("rules") or ()
    for _, group in groups_in(definition):
        yield from group.get("rules") or ()


async def _list_definitions(work: Work) -> list[tuple[str, Record]]:
    """List (kind, row) of every segment and every export."""
    segments = await work.all("segments.list")
    exports = await work.all("exports.list")
    return [*((SEGMENT, row) for row in segments), *((EXPORT, row) for row in exports)]


async def _traits(work: Work) -> list[Record]:
    return await work.all("traits.list")
