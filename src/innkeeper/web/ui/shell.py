"""One visit to a page: who is it, may they, read the form, act, render; errors become pages."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode
from uuid import UUID

import msgspec
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from innkeeper.actions.admin import users, workspaces
from innkeeper.errors import ApiError, Conflict, NotFound, OperatorError, Outdated
from innkeeper.resources.base import Record, Resource
from innkeeper.rules.access import Right, may
from innkeeper.rules.masking import masked_addresses, masked_free, masked_line, masked_record
from innkeeper.rules.versions import Expected
from innkeeper.settings import Settings
from innkeeper.store.database import Database, retrying
from innkeeper.store.migrate import SANDBOX_SUFFIX
from innkeeper.store.work import Work
from innkeeper.web.base_url import base_url, listening_url
from innkeeper.web.browser_security import delete_cookie, read_cookie, set_cookie
from innkeeper.web.forms import read_form
from innkeeper.web.request_log import members_of
from innkeeper.web.ui.csrf import csrf_of, is_csrf
from innkeeper.web.ui.problems import RightMissing, to_login
from innkeeper.web.ui.rendering import PageResponse, theme_of

LOGIN_COOKIE: Final = "innkeeper_login"
NOTE_COOKIE: Final = "innkeeper_note"
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
    """One request of somebody who is logged in, with a connection for the workspace."""

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
    """What was wrong with a form that is shown again."""

    def may(self, right: Right) -> bool:
        return may(self.person.role, right)

    def need(self, right: Right) -> None:
        """Raise `Forbidden` unless the visitor has a right."""
        if not self.may(right):
            raise RightMissing(_forbidden(self.person, right))

    @property
    def personal(self) -> bool:
        """Whether the visitor may see what names a person."""
        return self.may(Right.PERSONAL)

    def veil(self, record: Record, resource: type[Resource]) -> Record:
        """A record as this visitor may see it."""
        return record if self.personal else masked_record(record, resource)

    def veil_extensions(self, found: Sequence[Record]) -> list[Record]:
        """Data extensions as this visitor may see them."""
        if self.personal:
            return list(found)
        return [self.veil_extension(each) for each in found]

    def veil_extension(self, each: Record) -> Record:
        """A data extension as this visitor may see it."""
        return each if self.personal else {**each, "pairs": masked_free(each["pairs"])}

    def veil_text(self, text: Any) -> Any:
        """A text that may hold addresses of people or of pages, as this visitor may see it."""
        return text if self.personal or not isinstance(text, str) else masked_line(text)

    def veil_value(self, value: Any) -> Any:
        """JSON that nobody declared, as this visitor may see it."""
        return value if self.personal else masked_free(value)

    def staff(self, actor: str) -> str:
        """Who did something, as this visitor may see it: addresses of users only those may see who
        manage users."""
        if self.may(Right.USERS) or actor == self.person.email:
            return actor
        return masked_addresses(actor)

    def lend(self) -> AbstractAsyncContextManager[Work]:
        """A connection for the workspace beside the one of the request, which may be returned."""
        return self.database.work(self.workspace, self.person.email)

    @property
    def is_sandbox(self) -> bool:
        return self.workspace.endswith(SANDBOX_SUFFIX)

    @property
    def base(self) -> str:
        """The URL that examples of calls begin with."""
        headers = dict(self.request.scope["headers"])
        return base_url(self.request.scope, headers, self.settings.public_url)

    @property
    def link_base(self) -> str:
        """The URL that links for other people begin with: never of the Host header, which whoever
        asks may choose."""
        return listening_url(self.request.scope, self.settings.public_url)

    @property
    def menu(self) -> Sequence[tuple[str, str, str]]:
        """Path, text and icon of each entry of the main menu."""
        return MENU

    def ref(self, name: str) -> UUID:
        """The ref in the path; raises `NotFound` when it is none."""
        return ref_of(self.request.path_params[name])

    def query_text(self, name: str, default: str = "") -> str:
        return self.request.query_params.get(name, default)

    def form_text(self, name: str, default: str = "") -> str:
        """A text field of the form, trimmed."""
        value = self.form.get(name, default)
        return value.strip() if isinstance(value, str) else default

    def form_texts(self, name: str) -> list[str]:
        """Every value of a field of the form that may be sent several times."""
        return [value for value in self.form.getlist(name) if isinstance(value, str)]

    @property
    def expected(self) -> Expected | None:
        """The version of what the form was made of; None where it carries none."""
        version = self.form_text("version")
        return Expected(frozenset({version})) if version else None

    @property
    def is_outdated(self) -> bool:
        """Whether the form was refused since something newer is stored: both are shown."""
        return isinstance(self.fault, Outdated)

    def check_version(self, version: str) -> None:
        """Raise `Outdated` where the form was made of another version; call it under a lock."""
        if self.expected is not None:
            self.expected.check(version)

    def version(self, stored: str) -> str:
        """The version that a form carries: what it was made of while it is typed in, and what is
        stored as soon as that was shown."""
        return stored if self.is_outdated else self.form_text("version") or stored

    @property
    def form_fields(self) -> list[tuple[str, str]]:
        """(name, value) of what a refused form held, to be sent once more with another version."""
        return [
            (name, value)
            for name, value in self.form.multi_items()
            if isinstance(value, str) and name not in ("csrf", "password", "version")
        ]

    @property
    def refused_form(self) -> str:
        """What a refused form held, as JSON: its dialog opens again as it was typed. Nothing
        of an outdated one, whose page asks before anything opens."""
        kept = {} if self.is_outdated else dict(self.form_fields)
        return msgspec.json.encode(kept).decode()

    @property
    def is_part(self) -> bool:
        """Whether a page that is there already asks for the part that takes longer."""
        return "hx-request" in self.request.headers

    @property
    def offset(self) -> int:
        text = self.query_text("offset", "0")
        return min(int(text), 10**6) if text.isdecimal() and text.isascii() else 0

    def url(self, path: str = "/", **query: Any) -> str:
        """A path of this workspace."""
        asked = {name: value for name, value in query.items() if value not in (None, "")}
        return f"/w/{self.workspace}{path}" + (f"?{urlencode(asked)}" if asked else "")

    def show(self, template: str, status: int = 200, **context: Any) -> Response:
        """A page."""
        note = read_cookie(self.request, NOTE_COOKIE)
        every = {
            "v": self,
            "note": unquote(note) if note else None,
            "theme": theme_of(self.request),
        }
        response = PageResponse(template, status, every | context)
        if note:
            delete_cookie(self.request, response, NOTE_COOKIE)
        return response

    def go(self, path: str, note: str = "", **query: Any) -> Response:
        """Send the browser to another page, which shows `note` once."""
        response = RedirectResponse(self.url(path, **query), 303)
        if note:
            set_cookie(self.request, response, NOTE_COOKIE, quote(note), max_age=30)
        return response


Screen = Callable[[Visit], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class PageRoute:
    """A path below the workspace's, what shows it, and what its form does.

    `right` is needed to see the page, `post_right` to send its form. A form that is refused is
    shown again by `show`, with `visit.fault` set. `whole` posts do their own transactions.
    """

    path: str
    show: Screen | None = None
    post: Screen | None = None
    right: Right | None = None
    post_right: Right | None = None
    whole: bool = True
    before: Callable[[FormData], Awaitable[None]] | None = None
    """What its form needs that may take long: it is done before a connection is taken."""
    uploads: bool = False
    """Whether its form may hold a file as large as an upload may be."""


class Shell:
    """What every page of a workspace goes through."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self.database = database
        self.settings = settings

    def endpoint(self, page: PageRoute) -> Callable[[Request], Awaitable[Response]]:
        """The page as Starlette calls it."""

        async def visited(request: Request) -> Response:
            token = read_cookie(request, LOGIN_COOKIE)
            workspace = request.path_params["workspace"]
            async with self.database.control() as work:
                known = await workspaces.list_all(work)
                exists = any(each["name"] == workspace for each in known)
                person = await users.fetch_login(work, token, workspace if exists else None)
            if person is None:
                return to_login(request)
            # Somebody else's workspace is answered like one that does not exist.
            if not exists or not person.may_open(workspace):
                raise NotFound
            known = [each for each in known if person.may_open(each["name"])]
            # By its ref: a log is no place for an e-mail address.
            members_of(request).update(workspace=workspace, user=str(person.ref))
            posted = request.method == "POST"
            form = await self._form(request, person, token, page) if posted else FormData()

            async def once() -> Response:
                async with self.database.work(workspace, person.email) as work:
                    visit = Visit(
                        *(request, person, workspace, known, self.settings, csrf_of(token)),
                        *(work, self.database, form),
                    )
                    return await self._answer(page, visit)

            try:
                if posted and page.before is not None and _may_post(person, page):
                    await page.before(form)
                response = await retrying(once)
                if isinstance(response, PageResponse):
                    await response.render_body()
            finally:
                # Temporary files of what was uploaded.
                await form.close()
            return response

        return visited

    async def _answer(self, page: PageRoute, visit: Visit) -> Response:
        if page.right is not None:
            visit.need(page.right)
        if visit.request.method != "POST":
            assert page.show is not None  # noqa: S101 - the route has no GET otherwise
            return await page.show(visit)
        assert page.post is not None  # noqa: S101 - the route has no POST otherwise
        if page.post_right is not None:
            visit.need(page.post_right)
        try:
            if not page.whole:
                return await page.post(visit)
            async with visit.work.transaction():
                return await page.post(visit)
        except (ApiError, OperatorError) as told:
            error = told if isinstance(told, ApiError) else Conflict(str(told))
            if page.show is None or error.status not in (400, 409, 412):
                raise error from told
            visit.fault = error
            response = await page.show(visit)
            response.status_code = error.status
            return response

    async def _form(
        self, request: Request, person: users.SignedInUser, token: str, page: PageRoute
    ) -> FormData:
        """The form that was sent; raises what `read_form` does, and `Forbidden` for one that no
        page of this login made, or whose sender may not send it, before it is read."""
        if page.post_right is not None and not _may_post(person, page):
            raise RightMissing(_forbidden(person, page.post_right))
        most = self.settings.max_upload_bytes if page.uploads else self.settings.max_body_bytes
        async with self.database.limits.uploads if page.uploads else nullcontext():
            form = await read_form(request, most, upload=page.uploads)
        if not is_csrf(form.get("csrf"), token):
            raise RightMissing("This form is out of date. Go back and try again.")
        return form


def _forbidden(person: users.SignedInUser, right: Right) -> str:
    return f"The role {person.role} may not {right}."


def _may_post(person: users.SignedInUser, page: PageRoute) -> bool:
    return page.post_right is None or may(person.role, page.post_right)


def ref_of(text: str) -> UUID:
    """A ref as it was typed or linked; raises `NotFound`."""
    try:
        return UUID(text)
    except ValueError:
        raise NotFound from None
