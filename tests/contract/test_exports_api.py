"""Audience exports over HTTP: segmentation-and-export.md 2, rest-v2.1.md 10, errors.md AU-6."""

import csv
import gzip
import io
import json
import os
import re
import socket
import threading
import tomllib
from codecs import BOM_UTF8
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import duckdb
import httpx
import pytest
from calling import NOBODY, Api
from receiving import Receiver, receiver, send_due
from test_segments_api import create_segment, guests_where, jobs, order, person, rule
from waiting import PATIENCE_SECONDS, until

from innkeeper.actions.admin import background, oauth
from innkeeper.actions.audiences import (
    audience_exports,
    deliveries,
    delivery_slots,
    export_runs,
    webhooks,
)
from innkeeper.jobs import worker
from innkeeper.store.work import Work

OWN = "/innkeeper/v1/exports"
VENDOR = "/v2/audienceExports"
__all__ = ["jobs", "receiver"]


@pytest.fixture
def client(site: Any) -> oauth.NewClient:
    return site.control(lambda work: oauth.create(work, "live", "test"))


@pytest.fixture
def vendor(api: Api, client: oauth.NewClient) -> Any:
    """The three reads, with a bearer token."""
    answer = httpx.post(
        f"{api.url}/oauth/token",
        data={
            "client_id": client.client_id,
            "client_secret": client.client_secret,
            "grant_type": "client_credentials",
            "audience": "https://api.sitecorecloud.io",
        },
    )
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    with Api(api.url, headers=headers) as session:
        yield session


def exported(api: Api, segment: dict[str, Any], **body: Any) -> dict[str, Any]:
    answer = api.post(OWN, json={"name": "Out", "segment": segment["ref"], **body})
    assert answer.status_code == 201, answer.text
    return answer.json()


def run(api: Api, jobs: Any, export: dict[str, Any], most: int = 500_000) -> dict[str, Any]:
    answer = api.post(f"{OWN}/{export['ref']}/run")
    assert answer.status_code == 202, answer.text
    execution = UUID(answer.json()["executionRef"])
    jobs(lambda work: export_runs.run(work, execution, most))
    (item, *_) = api.get(f"{OWN}/{export['ref']}/executions").json()["items"]
    return item


def delivered(jobs: Any, execution: UUID) -> bool:
    """Try to deliver an execution once; whether there is nothing left to try."""

    async def act(work: Work) -> bool:
        @asynccontextmanager
        async def lend() -> AsyncIterator[Work]:
            yield work

        return await deliveries.deliver(lend, execution) is None

    return bool(jobs(act))


def contents(api: Api, execution: dict[str, Any]) -> list[tuple[str | None, bytes]]:
    listing = api.get(f"{OWN}/executions/{execution['executionRef']}/files").json()
    results = []
    for file in listing["exports"]:
        # No credentials: the link itself opens the file.
        answer = httpx.get(file["url"])
        assert answer.status_code == 200, answer.text
        results.append((file.get("deltaAction"), answer.content))
    return results


def test_a_token_is_given_for_the_right_secret(api: Api, client: oauth.NewClient) -> None:
    """AU-6: OAuth 2.0 client credentials, 24 h, scope cdp.audience_exports:r."""
    form = {
        "client_id": client.client_id,
        "client_secret": client.client_secret,
        "grant_type": "client_credentials",
    }
    for path in ("/oauth/token", "/v2/oauth/token"):
        answer = httpx.post(api.url + path, data=form)
        assert answer.status_code == 200
        body = answer.json()
        assert body.pop("access_token").count(".") == 2
        assert body == {
            "scope": "cdp.audience_exports:r",
            "expires_in": 86400,
            "token_type": "Bearer",
        }
        assert answer.headers["cache-control"] == "no-store"
    wrong = httpx.post(f"{api.url}/oauth/token", data={**form, "client_secret": "x"})
    assert (wrong.status_code, wrong.json()) == (401, {"error": "invalid_client"})
    other = httpx.post(f"{api.url}/oauth/token", data={**form, "grant_type": "password"})
    assert (other.status_code, other.json()) == (400, {"error": "unsupported_grant_type"})


