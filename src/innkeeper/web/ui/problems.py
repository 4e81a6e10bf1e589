"""Error pages: the response to every error on a path of the screens."""

from typing import Final
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from innkeeper.errors import DOES_NOT_EXIST, ApiError, Unknown
from innkeeper.web.page_shell import members_of
from innkeeper.web.request_head import is_screen_path
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
    """The visitor's role lacks a right."""

    status = 403


_NO_PAGE: Final = "There is no page at this address, or what it showed was deleted."


def is_screen(request: Request) -> bool:
    """Whether errors of a request are pages: on the screens' paths, and on paths without a route
    when the request accepts HTML."""
    if is_screen_path(request.scope["path"]):
        return True
    return "endpoint" not in request.scope and "text/html" in request.headers.get("accept", "")


def error_page(request: Request, error: ApiError) -> Response:
    """Render the page of an error; redirect from an absorbed guest to its survivor."""
    members = members_of(request)
    workspace = members.get("workspace")
    if isinstance(error, Unknown) and error.survivor is not None and workspace:
        return RedirectResponse(f"/w/{workspace}/guests/{error.survivor}", 303)
    page = render(
        "problem.html",
        **describe(error),
        request_id=members.get("id", "") if error.status >= 500 else "",
        home=f"/w/{workspace}/" if workspace else "/",
        theme=theme_of(request),
    )
    return HTMLResponse(page, error.status, {**error.headers, **HEADERS})


def describe(error: ApiError) -> dict[str, str]:
    """Return the title and the text of the page of an error."""
    return {
        "title": _TITLES.get(error.status, "That did not work"),
        "lead": _NO_PAGE if error.message == DOES_NOT_EXIST else error.message,
    }


def redirect_to_login(request: Request) -> Response:
    """Redirect to the login, which leads back to this page afterwards."""
    if "hx-request" in request.headers:
        # htmx requests a part of an open page: the whole page must go to the login.
        current = urlsplit(request.headers.get("hx-current-url", ""))
        headers = {**HEADERS, "hx-redirect": _login(current.path, current.query)}
        return HTMLResponse("", 401, headers)
    is_post = request.method == "POST"
    target = "/login" if is_post else _login(request.url.path, request.url.query)
    return RedirectResponse(target, 303)


def _login(path: str, query: str) -> str:
    target = path + (f"?{query}" if query else "")
    return f"/login?next={quote(target, safe='')}"
