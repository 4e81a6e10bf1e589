"""Uploads, exports and the lake in object storage, on a server that speaks S3."""

import gzip
import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import duckdb
import pytest
from batching import declared, packed, upsert
from calling import Api, body_of
from process import Innkeeper, answer, launch
from waiting import PATIENCE_SECONDS, until

from innkeeper.actions.admin import background
from innkeeper.errors import Unavailable
from innkeeper.settings import Settings
from innkeeper.store.files import Files

NEEDED = ("s3fs", "moto", "flask_cors")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")

BUCKET = "inn"
LOCATIONS = {
    "INNKEEPER_FILES": f"s3://{BUCKET}/files",
    "INNKEEPER_LAKE": f"s3://{BUCKET}/lake",
    "INNKEEPER_EXPORT_DESTINATIONS": f"s3://{BUCKET}/out",
}
RULE = {"field": "ref", "comparator": "is not null", "values": []}
EVERYBODY = {"filterGroups": [{"entity": "guest", "rules": [RULE]}]}


@dataclass(frozen=True)
class Bucket:
    """Object storage; `env` is what a process needs to reach it."""

    env: dict[str, str]
    url: str

    @property
    def _files(self) -> Any:
        import s3fs

        login = {"key": "key", "secret": "secret"}
        return s3fs.S3FileSystem(**login, endpoint_url=self.url, use_listings_cache=False)

    def make(self) -> None:
        self._files.call_s3(
            "create_bucket",
            Bucket=BUCKET,
            CreateBucketConfiguration={"LocationConstraint": "eu-west-1"},
        )

    def objects(self, below: str = "") -> dict[str, bytes]:
        """Everything there, by name."""
        files = self._files
        results = {}
        for name in files.find(f"{BUCKET}/{below}"):
            # What was listed may have been moved meanwhile.
            with suppress(FileNotFoundError):
                results[name.removeprefix(f"{BUCKET}/")] = files.cat_file(name)
        return results

    def holding(self, word: str, folder: Path, below: str = "") -> list[str]:
        """Objects in which a word stands: as bytes, unpacked, or in Parquet."""
        return [
            name
            for name, content in self.objects(below).items()
            if word.encode() in unpacked(content, folder)
        ]


def unpacked(content: bytes, folder: Path) -> bytes:
    if content[:2] == b"\x1f\x8b":
        return content + gzip.decompress(content)
    if content[:4] == b"PAR1":
        path = folder / f"{uuid4()}.parquet"
        path.write_bytes(content)
        return repr(duckdb.sql(f"SELECT * FROM read_parquet('{path}')").fetchall()).encode()
    return content


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """An empty bucket on a server that speaks S3."""
    log = tmp_path_factory.mktemp("s3") / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", "0"],
            stdout=errors,
            stderr=errors,
        )
    try:
        match = until(
            "the server of the bucket",
            lambda: re.search(r"http://127\.0\.0\.1:\d+", log.read_text()),
        )
        assert match is not None
        env = {
            "AWS_ACCESS_KEY_ID": "key",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_ENDPOINT_URL": match[0],
        }
        storage = Bucket(env, match[0])
        storage.make()
        yield storage
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)


@pytest.fixture(scope="module")
def server(bucket: Bucket, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Innkeeper]:
    """A server that keeps its files and its lake in the bucket."""
    folder = tmp_path_factory.mktemp("data")
    one = launch(folder, folder.with_name("log"), env=bucket.env | LOCATIONS)
    yield one
    one.stop()


@pytest.fixture
def api(server: Innkeeper) -> Api:
    return server.client


@pytest.fixture
def command(server: Innkeeper, bucket: Bucket) -> Callable[..., Any]:
    """`innkeeper …` on the same place."""

    def run(*words: object) -> Any:
        env = os.environ | bucket.env | LOCATIONS
        return answer(*words, "--data", server.data, env=env)

    return run


def apply_batch(api: Api, *records: Any) -> dict[str, Any]:
    """A batch, applied; how it ended."""
    file = packed(records)
    ref = uuid4()
    allocated = api.put(f"/v2/batches/{ref}", json=declared(file))
    assert allocated.status_code == 200, allocated.text
    href = allocated.json()["location"]["href"]
    assert api.put(href, content=file, auth=None).status_code == 200

    def ended() -> Any:
        status = api.get(f"/v2/batches/{ref}").json()["status"]
        return status if status["code"] in ("success", "error", "corrupted") else None

    result: dict[str, Any] = until("the end of the batch", ended)
    return result


def segment(api: Api) -> str:
    """A segment of everybody."""
    body = {"name": f"All {uuid4().hex}", "definition": EVERYBODY}
    return str(body_of(api.post("/innkeeper/v1/segments", json=body))["ref"])


def counted(api: Api) -> int:
    """How many everybody is, as the lake says."""
    body = {"definition": EVERYBODY}
    return int(body_of(api.post("/innkeeper/v1/segments/preview", json=body))["size"])


def executed(api: Api, **body: Any) -> tuple[str, str]:
    """An audience export that has run: (its friendly id, its execution)."""
    name = f"export_{uuid4().hex}"
    export = body_of(
        api.post("/innkeeper/v1/exports", json={"name": name, "segment": segment(api), **body})
    )
    path = f"/innkeeper/v1/exports/{export['ref']}"
    ref = body_of(api.post(f"{path}/run"))["executionRef"]

    def ended() -> Any:
        every = api.get(f"{path}/executions").json()
        items = every["items"] if isinstance(every, dict) else every
        return [one for one in items if one["status"] in ("SUCCESS", "FAILED")]

    (done,) = until("the end of the export", ended)
    assert done["status"] == "SUCCESS", done
    return name, ref


