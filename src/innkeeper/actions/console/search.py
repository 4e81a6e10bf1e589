"""Search guests by a ref, browser id, order reference, e-mail, identifier, phone number or name."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final
from uuid import UUID

from innkeeper.actions.audiences import guest_tables
from innkeeper.actions.paging import PageRequest, flat
from innkeeper.lake.snapshot import opened
from innkeeper.resources.base import Record
from innkeeper.rules.identity_keys import email_key, identifier_key, reference_key
from innkeeper.rules.search import Query, cost, read, typo_forms
from innkeeper.store.temp_files import temporary
from innkeeper.store.work import Work

DEFAULT_PAGE: Final = PageRequest(limit=50)
_MOST_NAMESAKES: Final = 200
"""Most guests of a name whose e-mail addresses are compared for a suggestion."""
LEAST_PART: Final = 4
"""Fewest characters of a part of an e-mail address or order reference."""
MOST: Final = 1000
"""Maximum number of hits that a search reads; with more, the number of hits is a lower bound."""


@dataclass(frozen=True, slots=True)
class Hits:
    """A page of live guests, each with `found_by`, and the number of hits of each type."""

    items: list[Record]
    total: int
    counts: dict[str, int]
    """Number of hits by guest type, including types that the request excludes."""
    is_more: bool = False
    """Whether there are more hits than were read."""


async def find_guests(
    work: Work,
    text: str,
    page_request: PageRequest = DEFAULT_PAGE,
    *,
    guest_type: str | None = None,
    personal: bool = True,
    is_quick: bool = False,
) -> Hits:
    """Find the guests that match a text: the closest match first, then the last seen.

    A merged guest is returned as its survivor. `personal`: whether personal data is searched;
    without it, only refs, browser ids and order references are. `is_quick`: whether only what takes
    milliseconds is searched, as for suggestions.
    """
    query = read(text)
    if not query.text:
        return await _list_latest(work, guest_type, page_request)
    hits: dict[UUID, tuple[int, str]] = {}
    is_more = False
    for kind, rows in await _results(work, query, personal, is_quick=is_quick):
        is_more = is_more or len(rows) >= MOST
        for row in rows:
            hits.setdefault(row["guest_ref"], (row["cost"], kind))
    live = await work.all("search.live", guests=list(hits)) if hits else []
    best: dict[UUID, tuple[Any, ...]] = {}
    for row in live:
        steps, kind = hits[row["hit_ref"]]
        candidate = (steps, -row["last_seen"].timestamp(), row["guest_type"], kind)
        best[row["ref"]] = min(best.get(row["ref"], candidate), candidate)
    counts: dict[str, int] = {}
    for _, _, hit_type, _ in best.values():
        counts[hit_type] = counts.get(hit_type, 0) + 1
    ranked = sorted(
        (rank, ref) for ref, rank in best.items() if guest_type is None or rank[2] == guest_type
    )
    end = page_request.offset + page_request.limit
    page = [ref for _, ref in ranked[page_request.offset : end]]
    items = [{**each, "found_by": best[each["ref"]][3]} for each in await list_rows(work, page)]
    return Hits(items, len(ranked), counts, is_more)


@asynccontextmanager
async def every_hit(work: Work, text: str, *, personal: bool = True) -> AsyncIterator[Path]:
    """Yield a file with the refs of all guests that match a text, a line for each, without a limit.
    A guest may have several lines. Take a slot of `limits.downloads` first, which limits these
    files."""
    with temporary(work.settings, "hits") as folder:
        path = folder / "refs"
        await _write_refs(work, text, path, personal=personal)
        yield path


async def _write_refs(work: Work, text: str, path: Path, *, personal: bool) -> None:
    """Write the file of `every_hit`; memory holds none of its refs."""
    from innkeeper.lake.guest_search import write_by_part  # noqa: PLC0415 - loads SQLGlot

    query = read(text)
    with path.open("wb") as target:
        written = [
            await work.copy_out(
                "search.copy_live", target, parts={"hits": [each.query]}, most=None, **each.params
            )
            for each in await plan(work, query, personal)
        ]
    if not any(written) and len(query.text) >= LEAST_PART:
        async with opened(work) as lake:
            await write_by_part(lake, query.text, path, emails=personal)


async def open_csv(
    work: Work,
    text: str,
    definition: Mapping[str, Any],
    columns: Sequence[str],
    page_request: PageRequest,
) -> tuple[IO[bytes], int]:
    """Open the guests that match a text and a definition as CSV, like `guest_tables.open_csv`."""
    async with every_hit(work, text) as path:
        return await guest_tables.open_csv(work, definition, columns, page_request, only=path)


async def counts(work: Work) -> dict[str, int]:
    """Count the live guests of each type."""
    rows = await work.all("search.counts")
    return {row["guest_type"]: row["guests"] for row in rows if row["guests"]}


async def list_providers(work: Work) -> list[str]:
    """List the providers of identifiers that were ever stored."""
    return sorted(row["provider"] for row in await work.all("search.providers"))


async def list_rows(work: Work, refs: Sequence[UUID]) -> list[Record]:
    """Fetch list rows in the order of `refs`: names, e-mail, phone, city, country of each guest."""
    rows = {row["ref"]: flat(row) for row in await work.all("search.rows", guests=list(refs))}
    return [rows[ref] for ref in refs if ref in rows]


async def _list_latest(work: Work, guest_type: str | None, page_request: PageRequest) -> Hits:
    """List a page of all live guests, or of one type, the latest created first."""
    rows = await work.all(
        "search.latest",
        parts={
            "filters": [] if guest_type is None else ["guests.by_guest_type"],
            "order": ["guests.sort_created_at_desc", "guests.sort_last"],
        },
        limit=page_request.limit,
        offset=page_request.offset,
        **({} if guest_type is None else {"guest_type": guest_type}),
    )
    of_type = await counts(work)
    total = sum(of_type.values()) if guest_type is None else of_type.get(guest_type, 0)
    return Hits(await list_rows(work, [row["ref"] for row in rows]), total, of_type)


@dataclass(frozen=True, slots=True)
class IndexSearch:
    """A statement that finds guests by an index."""

    kind: str
    """What of a guest matches."""
    query: str
    params: Mapping[str, Any]

    async def run(self, work: Work) -> list[Record]:
        """Return the first hits."""
        return await work.all(self.query, most=MOST, **self.params)


async def _results(
    work: Work, query: Query, personal: bool, *, is_quick: bool
) -> list[tuple[str, list[Record]]]:
    """Return (kind, hits) for each interpretation of a query, the most certain first."""
    results = [(each.kind, await each.run(work)) for each in await plan(work, query, personal)]
    if not any(rows for _, rows in results):
        results.append(await _without_index(work, query.text, personal, is_quick=is_quick))
    return results


async def plan(work: Work, query: Query, personal: bool) -> list[IndexSearch]:
    """Return the searches for each interpretation of a query, the most certain first."""
    searches: list[IndexSearch] = []

    def add(kind: str, name: str, **params: Any) -> None:
        searches.append(IndexSearch(kind, f"search.{name}", params))

    if query.ref is not None:
        add("ref", "by_ref", ref=query.ref)
    if query.ref_range is not None:
        add("ref", "by_ref_range", first=query.ref_range[0], last=query.ref_range[1])
    if query.reference_id is not None or query.ref is not None:
        key = reference_key(query.text)
        params = {"reference_key": key, "reference_id": query.text, "ref": query.ref}
        add("order reference", "by_order", **params)
    if query.browser is not None:
        add("browser", "by_browser", browser=query.browser)
    if not personal:
        return searches
    if query.email is not None:
        add("e-mail", "by_keys", keys=[email_key(query.email)])
    if query.identifier is not None:
        add("identifier", "by_keys", keys=await _keys_of_identifier(work, query.identifier))
    if query.phone is not None:
        add("phone", "by_one_word", word="#" + query.phone)
    if query.name is not None and (by_name := await _search_name(work, query.name)):
        searches.append(by_name)
    return searches


async def _without_index(
    work: Work, text: str, personal: bool, *, is_quick: bool
) -> tuple[str, list[Record]]:
    if personal and not is_quick:
        return "part of an e-mail or order", await _by_part(work, text, emails=True)
    if personal and (rows := await _by_names_in_email(work, text)):
        return "e-mail", rows
    may_be_reference = any(map(str.isdigit, text)) and "@" not in text
    return "order reference", await _by_part(work, text, emails=False) if may_be_reference else []


async def _by_part(work: Work, text: str, *, emails: bool) -> list[Record]:
    """Find guests by the beginning of an order reference, and with `emails` by a part of an e-mail
    address.

    No index has these, so the lake is searched, and only where nothing else is found.
    """
    from innkeeper.lake.guest_search import find_by_part  # noqa: PLC0415 - loads SQLGlot

    if len(text) < LEAST_PART:
        return []
    async with opened(work) as lake:
        refs = await find_by_part(lake, text, MOST, emails=emails)
    return [{"guest_ref": UUID(ref), "cost": 0} for ref in refs]


async def _by_names_in_email(work: Work, text: str) -> list[Record]:
    """Find guests by an incomplete e-mail address that is made of their names, by the index of
    names: jane.doe7 is of a Jane Doe with such an address."""
    names = " ".join(re.findall(r"[^\W\d_]{2,}", text.partition("@")[0]))
    by_name = await _search_name(work, names) if names else None
    rows = (await by_name.run(work))[:_MOST_NAMESAKES] if by_name else []
    listed = await list_rows(work, [row["guest_ref"] for row in rows])
    matched = {each["ref"] for each in listed if text.lower() in (each.get("email") or "").lower()}
    return [row for row in rows if row["guest_ref"] in matched]


async def _keys_of_identifier(work: Work, text: str) -> list[UUID]:
    providers = await list_providers(work)
    keys = [identifier_key(provider, text) for provider in providers]
    provider, colon, value = text.partition(":")
    if colon:
        keys.append(identifier_key(provider.strip(), value.strip()))
    return keys


async def _search_name(work: Work, name: str) -> IndexSearch | None:
    """Return the search by the four longest words of a name, or by similar words."""
    row = await work.one("search.words", text=name)
    stored_words: list[str] = (row["words"] if row else None) or []
    words = sorted(stored_words, key=len, reverse=True)[:4]
    if not words:
        return None
    pairs = [(word, typo) for word in words for typo in typo_forms(word)]
    near = await work.all(
        "search.close_words",
        words=words,
        typo_of=[word for word, _ in pairs],
        typos=[typo for _, typo in pairs],
    )
    costs = {(words.index(word), word): 0 for word in words}
    for row in near:
        part, steps = words.index(row["query_word"]), cost(row["query_word"], row["word"])
        if steps is not None:
            costs[part, row["word"]] = steps
    params: Record = {"words": [word for _, word in costs], "costs": list(costs.values())}
    if len(words) == 1:
        return IndexSearch("name", "search.by_any_word", params)
    params |= {"groups": [part for part, _ in costs], "number": len(words)}
    return IndexSearch("name", "search.by_words", params)