def test_neither_kind_of_credentials_replaces_the_other(
    api: Api, vendor: httpx.Client, site: Any, client: oauth.NewClient
) -> None:
    """AU-6, AU-7, EU-5: Basic on these routes is 401, and Bearer on all others."""
    path = f"{VENDOR}/definitions/x/latestExport"
    answer = api.get(path)
    assert (answer.status_code, answer.json()["status"]) == (401, 401)
    assert vendor.get(path).status_code == 404
    assert vendor.get("/v2.1/guests").status_code == 401
    assert vendor.get("/innkeeper/v1/exports").status_code == 401
    bad = {"Authorization": vendor.headers["authorization"] + "x"}
    assert httpx.get(api.url + path, headers=bad).status_code == 401
    site.control(lambda work: oauth.revoke(work, client.client_id))
    assert vendor.get(path).status_code == 401


def test_the_three_reads(api: Api, jobs: Any, vendor: httpx.Client) -> None:
    """A1 to A3, EU-6; 9: latestExport before any run is 404."""
    api.guest(city="Cork")
    segment = create_segment(api, guests_where(rule("city", "is equal to", "Cork")))
    export = exported(api, segment, friendlyId="out_1", format="NDJSON", columns=["ref", "city"])
    latest = f"{VENDOR}/definitions/out_1/latestExport"
    assert vendor.get(latest).status_code == 404
    waiting = api.post(f"{OWN}/{export['ref']}/run").json()
    pending = vendor.get(f"{VENDOR}/executions/{waiting['executionRef']}/export")
    assert (pending.status_code, pending.json()["message"]) == (400, "Export job is not finished")
    jobs(lambda work: export_runs.run(work, UUID(waiting["executionRef"])))
    listing = vendor.get(latest).json()
    assert listing == vendor.get(f"{VENDOR}/definitions/{export['ref']}/latestExport").json() | {
        "exports": listing["exports"],
        "expireAt": listing["expireAt"],
    }
    assert {name: listing[name] for name in ("executionRef", "definitionRef", "numberOfFiles")} == {
        "executionRef": waiting["executionRef"],
        "definitionRef": export["ref"],
        "numberOfFiles": 1,
    }
    assert (listing["friendlyId"], listing["totalSizeKB"]) == ("out_1", 1)
    by_ref = vendor.get(f"{VENDOR}/executions/{waiting['executionRef']}/export")
    assert by_ref.status_code == 200
    (report,) = vendor.get(f"{VENDOR}/definitions/out_1/reports").json()
    assert report["status"] == "SUCCESS"
    counts = ("total", "successes", "failures", "filterMatchedGuests", "successAdd")
    assert [report[name] for name in counts] == [1, 1, 0, 1, 0]
    kinds = ("executionType", "definitionType", "segmentExecutionType")
    assert [report[name] for name in kinds] == ["INSTANT_RUN", "FULL_SYNC", "ON_DEMAND"]
    assert vendor.get(f"{VENDOR}/executions/{NOBODY}/export").status_code == 404


def test_a_link_ends_with_its_signature(api: Api, jobs: Any) -> None:
    """9: presigned URLs; without the right signature there is nothing."""
    api.guest()
    export = exported(api, create_segment(api, guests_where(rule("ref", "is not null"))))
    execution = run(api, jobs, export)
    listing = api.get(f"{OWN}/executions/{execution['executionRef']}/files").json()
    url = listing["exports"][0]["url"]
    assert httpx.get(url).status_code == 200
    assert httpx.get(url + "x").status_code == 403
    assert httpx.get(url.replace("/export/0", "/export/1")).status_code == 403
    assert httpx.get(url.partition("?")[0]).status_code == 403


def test_csv_with_delimiter_header_and_quotes(api: Api, jobs: Any) -> None:
    """2.2: CSV with , or |, optional header, optional double quotes; gzip."""
    guest = person(api, city='Co"rk', dateOfBirth="1990-02-03")
    api.extension(guest, name="loyalty", tier="gold")
    order(api, guest, price=12.5)
    segment = create_segment(api, guests_where(rule("ref", "is not null")))
    columns = ["ref", "city", "dateOfBirth", "lastSeen", "loyalty.tier", "trait.orderCount"]
    export = exported(api, segment, columns=columns, delimiter="|", quote=True)
    ((_, content),) = contents(api, run(api, jobs, export))
    text = gzip.decompress(content).decode()
    head, row = csv.reader(io.StringIO(text), delimiter="|")
    assert head == columns
    assert row == [guest["ref"], 'Co"rk', "1990-02-03", guest["lastSeen"], "gold", "1"]
    assert f'"{guest["ref"]}"|' in text
    bare = exported(api, segment, friendlyId="bare", columns=["ref"], header=False)
    ((_, content),) = contents(api, run(api, jobs, bare))
    assert gzip.decompress(content).decode() == guest["ref"] + "\n"


