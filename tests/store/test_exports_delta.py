"""Deltas reconcile: over random changes, what they add and remove is the final full export."""

import gzip
import json
import random
from datetime import timedelta
from uuid import UUID

import pytest
from profiles import LONG

from innkeeper.actions.audiences import audience_exports, export_runs, segments
from innkeeper.actions.records import guests
from innkeeper.lake.compaction import compact
from innkeeper.lake.flush import flush
from innkeeper.store.files import Files
from innkeeper.store.work import Work


async def run(work: Work, export: UUID) -> dict[str | None, set[str]]:
    """Run it; the refs in its files by delta action."""
    execution = await audience_exports.start(work, export)
    done = await export_runs.run(work, execution["ref"], most_rows=5)
    assert done is not None
    assert done["status"] == "SUCCESS", done["errors"]
    results: dict[str | None, list[str]] = {}
    for file in await work.all("exports.files", execution=execution["ref"]):
        with Files.of(work.settings).open(file["name"]) as content:
            lines = gzip.decompress(content.read()).splitlines()
        assert len(lines) == file["rows"]
        refs = results.setdefault(file["delta_action"], [])
        refs += [json.loads(line)["ref"] for line in lines]
    assert all(len(set(refs)) == len(refs) for refs in results.values())
    return {action: set(refs) for action, refs in results.items()}


@pytest.mark.parametrize("seed", range(8 if LONG else 1))
async def test_the_union_of_deltas_is_the_full_export(work: Work, seed: int) -> None:
    chance = random.Random(seed)
    rules = [{"field": "city", "comparator": "is equal to", "values": ["Cork"]}]
    definition = {"filterGroups": [{"entity": "guest", "rules": rules}]}
    segment = await segments.create(work, {"name": "s", "definition": definition})
    body = {"segment": str(segment["ref"]), "format": "NDJSON", "columns": ["ref"]}
    delta = await audience_exports.create(
        work, {**body, "name": "delta", "definitionType": "DELTA"}
    )
    full = await audience_exports.create(work, {**body, "name": "full"})
    existing: list[UUID] = []
    elsewhere: set[str] = set()
    for _ in range(8):
        for _ in range(chance.randrange(12)):
            city = chance.choice(["Cork", "Sligo"])
            match chance.randrange(4):
                case 0 | 1:
                    guest = await guests.create(work, {"guest_type": "visitor", "city": city})
                    existing.append(guest["ref"])
                case 2 if existing:
                    await guests.patch(work, chance.choice(existing), {"city": city})
                case 3 if existing:
                    await guests.delete(work, existing.pop(chance.randrange(len(existing))))
        if chance.random() < 0.5:
            await flush(work)
        if chance.random() < 0.2:
            await compact(work, everything=True, grace=timedelta(0))
        result = await run(work, delta["ref"])
        added, removed = result.get("add", set()), result.get("remove", set())
        assert not added & elsewhere
        assert removed <= elsewhere
        elsewhere = elsewhere - removed | added
        assert elsewhere == (await run(work, full["ref"])).get(None, set())
