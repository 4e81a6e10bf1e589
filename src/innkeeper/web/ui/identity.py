"""The Identity tab of a guest: its merged group and the reasons; undo and merge with previews."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from innkeeper.actions.console import previews, search
from innkeeper.actions.identity import merges
from innkeeper.actions.paging import PageRequest
from innkeeper.actions.records import guests
from innkeeper.errors import Conflict, Invalid, Outdated, Problem
from innkeeper.resources.base import Record
from innkeeper.resources.guests import Guest
from innkeeper.rules.access import Right
from innkeeper.rules.identity_keys import digest
from innkeeper.web.ui.formatting import display_name, full_name, moment
from innkeeper.web.ui.guests import load_guest
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
    """A merge in the picture: from the absorbed record to its survivor."""

    path: str
    x: int
    y: int
    text: str


async def show(visit: Visit) -> Response:
    """Show the merged group as a picture, its evidence and history, and similar guests."""
    guest, frame = await load_guest(visit)
    why = await merges.explain(visit.work, guest["ref"])
    why["merges"], all_merges = why["merges"][:MERGES], len(why["merges"])
    for row in [*why["merges"], *why["joined"]]:
        row["evidence"] = visit.veil_evidence(row["evidence"])
    refs = why["guests"][: MERGES + 1]
    records = {each["ref"]: each for each in await search.list_rows(visit.work, refs)}
    nodes, edges = _picture(guest["ref"], why["merges"], records)
    return visit.show(
        "guest_identity.html",
        **frame,
        why=why,
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
    """Show what undoing a merge would change."""
    row = await merges.fetch(visit.work, visit.ref("merge"))
    if visit.is_outdated and row["undone_at"] is not None:
        return await _stale_undo(visit, row)
    preview = await previews.preview_undo(visit.work, row["ref"])
    changes = previews.differences(preview["before"], preview["after"])
    return visit.show(
        "merge_undo.html",
        **preview,
        version=_version_of_undo(preview),
        differing=[("The merge", "Undone, as it was shown", "Undone, as it is shown below")],
        changes=await asyncio.to_thread(_visible_changes, visit, changes),
        survivor=await visit.veil_whole(preview["after"], Guest),
        absorbed=await visit.veil_whole(preview["released"], Guest),
    )


async def undo(visit: Visit) -> Response:
    """Undo a merge."""
    try:
        undone = await previews.undo_and_compare(visit.work, visit.ref("merge"))
    except Conflict:
        if visit.expected is None:
            raise
        raise Outdated(None) from None
    # Raises, which rolls back, unless the undo did what the form showed.
    visit.check_version(_version_of_undo(undone))
    survivor = undone["merge"]["survivor_ref"]
    return visit.go(
        f"/guests/{survivor}/identity", "The merge was undone. There are two guests again."
    )


async def confirm_merge(visit: Visit) -> Response:
    """Show two guests side by side before their merge, or the search for the other guest."""
    if visit.is_outdated:
        pair = await _form_pair(visit)
        if not all(each["is_live"] for each in pair):
            return _stale_merge(visit, pair)
    one = await guests.fetch(visit.work, visit.ref("guest"))
    text = visit.form_text("other") if visit.is_outdated else visit.query_text("other")
    text = visit.form_text("one") if text == str(one["ref"]) else text
    hits = await search.find_guests(visit.work, text, PageRequest(limit=20))
    others = [each for each in hits.items if each["ref"] != one["ref"]]
    if text and len(others) == 1:
        other = await guests.fetch(visit.work, others[0]["ref"])
        pair = sorted([one, other], key=lambda each: each["created_at"])
        survivor = visit.form_text("survivor") or str(pair[0]["ref"])
        names = {str(each["ref"]): display_name(each) for each in pair}
        choice = f"Keep {names.get(survivor, 'neither')}, as shown before"
        return visit.show(
            "merge.html",
            pair=pair,
            names=_used_fields(pair),
            guest=one,
            survivor=survivor,
            version=_version_of(pair),
            differing=[("The guests", choice, "As shown below")],
        )
    return visit.show("merge_pick.html", guest=one, others=others, text=visit.query_text("other"))


async def merge(visit: Visit) -> Response:
    """Merge two guests."""
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
    return visit.go(f"/guests/{survivor}/identity", "The guests were merged.")


def _version_of(records: list[Record]) -> str:
    """Return the version of guests as the form shows them: it changes with every field except the
    time of the last visit."""
    names = sorted({*Guest.fields} - {"last_seen", "modified_at"})
    ordered = sorted(records, key=lambda each: str(each["ref"]))
    return digest("guests", *(f"{each.get(name)!r}" for each in ordered for name in names)).hex


def _version_of_undo(preview: Record) -> str:
    return _version_of([preview["before"], preview["after"], preview["released"]])


async def _form_pair(visit: Visit) -> list[Record]:
    """Fetch the guests that a refused form would merge, each with `is_live` and, in `above`, its
    survivor."""
    refs = [_form_ref(visit, name) for name in ("one", "other")]
    states = {row["ref"]: row["survivor_ref"] for row in await merges.survivors(visit.work, refs)}
    all_refs = [*refs, *(ref for ref in states.values() if ref)]
    rows = {each["ref"]: each for each in await search.list_rows(visit.work, all_refs)}
    pair = []
    for ref in refs:
        row = visit.veil(rows.get(ref, {"ref": ref}), Guest)
        survivor = states.get(ref)
        above = visit.veil(rows.get(survivor, {"ref": survivor}), Guest) if survivor else None
        pair.append({**row, "is_live": ref in states and survivor is None, "above": above})
    return pair


def _stale_merge(visit: Visit, pair: list[Record]) -> Response:
    """Show, in place of the form, that one of its guests was merged or deleted meanwhile."""
    rows, path = [], visit.url("/guests")
    for each in pair:
        is_survivor = str(each["ref"]) == visit.form_text("survivor")
        choice = "Keep" if is_survivor else "Merge into the other"
        stored = "As before" if each["is_live"] else "Deleted"
        if each["above"]:
            stored = f"Merged into {display_name(each['above'])}"
            path = visit.url(f"/guests/{each['above']['ref']}/identity")
        rows.append((display_name(each), choice, stored))
    return visit.show("merge_stale.html", title="Merge two guests", differing=rows, path=path)


async def _stale_undo(visit: Visit, row: Record) -> Response:
    """Show, in place of the form, that the merge was undone meanwhile."""
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
    root: UUID, merge_rows: list[Record], records: dict[UUID, Record]
) -> tuple[list[Node], list[Edge]]:
    """Lay out a merged group as a tree: `root`, the survivor, at the left, each absorbed record to
    the right of its survivor; `merge_rows` are its merges."""
    children: dict[UUID, list[Record]] = {}
    for each in merge_rows:
        children.setdefault(each["survivor_ref"], []).append(each)
    nodes: list[Node] = []
    edges: list[Edge] = []

    def add_node(ref: UUID, depth: int, top: int) -> int:
        rows = 0
        for each in children.get(ref, []):
            rows += add_node(each["absorbed_ref"], depth + 1, top + rows)
        height = max(1, rows)
        x, y = 6 + depth * COLUMN, 6 + int((top + (height - 1) / 2) * ROW)
        nodes.append(Node(ref, x, y, records.get(ref, {"ref": ref}), ref == root))
        return height

    add_node(root, 0, 0)
    by_ref = {node.ref: node for node in nodes}
    for each in merge_rows:
        one, other = by_ref.get(each["survivor_ref"]), by_ref.get(each["absorbed_ref"])
        if one is not None and other is not None:
            x1, y1, x2, y2 = one.x + 180, one.y + 23, other.x, other.y + 23
            middle = (x1 + x2) // 2
            path = f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"
            edges.append(Edge(path, middle, (y1 + y2) // 2, each["rule"] or each["source"]))
    return nodes, edges


async def _alike(visit: Visit, guest: Record) -> list[Record]:
    """Find other guests with the same phone or name, who may be the same person."""
    if not visit.may(Right.MERGE):
        return []
    phones = guest.get("phone_numbers") or [guest.get("phone")]
    others: dict[UUID, Record] = {}
    for text in [*phones[:2], full_name(guest)]:
        if text:
            request = PageRequest(limit=6)
            hits = await search.find_guests(visit.work, text, request, is_quick=True)
            others |= {each["ref"]: each for each in hits.items if each["ref"] != guest["ref"]}
    return [visit.veil(each, Guest) for each in list(others.values())[:5]]


def _used_fields(pair: list[Record]) -> list[str]:
    """List the fields that at least one of two guests has."""
    skipped = {"ref", "body"}
    return [
        name
        for name in Guest.fields
        if name not in skipped and any(each.get(name) for each in pair)
    ]


def _visible_changes(
    visit: Visit, changes: Iterable[tuple[str, Any, Any]]
) -> list[tuple[str, Any, Any]]:
    return [(name, *_visible_change(visit, name, old, new)) for name, old, new in changes]


def _visible_change(visit: Visit, name: str, old: Any, new: Any) -> tuple[Any, Any]:
    return tuple(  # type: ignore[return-value]
        None if value is None else visit.veil({name: value}, Guest)[name] for value in (old, new)
    )


def _form_ref(visit: Visit, name: str) -> UUID:
    try:
        return UUID(visit.form_text(name))
    except ValueError:
        raise Invalid(Problem(name, "a guest ref")) from None


PAGES: Final = (
    PageRoute("/guests/{guest}/identity", show),
    PageRoute("/guests/{guest}/merge", confirm_merge, merge, right=Right.MERGE),
    PageRoute("/merges/{merge}/undo", confirm_undo, undo, right=Right.MERGE),
)