def test_a_byte_order_mark_digests_and_the_name_to_save_a_file_as(api: Api, jobs: Any) -> None:
    """Digests by hashlib: of the address in lower case, and of the number with its country code."""
    guest = api.guest(email="Ann@Example.COM", phoneNumbers=["+353 86 123-4567"])
    bare = api.guest(phoneNumbers=["086 1234567"])
    segment = create_segment(api, guests_where(rule("ref", "is not null")))
    columns = ["ref", "sha256.email", "sha256.phone"]
    export = exported(api, segment, columns=columns, bom=True)
    execution = run(api, jobs, export)
    ((_, content),) = contents(api, execution)
    text = gzip.decompress(content)
    assert text.startswith(BOM_UTF8 + b"ref,")
    rows = {row["ref"]: row for row in csv.DictReader(io.StringIO(text.decode("utf-8-sig")))}
    digests = [sha256(value).hexdigest() for value in (b"ann@example.com", b"+353861234567")]
    assert [rows[guest["ref"]][name] for name in columns[1:]] == digests
    assert [rows[bare["ref"]][name] for name in columns[1:]] == ["", ""]
    listed = api.get(f"{OWN}/executions/{execution['executionRef']}/files").json()
    saved_as = httpx.get(listed["exports"][0]["url"]).headers["content-disposition"]
    day = datetime.now(UTC).date().isoformat()
    assert re.search(rf'filename="{segment["friendlyId"]}-{day}-\d{{4}}-0000.csv.gz"', saved_as)
    body = {"name": "P", "segment": segment["friendlyId"], "format": "PARQUET", "bom": True}
    refused = api.post(OWN, json={**body, "columns": ["sha256.city"]})
    assert refused.json()["errors"] == [
        "bom: is for CSV alone",
        "columns[0]: there is no column sha256.city",
    ]


def test_s9_formulas_are_marked_on_request(api: Api, jobs: Any, site: Any) -> None:
    """Off by default; on, texts alone are marked, and the mapping beside a delivered file says so.
    Expected cells by hand, as rules/spreadsheets has them."""
    texts = ["=1+1", "'tis", "-5", "@x", "+353 1", "plain", "＝2"]
    cells = ["'=1+1", "''tis", "-5", "'@x", "'+353 1", "plain", "'＝2"]
    for text in texts:
        guest = api.guest(firstName=text)
        api.extension(guest, name="ext", note=text, points=-3)
    segment = create_segment(api, guests_where(rule("ref", "is not null")))
    columns = ["firstName", "ext.note", "ext.points"]
    for name, more, each in (("off", {}, texts), ("on", {"guarded": True}, cells)):
        export = exported(
            *(api, segment),
            **{"friendlyId": name, "columns": columns, **more},
            destination={"type": "FOLDER", "url": name},
        )
        execution = run(api, jobs, export)
        ((_, content),) = contents(api, execution)
        rows = list(csv.reader(io.StringIO(gzip.decompress(content).decode(), newline="")))
        assert sorted(rows[1:]) == sorted([cell, cell, "-3"] for cell in each)
        assert delivered(jobs, UUID(execution["executionRef"]))
        listed = api.get(f"{OWN}/executions/{execution['executionRef']}/files").json()
        links = [file.get("mapping") for file in listed["exports"]]
        assert all(links) is bool(more)
        if more:
            response = httpx.get(links[0])
            assert tomllib.loads(response.text) == {"entity": "guests", "guarded": True}
            saved_as = response.headers["content-disposition"]
            assert saved_as.endswith('0000.csv.gz.mapping.toml"')
            assert httpx.get(links[0].partition("?")[0]).status_code == 403
        place = site.settings.data / "exports" / name / name / execution["executionRef"]
        beside = place / "0000.csv.gz.mapping.toml"
        assert beside.exists() is bool(more)
        if more:
            told_by_file = tomllib.loads(beside.read_text())
            assert told_by_file == {"entity": "guests", "guarded": True}
    body = {"name": "x", "segment": segment["ref"], "format": "NDJSON", "guarded": True}
    refused = api.post(OWN, json=body)
    assert (refused.status_code, refused.json()["message"]) == (400, "guarded: is for CSV alone")


