"""The Identity tab of a guest: which records are one, why; undo and merge with previews."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from innkeeper.actions.console import previews, search
from innkeeper.actions.identity import merges
from innkeeper.actions.records import guests
from innkeeper.errors import Conflict, Invalid, Outdated, Problem
from innkeeper.resources.base import Record
from innkeeper.resources.guests import Guest
from innkeeper.rules.access import Right
from innkeeper.rules.identity_keys import digest
from innkeeper.rules.masking import masked
from innkeeper.web.ui.formatting import called, full_name, moment
from innkeeper.web.ui.guests import opened
from innkeeper.web.ui.shell import PageRoute, Visit

MERGES: Final = 100
"""Merges that the picture and the tables show."""
ROW: Final = 64
COLUMN: Final = 250


@dataclass(frozen=True, slots=True)
class Node:
    """A record in the picture of a group."""

    ref: UUID
    x: int
    y: int
    guest: Record
    is_live: bool


@dataclass(frozen=True, slots=True)
class Edge:
    """A merge in the picture: from the absorbed record to the one that stands for it."""

    path: str
    x: int
    y: int
    text: str


async def show(visit: Visit) -> Response:
    """The group as a picture, why it is one, its history, and who else this may be."""
    guest, frame = await opened(visit)
    why = await merges.explain(visit.work, guest["ref"])
    why["merges"], all_merges = why["merges"][:MERGES], len(why["merges"])
    refs = why["guests"][: MERGES + 1]
    records = {each["ref"]: each for each in await search.list_rows(visit.work, refs)}
    nodes, edges = _picture(guest["ref"], why["merges"], records)
    return visit.show(
        "guest_identity.html",
        **frame,
        why=_masked_evidence(visit, why),
        records={ref: visit.veil(record, Guest) for ref, record in records.items()},
        nodes=[(node, visit.veil(node.guest, Guest)) for node in nodes],
        edges=edges,
        width=max((node.x for node in nodes), default=0) + 220,
        height=max((node.y for node in nodes), default=0) + 34,
        all_merges=all_merges,
        history=list(reversed(await merges.history(visit.work, guest["ref"])))[:MERGES],
        alike=await _alike(visit, guest),
    )


async def confirm_undo(visit: Visit) -> Response:
    """What undoing a merge would change."""
    row = await merges.fetch(visit.work, visit.ref("merge"))
    if visit.is_outdated and row["undone_at"] is not None:
        return await _stale_undo(visit, row)
    found = await previews.preview_undo(visit.work, row["ref"])
    changes = previews.differences(found["before"], found["after"])
    return visit.show(
        "undo.html",
        **found,
        version=_version_of_undo(found),
        differing=[("The merge", "Undone, as it was shown", "Undone, as it is shown below")],
        changes=[(name, *_node_of(visit, name, old, new)) for name, old, new in changes],
        survivor=visit.veil(found["after"], Guest),
        absorbed=visit.veil(found["released"], Guest),
    )


async def undo(visit: Visit) -> Response:
    """Undo a merge."""
    try:
        found = await previews.undo_and_compare(visit.work, visit.ref("merge"))
    except Conflict:
        if visit.expected is None:
            raise
        raise Outdated(None) from None
    # What was done is what the form showed; else all of it is rolled back.
    visit.check_version(_version_of_undo(found))
    survivor = found["merge"]["survivor_ref"]
    return visit.go(
        f"/guests/{survivor}/identity", "The merge was undone: these are two guests now."
    )


async def confirm_merge(visit: Visit) -> Response:
    """Two guests side by side, before they are made one."""
    if visit.is_outdated:
        pair = await _sent_pair(visit)
        if not all(each["is_live"] for each in pair):
            return _stale_merge(visit, pair)
    one = await guests.fetch(visit.work, visit.ref("guest"))
    asked = visit.form_text("other") if visit.is_outdated else visit.query_text("other")
    asked = visit.form_text("one") if asked == str(one["ref"]) else asked
    found = await search.find_guests(visit.work, asked, limit=20)
    others = [each for each in found.items if each["ref"] != one["ref"]]
    if asked and len(others) == 1:
        other = await guests.fetch(visit.work, others[0]["ref"])
        pair = sorted([one, other], key=lambda each: each["created_at"])
        kept = visit.form_text("survivor") or str(pair[0]["ref"])
        named = {str(each["ref"]): called(each) for each in pair}
        choice = f"Keep {named.get(kept, 'neither')}, as shown before"
        return visit.show(
            "merge.html",
            pair=pair,
            names=_different(pair),
            guest=one,
            kept=kept,
            version=_version_of(pair),
            differing=[("The guests", choice, "As shown below")],
        )
    return visit.show("merge_pick.html", guest=one, others=others, asked=visit.query_text("other"))


async def merge(visit: Visit) -> Response:
    """Make two guests one."""
    pair = [_form_ref(visit, name) for name in ("one", "other")]
    survivor = _form_ref(visit, "survivor")
    if survivor not in pair:
        raise Invalid(Problem("survivor", "one of the two guests"))
    absorbed = pair[1] if survivor == pair[0] else pair[0]
    if visit.expected is not None:
        if not await merges.lock_live_guests(visit.work, pair):
            raise Outdated(None)
        visit.check_version(_version_of([await guests.fetch(visit.work, ref) for ref in pair]))
    await merges.create(visit.work, survivor, absorbed)
    return visit.go(f"/guests/{survivor}/identity", "The two records are one guest now.")


def _version_of(found: list[Record]) -> str:
    """A word for guests as the form shows them: another one when any field but the time of their
    last visit is."""
    names = sorted({*Guest.fields} - {"last_seen", "modified_at"})
    ordered = sorted(found, key=lambda each: str(each["ref"]))
    return digest("guests", *(f"{each.get(name)!r}" for each in ordered for name in names)).hex


def _version_of_undo(found: Record) -> str:
    return _version_of([found["before"], found["after"], found["released"]])


async def _sent_pair(visit: Visit) -> list[Record]:
    """The guests that a refused form would merge, each with whether it `is_live`, and who stands
    for it."""
    refs = [_form_ref(visit, name) for name in ("one", "other")]
    states = {row["ref"]: row["survivor_ref"] for row in await merges.survivors(visit.work, refs)}
    wanted = [*refs, *(ref for ref in states.values() if ref)]
    lines = {each["ref"]: each for each in await search.list_rows(visit.work, wanted)}
    pair = []
    for ref in refs:
        line = visit.veil(lines.get(ref, {"ref": ref}), Guest)
        survivor = states.get(ref)
        above = visit.veil(lines.get(survivor, {"ref": survivor}), Guest) if survivor else None
        pair.append({**line, "is_live": ref in states and survivor is None, "above": above})
    return pair


def _stale_merge(visit: Visit, pair: list[Record]) -> Response:
    """Instead of the form, when a guest of it was merged or deleted meanwhile."""
    rows, path = [], visit.url("/guests")
    for each in pair:
        kept = "Keep" if str(each["ref"]) == visit.form_text("survivor") else "Merge into the other"
        stored = "As before" if each["is_live"] else "Deleted"
        if each["above"]:
            stored = f"Merged into {called(each['above'])}"
            path = visit.url(f"/guests/{each['above']['ref']}/identity")
        rows.append((called(each), kept, stored))
    return visit.show("merge_stale.html", title="Merge two guests", differing=rows, path=path)


async def _stale_undo(visit: Visit, row: Record) -> Response:
    """Instead of the form, when the merge was undone meanwhile."""
    (state,) = await merges.survivors(visit.work, [row["survivor_ref"]]) or [{}]
    above = state.get("survivor_ref") or row["survivor_ref"]
    stored = f"Undone {moment(row['undone_at'])} by {row['undone_by']}"
    return visit.show(
        "merge_stale.html",
        title="Undo a merge",
        differing=[("The merge", "Undo it", stored)],
        path=visit.url(f"/guests/{above}/identity"),
    )


def _picture(
    root: UUID, found: list[Record], records: dict[UUID, Record]
) -> tuple[list[Node], list[Edge]]:
    """A tree, the survivor at the left, each record right of the one that stands for it."""
    children: dict[UUID, list[Record]] = {}
    for each in found:
        children.setdefault(each["survivor_ref"], []).append(each)
    nodes: list[Node] = []
    edges: list[Edge] = []

    def place(ref: UUID, depth: int, top: int) -> int:
        rows = 0
        for each in children.get(ref, []):
            rows += place(each["absorbed_ref"], depth + 1, top + rows)
        height = max(1, rows)
        x, y = 6 + depth * COLUMN, 6 + int((top + (height - 1) / 2) * ROW)
        nodes.append(Node(ref, x, y, records.get(ref, {"ref": ref}), ref == root))
        return height

    place(root, 0, 0)
    at = {node.ref: node for node in nodes}
    for each in found:
        one, other = at.get(each["survivor_ref"]), at.get(each["absorbed_ref"])
        if one is not None and other is not None:
            x1, y1, x2, y2 = one.x + 180, one.y + 23, other.x, other.y + 23
            middle = (x1 + x2) // 2
            path = f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"
            edges.append(Edge(path, middle, (y1 + y2) // 2, each["rule"] or each["source"]))
    return nodes, edges


async def _alike(visit: Visit, guest: Record) -> list[Record]:
    """Other guests with the same phone or name: perhaps the same person."""
    if not visit.may(Right.MERGE):
        return []
    phones = guest.get("phone_numbers") or [guest.get("phone")]
    found: dict[UUID, Record] = {}
    for text in [*phones[:2], full_name(guest)]:
        if text:
            hits = await search.find_guests(visit.work, text, limit=6)
            found |= {each["ref"]: each for each in hits.items if each["ref"] != guest["ref"]}
    return [visit.veil(each, Guest) for each in list(found.values())[:5]]


def _different(pair: list[Record]) -> list[str]:
    skipped = {"ref", "body"}
    return [
        name
        for name in Guest.fields
        if name not in skipped and any(each.get(name) for each in pair)
    ]


def _node_of(visit: Visit, name: str, old: Any, new: Any) -> tuple[Any, Any]:
    return tuple(  # type: ignore[return-value]
        None if value is None else visit.veil({name: value}, Guest)[name] for value in (old, new)
    )


def _masked_evidence(visit: Visit, why: dict[str, Any]) -> dict[str, Any]:
    """The explanation, its values masked for those who may not see them."""
    if visit.personal:
        return why
    for row in [*why["merges"], *why["joined"]]:
        row["evidence"] = [
            {**part, "value": masked(part.get("value", ""))} for part in row["evidence"]
        ]
    return why


def _form_ref(visit: Visit, name: str) -> UUID:
    try:
        return UUID(visit.form_text(name))
    except ValueError:
        raise Invalid(Problem(name, "a guest ref")) from None


PAGES: Final = (
    PageRoute("/guests/{guest}/identity", show),
    PageRoute(
        "/guests/{guest}/merge", confirm_merge, merge, right=Right.MERGE, post_right=Right.MERGE
    ),
    PageRoute(
        "/merges/{merge}/undo", confirm_undo, undo, right=Right.MERGE, post_right=Right.MERGE
    ),
)
