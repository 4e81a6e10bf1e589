"""Our own endpoints: imports and exports as jobs, privacy, the block list."""

import csv
import gzip
import hashlib
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import duckdb
import pytest
from batching import Batches
from calling import Api
from sites import Site
from streams import Page

from innkeeper.actions.admin import background
from innkeeper.actions.bulk import batches as actions
from innkeeper.store.readers import compression_of, expanded

GUESTS = [
    {"firstName": "Jane", "identifiers": [{"provider": "email", "id": "jane@example.com"}]},
    {"firstName": "Tom", "identifiers": [{"provider": "email", "id": "tom@example.com"}]},
    {"firstName": "Nobody"},
]


@pytest.fixture
def batches(api: Api, site: Site) -> Batches:
    sender = Batches(api, site.settings)
    sender.by_worker = True
    return sender


def refusals(api: Api) -> float:
    """What /metrics counts."""
    text = api.get("/metrics", auth=None).text
    (line,) = [line for line in text.splitlines() if line.startswith("innkeeper_suppressed_total")]
    return float(line.split()[1])


def ndjson(values: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def imported(batches: Batches, body: dict[str, Any], content: bytes) -> dict[str, Any]:
    """Create an import, upload its file, let it be applied; the import."""
    answer = batches.api.post("/innkeeper/v1/imports", json=body)
    assert answer.status_code == 201, answer.text
    created = answer.json()
    assert answer.headers["location"] == created["href"]
    assert created["status"] == "uploading"
    assert batches.upload(created["location"]["href"], content).status_code == 200
    batches.work()
    done: dict[str, Any] = batches.api.get(created["href"]).json()
    return done


class TestImportSources:
    def test_i12_a_file_elsewhere_that_is_imported_again(
        self, batches: Batches, site: Site
    ) -> None:
        """Created, read by the worker, listed with how far it is, read again, deleted."""
        api, folder = batches.api, site.settings.data / "imports"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "people.csv").write_text("identifiers.email,number\nann@example.com,7\n")
        path = "/innkeeper/v1/importSources"
        body = {
            **{"name": "people", "address": "people.csv", "entity": "guests", "format": "csv"},
            **{"mapping": {"columns": {"identifiers.email": "identifiers.email"}}},
            **{"markColumn": "number", "schedule": "WEEKLY"},
        }
        created = api.post(path, json=body)
        assert created.status_code == 201, created.text
        source = created.json()
        assert source["nextAt"].endswith("T00:30:00.000Z")
        assert api.post(path, json=body).status_code == 409
        assert api.post(f"{path}/people/run").status_code == 202
        batches.work()
        read = api.get(f"{path}/{source['ref']}").json()
        assert (read["mark"], read["attempts"]) == ({"value": "7"}, 0)
        done = api.get(f"/innkeeper/v1/imports/{read['latestImport']}").json()
        assert (done["status"], done["outcomes"]) == ("success", {"created": 1})
        tag = api.get(f"{path}/people").headers["ETag"]
        change = {"name": "persons", "schedule": None}
        changed = api.patch(f"{path}/people", json=change, headers={"If-Match": tag})
        assert changed.status_code == 200, changed.text
        assert (changed.json()["name"], "schedule" in changed.json()) == ("persons", False)
        stale = api.patch(f"{path}/persons", json={}, headers={"If-Match": tag})
        assert stale.status_code == 412
        refused = api.patch(f"{path}/persons", json={"address": "/etc", "format": "x", "z": 1})
        assert refused.status_code == 400
        assert all(word in refused.text for word in ("address", "format", "z"))
        assert api.patch(f"{path}/persons", json={"name": "people"}).status_code == 200
        assert [each["name"] for each in api.get(path).json()["items"]] == ["people"]
        assert api.delete(f"{path}/people").status_code == 204
        assert api.get(f"{path}/people").status_code == 404

    def test_i12_users_name_every_problem_of_a_source(self, api: Api) -> None:
        """S5 and S6: users read public addresses, and what the operator lists."""
        body = {
            **{"name": "x", "address": "/etc/passwd", "entity": "orders", "schedule": "often"},
            **{"markColumn": "n", "mapping": {"group": "Name", "columns": {"Name": "referenceId"}}},
        }
        refused = api.post("/innkeeper/v1/importSources", json=body)
        assert refused.status_code == 400
        said = str(refused.json())
        for name in ("address: must be inside", "schedule: must be", "markColumn: is not for"):
            assert name in said, said
        body = {"name": "x", "address": "http://10.1.2.3/x.csv", "entity": "guests"}
        refused = api.post("/innkeeper/v1/importSources", json=body)
        assert "address: must be a public address" in str(refused.json())