@pytest.mark.parametrize("was_guarded", [True, False])
def test_s9_a_mapping_is_beside_a_file_that_was_written_guarded(
    api: Api, jobs: Any, site: Any, was_guarded: bool
) -> None:
    """Whatever the export says later: an import undoes marks that are there, and no text."""
    api.guest(firstName="=1+1")
    segment = create_segment(api, guests_where(rule("ref", "is not null")))
    export = exported(
        *(api, segment),
        columns=["firstName"],
        guarded=was_guarded,
        destination={"type": "FOLDER", "url": "later"},
    )
    execution = run(api, jobs, export)
    ref, name = execution["executionRef"], export["friendlyId"]
    changed = api.patch(f"{OWN}/{name}", json={"guarded": not was_guarded})
    assert changed.json()["guarded"] is not was_guarded
    ((_, content),) = contents(api, execution)
    assert gzip.decompress(content).decode().split() == [
        "firstName",
        "'=1+1" if was_guarded else "=1+1",
    ]
    (listed,) = api.get(f"{OWN}/executions/{ref}/files").json()["exports"]
    assert ("mapping" in listed) is was_guarded
    assert delivered(jobs, UUID(ref))
    folder = site.settings.data / "exports" / "later" / name / ref
    assert (folder / "0000.csv.gz.mapping.toml").exists() is was_guarded


def test_a_trait_stays_while_an_export_uses_it(api: Api) -> None:
    """Issue 6, computed traits: refused with the export's name, wherever it names the trait."""
    path = "/innkeeper/v1/traits/dearest"
    definition = {"entity": "order", "function": "greatest", "field": "price", "currency": "EUR"}
    assert api.put(path, json=definition).status_code == 200
    segment = create_segment(api, guests_where(rule("ref", "is not null")))
    large = guests_where(rule("dearest", "is greater than", 5, location="trait"))
    shapes: list[dict[str, Any]] = [
        {"columns": ["ref", "trait.dearest"]},
        {"format": "NDJSON", "template": {"paid": ["{{trait.dearest}} EUR"]}},
        {"filter": large},
    ]
    for shape in shapes:
        export = exported(api, segment, friendlyId="dear", **shape)
        refused = api.delete(path)
        assert (refused.status_code, refused.json()["errors"]) == (
            409,
            ["Audience export dear uses trait dearest."],
        )
        assert api.put(path, json={**definition, "function": "least"}).status_code == 200
        become = api.put(
            path, json={"entity": "order", "function": "latest", "field": "paymentType"}
        )
        assert become.status_code == (409 if "filter" in shape else 200)
        assert api.put(path, json=definition).status_code == 200
        assert api.delete(f"{OWN}/{export['ref']}").status_code == 204
    exported(api, segment, columns=["ref", "trait.orderCount"])
    assert api.delete(path).status_code == 204


def test_json_templates_and_parquet(api: Api, jobs: Any) -> None:
    """2.2: advanced mode is a template, JSON only; rest-v2.1.md 10: lines of {"data": text}."""
    guest = person(api, firstName="Jane", city="Cork")
    order(api, guest, price=12.5)
    segment = create_segment(api, guests_where(rule("ref", "is not null")))
    shapes: list[dict[str, Any]] = [
        {"format": "JSON", "columns": ["ref", "firstName"]},
        {"format": "NDJSON", "columns": ["firstName", "orders"]},
        {"format": "NDJSON", "template": {"hello": "Dear {{firstName}}", "id": "{{ref}}", "n": 1}},
        {"format": "PARQUET", "columns": ["ref", "lastSeen"]},
    ]
    results = []
    for index, shape in enumerate(shapes):
        export = exported(api, segment, friendlyId=f"shape_{index}", **shape)
        ((_, content),) = contents(api, run(api, jobs, export))
        results.append(content)
    wrapped = json.loads(gzip.decompress(results[0]))
    assert json.loads(wrapped["data"]) == {"ref": guest["ref"], "firstName": "Jane"}
    row = json.loads(gzip.decompress(results[1]))
    assert [each["core_price"] for each in row["orders"]] == [12.5]
    message = json.loads(gzip.decompress(results[2]))
    assert message == {"hello": "Dear Jane", "id": guest["ref"], "n": 1}
    assert results[3][:4] == b"PAR1"
    refused = api.post(
        OWN,
        json={"name": "x", "segment": "some_guests", "format": "CSV", "template": {"a": "{{ref}}"}},
    )
    assert refused.json()["errors"] == ["template: must be an object, of a JSON export"]


