"""Static files of the pages, each at a path that changes with its content."""

import hashlib
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from innkeeper.errors import NotFound

_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FOREVER: Final = "public, max-age=31536000, immutable"


@cache
def read_files() -> dict[str, bytes]:
    """Read every static file; name -> contents."""
    folder = files("innkeeper.web.ui").joinpath("static")
    stored = [file for file in folder.iterdir() if _suffix(file.name) in _TYPES]
    return {file.name: file.read_bytes() for file in stored}


@cache
def asset_path(name: str) -> str:
    """Return the path of a file; browsers may cache it forever, since it holds a digest."""
    digest = hashlib.sha256(read_files()[name]).hexdigest()[:12]
    return f"/ui/static/{digest}/{name}"


async def _static(request: Request) -> Response:
    name = request.path_params["name"]
    body = read_files().get(name)
    if body is None:
        raise NotFound
    headers = {"cache-control": _FOREVER}
    return Response(body, headers=headers, media_type=_TYPES[_suffix(name)])


def _suffix(name: str) -> str:
    return name.rpartition(".")[2]


async def _favicon(_: Request) -> Response:
    headers = {"cache-control": "public, max-age=86400"}
    return Response(read_files()["favicon.svg"], headers=headers, media_type="image/svg+xml")


ROUTES: Final = [Route("/ui/static/{digest}/{name}", _static), Route("/favicon.ico", _favicon)]
