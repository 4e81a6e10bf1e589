"""Batches from outside: allocate, upload, status, lists, log (batch-api.md 1 to 5 and 11)."""

import gzip
import hashlib
import io
import zipfile
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from batching import Batches, declared, md5_header, packed, path_of, record, upsert
from calling import Api, Bare, problem
from sites import Site

from innkeeper import clock
from innkeeper.actions.bulk import signed_urls


@pytest.fixture
def batches(api: Api, site: Site) -> Batches:
    sender = Batches(api, site.settings)
    sender.by_worker = True
    return sender


FILE = packed([upsert("jane@example.com", firstName="Jane")])


class TestAllocate:
    """Section 2."""

    def test_answer_has_every_documented_member(self, batches: Batches) -> None:
        ref = str(uuid4())
        before = datetime.now(UTC)
        answer = batches.allocate(FILE, ref)
        assert answer.status_code == 200
        body = answer.json()
        assert body["href"] == f"{batches.api.url}/v2/batches/{ref}"
        assert body["ref"] == ref
        assert body["checksum"] == hashlib.md5(FILE, usedforsecurity=False).hexdigest()
        assert body["size"] == len(FILE)
        assert body["status"] == {"code": "uploading"}
        assert body["createdAt"] == body["modifiedAt"]
        expiry = datetime.fromisoformat(body["location"]["expiry"])
        assert timedelta(minutes=59) < expiry - before < timedelta(minutes=61)
        assert body["location"]["href"].startswith(batches.api.url)

    def test_size_may_be_text_as_a_client_sends_it(self, batches: Batches) -> None:
        answer = batches.allocate(FILE, size=str(len(FILE)))
        assert answer.status_code == 200
        assert answer.json()["size"] == len(FILE)

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"checksum": "b1d6", "size": 5}, "checksum"),
            ({"checksum": "g" * 32, "size": 5}, "checksum"),
            ({"checksum": 5, "size": 5}, "checksum"),
            ({"checksum": "0" * 32, "size": 0}, "size"),
            ({"checksum": "0" * 32, "size": -1}, "size"),
            ({"checksum": "0" * 32, "size": 52_428_801}, "size"),
            ({"checksum": "0" * 32, "size": "five"}, "size"),
            ({"checksum": "0" * 32, "size": True}, "size"),
            ({"checksum": "0" * 32}, "size"),
            ({"size": 5}, "checksum"),
        ],
    )
    def test_wrong_declarations_are_400_with_the_v2_body(
        self, batches: Batches, body: dict[str, object], field: str
    ) -> None:
        """Section 11: checksum not 32 hex, size <= 0 or > 50 MB."""
        answer = batches.api.put(f"/v2/batches/{uuid4()}", json=body)
        assert answer.status_code == 400
        report = answer.json()
        assert report["message"].startswith(field + ": ")
        assert report["moreInfo"] == report["moreInfoUrl"]
        assert report["status"] == 400

    def test_a_ref_that_is_no_uuid_is_400(self, batches: Batches) -> None:
        answer = batches.allocate(FILE, "my-batch")
        assert answer.status_code == 400
        assert answer.json()["message"] == "batchRef: not a valid value"

    def test_the_same_again_while_uploading_is_200_with_a_fresh_location(
        self, batches: Batches
    ) -> None:
        """Section 11: second PUT on the same batchRef."""
        ref = str(uuid4())
        first = batches.allocate(FILE, ref).json()
        second = batches.allocate(FILE, ref)
        assert second.status_code == 200
        assert second.json()["createdAt"] == first["createdAt"]
        uploaded = batches.upload(second.json()["location"]["href"], FILE)
        assert uploaded.status_code == 200

    def test_another_file_under_the_same_ref_is_409(self, batches: Batches) -> None:
        """Section 11."""
        ref = str(uuid4())
        batches.allocate(FILE, ref)
        answer = batches.allocate(FILE + b"x", ref)
        assert answer.status_code == 409
        assert answer.json() == {
            **problem(409, f"Batch {ref} already exists."),
            "moreInfo": "https://support.sitecore.com",
        }

    def test_a_batch_that_was_applied_is_409(self, batches: Batches) -> None:
        """Section 11."""
        batch = batches.upload_and_apply(FILE)
        assert batches.allocate(FILE, batch["ref"]).status_code == 409

    def test_needs_credentials(self, batches: Batches, anonymous: Api) -> None:
        """Section 1."""
        assert anonymous.put(f"/v2/batches/{uuid4()}", json=declared(FILE)).status_code == 401
        assert anonymous.get(f"/v2/batches/{uuid4()}").status_code == 401

    def test_another_workspace_does_not_see_it(self, batches: Batches, stranger: Api) -> None:
        ref = batches.allocate(FILE).json()["ref"]
        assert stranger.get(f"/v2/batches/{ref}").status_code == 404
        assert stranger.put(f"/v2/batches/{ref}", json=declared(FILE)).status_code == 200


