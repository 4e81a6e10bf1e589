"""One request for a page: authenticate, authorize, read the form, act, render."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from innkeeper.actions.admin import users
from innkeeper.actions.paging import PageRequest
from innkeeper.errors import ApiError, Conflict, NotFound, OperatorError, Outdated
from innkeeper.resources.base import Record, Resource
from innkeeper.rules.access import Right, may
from innkeeper.rules.masking import (
    masked,
    masked_addresses,
    masked_free,
    masked_line,
    masked_record,
)
from innkeeper.rules.versions import Expected
from innkeeper.settings import Settings
from innkeeper.store.database import Database, retrying
from innkeeper.store.migrate import SANDBOX_SUFFIX
from innkeeper.store.work import Work
from innkeeper.web.base_url import base_url, listening_url
from innkeeper.web.browser_security import delete_cookie, read_cookie, set_cookie
from innkeeper.web.forms import read_form
from innkeeper.web.page_shell import members_of
from innkeeper.web.ui.csrf import csrf_token, is_csrf_token
from innkeeper.web.ui.formatting import TIME_ZONE
from innkeeper.web.ui.problems import RightMissing, describe, redirect_to_login
from innkeeper.web.ui.rendering import PAGE_SIZE, PageResponse, theme_of
from innkeeper.wire.pagination import read_window

LOGIN_COOKIE: Final = "innkeeper_login"
NOTE_COOKIE: Final = "innkeeper_note"
WARNING: Final = "!"
"""Prefix of a note about a partial success, which the page shows in amber."""
_NEVER_SHOWN_AGAIN: Final = frozenset({"csrf", "current", "password", "version"})
"""Fields of a refused form that the page does not repeat: passwords, and those that it sets
itself."""
MENU: Final = (
    ("/", "Home", "home"),
    ("/guests", "Guests", "guests"),
    ("/segments", "Segments", "segments"),
    ("/reports", "Reports", "reports"),
    ("/exports", "Exports", "exports"),
    ("/imports", "Imports", "imports"),
    ("/quarantine", "Quarantine", "quarantine"),
    ("/settings", "Settings", "settings"),
)


@dataclass(slots=True)
class Visit:
    """One request of a signed-in user, with a connection for the workspace."""

    request: Request
    person: users.SignedInUser
    workspace: str
    workspaces: list[Record]
    settings: Settings
    csrf: str
    work: Work
    database: Database
    form: FormData = field(default_factory=FormData)
    fault: ApiError | None = None
    """The error of a form that is shown again."""

    def may(self, right: Right) -> bool:
        return may(self.person.role, right)

    def need(self, right: Right) -> None:
        """Raise `RightMissing` unless the visitor has a right."""
        if not self.may(right):
            raise RightMissing(_forbidden(self.person, right))

    @property
    def personal(self) -> bool:
        """Whether the visitor may see personal data."""
        return self.may(Right.PERSONAL)

    def veil(self, record: Record, resource: type[Resource]) -> Record:
        """Mask a record for this visitor."""
        return record if self.personal else masked_record(record, resource)

    async def veil_whole(self, record: Record, resource: type[Resource]) -> Record:
        """Mask a whole record, which may be large, off the event loop."""
        return await asyncio.to_thread(self.veil, record, resource)

    def veil_extensions(self, extensions: Sequence[Record]) -> list[Record]:
        """Mask data extensions for this visitor."""
        return [self.veil_extension(each) for each in extensions]

    def veil_extension(self, extension: Record) -> Record:
        """Mask a data extension for this visitor."""
        if self.personal:
            return extension
        return {**extension, "pairs": masked_free(extension["pairs"])}

    def veil_text(self, text: Any) -> Any:
        """Mask a text that may hold e-mail addresses or URLs, for this visitor."""
        return text if self.personal or not isinstance(text, str) else masked_line(text)

    def veil_value(self, value: Any) -> Any:
        """Mask JSON without declared fields, for this visitor."""
        return value if self.personal else masked_free(value)

    def veil_evidence(self, evidence: Sequence[Record]) -> Sequence[Record]:
        """Mask the values that evidence names, if the visitor may not see personal data."""
        if self.personal:
            return evidence
        return [{**part, "value": masked(part.get("value", ""))} for part in evidence]

    def staff(self, actor: str) -> str:
        """Mask the actor of an action, unless the visitor may manage users or is the actor."""
        if self.may(Right.USERS) or actor == self.person.email:
            return actor
        return masked_addresses(actor)

    def lend(self) -> AbstractAsyncContextManager[Work]:
        """Return another connection for the workspace, for use after the request's is released."""
        return self.database.work(self.workspace, self.person.email)

    @property
    def is_sandbox(self) -> bool:
        return self.workspace.endswith(SANDBOX_SUFFIX)

    @property
    def base(self) -> str:
        """The start of the URLs in examples of API requests."""
        headers = dict(self.request.scope["headers"])
        return base_url(self.request.scope, headers, self.settings.public_url)

    @property
    def link_base(self) -> str:
        """The start of the URLs in links for other people: never from the Host header, which the
        caller chooses."""
        return listening_url(self.request.scope, self.settings.public_url)

    @property
    def menu(self) -> Sequence[tuple[str, str, str]]:
        """Path, text and icon of each entry of the main menu."""
        return MENU

    def ref(self, name: str) -> UUID:
        """Return the ref in the path; raises `NotFound` when it is not a UUID."""
        return ref_of(self.request.path_params[name])

    def query_text(self, name: str, default: str = "") -> str:
        return self.request.query_params.get(name, default)

    def form_text(self, name: str, default: str = "") -> str:
        """Return a text field of the form, trimmed."""
        value = self.form.get(name, default)
        return value.strip() if isinstance(value, str) else default

    def form_texts(self, name: str) -> list[str]:
        """Return every value of a field of the form that may be sent several times."""
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    @property
    def expected(self) -> Expected | None:
        """The version that the form was created from; None when it has no version."""
        version = self.form_text("version")
        return Expected(frozenset({version})) if version else None

    @property
    def is_outdated(self) -> bool:
        """Whether the form was refused because a newer version is stored: the page shows both."""
        return isinstance(self.fault, Outdated)

    def check_version(self, version: str) -> None:
        """Raise `Outdated` when the form was created from another version; call it under a lock."""
        if self.expected is not None:
            self.expected.check(version)

    def version(self, stored: str) -> str:
        """Return the version for a form: the one that it was created from, or the stored one after
        the page has shown both."""
        return stored if self.is_outdated else self.form_text("version") or stored

    @property
    def form_fields(self) -> list[tuple[str, str]]:
        """The fields of a refused form, (name, value), to be sent again with another version."""
        return [
            (name, value)
            for name, value in self.form.multi_items()
            if isinstance(value, str) and name not in _NEVER_SHOWN_AGAIN
        ]

    @property
    def refused_form(self) -> str:
        """The fields of a refused form as JSON, with which its dialog opens again; empty for an
        outdated form, whose page shows both versions first."""
        fields = {} if self.is_outdated else dict(self.form_fields)
        return msgspec.json.encode(fields).decode()

    @property
    def is_part(self) -> bool:
        """Whether htmx requests a part of an open page, which takes longer to compute."""
        return "hx-request" in self.request.headers

    @property
    def offset(self) -> int:
        """Rows before the page of a list; 0 for an invalid value."""
        return self.page_request.offset

    @property
    def page_request(self) -> PageRequest:
        """The page of a list that the query selects."""
        return PageRequest(read_window(self.request.query_params, []).offset, PAGE_SIZE)

    def url(self, path: str = "/", **query: Any) -> str:
        """Return a path in this workspace, with the query parameters that have a value."""
        parameters = {name: value for name, value in query.items() if value not in (None, "", [])}
        return f"/w/{self.workspace}{path}" + (
            f"?{urlencode(parameters, doseq=True)}" if parameters else ""
        )

    def show(self, template: str, status: int = 200, **context: Any) -> Response:
        """Return a page, rendered later from a template with `context`."""
        note = read_cookie(self.request, NOTE_COOKIE)
        every = {
            "v": self,
            "note": unquote(note).removeprefix(WARNING) if note else None,
            "note_kind": "warn" if unquote(note or "").startswith(WARNING) else "good",
            "theme": theme_of(self.request),
        }
        response = PageResponse(template, status, every | context)
        if note:
            delete_cookie(self.request, response, NOTE_COOKIE)
        return response

    def go(self, path: str, note: str = "", **query: Any) -> Response:
        """Redirect the browser to another page, which shows `note` once."""
        response = RedirectResponse(self.url(path, **query), 303)
        if note:
            set_cookie(self.request, response, NOTE_COOKIE, quote(note), max_age=30)
        return response