def test_a_batch_goes_through_the_bucket(api: Api, bucket: Bucket) -> None:
    """Issue 5: storage of uploads is S3 by configuration."""
    email = f"{uuid4().hex}@example.com"
    status = apply_batch(api, upsert(email, firstName="Ana"), upsert("x", gender="odd"))
    assert status["code"] == "error"
    log = gzip.decompress(api.get(status["log"], auth=None).content)
    assert [json.loads(line)["code"] for line in log.splitlines()] == [400]
    (guest,) = api.get("/v2.1/guests", params={"email": email}).json()["items"]
    assert guest["firstName"] == "Ana"
    # An upload that was applied to its end is kept no longer.
    assert bucket.objects("files/live/uploads") == {}


def test_exports_are_fetched_out_of_the_bucket_by_a_signed_link(api: Api, bucket: Bucket) -> None:
    email = f"{uuid4().hex}@example.com"
    apply_batch(api, upsert(email))
    export = body_of(api.post("/innkeeper/v1/fileExports", json={"entity": "guests"}))
    path = f"/innkeeper/v1/fileExports/{export['ref']}"
    done = until(
        "the file", lambda: (record := api.get(path).json())["status"] == "done" and record
    )
    content = api.get(done["location"]["href"], auth=None).content
    assert email.encode() in gzip.decompress(content)
    assert content in bucket.objects("files/live").values()

    _, execution = executed(api, format="CSV", columns=["email"])
    listing = body_of(api.get(f"/innkeeper/v1/exports/executions/{execution}/files"))
    content = api.get(listing["exports"][0]["url"], auth=None).content
    assert email.encode() in gzip.decompress(content)
    assert list(bucket.objects(f"files/live/exports/{execution}").values()) == [content]


def test_a_bucket_as_destination(api: Api, bucket: Bucket) -> None:
    destination = {"type": "FOLDER", "url": f"s3://{BUCKET}/out"}
    name, execution = executed(api, format="NDJSON", columns=["ref"], destination=destination)

    def delivered() -> Any:
        return {
            path: content
            for path, content in bucket.objects(f"out/{name}").items()
            if not path.endswith(".half")
        }

    there = until("the delivery", delivered)
    listing = body_of(api.get(f"/innkeeper/v1/exports/executions/{execution}/files"))
    response = api.get(listing["exports"][0]["url"], auth=None).content
    assert there == {f"out/{name}/{execution}/0000.ndjson.gz": response}
    until(
        "the parts to be removed",
        lambda: not any(path.endswith(".half") for path in bucket.objects("out")),
    )


@pytest.mark.long
def test_the_lake_in_the_bucket(
    api: Api, bucket: Bucket, command: Callable[..., Any], tmp_path: Path
) -> None:
    """Flushed, asked by DuckDB, compacted."""
    emails = [f"{uuid4().hex}@example.com" for _ in range(2)]
    for email in emails:
        apply_batch(api, upsert(email))
        command("lake", "flush")
    many = counted(api)
    assert many == api.get("/v2.1/guests?limit=1").json()["totalCount"]
    for email in emails:
        assert bucket.holding(email, tmp_path, "lake/live")
    before = len(bucket.objects("lake/live"))
    command("lake", "compact")
    status = command("lake", "status", "--json")
    assert [table["files"] for table in status["tables"] if table["name"] == "guests"] == [1]
    assert before > len(status["tables"])
    assert counted(api) == many


@pytest.mark.long
def test_an_erased_guest_leaves_the_bucket(
    api: Api, bucket: Bucket, command: Callable[..., Any], tmp_path: Path
) -> None:
    """Files at rest: uploads that wait, exports, the lake (segmentation-and-export.md 5)."""
    word, stays = uuid4().hex, f"{uuid4().hex}@example.com"
    apply_batch(api, upsert(f"{word}@example.com"), upsert(stays))
    command("lake", "flush")
    executed(api, format="PARQUET", columns=["email"])
    body_of(api.post("/innkeeper/v1/fileExports", json={"entity": "guests"}))
    folders = ("files/live/exports/", "lake/live/")
    for folder in folders:
        until(
            f"the guest in {folder}", lambda folder=folder: bucket.holding(word, tmp_path, folder)
        )
    (guest,) = api.get("/v2.1/guests", params={"email": f"{word}@example.com"}).json()["items"]
    command("privacy", "erase", guest["ref"], "--yes")
    # The server looks for erased guests as well, and may be at it.
    for folder in folders:
        until(
            f"the guest to be out of {folder}",
            lambda folder=folder: not bucket.holding(word, tmp_path, folder),
        )
    assert all(bucket.holding(stays, tmp_path, folder) for folder in folders)


@pytest.mark.long
def test_unavailable_storage_is_reported(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever its driver raises; exports wait for it then."""
    for name, value in {
        **bucket.env,
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    settings = Settings(files=f"s3://{BUCKET}/files", data=tmp_path)
    with Files.of(settings).staged() as staged, pytest.raises(Unavailable) as caught:
        staged.write(b"x")
        Files.of(settings).put("live/exports/x", staged)
    assert background.operator_message(caught.value).startswith(
        "The file storage cannot be reached. (EndpointConnectionError: Could not connect"
    )