def test_many_records_make_several_files(api: Api, jobs: Any) -> None:
    """2.2: up to so many records one archive, more several; the count is the segment's."""
    refs = sorted(api.guest(city="Cork")["ref"] for _ in range(7))
    api.guest(city="Sligo")
    segment = create_segment(api, guests_where(rule("city", "is equal to", "Cork")))
    export = exported(api, segment, format="NDJSON", columns=["ref"])
    execution = run(api, jobs, export, most=3)
    parts = [
        [json.loads(line)["ref"] for line in gzip.decompress(content).splitlines()]
        for _, content in contents(api, execution)
    ]
    assert [len(part) for part in parts] == [3, 3, 1]
    assert [ref for part in parts for ref in part] == refs
    assert execution["total"] == 7


def test_a_filter_keeps_a_subgroup(api: Api, jobs: Any) -> None:
    """2.2: optional filters keep a subgroup."""
    guest = api.guest(city="Cork", country="IE")
    api.guest(city="Cork", country="FR")
    segment = create_segment(api, guests_where(rule("city", "is equal to", "Cork")))
    only = guests_where(rule("country", "is equal to", "IE"))
    export = exported(api, segment, format="NDJSON", columns=["ref"], filter=only)
    execution = run(api, jobs, export)
    counts = ("total", "filterMatchedGuests", "filterNotMatchedGuests")
    assert [execution[name] for name in counts] == [1, 1, 1]
    ((_, content),) = contents(api, execution)
    assert json.loads(gzip.decompress(content)) == {"ref": guest["ref"]}


def test_a_delta_begins_whole_and_then_adds_and_removes(api: Api, jobs: Any) -> None:
    """2.2: the first run equals a full one; then added and removed guests in separate files."""
    first, second = api.guest(city="Cork"), api.guest(city="Cork")
    segment = create_segment(api, guests_where(rule("city", "is equal to", "Cork")))
    export = exported(api, segment, definitionType="DELTA", format="NDJSON", columns=["ref"])

    def actions(execution: dict[str, Any]) -> dict[str | None, set[str]]:
        return {
            action: {json.loads(line)["ref"] for line in gzip.decompress(content).splitlines()}
            for action, content in contents(api, execution)
        }

    output = run(api, jobs, export)
    assert actions(output) == {"add": {first["ref"], second["ref"]}}
    third = api.guest(city="Cork")
    api.delete(first["href"])
    changed = run(api, jobs, export)
    assert actions(changed) == {"add": {third["ref"]}, "remove": {first["ref"]}}
    assert (changed["successAdd"], changed["successRemove"]) == (1, 1)
    assert actions(run(api, jobs, export)) == {}


def test_running_an_execution_again_duplicates_nothing(api: Api, jobs: Any, site: Any) -> None:
    """Issue 6: a re-run duplicates nothing; an interrupted one starts anew under its own name."""
    api.guest(city="Cork")
    segment = create_segment(api, guests_where(rule("city", "is equal to", "Cork")))
    export = exported(api, segment, definitionType="DELTA", format="NDJSON", columns=["ref"])
    execution = UUID(api.post(f"{OWN}/{export['ref']}/run").json()["executionRef"])

    class Killed(BaseException):
        pass

    async def cut_off(work: Any) -> None:
        real, calls = export_runs.put_file, []

        def put(*arguments: Any) -> None:
            real(*arguments)
            calls.append(arguments)
            raise Killed

        export_runs.put_file = put
        try:
            await export_runs.run(work, execution)
        finally:
            export_runs.put_file = real

    with pytest.raises(Killed):
        jobs(cut_off)
    for _ in range(2):
        jobs(lambda work: export_runs.run(work, execution))
    listing = api.get(f"{OWN}/executions/{execution}/files").json()
    assert listing["numberOfFiles"] == 1
    paths = list((Path(site.settings.data) / "files").rglob(f"*/{execution}/*"))
    assert len(paths) == 1


