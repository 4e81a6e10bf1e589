"""Errors as pages: on every path that people open, whatever went wrong."""

from typing import Final
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from innkeeper.errors import ApiError, Unknown
from innkeeper.web.request_head import is_screen_path
from innkeeper.web.request_log import members_of
from innkeeper.web.ui.rendering import HEADERS, render, theme_of

_TITLES: Final = {
    403: "Not allowed",
    404: "Not found",
    405: "Not possible",
    413: "Too large",
    500: "Something broke",
    503: "Busy",
}


class RightMissing(ApiError):
    """The role of whoever asks lacks a right."""

    status = 403


def is_screen(request: Request) -> bool:
    """Whether a person looks at this path; one that nobody serves is told in what it asks for."""
    if is_screen_path(request.scope["path"]):
        return True
    return "endpoint" not in request.scope and "text/html" in request.headers.get("accept", "")


def problem(request: Request, error: ApiError) -> Response:
    """A page that tells of an error; of a guest that was merged away, the survivor's."""
    members = members_of(request)
    workspace = members.get("workspace")
    if isinstance(error, Unknown) and error.survivor is not None and workspace:
        return RedirectResponse(f"/w/{workspace}/guests/{error.survivor}", 303)
    page = render(
        "problem.html",
        title=_TITLES.get(error.status, "That did not work"),
        error=error,
        request_id=members.get("id", "") if error.status >= 500 else "",
        home=f"/w/{workspace}/" if workspace else "/",
        theme=theme_of(request),
    )
    return HTMLResponse(page, error.status, {**error.headers, **HEADERS})


def to_login(request: Request) -> Response:
    """Ask who it is, then come back."""
    if "hx-request" in request.headers:
        # Part of a page that is there already: the whole page goes to the login.
        there = urlsplit(request.headers.get("hx-current-url", ""))
        headers = {**HEADERS, "hx-redirect": _login(there.path, there.query)}
        return HTMLResponse("", 401, headers)
    posted = request.method == "POST"
    target = "/login" if posted else _login(request.url.path, request.url.query)
    return RedirectResponse(target, 303)


def _login(path: str, query: str) -> str:
    wanted = path + (f"?{query}" if query else "")
    return f"/login?next={quote(wanted, safe='')}"
