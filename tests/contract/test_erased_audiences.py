"""Erased guests in segments, messages and files of exports (segmentation-and-export.md 5)."""

import csv
import gzip
import io
import json
import tempfile
import threading
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import pytest
from calling import Api
from receiving import Receiver, receiver, send_due
from test_exports_api import OWN, contents, delivered, exported, run
from test_segments_api import create_segment, guests_where, jobs, members, person, publish, rule

from innkeeper.actions.audiences import deliveries, erased_guests, export_runs, webhooks
from innkeeper.actions.privacy import privacy
from innkeeper.jobs.privacy import search_files
from innkeeper.store.work import Work

__all__ = ["jobs", "receiver"]

CITY = 'Cork "by\nthe sea", again'
"""What CSV has to quote, and writes over two lines."""
SHAPES: dict[str, dict[str, Any]] = {
    "csv": {"format": "CSV", "columns": ["ref", "city"]},
    "csv without header": {"format": "CSV", "columns": ["city", "ref"], "header": False},
    "csv with quotes": {"format": "CSV", "columns": ["ref", "city"], "quote": True},
    "json": {"format": "JSON", "columns": ["ref", "city"]},
    "ndjson": {"format": "NDJSON", "columns": ["ref", "city"]},
    "template": {"format": "NDJSON", "template": {"ref": "{{ref}}", "in": "{{city}}"}},
    "parquet": {"format": "PARQUET", "columns": ["ref", "city"]},
}


def refs_in(shape: dict[str, Any], content: bytes) -> list[str]:
    """The refs of a file, read by tools that are not ours."""
    if shape["format"] == "PARQUET":
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            return [
                ref
                for (ref,) in duckdb.sql(f"SELECT ref FROM read_parquet('{file.name}')").fetchall()
            ]
    text = gzip.decompress(content).decode()
    if shape["format"] == "CSV":
        rows = list(csv.reader(io.StringIO(text, newline="")))
        header = rows.pop(0) if shape.get("header", True) else shape["columns"]
        return [row[header.index("ref")] for row in rows]
    values = [json.loads(line) for line in text.splitlines()]
    if shape["format"] == "JSON":
        values = [json.loads(value["data"]) for value in values]
    return [value["ref"] for value in values]


@pytest.fixture
def everybody(api: Api) -> dict[str, Any]:
    return create_segment(api, guests_where(rule("ref", "is not null")))


@pytest.mark.parametrize("name", SHAPES)
def test_files_lose_the_erased_and_keep_the_others(
    api: Api, jobs: Any, everybody: dict[str, Any], name: str
) -> None:
    shape = SHAPES[name]
    guests = sorted(api.guest(city=CITY)["ref"] for _ in range(7))
    execution = run(api, jobs, exported(api, everybody, **shape), most=5)
    before = [refs_in(shape, content) for _, content in contents(api, execution)]
    assert before == [guests[:5], guests[5:]]
    deleted = [guests[0], guests[3], guests[6]]
    for ref in deleted:
        assert api.delete(f"/v2.1/guests/{ref}").status_code == 204
    assert jobs(search_files)["audience_exports"] == 2
    after = [refs_in(shape, content) for _, content in contents(api, execution)]
    assert after == [[guests[1], guests[2], guests[4]], [guests[5]]]
    listing = api.get(f"{OWN}/executions/{execution['executionRef']}/files").json()
    assert listing["numberOfFiles"] == 2
    assert jobs(search_files) == {}


@pytest.mark.parametrize("later", [{"header": False}, {"format": "NDJSON"}])
def test_s9_files_are_cut_as_they_were_written_whatever_the_export_is_now(
    api: Api, jobs: Any, everybody: dict[str, Any], later: dict[str, Any]
) -> None:
    shape = SHAPES["csv"]
    guests = sorted(api.guest()["ref"] for _ in range(3))
    export = exported(api, everybody, **shape)
    execution = run(api, jobs, export)
    path = f"{OWN}/{export['friendlyId']}"
    assert api.patch(path, json=later).status_code == 200
    assert api.delete(f"/v2.1/guests/{guests[1]}").status_code == 204
    assert jobs(search_files)["audience_exports"] == 1
    ((_, content),) = contents(api, execution)
    assert refs_in(shape, content) == [guests[0], guests[2]]


def test_a_second_erasure_cuts_what_the_first_left(
    api: Api, jobs: Any, everybody: dict[str, Any], site: Any
) -> None:
    guests = sorted(api.guest()["ref"] for _ in range(4))
    execution = run(api, jobs, exported(api, everybody, **SHAPES["ndjson"]))
    for ref in (guests[2], guests[0], guests[3], guests[1]):
        api.delete(f"/v2.1/guests/{ref}")
        jobs(search_files)
    ((_, content),) = contents(api, execution)
    assert gzip.decompress(content) == b""
    paths = (Path(site.settings.data) / "files").rglob(f"*/{execution['executionRef']}/*")
    assert [path.name for path in paths] == ["0000-4.ndjson.gz"]