def test_a_failed_run_says_why(api: Api, jobs: Any) -> None:
    api.guest(city="Cork")
    sql = "SELECT guest_ref FROM guests WHERE CAST(core_city AS INTEGER) = 1"
    execution = run(api, jobs, exported(api, create_segment(api, {"sql": sql})))
    assert execution["status"] == "FAILED"
    assert "Cork" in execution["errorLogs"][0]


def test_an_execution_without_storage_is_retried(
    api: Api, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 6: the storage cannot be reached; it goes on when it can, and not for ever."""
    api.guest()
    export = exported(api, create_segment(api, guests_where(rule("ref", "is not null"))))
    api.post(f"{OWN}/{export['ref']}/run")

    def fetch_report() -> dict[str, Any]:
        (item, *_) = api.get(f"{OWN}/{export['ref']}/executions").json()["items"]
        names = ("status", "attempts", "error", "nextAttemptAt", "errorLogs")
        return {name: item[name] for name in names}

    before = datetime.now(UTC)
    with site.storage_away():
        site.run_worker()
        waiting = fetch_report()
    assert waiting["error"].startswith("NotADirectoryError: ")
    assert (waiting["status"], waiting["attempts"]) == ("PENDING_EMR_JOB", 1)
    next_at = datetime.fromisoformat(waiting["nextAttemptAt"]) - timedelta(seconds=5)
    assert before - timedelta(milliseconds=1) < next_at <= datetime.now(UTC)
    site.pass_time()
    site.run_worker()
    ended = {"status": "SUCCESS", "attempts": 1, "error": None, "nextAttemptAt": None}
    assert fetch_report() == {**ended, "errorLogs": []}

    monkeypatch.setattr(background, "ATTEMPTS", 2)
    api.post(f"{OWN}/{export['ref']}/run")
    with site.storage_away():
        for _ in range(2):
            site.run_worker()
            site.pass_time()
    failed = fetch_report()
    (reason,) = failed.pop("errorLogs")
    assert reason.startswith("NotADirectoryError: ")
    assert failed == {**ended, "status": "FAILED", "attempts": 2}


def test_a_message_reports_the_end(api: Api, jobs: Any, receiver: Receiver) -> None:
    """2.2: a connection is told with these members."""
    api.guest()
    segment = create_segment(api, guests_where(rule("ref", "is not null")))
    export = exported(api, segment, webhook=receiver.url)
    execution = run(api, jobs, export)
    assert jobs(send_due) == 1
    ((headers, body),) = receiver.got
    message = json.loads(body)
    assert set(message) == {
        *("apiUrl", "audienceExportName", "clientKey", "definitionType", "executionRef"),
        *("executionType", "friendlyId", "segmentName", "status"),
    }
    assert (message["executionRef"], message["status"]) == (execution["executionRef"], "SUCCESS")
    stamp = headers[webhooks.SIGNATURE].partition(",")[0].removeprefix("t=")
    assert headers[webhooks.SIGNATURE] == webhooks.signature(export["webhookSecret"], stamp, body)
    for path in (OWN, f"{OWN}/{export['ref']}"):
        assert "webhookSecret" not in api.get(path).text


def test_a_folder_gets_the_files(api: Api, jobs: Any, site: Any) -> None:
    api.guest()
    segment = create_segment(api, guests_where(rule("ref", "is not null")))
    destination = {"type": "FOLDER", "url": "weekly/fans"}
    export = exported(api, segment, format="PARQUET", columns=["ref"], destination=destination)
    execution = UUID(run(api, jobs, export)["executionRef"])
    for _ in range(2):
        assert delivered(jobs, execution)
    place = site.settings.data / "exports" / "weekly" / "fans" / "out" / str(execution)
    (file,) = place.iterdir()
    assert (file.stat().st_mode & 0o777, place.stat().st_mode & 0o777) == (0o600, 0o700)
    assert duckdb.sql(f"SELECT count(*) FROM '{file}'").fetchall() == [(1,)]


def test_a_web_address_gets_batches_and_a_repeat_goes_on(
    api: Api, jobs: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 6: HTTP webhook in batches with back-pressure; down, it delays only itself."""
    monkeypatch.setattr(deliveries, "BATCH", 2)
    refs = sorted(api.guest()["ref"] for _ in range(5))
    segment = create_segment(api, guests_where(rule("ref", "is not null")))
    destination = {"type": "WEBHOOK", "url": receiver.url}
    export = exported(api, segment, format="NDJSON", columns=["ref"], destination=destination)
    execution = UUID(run(api, jobs, export)["executionRef"])
    receiver.status = 500
    assert delivered(jobs, execution) is False
    receiver.status = 200
    assert delivered(jobs, execution)
    record = [json.loads(line)["ref"] for _, body in receiver.got for line in body.splitlines()]
    assert record == refs
    keys = [headers["Idempotency-Key"] for headers, _ in receiver.got]
    assert keys == [f"{execution}-0-{done}" for done in (0, 2, 4)]
    assert delivered(jobs, execution)
    assert len(receiver.got) == 3
    (item,) = api.get(f"{OWN}/{export['ref']}/executions").json()["items"]
    assert (item["deliveryAttempts"], item["deliveryError"]) == (2, None)


def undelivered(api: Api, export: dict[str, Any]) -> dict[str, Any] | None:
    """The newest execution, unless its files have arrived."""
    (item, *_) = api.get(f"{OWN}/{export['ref']}/executions").json()["items"]
    return None if item["deliveredAt"] else item


@pytest.mark.long
def test_destinations_that_are_down_delay_only_themselves(
    api: Api, jobs: Any, site: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 6: more of them than slots for deliveries, and a job of another kind."""
    monkeypatch.setattr(deliveries, "POST_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(delivery_slots.FILES.slow, "slots", 6)  # three of one workspace
    monkeypatch.setattr(worker, "CONCURRENCY", 1)
    api.guest()
    segment = create_segment(api, guests_where(rule("ref", "is not null")))
    shape = {"format": "NDJSON", "columns": ["ref"]}

    def to(url: str, name: str) -> dict[str, Any]:
        destination = {"type": "WEBHOOK", "url": url}
        return exported(api, segment, friendlyId=name, **shape, destination=destination)

    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        down = [to(f"http://127.0.0.1:{port}/{number}", f"down_{number}") for number in range(10)]
        for export in down:
            run(api, jobs, export)
        # They did not take what was sent before, an hour ago.
        failed = (
            "UPDATE ws_live.export_executions SET delivery_attempts = 1, "
            "delivery_error = 'timed out', delivery_next_at = now() - interval '1 second'"
        )
        jobs(lambda work: work.connection.execute(failed))
        well = to(receiver.url, "well")
        run(api, jobs, well)
        another = to(f"{receiver.url}/another", "another")
        waiting = api.post(f"{OWN}/{another['ref']}/run").json()["executionRef"]
        thread = threading.Thread(target=site.run_worker)
        thread.start()
        until(
            "both exports whose destinations are well",
            lambda: not (undelivered(api, well) or undelivered(api, another)),
        )
        assert thread.is_alive(), "the others are still waited for"
        assert all(undelivered(api, export) for export in down)
    # With the listener gone they fail at once.
    thread.join(PATIENCE_SECONDS)
    assert [headers["X-Innkeeper-Export"] for headers, _ in receiver.got] == ["well", "another"]
    assert receiver.got[1][0]["Idempotency-Key"] == f"{waiting}-0-0"
    # Three had a slot, the others their turn soon, or already.
    messages = [undelivered(api, export) or {} for export in down]
    attempts = [item["deliveryAttempts"] for item in messages]
    assert attempts.count(2) >= 3
    assert set(attempts) <= {1, 2}
    assert all(item["deliveryNextAt"] for item in messages)


def test_a_delivery_waits_for_the_one_before_it(
    api: Api, jobs: Any, site: Any, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """2.2: a delta follows the one before it, also where that was not taken at once."""
    # The retry is not due before `pass_time`, however slow the machine is.
    monkeypatch.setattr(deliveries, "FIRST_PAUSE", deliveries.LONGEST_PAUSE)
    destination = {"type": "WEBHOOK", "url": receiver.url}
    segment = create_segment(api, guests_where(rule("ref", "is not null")))
    shape = {"definitionType": "DELTA", "format": "NDJSON", "columns": ["ref"]}
    export = exported(api, segment, **shape, destination=destination)
    receiver.status = 503
    executions = []
    for _ in range(2):
        api.guest()
        executions.append(run(api, jobs, export)["executionRef"])
        site.run_worker()
        receiver.status = 200
    items = api.get(f"{OWN}/{export['ref']}/executions").json()["items"]
    # In the order of the list, newest first: the second was not tried.
    assert [item["deliveryAttempts"] for item in items] == [0, 1]
    assert items[1]["deliveryError"] == "answered with an error (5xx)"
    site.pass_time()
    site.run_worker()
    keys = [headers["Idempotency-Key"] for headers, _ in receiver.got]
    assert keys == [f"{execution}-0-0" for execution in executions]


def test_a_stalled_copy_is_cancelled(
    api: Api, jobs: Any, site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Issue 6: as from or to a network disk that hangs; none is begun beside it."""
    monkeypatch.setattr(deliveries, "STILL_SECONDS", 0.1)
    api.guest()
    segment = create_segment(api, guests_where(rule("ref", "is not null")))
    destination = {"type": "FOLDER", "url": "still"}
    export = exported(api, segment, format="PARQUET", columns=["ref"], destination=destination)
    execution = UUID(run(api, jobs, export)["executionRef"])
    stored = site.settings.data / "files" / "live" / "exports" / str(execution) / "0000.parquet"
    content = stored.read_bytes()
    stored.unlink()
    # Who opens a pipe to read waits for somebody who writes into it.
    os.mkfifo(stored)
    errors = []
    for _ in range(2):
        assert delivered(jobs, execution) is False
        (item,) = api.get(f"{OWN}/{export['ref']}/executions").json()["items"]
        errors.append(item["deliveryError"])
    assert errors == [
        "TimeoutError: no data was transferred for 0.1 seconds",
        "TimeoutError: an earlier attempt has not ended yet",
    ]
    stored.write_bytes(content)
    stored.unlink()
    stored.write_bytes(content)
    until("the copy, begun again", lambda: delivered(jobs, execution))
    (file,) = (site.settings.data / "exports" / "still" / "out" / str(execution)).iterdir()
    assert file.read_bytes() == content


def test_a_schedule_starts_exports_once_each_time(api: Api, jobs: Any) -> None:
    """2.2: daily, weekly or custom schedule."""
    api.guest()
    segment = create_segment(api, guests_where(rule("ref", "is not null")))
    export = exported(api, segment, schedule="DAILY")
    assert export["nextAt"].endswith("T00:30:00.000Z")
    assert jobs(audience_exports.start_due) == 0
    jobs(
        lambda work: work.connection.execute(
            "UPDATE ws_live.exports SET next_at = now() - interval '1 second'"
        )
    )
    assert jobs(audience_exports.start_due) == 1
    assert jobs(audience_exports.start_due) == 0
    (item,) = api.get(f"{OWN}/{export['ref']}/executions").json()["items"]
    assert (item["executionType"], item["status"]) == ("SCHEDULED", "PENDING_SEGMENTATION")
    body = {"name": "x", "segment": segment["ref"], "schedule": "now and then"}
    assert api.post(OWN, json=body).status_code == 400


def test_files_are_stored_for_a_week(api: Api, jobs: Any) -> None:
    api.guest()
    export = exported(api, create_segment(api, guests_where(rule("ref", "is not null"))))
    execution = run(api, jobs, export)
    assert jobs(export_runs.remove_expired_files) == 0
    old = "UPDATE ws_live.export_executions SET finished_at = now() - interval '8 days'"
    jobs(lambda work: work.connection.execute(old))
    assert jobs(export_runs.remove_expired_files) == 1
    listing = api.get(f"{OWN}/executions/{execution['executionRef']}/files").json()
    assert listing["exports"] == []


def test_every_problem_of_an_export_is_named(api: Api) -> None:
    body = {
        "name": "",
        "segment": "nobody",
        "definitionType": "SOME",
        "format": "CSV",
        "columns": ["ref", "orders", "nope"],
        "webhook": "ftp://x",
        "destination": {"type": "WEBHOOK", "url": "http://127.0.0.1/"},
    }
    assert api.post(OWN, json=body).json()["errors"] == [
        "name: size must be between 1 and 128",
        "definitionType: value must be one of FULL_SYNC,DELTA",
        "segment: there is no such segment",
        "webhook: must be an http or https URL",
        "columns[1]: there is no column orders",
        "columns[2]: there is no column nope",
        "format: must be JSON or NDJSON for a webhook",
    ]
