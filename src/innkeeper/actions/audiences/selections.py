"""Select guests for an action on many: by refs, identifiers, a segment, a list, or rules."""

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from innkeeper.actions.audiences import segment_questions, segments, static_lists, traits
from innkeeper.errors import Invalid, Problem
from innkeeper.lake import engines
from innkeeper.lake.snapshot import opened
from innkeeper.resources.payloads import ABSENT
from innkeeper.resources.static_lists import GuestSelection, definition_of_list
from innkeeper.resources.values import ref_in
from innkeeper.rules.identity_keys import email_key, identifier_key
from innkeeper.store.work import Work

MOST_SAMPLE: Final = 10
MOST_KEYS: Final = 1_000_000
"""Most identity keys that one selection looks up: one of each provider for each identifier."""
_LOOKED_UP: Final = 20_000
"""Identity keys that are looked up by one statement."""
_SEPARATOR: Final = re.compile("[,;\\t]")
_URN: Final = "urn:uuid:"


@dataclass(frozen=True, slots=True)
class SelectedGuests:
    """Guests by their refs, or by a definition that the lake evaluates."""

    refs: tuple[UUID, ...] | None = None
    """Live guests, each once; None if a definition selects them."""
    definition: Mapping[str, Any] | None = None
    unmatched: tuple[str, ...] = ()
    """Refs and identifiers that no guest has."""


async def read_selection(work: Work, selection: GuestSelection) -> SelectedGuests:
    """Return the guests of a request; raises `Unknown` for a segment or list, `Invalid`."""
    if selection.guests is not ABSENT:
        return await select_refs(work, selection.guests)
    if selection.identifiers is not ABSENT:
        return await select_identifiers(work, selection.identifiers)
    if isinstance(selection.segment, str):
        row = await segments.fetch(work, selection.segment)
        return SelectedGuests(definition=row["definition"])
    if isinstance(selection.static_list, str):
        row = await static_lists.fetch_stored(work, selection.static_list)
        return SelectedGuests(definition=definition_of_list(row["friendly_id"]))
    definition: Mapping[str, Any] = selection.definition  # type: ignore[assignment]
    problems: list[Problem] = []
    every = await traits.list_current(work)
    if await segment_questions.read_question(work, definition, every, problems) is None or problems:
        raise Invalid(*(each.moved("definition", "selection.definition") for each in problems))
    return SelectedGuests(definition=definition)


async def select_refs(work: Work, refs: Collection[UUID]) -> SelectedGuests:
    """Return the live guests of refs: survivors in place of merged guests."""
    rows = await work.all("static_lists.find_live", guests=list(refs))
    matched = {row["requested"] for row in rows}
    live = dict.fromkeys(row["ref"] for row in rows)
    return SelectedGuests((*live,), unmatched=tuple(str(ref) for ref in refs if ref not in matched))


async def select_identifiers(work: Work, texts: Sequence[str]) -> SelectedGuests:
    """Return the live guests that have identifiers: a ref, an e-mail address, `provider:id`, or the
    id of any provider. A text that several guests have selects all of them.

    Raises `Invalid` if they are too many for the number of providers.
    """
    providers = {row["provider"]: None for row in await work.all("search.providers")}
    texts = [text for text in dict.fromkeys(map(str.strip, texts)) if text]
    without_provider = sum(_provider_of(text, providers) is None for text in texts)
    if without_provider * len(providers) > MOST_KEYS:
        at_once = MOST_KEYS // len(providers)
        reason = (
            f"may be ids of {len(providers):,} providers: send at most {at_once:,} at a time, or "
            "write provider:id"
        )
        raise Invalid(Problem("identifiers", reason))
    step = max(1, _LOOKED_UP // (len(providers) + 2))
    live: dict[UUID, None] = {}
    unmatched: list[str] = []
    for start in range(0, len(texts), step):
        some = texts[start : start + step]
        # Refs are keys of their own kind: no other key equals one.
        keys = await asyncio.to_thread(_keys_by_text, some, providers)
        every = [key for each in keys.values() for key in each]
        rows = [
            *await work.all("static_lists.find_live", guests=every),
            *await work.all("static_lists.find_by_keys", keys=every),
        ]
        matched = {row["requested"] for row in rows}
        unmatched += [text for text in some if matched.isdisjoint(keys[text])]
        live |= dict.fromkeys(row["ref"] for row in rows)
    return SelectedGuests((*live,), unmatched=(*unmatched,))


def identifiers_in(text: str) -> list[str]:
    """Return the identifiers in the text of a file: the first cell of each line."""
    cells = (_SEPARATOR.split(line, maxsplit=1)[0].strip(' "\ufeff') for line in text.splitlines())
    return [*dict.fromkeys(cell for cell in cells if cell)]


def _keys_by_text(texts: Sequence[str], providers: Collection[str]) -> dict[str, list[UUID]]:
    return {text: _keys_of(text, providers) for text in texts}


def _provider_of(text: str, providers: Collection[str]) -> str | None:
    """Return the provider that a text names, as in `provider:id`; a URN of a UUID names none."""
    if text[: len(_URN)].lower() == _URN:
        return None
    provider, colon, _ = text.partition(":")
    return provider if colon and provider in providers else None


def _keys_of(text: str, providers: Collection[str]) -> list[UUID]:
    """Return the keys of everything that a text may identify; a ref is its own."""
    if (provider := _provider_of(text, providers)) is not None:
        return [identifier_key(provider, text.partition(":")[2].strip())]
    is_urn = text[: len(_URN)].lower() == _URN
    provider, _, rest = text.partition(":")
    ref = ref_in(text[len(_URN) :] if is_urn else text)
    keys = [] if ref is None else [ref]
    keys += [identifier_key(each, text) for each in providers]
    if is_urn and provider in providers:
        keys.append(identifier_key(provider, rest))
    if "@" in text:
        keys.append(email_key(text))
    return keys


async def preview(work: Work, selection: SelectedGuests) -> tuple[int, list[UUID]]:
    """Count the guests of a selection, and return some of them."""
    if selection.refs is not None:
        return len(selection.refs), [*selection.refs[:MOST_SAMPLE]]
    from innkeeper.lake.segment_members import Question, count_members  # noqa: PLC0415

    definition = selection.definition or {}
    question = Question.of(definition, await traits.list_current(work))
    async with opened(work, engines.answering(work.settings, definition)) as lake:
        size, refs = await count_members(lake, question, MOST_SAMPLE)
    return size, [UUID(ref) for ref in refs]


async def find_refs(
    work: Work, definition: Mapping[str, Any], only: Collection[UUID] | None = None
) -> list[UUID]:
    """Return every guest of a definition now, or those among `only`."""
    from innkeeper.lake.segment_members import Question, find_members  # noqa: PLC0415

    question = Question.of(definition, await traits.list_current(work))
    among = None if only is None else [str(ref) for ref in only]
    async with opened(work, engines.answering(work.settings, definition)) as lake:
        return [UUID(ref) for ref in await find_members(lake, question, among)]
