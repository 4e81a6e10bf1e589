"""Signed links: streamed uploads and downloads, without credentials (batch-api.md 3).

They are routes by hand, not `Endpoint`s, whose requests have an API key and a JSON body: these have
a signature and a file. The API description does not list them, since callers get each link whole.
"""

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
from innkeeper.store.readers import ZSTD
from innkeeper.web.downloads import Body, Download, check_link, open_stored_file
from innkeeper.web.request_body import check_length
from innkeeper.wire.json_text import encode

GZIP: Final = "application/gzip"
CSV: Final = "text/csv; charset=utf-8"
BYTES: Final = "application/octet-stream"
_BLOCK: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Uploads:
    """The routes of signed links, with the database, settings and files."""

    database: Database
    settings: Settings
    files: Files

    def routes(self) -> list[BaseRoute]:
        """Return the routes; each signed link is one of these paths."""
        base = signed_urls.PREFIX + "/{workspace}/{ref}"
        return [
            Route(base + "/import.gz", self.upload, methods=["PUT"]),
            Route(base + "/log.gz", self.log, methods=["GET"]),
            Route(base + "/export", self.export, methods=["GET"]),
            Route(base + "/rejects.csv", self.rejects, methods=["GET"]),
        ]

    async def upload(self, request: Request) -> Response:
        """Receive a batch's file: 200 when it is stored; headers of object storage are ignored.

        Raises `Conflict` when the batch has its file already, and what `_receive` raises.
        """
        workspace, ref = await check_link(self.database, request, "PUT")
        async with self.database.work(workspace, "upload") as work:
            batch = await batches.fetch(work, ref)
            if batch["state"] not in (batches.UPLOADING, batches.FILE_UPLOADED, batches.PROCESSING):
                raise Conflict(f"Batch {ref} was uploaded already.")
        async with self.database.limits.uploads:
            await self._receive(request, workspace, batch)
        return Response(status_code=200)

    async def _receive(self, request: Request, workspace: str, batch: dict[str, Any]) -> None:
        """Receive a file without a connection to the database, then store what arrived.

        Raises `TooLarge`, and `BadRequest` for a truncated upload or a wrong Content-MD5.
        """
        ref: UUID = batch["ref"]
        with self.files.staged() as staged:
            digest, size = await _receive_file(request, staged, self.settings.max_upload_bytes)
            _check_md5(request.headers.get("content-md5"), digest)
            if batch["state"] == batches.UPLOADING and _is_as_declared(batch, digest, size):
                name = batches.upload_name(workspace, ref)
                await anyio.to_thread.run_sync(self.files.put, name, staged)
            async with self.database.work(workspace, batch["actor"]) as work:
                await batches.receive_file(work, ref, checksum=digest.hex(), size=size)

    async def log(self, request: Request) -> Response:
        """Send the records that failed: gzip, one JSON object a line, in the order of the file."""
        workspace, ref = await check_link(self.database, request)
        async with self.database.work(workspace) as work:
            await batches.fetch(work, ref)
        as_text = request.query_params.get("codeType") == "string"

        async def open_log() -> Body:
            return self._log_lines(workspace, ref, as_text)

        return Download(self.database.limits.downloads, open_log, GZIP)

    async def export(self, request: Request) -> Response:
        """Send the file of an export; 404 when it is not done, or its file is deleted."""
        workspace, ref = await check_link(self.database, request)
        async with self.database.work(workspace) as work:
            export = await file_exports.fetch(work, ref)
        if export["state"] != file_exports.DONE:
            raise NotFound
        compression = file_exports.compression_of(export)
        ending = ".zst" if compression == ZSTD else ".gz" if compression else ""
        name = f"{export['entity']}.{export['format']}{ending}"
        open_file = partial(open_stored_file, self.files, file_exports.file_name(workspace, ref))
        return Download(self.database.limits.downloads, open_file, BYTES, name)

    async def rejects(self, request: Request) -> Response:
        """Send the rows that an import refused, with the reason; 404 when they are not stored."""
        workspace, ref = await check_link(self.database, request)
        async with self.database.work(workspace) as work:
            batch = await batches.fetch(work, ref)
        if not batch["has_rejects"]:
            raise NotFound
        open_file = partial(open_stored_file, self.files, batches.rejects_name(workspace, ref))
        return Download(self.database.limits.downloads, open_file, CSV, "rejects.csv")

    async def _log_lines(self, workspace: str, ref: UUID, as_text: bool) -> Body:
        packer = zlib.compressobj(wbits=31)
        async for row in batches.stream_failures(partial(self.database.work, workspace), ref):
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


async def _receive_file(request: Request, target: IO[bytes], most: int) -> tuple[bytes, int]:
    """Write a request's body to `target` and return its MD5 and its size in bytes.

    Raises `TooLarge` over `most` bytes, and `BadRequest` when the client disconnects.
    """
    check_length(dict(request.scope["headers"]).get(b"content-length"), most)
    # MD5 because Content-MD5 requires it, not for security.
    digest, size = md5(usedforsecurity=False), 0
    block = bytearray()
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > most:
                raise TooLarge(most)
            block += piece
            if len(block) >= _BLOCK:
                digest.update(block)
                await anyio.to_thread.run_sync(target.write, bytes(block))
                block.clear()
    except ClientDisconnect:
        raise BadRequest("The upload was cut off.") from None
    digest.update(block)
    await anyio.to_thread.run_sync(target.write, bytes(block))
    return digest.digest(), size


def _check_md5(header: str | None, digest: bytes) -> None:
    """Raise `BadRequest` when a body does not match its Content-MD5."""
    if header is None:
        return
    try:
        declared = base64.b64decode(header.strip(), validate=True)
    except (binascii.Error, ValueError):
        declared = b""
    if not hmac.compare_digest(declared, digest):
        raise BadRequest(
            "The Content-MD5 you specified did not match what we received.",
            "BadDigest: send the base64 of the 16 bytes of the MD5.",
        )


def _is_as_declared(batch: dict[str, Any], digest: bytes, size: int) -> bool:
    expected = (batch["checksum"] or digest.hex(), batch["size"] or size)
    return expected == (digest.hex(), size)
