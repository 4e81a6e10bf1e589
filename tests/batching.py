"""How tests send batches: as the vendor's guide says, and let the background work run."""

import asyncio
import base64
import gzip
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
from calling import Api

from innkeeper.actions.bulk import batches
from innkeeper.jobs.batches import apply
from innkeeper.jobs.privacy import search_files
from innkeeper.jobs.worker import work_jobs
from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.store.work import Work

Log = list[dict[str, Any]]


def packed(records: Iterable[Mapping[str, Any] | str | bytes]) -> bytes:
    """Records as a batch file: gzip of one JSON object a line."""
    lines = [
        one if isinstance(one, bytes) else one.encode() if isinstance(one, str) else as_json(one)
        for one in records
    ]
    return gzip.compress(b"".join(line + b"\n" for line in lines))


def as_json(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record).encode()


def record(schema: str, mode: str, value: Mapping[str, Any], ref: str | None = None) -> Any:
    """A record in the envelope (batch-api.md 6)."""
    return {"ref": ref or str(uuid4()), "schema": schema, "mode": mode, "value": value}


def upsert(email: str, **fields: Any) -> Any:
    """A guest with an e-mail identifier."""
    value = {"guestType": "customer", "email": email, **fields}
    value.setdefault("identifiers", [{"provider": "email", "id": email}])
    return record("guest", "upsert", value)


def declared(file: bytes) -> dict[str, Any]:
    return {"checksum": hashlib.md5(file, usedforsecurity=False).hexdigest(), "size": len(file)}


def md5_header(file: bytes) -> str:
    return base64.b64encode(hashlib.md5(file, usedforsecurity=False).digest()).decode()


class Batches:
    """A caller that sends batches, and a worker that applies them."""

    workspace = "live"
    by_worker = False

    def __init__(self, api: Api, settings: Settings) -> None:
        self.api = api
        self._settings = settings

    def allocate(self, file: bytes, ref: str | None = None, **body: Any) -> httpx.Response:
        return self.api.put(f"/v2/batches/{ref or uuid4()}", json={**declared(file), **body})

    def upload(self, href: str, file: bytes, **headers: str) -> httpx.Response:
        return self.api.put(href, content=file, headers=headers, auth=None)

    def work(self) -> None:
        """Run what waits in the background, by the worker."""
        asyncio.run(work_jobs(replace(self._settings, log_level="error"), once=True))

    def work_at_once(self) -> None:
        """Apply what was uploaded, without the queue and the time it takes to start."""

        async def apply_all(work: Work) -> None:
            for ref in await batches.list_unfinished(work):
                await apply(work, str(ref))

        self._act(apply_all)

    def search_files(self) -> None:
        """Take who was erased out of files, as the background does every few seconds."""
        self._act(search_files)

    def _act(self, job: Callable[[Work], Awaitable[object]]) -> None:
        async def act() -> None:
            async with (
                Database(self._settings.database, 1, 0, self._settings) as database,
                database.work(self.workspace, "job") as work,
            ):
                await job(work)

        asyncio.run(act())

    def upload_and_apply(
        self, file: bytes, ref: str | None = None, **headers: str
    ) -> dict[str, Any]:
        """Allocate, upload and apply; the inspected batch."""
        allocated = self.allocate(file, ref)
        assert allocated.status_code == 200, allocated.text
        uploaded = self.upload(allocated.json()["location"]["href"], file, **headers)
        assert (uploaded.status_code, uploaded.content) == (200, b""), uploaded.text
        (self.work if self.by_worker else self.work_at_once)()
        return self.inspect(allocated.json()["ref"])

    def apply(self, *records: Mapping[str, Any] | str | bytes) -> Log:
        """Send records; what the log says of those that failed."""
        return self.log(self.upload_and_apply(packed(records)))

    def inspect(self, ref: str) -> dict[str, Any]:
        answer = self.api.get(f"/v2/batches/inspect/{ref}")
        assert answer.status_code == 200, answer.text
        inspected: dict[str, Any] = answer.json()
        return inspected

    def log(self, batch: Mapping[str, Any], query: str = "") -> Log:
        if "log" not in batch["status"]:
            assert batch["status"]["code"] == "success", batch
            return []
        answer = httpx.get(batch["status"]["log"] + query, trust_env=False)
        assert answer.status_code == 200
        return [json.loads(line) for line in gzip.decompress(answer.content).splitlines()]

    def guest(self, email: str) -> dict[str, Any]:
        """The one guest with that e-mail address."""
        items = self.api.get("/v2.1/guests", params={"email": email}).json()["items"]
        assert len(items) == 1, items
        guest: dict[str, Any] = items[0]
        return guest

    def guest_by_ref(self, ref: str) -> dict[str, Any]:
        guest: dict[str, Any] = self.api.get(f"/v2.1/guests/{ref}").json()
        return guest

    def guest_by_identifier(self, email: str) -> dict[str, Any]:
        """The one guest with that identifier of provider `email`."""
        query = {"identifiers.provider": "email", "identifiers.id": email}
        (guest,) = self.api.get("/v2.1/guests", params=query).json()["items"]
        return dict(guest)


def path_of(href: str) -> str:
    return urlsplit(href).path
