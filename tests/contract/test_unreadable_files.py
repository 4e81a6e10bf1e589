"""F2 and F17: whatever the file of an import holds, the import ends, with a reason that a person
understands, and those of others go on."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import psycopg
import pytest
from batching import Batches, upsert
from calling import Api
from sites import Site
from test_files_api import imported, ndjson

IMPORTS = "/innkeeper/v1/imports"
PRIVACY = "/innkeeper/v1/privacy"
TABLE = {
    "columns": {
        "Email": ["email", "identifiers.email"],
        "points": "extensions.ext.points",
        "consent": "extensions.ext.consent",
    }
}


@pytest.fixture
def batches(api: Api, site: Site) -> Batches:
    sender = Batches(api, site.settings)
    sender.by_worker = True
    return sender


def parquet(folder: Path, select: str) -> bytes:
    path = folder / f"{uuid4()}.parquet"
    duckdb.sql(select).write_parquet(str(path))
    return path.read_bytes()


def pairs(batches: Batches, email: str) -> dict[str, Any]:
    """What a guest's data extension holds, by its attributes."""
    guest = batches.guest_by_identifier(email)
    answer = batches.api.get(f"/v2.1/guests/{guest['ref']}/extensions/ext")
    if answer.status_code == 404:
        return {}
    own = {"name", "href", "ref", "key", "createdAt", "modifiedAt", "guest"}
    return {name: value for name, value in answer.json().items() if name not in own}


def jobs_of(site: Site, task: str) -> list[tuple[str, int]]:
    """(status, attempts) of every job of a task."""
    with psycopg.connect(site.dsn) as connection:
        return connection.execute(
            "SELECT status::text, attempts FROM jobs.procrastinate_jobs WHERE task_name = %s "
            "ORDER BY id",
            [task],
        ).fetchall()


class TestNumbersThatAreNone:
    """F2: NaN and the infinite numbers are nothing."""

    def test_f2_in_parquet(self, batches: Batches, tmp_path: Path) -> None:
        content = parquet(
            tmp_path,
            "SELECT * FROM (VALUES ('a@example.com', 'nan'::DOUBLE), ('b@example.com', 2.5), "
            "('c@example.com', '-inf'::DOUBLE)) AS t (\"Email\", points)",
        )
        body = {"entity": "guests", "format": "parquet", "mapping": TABLE}
        done = imported(batches, body, content)
        assert (done["status"], done["outcomes"]) == ("success", {"created": 3})
        params = {email: pairs(batches, f"{email}@example.com") for email in "abc"}
        assert params == {"a": {}, "b": {"points": 2.5}, "c": {}}

    def test_f2_in_csv(self, batches: Batches) -> None:
        body = {
            "entity": "guests",
            "format": "csv",
            "mapping": {**TABLE, "types": {"points": "number"}},
        }
        text = "Email,points\na@example.com,NaN\nb@example.com,2.5\nc@example.com,-Infinity\n"
        done = imported(batches, body, text.encode())
        assert (done["status"], done["outcomes"]) == ("success", {"created": 3})
        params = {email: pairs(batches, f"{email}@example.com") for email in "abc"}
        assert params == {"a": {}, "b": {"points": 2.5}, "c": {}}


def test_f2_instants_with_a_zone_inside_a_struct(batches: Batches, tmp_path: Path) -> None:
    """Of a member that is an instant, in an order's contact."""
    content = parquet(
        tmp_path,
        "SELECT 'O-1' AS \"referenceId\", 'WEB' AS channel, 'default' AS \"pointOfSale\", "
        "'EUR' AS \"currencyCode\", 5 AS price, 'PURCHASED' AS status, 'Cash' AS \"paymentType\", "
        "TIMESTAMPTZ '2024-01-02 03:04:05+02' AS \"orderedAt\", "
        "{'firstName': 'A', 'lastName': 'B', 'firstSeen': TIMESTAMPTZ '2024-01-02 03:04:05.5+02', "
        "'identifiers': [{'provider': 'email', 'id': 'a@example.com'}]} AS contact",
    )
    done = imported(batches, {"entity": "orders", "format": "parquet"}, content)
    assert (done["status"], done["outcomes"]) == ("success", {"created": 1}), done
    guest = batches.guest_by_identifier("a@example.com")
    assert guest["firstSeen"] == "2024-01-02T01:04:05.500Z"


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("delimiter", "::", "delimiter: must be one character"),
        ("encoding", "klingon", "encoding: is not an encoding of files"),
        ("formats", {"Mail": 5}, "formats.Mail: must be a string"),
        ("values", {"Mail": 5}, "values.Mail: must be an object"),
        ("columns", {"Mail": 5}, "columns.Mail: must be a string, or an array of such"),
    ],
)
def test_f2_a_mapping_that_no_file_can_be_read_by_is_400(
    batches: Batches, part: str, value: Any, message: str
) -> None:
    """Refused before there is a file."""
    mapping = {"columns": {"Mail": "identifiers.email"}, part: value}
    answer = batches.api.post(IMPORTS, json={"entity": "guests", "mapping": mapping})
    assert answer.status_code == 400
    assert answer.json()["message"].startswith(f"mapping.{message}")