class TestUpload:
    """Section 3."""

    def location(self, batches: Batches, file: bytes = FILE) -> tuple[str, str]:
        body = batches.allocate(file).json()
        return body["ref"], body["location"]["href"]

    def test_needs_no_credentials_and_answers_an_empty_200(
        self, batches: Batches, anonymous: Api
    ) -> None:
        ref, href = self.location(batches)
        answer = anonymous.put(href, content=FILE)
        assert (answer.status_code, answer.content) == (200, b"")
        assert batches.inspect(ref)["status"] == {"code": "file_uploaded"}

    @pytest.mark.parametrize(
        "headers",
        [
            {
                "x-amz-server-side-encryption": "AES256",
                "Content-Md5": md5_header(FILE),
                "Content-Type": "application/gzip",
            },
            {"Content-Md5": md5_header(FILE), "x-amz-server-side-encryption": "AES256"},
            {"x-amz-acl": "private"},
            {},
        ],
        ids=["documented", "dotnet", "another amz header", "none"],
    )
    def test_header_variants_of_real_clients(
        self, batches: Batches, headers: dict[str, str]
    ) -> None:
        batch = batches.upload_and_apply(FILE, **headers)
        assert batch["status"] == {"code": "success"}

    @pytest.mark.parametrize("header", [md5_header(b"other"), "not base64!", "aGk="])
    def test_a_content_md5_that_does_not_match_is_400(self, batches: Batches, header: str) -> None:
        ref, href = self.location(batches)
        answer = batches.upload(href, FILE, **{"Content-Md5": header})
        assert answer.status_code == 400
        assert {"message", "developerMessage"} <= answer.json().keys()
        assert batches.inspect(ref)["status"] == {"code": "uploading"}
        assert batches.upload(href, FILE).status_code == 200

    def test_an_expired_link_is_403(
        self, batches: Batches, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Section 11."""
        _, href = self.location(batches)
        later = datetime.now(UTC) + signed_urls.LIFE + timedelta(seconds=1)
        monkeypatch.setattr(clock, "now", lambda: later)
        answer = batches.upload(href, FILE)
        assert answer.status_code == 403
        assert answer.json()["message"] == "The link has expired."

    @pytest.mark.parametrize(
        "change",
        [
            lambda href: href.replace("Signature=", "Signature=x"),
            lambda href: href.replace("Expires=", "Expires=9"),
            lambda href: href.partition("?")[0],
            lambda href: href.replace("/import.gz", "/log.gz"),
        ],
    )
    def test_a_link_that_nobody_signed_is_403(self, batches: Batches, change: object) -> None:
        _, href = self.location(batches)
        changed = change(href)  # type: ignore[operator]
        method = "GET" if "log.gz" in changed else "PUT"
        assert batches.api.request(method, changed, content=FILE).status_code == 403

    def test_a_file_over_the_limit_is_413(self, batches: Batches, bare: Bare) -> None:
        ref, href = self.location(batches)
        target = href.removeprefix(batches.api.url)
        answer = bare(target, "PUT", {"Content-Length": "52428801"})
        assert answer.status_code == 413
        assert batches.inspect(ref)["status"] == {"code": "uploading"}

    def test_a_file_over_the_limit_without_a_declared_size_is_413(self, batches: Batches) -> None:
        _, href = self.location(batches)
        pieces = (bytes(size) for size in (*[1_048_576] * 50, 1))
        assert batches.api.put(href, content=pieces, auth=None).status_code == 413

    @pytest.mark.parametrize("file", [FILE[:-1], FILE + b"x", b""])
    def test_other_bytes_than_declared_are_taken_and_corrupt_the_batch(
        self, batches: Batches, file: bytes
    ) -> None:
        """Sections 4 and 11."""
        ref, href = self.location(batches)
        assert batches.upload(href, file).status_code == 200
        batch = batches.inspect(ref)
        assert batch["status"] == {"code": "corrupted"}
        batches.work()
        assert batches.inspect(ref)["status"] == {"code": "corrupted"}

    def test_the_same_upload_again_is_200_another_409(self, batches: Batches) -> None:
        ref, href = self.location(batches)
        assert batches.upload(href, FILE).status_code == 200
        assert batches.upload(href, FILE).status_code == 200
        assert batches.upload(href, packed([])).status_code == 409
        batches.work()
        assert batches.inspect(ref)["totalRecords"] == 1


class TestStatus:
    """Section 4."""

    def test_life_cycle_in_each_endpoint(self, batches: Batches) -> None:
        allocated = batches.allocate(FILE).json()
        ref, href = allocated["ref"], allocated["location"]["href"]

        def codes() -> tuple[str, str]:
            plain = batches.api.get(f"/v2/batches/{ref}").json()["status"]["code"]
            return plain, batches.inspect(ref)["status"]["code"]

        assert codes() == ("uploading", "uploading")
        batches.upload(href, FILE)
        assert codes() == ("processing", "file_uploaded")
        batches.work()
        assert codes() == ("success", "success")

    def test_status_answer_is_the_allocation_with_another_status(self, batches: Batches) -> None:
        batch = batches.upload_and_apply(FILE)
        plain = batches.api.get(f"/v2/batches/{batch['ref']}").json()
        assert plain.keys() == {
            *("href", "ref", "checksum", "size", "status", "createdAt", "modifiedAt")
        }
        assert batch.keys() == {*plain, "totalRecords"}
        assert batch["totalRecords"] == 1

    def test_failed_records_make_it_an_error_with_a_log(self, batches: Batches) -> None:
        batch = batches.upload_and_apply(
            packed([upsert("a@example.com"), record("guest", "insert", {})])
        )
        assert batch["status"]["code"] == "error"
        (line,) = batches.log(batch)
        assert line["code"] == 402
        assert batch["totalRecords"] == 2

    @pytest.mark.parametrize(
        "file", [b"PK-no-gzip", gzip.compress(b"{}\n" * 1000)[:-4]], ids=["not gzip", "cut off"]
    )
    def test_an_unreadable_file_is_an_error_without_log(
        self, batches: Batches, file: bytes
    ) -> None:
        batch = batches.upload_and_apply(file)
        assert batch["status"] == {"code": "error"}

    def test_a_zip_is_an_error_without_log(self, batches: Batches) -> None:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("import.json", "{}")
        assert batches.upload_and_apply(buffer.getvalue())["status"] == {"code": "error"}

    @pytest.mark.parametrize("text", ["", "\n\n  \n"])
    def test_an_empty_file_is_a_success_of_no_records(self, batches: Batches, text: str) -> None:
        """Section 11."""
        batch = batches.upload_and_apply(gzip.compress(text.encode()))
        assert batch["status"] == {"code": "success"}
        assert batch["totalRecords"] == 0

    def test_unknown_batches_are_404(self, batches: Batches) -> None:
        for path in (f"{uuid4()}", f"inspect/{uuid4()}", "nothing"):
            answer = batches.api.get(f"/v2/batches/{path}")
            assert answer.status_code == 404
            assert "moreInfo" in answer.json()


class TestInspectList:
    """Sections 1, 4 and 10."""

    def test_lists_newest_first_and_filters_by_status(self, batches: Batches) -> None:
        good = batches.upload_and_apply(FILE)["ref"]
        bad = batches.upload_and_apply(packed(["no json"]))["ref"]
        waiting = batches.allocate(FILE).json()["ref"]

        def refs(query: str = "") -> list[str]:
            answer = batches.api.get(f"/v2/batches/inspect{query}").json()
            assert answer["totalCount"] == len(answer["items"])
            return [item["ref"] for item in answer["items"]]

        assert refs() == [waiting, bad, good]
        assert refs("?status=success,error") == [bad, good]
        assert refs("?status=uploading") == [waiting]

    def test_created_before_and_after(self, batches: Batches) -> None:
        first = batches.allocate(FILE).json()
        second = batches.allocate(FILE).json()
        between = second["createdAt"]
        answer = batches.api.get("/v2/batches/inspect", params={"createdBefore": between}).json()
        assert [item["ref"] for item in answer["items"]] == [first["ref"]]
        answer = batches.api.get(
            "/v2/batches/inspect", params={"createdAfter": first["createdAt"]}
        ).json()
        assert second["ref"] in [item["ref"] for item in answer["items"]]

    def test_older_than_thirty_days_is_not_listed(
        self, batches: Batches, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        batches.allocate(FILE)
        later = datetime.now(UTC) + timedelta(days=31)
        monkeypatch.setattr(clock, "now", lambda: later)
        assert batches.api.get("/v2/batches/inspect").json()["items"] == []

    def test_pages(self, batches: Batches) -> None:
        for _ in range(3):
            batches.allocate(FILE)
        page = batches.api.get("/v2/batches/inspect?limit=2").json()
        assert (len(page["items"]), page["totalCount"]) == (2, 3)
        rest = batches.api.get(page["next"]["href"]).json()
        assert len(rest["items"]) == 1
        assert "next" not in rest

    @pytest.mark.parametrize(
        "query", ["status=done", "createdBefore=yesterday", "limit=0", "offset=-1"]
    )
    def test_bad_queries_are_400(self, batches: Batches, query: str) -> None:
        assert batches.api.get(f"/v2/batches/inspect?{query}").status_code == 400


class TestLog:
    """Section 5."""

    def test_lines_have_ref_number_and_message_of_failed_records_only(
        self, batches: Batches
    ) -> None:
        wrong = record(
            "guest",
            "upsert",
            {"identifiers": [{"provider": "email", "id": "a@b.ie"}], "shoeSize": 44},
        )
        batch = batches.upload_and_apply(packed([upsert("good@example.com"), wrong, "{"]))
        first, second = batches.log(batch)
        assert first == {
            "ref": wrong["ref"],
            "code": 400,
            "message": "Validation error",
            "line": 2,
            "errors": ["shoeSize: is not an attribute of this schema"],
        }
        assert (second["ref"], second["code"], second["line"]) == (None, 400, 3)

    def test_code_is_text_on_request(self, batches: Batches) -> None:
        """Section 11: the type of `code`."""
        batch = batches.upload_and_apply(packed(["{"]))
        (line,) = batches.log(batch, "&codeType=string")
        assert line["code"] == "400"

    def test_link_expires(self, batches: Batches, monkeypatch: pytest.MonkeyPatch) -> None:
        batch = batches.upload_and_apply(packed(["{"]))
        assert path_of(batch["status"]["log"]).endswith("/log.gz")
        later = datetime.now(UTC) + timedelta(hours=2)
        monkeypatch.setattr(clock, "now", lambda: later)
        assert batches.api.get(batch["status"]["log"]).status_code == 403