def test_a_search_that_was_cut_off_goes_on(
    api: Api, jobs: Any, everybody: dict[str, Any], site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before the commit or before the old file is gone, nothing of it stays."""
    guests = sorted(api.guest()["ref"] for _ in range(4))
    execution = run(api, jobs, exported(api, everybody, **SHAPES["ndjson"]))

    class Killed(BaseException):
        pass

    async def killed(*_: Any) -> None:
        raise Killed

    real = Work.run

    async def before_commit(work: Work, query: str, /, **params: Any) -> int:
        if query == "exports.rewritten":
            raise Killed
        return await real(work, query, **params)

    api.delete(f"/v2.1/guests/{guests[1]}")
    with monkeypatch.context() as patched:
        patched.setattr(Work, "run", before_commit)
        with pytest.raises(Killed):
            jobs(search_files)
    api.delete(f"/v2.1/guests/{guests[2]}")
    with monkeypatch.context() as patched:
        patched.setattr(erased_guests, "_remove_replaced", killed)
        with pytest.raises(Killed):
            jobs(search_files)
    jobs(search_files)
    ((_, content),) = contents(api, execution)
    assert refs_in(SHAPES["ndjson"], content) == [guests[0], guests[3]]
    paths = list((Path(site.settings.data) / "files").rglob(f"*/{execution['executionRef']}/*"))
    assert len(paths) == 1


def test_a_delivery_under_way_goes_on_behind_the_erased(
    api: Api,
    jobs: Any,
    everybody: dict[str, Any],
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deliveries, "BATCH", 2)
    guests = sorted(api.guest()["ref"] for _ in range(6))
    destination = {"type": "WEBHOOK", "url": receiver.url}
    export = exported(api, everybody, **SHAPES["ndjson"], destination=destination)
    execution = UUID(run(api, jobs, export)["executionRef"])
    real, posts = webhooks.post, []

    async def post_once(*arguments: Any) -> str | None:
        posts.append(arguments)
        return await real(*arguments) if len(posts) < 2 else "down"

    monkeypatch.setattr(webhooks, "post", post_once)
    assert delivered(jobs, execution) is False
    monkeypatch.setattr(webhooks, "post", real)
    for ref in (guests[0], guests[3]):
        api.delete(f"/v2.1/guests/{ref}")
    jobs(search_files)
    assert delivered(jobs, execution)
    record = [json.loads(line)["ref"] for _, body in receiver.got for line in body.splitlines()]
    assert record == [*guests[:2], guests[2], guests[4], guests[5]]


def test_removing_an_export_removes_its_files(
    api: Api, jobs: Any, everybody: dict[str, Any], site: Any
) -> None:
    api.guest()
    export = exported(api, everybody, **SHAPES["ndjson"])
    execution = run(api, jobs, export)["executionRef"]
    files = Path(site.settings.data) / "files"
    assert len(list(files.rglob(f"*/{execution}/*"))) == 1
    assert api.delete(f"{OWN}/{export['ref']}").status_code in (200, 204)
    assert list(files.rglob(f"*/{execution}/*")) == []


def test_nobody_erased_is_a_member_or_a_sample_or_in_a_message(
    api: Api, jobs: Any, receiver: Receiver, connection: Any
) -> None:
    deleted, stays = person(api, city="Cork"), person(api, city="Cork")
    cork = guests_where(rule("city", "is equal to", "Cork"))
    segment = create_segment(api, cork, webhook=receiver.url)
    publish(api, jobs, segment)
    jobs(send_due)
    ((_, body),) = receiver.got
    assert set(json.loads(body)["guests"]) == {deleted["ref"], stays["ref"]}

    stored_data = jobs(lambda work: privacy.access(work, UUID(deleted["ref"])))["held"]
    assert [row["name"] for row in stored_data["segment_members"]] == ["Some guests"]
    jobs(lambda work: privacy.erase(work, UUID(deleted["ref"])))
    for table in ("segment_members", "segments", "segment_queue"):
        rows = connection.execute(f"SELECT t::text FROM ws_live.{table} AS t").fetchall()
        assert deleted["ref"] not in repr(rows), table
    # The message of before is gone; that the guest left is told, which other systems need.
    jobs(send_due)
    (_, (_, body)) = receiver.got
    result = json.loads(body)
    assert (result["event"], result["guests"]) == ("segment.departed", [deleted["ref"]])
    (message,) = jobs(webhooks.list_all)
    assert message["sent_at"] is not None
    assert members(api, segment) == {stays["ref"]}


def test_an_export_that_began_before_the_erasure_is_waited_for(
    api: Api, jobs: Any, everybody: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are listed when the search looks, whoever was first."""
    guests = sorted(api.guest()["ref"] for _ in range(3))
    export = exported(api, everybody, **SHAPES["ndjson"])
    execution = UUID(api.post(f"{OWN}/{export['ref']}/run").json()["executionRef"])
    written, erased = threading.Event(), threading.Event()
    real = export_runs.put_file

    def put(*arguments: Any) -> None:
        written.set()
        assert erased.wait(20)
        real(*arguments)

    monkeypatch.setattr(export_runs, "put_file", put)
    running = threading.Thread(
        target=lambda: jobs(lambda work: export_runs.run(work, execution)), daemon=True
    )
    running.start()
    assert written.wait(20)
    api.delete(f"/v2.1/guests/{guests[1]}")
    searching = threading.Thread(target=lambda: jobs(search_files), daemon=True)
    searching.start()
    searching.join(0.5)
    assert searching.is_alive()
    erased.set()
    running.join(20)
    searching.join(20)
    listed = api.get(f"{OWN}/{export['ref']}/executions").json()["items"]
    ((_, content),) = contents(api, listed[0])
    assert refs_in(SHAPES["ndjson"], content) == [guests[0], guests[2]]