@pytest.fixture
def poisoned(connection: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """The database refuses what holds a word, for a reason that nobody foresaw."""
    connection.execute(
        "CREATE FUNCTION ws_live.refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'poison'; END $$; "
        "CREATE TRIGGER refuse BEFORE INSERT ON ws_live.guests FOR EACH ROW "
        "WHEN (NEW.body ->> 'city' = 'Poison') EXECUTE FUNCTION ws_live.refuse(); "
        "CREATE TRIGGER refuse BEFORE INSERT ON ws_live.events FOR EACH ROW "
        "WHEN (NEW.body ->> 'page' = 'Poison') EXECUTE FUNCTION ws_live.refuse(); "
        "CREATE TRIGGER refuse BEFORE UPDATE ON ws_live.batches FOR EACH ROW "
        "WHEN (NEW.file_options ->> 'format' = 'csv' AND NEW.line > 1) "
        "EXECUTE FUNCTION ws_live.refuse()"
    )
    yield connection
    connection.execute("DROP FUNCTION ws_live.refuse CASCADE")


def test_f2_a_record_that_cannot_be_written_fails_alone(
    batches: Batches, poisoned: psycopg.Connection
) -> None:
    lines = [{"email": f"{n}@x.com", "city": city} for n, city in enumerate(("Cork", "Poison"))]
    values = [{**one, "identifiers": [{"provider": "email", "id": one["email"]}]} for one in lines]
    done = imported(batches, {"entity": "guests"}, ndjson(values))
    assert (done["status"], done["outcomes"], done["failed"]) == ("error", {"created": 1}, 1)
    event = {"type": "VIEW", "channel": "WEB", "pos": "default", "requested_at": "2026-01-01"}
    event |= {"identifiers": [{"provider": "email", "id": "0@x.com"}]}
    events = [{**event, "page": page} for page in ("Poison", "Home")]
    done = imported(batches, {"entity": "events"}, ndjson(events))
    assert (done["status"], done["outcomes"], done["failed"]) == ("error", {"created": 1}, 1)


def test_f2_an_import_that_cannot_go_on_ends_and_those_behind_it_are_applied(
    batches: Batches, site: Site, poisoned: psycopg.Connection
) -> None:
    """What it did cannot even be noted. Its job does not come back."""
    before = len(jobs_of(site, "batches.apply"))
    refs = []
    for form, text in (("csv", b"email\na@example.com\n"), ("ndjson", b'{"email": "b@x.com"}\n')):
        record = batches.api.post(IMPORTS, json={"entity": "guests", "format": form}).json()
        batches.upload(record["location"]["href"], text)
        refs.append(record["ref"])
    batches.work()
    bad, good = (batches.api.get(f"{IMPORTS}/{ref}").json() for ref in refs)
    assert bad["status"] == "error"
    assert bad["fault"].startswith("A record cannot be imported (RaiseException: poison")
    assert (good["status"], good["records"]) == ("error", 1)
    assert [status for status, _ in jobs_of(site, "batches.apply")[before:]] == ["succeeded"] * 2


def test_f2_one_that_waits_for_storage_says_so(batches: Batches, site: Site) -> None:
    """Nothing acknowledged is lost: it goes on once storage is back, and tells nothing any more."""
    record = batches.api.post(IMPORTS, json={"entity": "guests"}).json()
    batches.upload(record["location"]["href"], ndjson([{"email": "a@example.com"}]))
    with site.storage_away():
        batches.work()
        waiting = batches.api.get(record["href"]).json()
    assert waiting["status"] == "processing"
    assert waiting["fault"].startswith("Waiting to try again: NotADirectoryError")
    site.pass_time()
    batches.work()
    done = batches.api.get(record["href"]).json()
    assert (done["records"], done["failed"], "fault" in done) == (1, 1, False)


class TestFirstBytes:
    """F17: `compressed` is true by default, and need not be true."""

    LINE = b'{"email": "a@example.com", "identifiers": [{"provider": "email", "id": "a"}]}\n'

    @pytest.mark.parametrize("compressed", [None, True, False])
    @pytest.mark.parametrize("zipped", [True, False])
    def test_f17_of_an_import(
        self, batches: Batches, compressed: bool | None, zipped: bool
    ) -> None:
        body: dict[str, Any] = {"entity": "guests"}
        if compressed is not None:
            body["compressed"] = compressed
        content = gzip.compress(self.LINE) if zipped else self.LINE
        done = imported(batches, body, content)
        assert (done["status"], done["outcomes"]) == ("success", {"created": 1})

    @pytest.mark.parametrize("zipped", [True, False])
    def test_f17_of_a_csv_with_a_mapping(self, batches: Batches, zipped: bool) -> None:
        text = b"Mail\na@example.com\n"
        mapping = {"columns": {"Mail": "identifiers.email"}}
        body = {"entity": "guests", "format": "csv", "mapping": mapping, "compressed": not zipped}
        done = imported(batches, body, gzip.compress(text) if zipped else text)
        assert (done["status"], done["outcomes"]) == ("success", {"created": 1})

    def test_f17_a_batch_is_gzip_only(self, batches: Batches) -> None:
        """batch-api.md 4: no `log` means that the file was unreadable; 6: gzip only."""
        file = json.dumps(upsert("a@example.com")).encode() + b"\n"
        batch = batches.upload_and_apply(file)
        assert batch["status"] == {"code": "error"}
        assert batches.api.get("/v2.1/guests?limit=1").json()["totalCount"] == 0

    def test_f17_who_was_erased_is_taken_out_of_a_plain_upload(self, batches: Batches) -> None:
        guest = batches.api.guest(identifiers=[{"provider": "email", "id": "a"}])
        record = batches.api.post(IMPORTS, json={"entity": "guests"}).json()
        lines = [
            {"firstName": name, "identifiers": [{"provider": "email", "id": name}]} for name in "ab"
        ]
        batches.upload(record["location"]["href"], ndjson(lines))
        erased = batches.api.post(f"{PRIVACY}/erasures", json={"guestRef": guest["ref"]})
        assert erased.is_success, erased.text
        batches.search_files()
        batches.work()
        done = batches.api.get(record["href"]).json()
        assert (done["status"], done["records"]) == ("success", 1)
