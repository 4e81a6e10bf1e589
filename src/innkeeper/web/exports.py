"""Endpoints of audience exports that need no API key: OAuth tokens, and files by signed link.

They are routes by hand, not `Endpoint`s, whose requests have an API key and a JSON body: these read
a form or a signature, and send files and the errors of RFC 6749.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from innkeeper.actions.admin import oauth
from innkeeper.actions.audiences import audience_exports
from innkeeper.actions.bulk import signed_urls
from innkeeper.errors import ApiError, NotFound, Unauthorized
from innkeeper.rules.spreadsheets import MAPPING, MAPPING_SUFFIX
from innkeeper.store.database import Database
from innkeeper.store.files import Files
from innkeeper.web.downloads import Download, check_link, open_stored_file
from innkeeper.web.forms import read_form
from innkeeper.wire.json_text import encode

TOKEN_PATHS: Final = ("/oauth/token", "/v2/oauth/token")
_MOST_FORM: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class ExportApp:
    """The routes of these endpoints, with the database and the files."""

    database: Database
    files: Files

    def routes(self) -> list[BaseRoute]:
        link = signed_urls.PREFIX + "/{workspace}/{ref}/export/{number}"
        tokens = [Route(path, self.token, methods=["POST"]) for path in TOKEN_PATHS]
        return [
            *tokens,
            Route(link, self.download, methods=["GET"]),
            Route(f"{link}/mapping", self.mapping, methods=["GET"]),
        ]

    async def token(self, request: Request) -> Response:
        """Issue a bearer token for a client's id and secret (AU-6); errors follow RFC 6749."""
        try:
            form = await read_form(request, _MOST_FORM)
        except ApiError:
            return _oauth_error(400, "invalid_request")
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        if fields.get("grant_type") != "client_credentials":
            return _oauth_error(400, "unsupported_grant_type")
        # `audience` is accepted and not checked (segmentation-and-export.md 9).
        try:
            async with self.database.control() as work:
                token = await oauth.issue_token(
                    work, fields.get("client_id", ""), fields.get("client_secret", "")
                )
        except Unauthorized:
            return _oauth_error(401, "invalid_client")
        return _json(token, 200)

    async def download(self, request: Request) -> Response:
        """Send a file of an export."""
        name, saved_as = await self._linked_file(request)
        gzipped = name.endswith(".gz")
        media = "application/gzip" if gzipped else "application/vnd.apache.parquet"
        stored = partial(open_stored_file, self.files, name)
        return Download(self.database.limits.downloads, stored, media, saved_as)

    async def mapping(self, request: Request) -> Response:
        """Send the mapping of a file whose cells have a guard mark, with which an import removes
        the marks (S9); only listings of guarded exports link to it."""
        _, saved_as = await self._linked_file(request)
        name = f"{saved_as}{MAPPING_SUFFIX}"
        headers = {
            "content-disposition": f'attachment; filename="{name}"',
            "cache-control": "no-store",
        }
        return Response(MAPPING.format(entity="guests"), 200, headers, "application/toml")

    async def _linked_file(self, request: Request) -> tuple[str, str]:
        """Return the stored name of the file of a signed link, and the name to save it as; raises
        what `check_link` raises."""
        number = request.path_params["number"]
        if not (number.isascii() and number.isdigit()) or len(number) > 6:
            raise NotFound
        workspace, ref = await check_link(self.database, request)
        async with self.database.work(workspace, "download") as work:
            return await audience_exports.find_file_name(work, ref, int(number))


def _oauth_error(status: int, code: str) -> Response:
    return _json({"error": code}, status)


def _json(value: object, status: int) -> Response:
    headers = {"cache-control": "no-store"}
    return Response(encode(value), status, headers, "application/json")
