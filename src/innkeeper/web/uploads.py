"""The door of signed links: files in and out, streamed, without credentials (batch-api.md 3)."""

import base64
import binascii
import hmac
import zlib
from dataclasses import dataclass
from functools import partial
from hashlib import md5
from typing import IO, Any, Final
from uuid import UUID

import anyio.to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from innkeeper.actions.bulk import batches, file_exports, signed_urls
from innkeeper.errors import BadRequest, Conflict, NotFound, TooLarge
from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.store.files import Files
from innkeeper.store.queries import WORKSPACE_NAME
from innkeeper.web.downloads import Body, Download, stored_file
from innkeeper.wire.endpoint import ref_in
from innkeeper.wire.json_text import encode

GZIP: Final = "application/gzip"
BYTES: Final = "application/octet-stream"
_BLOCK: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Uploads:
    """What the door needs to serve a link."""

    database: Database
    settings: Settings
    files: Files

    def routes(self) -> list[BaseRoute]:
        """Every link leads to one of these."""
        base = signed_urls.PREFIX + "/{workspace}/{ref}"
        return [
            Route(base + "/import.gz", self.upload, methods=["PUT"]),
            Route(base + "/log.gz", self.log, methods=["GET"]),
            Route(base + "/export", self.export, methods=["GET"]),
        ]

    async def upload(self, request: Request) -> Response:
        """200 once the whole file is kept; headers that object storage knows are ignored."""
        workspace, ref = await self._checked(request, "PUT")
        async with self.database.work(workspace, "upload") as work:
            known = await batches.fetch(work, ref)
            if known["state"] not in (batches.UPLOADING, batches.FILE_UPLOADED, batches.PROCESSING):
                raise Conflict(f"Batch {ref} was uploaded already.")
        async with self.database.limits.uploads:
            await self._receive(request, workspace, known)
        return Response(status_code=200)

    async def _receive(self, request: Request, workspace: str, known: dict[str, Any]) -> None:
        """Collect a file without a connection to the database, and note that it has arrived."""
        ref: UUID = known["ref"]
        with self.files.staged() as staged:
            digest, size = await _collected(request, staged, self.settings.max_upload_bytes)
            _check_md5(request.headers.get("content-md5"), digest)
            if known["state"] == batches.UPLOADING and _as_declared(known, digest, size):
                name = batches.upload_name(workspace, ref)
                await anyio.to_thread.run_sync(self.files.put, name, staged)
            async with self.database.work(workspace, known["actor"]) as work:
                await batches.received(work, ref, checksum=digest.hex(), size=size)

    async def log(self, request: Request) -> Response:
        """What failed: gzip of one JSON object a line, in the order of the file."""
        workspace, ref = await self._checked(request, "GET")
        async with self.database.work(workspace) as work:
            await batches.fetch(work, ref)
        as_text = request.query_params.get("codeType") == "string"

        async def opened() -> Body:
            return self._log(workspace, ref, as_text)

        return Download(self.database.limits.downloads, opened, GZIP)

    async def export(self, request: Request) -> Response:
        """The file of an export; 404 once it is removed."""
        workspace, ref = await self._checked(request, "GET")
        async with self.database.work(workspace) as work:
            export = await file_exports.fetch(work, ref)
        if export["state"] != file_exports.DONE:
            raise NotFound
        name = f"{export['entity']}.{export['format']}{'.gz' if export['compressed'] else ''}"
        stored = file_exports.file_name(workspace, ref)
        return Download(
            self.database.limits.downloads, partial(stored_file, self.files, stored), BYTES, name
        )

    async def _log(self, workspace: str, ref: UUID, as_text: bool) -> Body:
        packer = zlib.compressobj(wbits=31)
        async for row in batches.failures_lent(partial(self.database.work, workspace), ref):
            line: dict[str, Any] = {
                "ref": row["ref"],
                "code": str(row["code"]) if as_text else row["code"],
                "message": row["message"],
                "line": row["line"],
            }
            if row["errors"]:
                line["errors"] = row["errors"]
            if packed := packer.compress(encode(line) + b"\n"):
                yield packed
        yield packer.flush()

    async def _checked(self, request: Request, method: signed_urls.Method) -> tuple[str, UUID]:
        workspace, ref = request.path_params["workspace"], ref_in(request.path_params["ref"])
        if ref is None or not WORKSPACE_NAME.fullmatch(workspace):
            raise NotFound
        async with self.database.control() as work:
            await signed_urls.check(work, method, request.url.path, request.query_params)
        return workspace, ref


async def _collected(request: Request, staged: IO[bytes], most: int) -> tuple[bytes, int]:
    """The MD5 and the size of a body that is now in a file; raises `TooLarge`."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared) > most:
        raise TooLarge(most)
    # What the protocol names, not a protection.
    digest, size = md5(usedforsecurity=False), 0
    waiting = bytearray()
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > most:
                raise TooLarge(most)
            waiting += piece
            if len(waiting) >= _BLOCK:
                digest.update(waiting)
                await anyio.to_thread.run_sync(staged.write, bytes(waiting))
                waiting.clear()
    except ClientDisconnect:
        raise BadRequest("The upload was cut off.") from None
    digest.update(waiting)
    await anyio.to_thread.run_sync(staged.write, bytes(waiting))
    return digest.digest(), size


def _check_md5(header: str | None, digest: bytes) -> None:
    """Refuse a body that is not what its own header says."""
    if header is None:
        return
    try:
        told = base64.b64decode(header.strip(), validate=True)
    except (binascii.Error, ValueError):
        told = b""
    if not hmac.compare_digest(told, digest):
        raise BadRequest(
            "The Content-MD5 you specified did not match what we received.",
            "BadDigest: send the base64 of the 16 bytes of the MD5.",
        )


def _as_declared(known: dict[str, Any], digest: bytes, size: int) -> bool:
    expected = (known["checksum"] or digest.hex(), known["size"] or size)
    return expected == (digest.hex(), size)