class TestImports:
    def test_gzipped_lines(self, batches: Batches) -> None:
        content = gzip.compress(ndjson(GUESTS))
        about = {
            "entity": "guests",
            "checksum": hashlib.md5(content, usedforsecurity=False).hexdigest(),
            "size": len(content),
        }
        done = imported(batches, about, content)
        assert (done["status"], done["records"], done["failed"]) == ("error", 3, 1)
        assert done["outcomes"] == {"created": 2}
        assert batches.guest_by_identifier("jane@example.com")["firstName"] == "Jane"
        log = gzip.decompress(batches.api.get(done["log"], auth=None).content)
        assert json.loads(log)["line"] == 3

    def test_a_dry_run_reports_outcomes_and_writes_nothing(self, batches: Batches) -> None:
        """Issue 5: validates everything, says what would be created, updated, merged."""
        batches.api.guest(identifiers=GUESTS[0]["identifiers"])
        again = {**GUESTS[1], "lastName": "Doe"}
        content = gzip.compress(ndjson([*GUESTS, again]))
        done = imported(batches, {"entity": "guests", "dryRun": True}, content)
        assert (done["dryRun"], done["status"], done["records"]) == (True, "error", 4)
        assert done["outcomes"] == {"updated": 1, "created": 1, "merged": 1}
        log = gzip.decompress(batches.api.get(done["log"], auth=None).content)
        assert [json.loads(line)["line"] for line in log.splitlines()] == [3]
        assert batches.api.get("/v2.1/guests?limit=1").json()["totalCount"] == 1
        real = imported(batches, {"entity": "guests"}, content)
        assert real["outcomes"] == {"updated": 2, "created": 1}

    def test_a_file_that_is_another_than_declared(self, batches: Batches) -> None:
        done = imported(batches, {"entity": "guests", "compressed": False, "size": 5}, b"{}\n")
        assert (done["status"], done["records"]) == ("corrupted", 0)

    def test_an_import_cut_off_goes_on_where_it_stopped(
        self, batches: Batches, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The worker dies after the first chunk; nothing is applied twice."""
        monkeypatch.setattr("innkeeper.wire.bulk.batch_files.CHUNK", 1)
        applied, real = list[int](), actions.record_progress

        async def dying(*arguments: Any) -> None:
            await real(*arguments)
            applied.append(arguments[-1][0].line)
            if len(applied) == 1:
                raise KeyboardInterrupt

        monkeypatch.setattr(actions, "record_progress", dying)
        body = {"entity": "guests", "compressed": False}
        batch = batches.api.post("/innkeeper/v1/imports", json=body).json()
        batches.upload(batch["location"]["href"], ndjson(GUESTS[:2]))
        with pytest.raises(KeyboardInterrupt):
            batches.work_at_once()
        batches.work_at_once()
        done = batches.api.get(batch["href"]).json()
        assert (done["status"], done["outcomes"]) == ("success", {"created": 2})

    def test_plain_csv_with_a_mapping(self, batches: Batches) -> None:
        mapping = {"columns": {"Mail": "identifiers.email", "Name": "firstName"}}
        body = {"entity": "guests", "format": "csv", "compressed": False, "mapping": mapping}
        done = imported(batches, body, b"Mail,Name\njane@example.com,Jane\n")
        assert (done["status"], done["outcomes"]) == ("success", {"created": 1})

    def test_csv_with_unmapped_columns_is_refused(self, batches: Batches) -> None:
        body = {"entity": "guests", "format": "csv", "compressed": False}
        done = imported(batches, body, b"Mail\njane@example.com\n")
        assert done["status"] == "error"
        assert "Mail" in done["fault"]

    def test_parquet(self, batches: Batches, tmp_path: Any) -> None:
        path = tmp_path / "a.parquet"
        duckdb.sql(
            "SELECT 'jane@example.com' AS \"identifiers.email\", 'Jane' AS \"firstName\", "
            "TIMESTAMPTZ '2020-01-01 10:00:00+02' AS \"firstSeen\", ['a', 'b'] AS street"
        ).write_parquet(str(path))
        done = imported(batches, {"entity": "guests", "format": "parquet"}, path.read_bytes())
        assert (done["status"], done["outcomes"]) == ("success", {"created": 1})
        guest = batches.guest_by_identifier("jane@example.com")
        assert guest["street"] == ["a", "b"]
        assert guest["firstSeen"] == "2020-01-01T08:00:00.000Z"

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"entity": "people"},
            {"entity": "guests", "format": "xml"},
            {"entity": "guests", "compressed": "yes"},
            {"entity": "guests", "dryRun": "yes"},
            {"entity": "guests", "format": "parquet", "compressed": True},
            {"entity": "guests", "mapping": {"columns": {"a": "shoeSize"}}},
            {"entity": "guests", "mapping": {"rows": {}}},
            {"entity": "guests", "mapping": 5},
            {"entity": "guests", "size": 0},
            {"entity": "guests", "checksum": "x"},
        ],
    )
    def test_what_is_wrong_is_400(self, api: Api, body: dict[str, Any]) -> None:
        assert api.post("/innkeeper/v1/imports", json=body).status_code == 400

    def test_listed_apart_from_batches(self, batches: Batches) -> None:
        batch = batches.api.post("/innkeeper/v1/imports", json={"entity": "guests"}).json()
        listed = batches.api.get("/innkeeper/v1/imports").json()
        assert [one["ref"] for one in listed["items"]] == [batch["ref"]]
        assert batches.api.get("/v2/batches/inspect").json()["items"] == []
        assert batches.api.get(f"/v2/batches/{batch['ref']}").status_code == 404
        assert batches.api.get(f"/innkeeper/v1/imports/{uuid4()}").status_code == 404


PEOPLE_WITH_FAULTS = (
    b"Email,First name,Born,Customer no\n"
    b"ann@example.com,Ann,soon,C1\n"
    b"=cmd,Bob,1980-02-01,C2\n"
    b"cyd@example.com,Cyd,1981-02-01,3.53861E+11\n"
)
COLUMNS = {"Email": ["email", "identifiers.email"], "First name": "firstName"}
COLUMNS |= {"Born": "dateOfBirth", "Customer no": "identifiers.CRM"}


class TestRefusedRows:
    """I9: refused rows as the file they came from; or bad cells alone are left out, and counted."""

    def test_i9_refused_rows_are_fetched_with_their_reason(self, batches: Batches) -> None:
        """The cells that a spreadsheet would run are marked; an erasure deletes the file."""
        body = {"entity": "guests", "format": "csv", "mapping": {"columns": COLUMNS}}
        done = imported(batches, body, PEOPLE_WITH_FAULTS)
        assert (done["records"], done["failed"]) == (3, 3)
        text = batches.api.get(done["rejects"], auth=None).text
        rows = list(csv.DictReader(io.StringIO(text)))
        assert [(row["Email"], row["Born"]) for row in rows] == [
            ("ann@example.com", "soon"),
            ("'=cmd", "1980-02-01"),
            ("cyd@example.com", "1981-02-01"),
        ]
        reasons = [row["innkeeper:reason"] for row in rows]
        assert reasons[0].startswith("dateOfBirth: ")
        assert reasons[1].startswith("email: ")
        assert "a spreadsheet damaged" in reasons[2]
        guest = batches.api.guest(firstName="Jane")
        assert batches.api.delete(f"/v2.1/guests/{guest['ref']}").status_code == 204
        batches.search_files()
        assert "rejects" not in batches.api.get(done["href"]).json()
        assert batches.api.get(done["rejects"], auth=None).status_code == 404

    def test_i9_bad_cells_alone_are_left_out_and_counted(self, batches: Batches) -> None:
        """`refuse = "cell"`: an address that is none is no identifier either."""
        mapping = {"columns": COLUMNS, "refuse": "cell"}
        body = {"entity": "guests", "format": "csv", "mapping": mapping}
        for more in ({"dryRun": True}, {}):
            done = imported(batches, {**body, **more}, PEOPLE_WITH_FAULTS)
            assert (done["records"], done["failed"]) == (3, 1)
            names = {name.partition(":")[0]: count for name, count in done["leftOut"].items()}
            assert names == {"Born": 1, "Customer no": 1}
        text = batches.api.get(done["rejects"], auth=None).text
        assert "'=cmd,Bob,1980-02-01,C2,Identity information missing" in text
        cyd = batches.guest_by_identifier("cyd@example.com")
        assert [one["id"] for one in cyd["identifiers"]] == ["cyd@example.com"]
        assert "dateOfBirth" not in batches.guest_by_identifier("ann@example.com")

    def test_i9_a_row_without_a_field_that_it_needs_is_refused(self, batches: Batches) -> None:
        """Of an order the number cannot be left out; lines count their own cells."""
        columns = {"Order": "referenceId", "Date": "orderedAt", "Email": "contact.email"}
        columns |= {
            "Born": "contact.dateOfBirth",
            "Product": "orderItems.name",
            "Price": "orderItems.price",
        }
        constants = {"pointOfSale": "default", "channel": "WEB", "status": "PURCHASED"}
        constants |= {"currencyCode": "EUR", "orderItems.currencyCode": "EUR"}
        constants |= {"paymentType": "Cash", "orderItems.type": "X", "orderItems.vendor": "X"}
        constants |= {"orderItems.productId": "X", "orderItems.description": "X"}
        mapping = {"columns": columns, "constants": constants, "group": "Order", "refuse": "cell"}
        mapping["formats"] = {"Date": "DD.MM.YYYY"}
        file = (
            b"Order,Date,Email,Born,Product,Price\n"
            b"1,01.02.2026,a@example.com,soon,A,10\n1,01.02.2026,,soon,B,20\n"
            b"2,someday,b@example.com,,A,10\n"
        )
        body = {"entity": "orders", "format": "csv", "mapping": mapping}
        done = imported(batches, body, file)
        assert (done["records"], done["failed"]) == (2, 1)
        assert {name.partition(":")[0] for name in done["leftOut"]} == {"Born"}
        assert [*done["leftOut"].values()] == [1]
        assert (
            "Date: is not a date as DD.MM.YYYY" in batches.api.get(done["rejects"], auth=None).text
        )


class TestExports:
    @pytest.mark.parametrize("form", ["ndjson", "csv", "parquet"])
    def test_written_in_the_background_and_fetched_by_a_link(
        self, batches: Batches, form: str
    ) -> None:
        batches.api.guest(firstName="Jane", email="jane@example.com")
        compression = {"csv": "zstd", "ndjson": "gzip"}.get(form)
        body = {"entity": "guests", "format": form}
        if form == "csv":
            body["compression"] = "zstd"
        export = batches.api.post("/innkeeper/v1/fileExports", json=body).json()
        assert (export["status"], export.get("compression")) == ("waiting", compression)
        batches.work()
        done = batches.api.get(export["href"]).json()
        assert (done["status"], done["records"]) == ("done", 1)
        answer = batches.api.get(done["location"]["href"], auth=None)
        assert (answer.status_code, len(answer.content)) == (200, done["size"])
        if form != "parquet":
            assert compression_of(io.BytesIO(answer.content)) == compression
            assert b"jane@example.com" in expanded(io.BytesIO(answer.content)).read()
        forged = done["location"]["href"].replace("Signature=", "Signature=x")
        assert batches.api.get(forged, auth=None).status_code == 403

    def test_i2_every_contact_of_an_order_is_exported_and_imported(self, batches: Batches) -> None:
        """P-3, U-13: an order may have several, of which the newest is primary."""
        api = batches.api
        fields = {"referenceId": "R-1", "orderedAt": "2026-01-02T03:04:05.000Z", "price": 10}
        fields |= {"currencyCode": "EUR", "channel": "WEB", "pointOfSale": "shop"}
        body = {**fields, "status": "PURCHASED", "paymentType": "Cash"}
        order = api.post("/v2.1/orders", json=body).json()
        people = [
            {"firstName": name, "lastName": "Lee", "email": f"{name.lower()}@example.com"}
            for name in ("Zoe", "Ann", "Mia")
        ]
        for person in people:
            person["identifiers"] = [{"provider": "email", "id": person["email"]}]
            assert api.post(f"{order['href']}/contacts", json=person).status_code == 201

        def named(of: dict[str, Any]) -> list[str]:
            listed = api.get(f"{of['href']}/contacts", params={"expand": "true"}).json()["items"]
            return [one["firstName"] for one in listed]

        before = named(order)
        export = api.post("/innkeeper/v1/fileExports", json={"entity": "orders"}).json()
        batches.work()
        link = api.get(export["href"]).json()["location"]["href"]
        content = gzip.decompress(api.get(link, auth=None).content)
        (exported,) = map(json.loads, content.splitlines())
        names = [one["firstName"] for one in (exported["contact"], *exported["contacts"])]
        assert names == ["Zoe", "Ann", "Mia"]
        body = {"entity": "orders", "format": "ndjson", "compressed": False}
        assert imported(batches, body, content)["outcomes"] == {"unchanged": 1}
        assert api.delete(order["href"]).status_code == 204
        assert imported(batches, body, content)["outcomes"] == {"created": 1}
        identifier = {"identifiers.provider": "email", "identifiers.id": "zoe@example.com"}
        guest = api.get("/v2.1/guests", params=identifier).json()["items"][0]
        listed = api.get("/v2.1/orders", params={"guestRef": guest["ref"]}).json()["items"]
        assert named(listed[0]) == before
        refused = imported(batches, body, ndjson([{**exported, "contacts": [{"email": 1}, 2]}]))
        log = gzip.decompress(api.get(refused["log"], auth=None).content).decode()
        assert "contacts[0].email" in log
        assert "contacts[1]" in log

    def test_an_export_that_cannot_be_written_has_its_reason_and_continues(
        self, batches: Batches, site: Site, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Issue 6: the storage cannot be reached; not for ever."""
        export = batches.api.post("/innkeeper/v1/fileExports", json={"entity": "guests"}).json()
        before = datetime.now(UTC)
        with site.storage_away():
            batches.work()
            body = batches.api.get(export["href"]).json()
        assert (body["status"], body["attempts"]) == ("writing", 1)
        assert body["fault"].startswith("NotADirectoryError: ")
        next_at = datetime.fromisoformat(body["nextAttemptAt"]) - timedelta(seconds=5)
        assert before - timedelta(milliseconds=1) < next_at <= datetime.now(UTC)
        site.pass_time()
        batches.work()
        body = batches.api.get(export["href"]).json()
        assert body["status"] == "done"
        assert not body.keys() & {"fault", "nextAttemptAt"}

        monkeypatch.setattr(background, "ATTEMPTS", 1)
        export = batches.api.post("/innkeeper/v1/fileExports", json={"entity": "guests"}).json()
        with site.storage_away():
            batches.work()
        body = batches.api.get(export["href"]).json()
        assert body["status"] == "failed"
        assert body["fault"].startswith("NotADirectoryError: ")
        assert not body.keys() & {"location", "nextAttemptAt"}

    def test_an_erasure_removes_exports(self, batches: Batches) -> None:
        guest = batches.api.guest(firstName="Jane")
        export = batches.api.post("/innkeeper/v1/fileExports", json={"entity": "guests"}).json()
        batches.work()
        href = batches.api.get(export["href"]).json()["location"]["href"]
        assert batches.api.delete(f"/v2.1/guests/{guest['ref']}").status_code == 204
        batches.search_files()
        assert batches.api.get(export["href"]).json()["status"] == "removed"
        assert batches.api.get(href, auth=None).status_code == 404

    def test_what_is_wrong_is_400(self, api: Api) -> None:
        assert api.post("/innkeeper/v1/fileExports", json={"entity": "people"}).status_code == 400
        plain = {"entity": "guests", "compressed": False, "compression": "zstd"}
        refused = api.post("/innkeeper/v1/fileExports", json=plain)
        assert (refused.status_code, "compression" in refused.text) == (400, True)
        assert api.get("/innkeeper/v1/fileExports?limit=x").status_code == 400
        assert api.get(f"/innkeeper/v1/fileExports/{uuid4()}").status_code == 404
        assert api.get("/innkeeper/v1/fileExports").json()["totalCount"] == 0


class TestBlockList:
    """segmentation-and-export.md 5, issue 5: who is on it is refused everywhere, and counted."""

    def test_rest_streams_and_metrics(self, api: Api) -> None:
        form = {"identifiers": [{"provider": "email", "id": "gone@example.com"}]}
        stays = api.guest(city="Cork")
        page = Page(api)
        assert api.post("/innkeeper/v1/privacy/suppressions", json=form).status_code == 201
        before = refusals(api)
        path = f"/v2.1/guests/{stays['ref']}"
        answers = [
            api.post("/v2.1/guests", json={"guestType": "visitor", **form}),
            api.put(path, json={"guestType": "visitor", **form}),
            api.patch(path, json=form),
            page.send("IDENTITY", **form),
            page.send("ADD_CONTACTS", contact=[{"firstname": "Jane", **form}]),
            page.send("ADD_CONSUMERS", consumer=[{"firstname": "Jane", **form}]),
        ]
        assert [answer.status_code for answer in answers] == [403] * len(answers)
        assert refusals(api) - before == len(answers)
        totals = api.get("/innkeeper/v1/privacy/suppressions").json()
        assert totals == {"suppressed": 1, "refused": len(answers)}
        assert "identifiers" not in api.get(path).json()
        assert page("VIEW", page="home")["status"] == "OK"

    def test_batches_are_refused_and_counted(self, batches: Batches) -> None:
        batches.by_worker = False
        body = {"identifiers": [{"provider": "email", "id": "Jane@example.com"}]}
        answer = batches.api.post("/innkeeper/v1/privacy/suppressions", json=body)
        assert (answer.status_code, answer.json()) == (201, {"added": 1})
        again = batches.api.post("/innkeeper/v1/privacy/suppressions", json=body)
        assert again.json() == {"added": 0}
        done = imported(batches, {"entity": "guests"}, gzip.compress(ndjson(GUESTS[:2])))
        assert (done["outcomes"], done["failed"]) == ({"created": 1}, 1)
        totals = batches.api.get("/innkeeper/v1/privacy/suppressions").json()
        assert totals == {"suppressed": 1, "refused": 1}
        deleted = batches.api.post("/innkeeper/v1/privacy/releases", json=body)
        assert deleted.json() == {"removed": 1}

    @pytest.mark.parametrize(
        "body", [{}, {"identifiers": []}, {"identifiers": [{}]}, {"email": "x"}]
    )
    def test_nobody_named_is_400(self, api: Api, body: dict[str, Any]) -> None:
        assert api.post("/innkeeper/v1/privacy/suppressions", json=body).status_code == 400