Screen = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class PageRoute:
    """A path below the workspace's, the function that shows it, and the one that its form runs.

    Seeing the page needs `right`, sending its form `post_right`, by default `right`. `show` shows a
    refused form again, with `visit.fault` set. `post` runs in one transaction when `whole`, else it
    has its own.
    """

    path: str
    show: Screen | None = None
    post: Screen | None = None
    right: Right | None = None
    post_right: Right | None = None
    whole: bool = True
    before: Callable[[FormData], Awaitable[None]] | None = None
    """A slow check of its form, run before the request takes a connection."""
    uploads: bool = False
    """Whether its form may contain a file, up to the limit of uploads."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "post_right", self.post_right or self.right)


class Shell:
    """Runs the pages of a workspace: login, rights, form, transaction, errors."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings

    def endpoint(self, page: PageRoute) -> Callable[[Request], Awaitable[Response]]:
        """Return the function that Starlette calls for a page."""

        async def respond(request: Request) -> Response:
            token = read_cookie(request, LOGIN_COOKIE)
            workspace = request.path_params["workspace"]
            async with self.database.control() as work:
                person = await users.fetch_login(work, token, workspace)
            if person is None:
                return redirect_to_login(request)
            exists = any(each["name"] == workspace for each in person.all_workspaces)
            # A workspace that is not the user's is 404, as one that does not exist.
            if not exists or not person.may_open(workspace):
                raise NotFound
            all_workspaces = [
                each for each in person.all_workspaces if person.may_open(each["name"])
            ]
            # By its ref: logs must not contain e-mail addresses.
            members_of(request).update(workspace=workspace, user=str(person.ref))
            TIME_ZONE.set(ZoneInfo(person.time_zone))
            is_post = request.method == "POST"
            form = await self._form(request, person, token, page) if is_post else FormData()

            async def run_once() -> Response:
                async with self.database.work(workspace, person.email) as work:
                    visit = Visit(
                        *(request, person, workspace, all_workspaces, self.settings),
                        *(csrf_token(token), work, self.database, form),
                    )
                    return await self._run_page(page, visit)

            try:
                if is_post and page.before is not None and _may_post(person, page):
                    await page.before(form)
                response = await retrying(run_once)
                if isinstance(response, PageResponse):
                    await response.render_body()
            finally:
                # Deletes the temporary files of uploads.
                await form.close()
            return response

        return respond

    async def _run_page(self, page: PageRoute, visit: Visit) -> Response:
        """Show a page, or run its form and show it again when it is refused; checks the rights."""
        if visit.request.method != "POST":
            return await _show_page(page, visit)
        if page.right is not None:
            visit.need(page.right)
        assert page.post is not None  # noqa: S101 - the route has no POST otherwise
        if page.post_right is not None:
            visit.need(page.post_right)
        try:
            if not page.whole:
                return await page.post(visit)
            async with visit.work.transaction():
                return await page.post(visit)
        except (ApiError, OperatorError) as refused:
            error = refused if isinstance(refused, ApiError) else Conflict(str(refused))
            if page.show is None or error.status not in (400, 409, 412):
                raise error from refused
            visit.fault = error
            response = await page.show(visit)
            response.status_code = error.status
            return response

    async def _form(
        self, request: Request, person: users.SignedInUser, token: str, page: PageRoute
    ) -> FormData:
        """Read the form of a request; raises what `read_form` raises, and `RightMissing` when the
        user may not send it, before reading, or when its CSRF token is not of this login."""
        if page.post_right is not None and not _may_post(person, page):
            raise RightMissing(_forbidden(person, page.post_right))
        most = self.settings.max_upload_bytes if page.uploads else self.settings.max_body_bytes
        async with self.database.limits.uploads if page.uploads else nullcontext():
            form = await read_form(request, most, upload=page.uploads)
        if not is_csrf_token(form.get("csrf"), token):
            raise RightMissing("This form is out of date. Go back and try again.")
        return form


async def _show_page(page: PageRoute, visit: Visit) -> Response:
    """Show a page, or within the menu the reason why the visitor may not see it or why it does not
    exist."""
    assert page.show is not None  # noqa: S101 - the route has no GET otherwise
    try:
        if page.right is not None:
            visit.need(page.right)
        return await page.show(visit)
    except (NotFound, RightMissing) as error:
        if visit.is_part or getattr(error, "survivor", None) is not None:
            raise
        return visit.show("problem_page.html", error.status, **describe(error))


def _forbidden(person: users.SignedInUser, right: Right) -> str:
    changes = "Owners and admins change roles under Settings, Users."
    return f"The role {person.role} may not {right}. {changes}"


def _may_post(person: users.SignedInUser, page: PageRoute) -> bool:
    return page.post_right is None or may(person.role, page.post_right)


def ref_of(text: str) -> UUID:
    """Parse a typed or linked ref; raises `NotFound` when it is not a UUID."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound from None
