"""Log in, follow a one-time link, log out: the only pages without a workspace."""

from typing import Any, Final

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from innkeeper.actions.admin import mails, users
from innkeeper.actions.admin.log_in import BROWSER_LIFE, Attempt, log_in, log_in_by_link
from innkeeper.errors import ApiError, NotFound
from innkeeper.store.database import Database
from innkeeper.web.base_url import listening_url
from innkeeper.web.browser_security import delete_cookie, read_cookie, set_cookie
from innkeeper.web.client_address import client_address
from innkeeper.web.forms import read_form
from innkeeper.web.ui.csrf import FORM_COOKIE, csrf_token, form_secret, is_csrf_token
from innkeeper.web.ui.rendering import HEADERS, render, theme_of
from innkeeper.web.ui.shell import LOGIN_COOKIE

MOST_BYTES: Final = 16_384
BROWSER_COOKIE: Final = "innkeeper_browser"
"""Cookie that identifies a browser in which somebody has logged in before: its attempts are counted
separately."""


def routes(database: Database) -> list[BaseRoute]:
    """Return the routes of `/`, `/login` and `/logout`."""
    pages = LoginPages(database)
    return [
        Route("/", pages.start),
        Route("/login", pages.show, methods=["GET"]),
        Route("/login", pages.log_in, methods=["POST"]),
        Route("/forgotten", pages.show_forgotten, methods=["GET"]),
        Route("/forgotten", pages.send_link, methods=["POST"]),
        Route("/logout", pages.log_out, methods=["POST"]),
    ]


class LoginPages:
    """Pages for visitors without a login."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(self, request: Request) -> Response:
        """Redirect to the last workspace of the user, or to the login."""
        person = await self._person(request)
        target = "/login" if person is None else f"/w/{person.workspace}/"
        return RedirectResponse(target, 303)

    async def show(self, request: Request) -> Response:
        """Show the login form, or for a one-time link the form that sets a password."""
        link = request.query_params.get("link", "")
        next_ = _safe(request.query_params.get("next", ""))
        if not link:
            if await self._person(request) is not None:
                return RedirectResponse(next_ or "/", 303)
            return self._page(request, next=next_)
        async with self._database.control() as work:
            owner = await users.fetch_link(work, link)
        if owner is None:
            fault = "This link has expired or was already used. Ask for a new one."
            return self._page(request, 403, fault=fault)
        return self._page(request, link=link, owner=owner)

    async def log_in(self, request: Request) -> Response:
        """Check the credentials or the link of the form, and create a login."""
        form = await read_form(request, MOST_BYTES)
        if not is_csrf_token(form.get("csrf"), read_cookie(request, FORM_COOKIE)):
            return self._page(request, 403, fault="This form is out of date. Try again.")
        link, email, name = (_text(form, field) for field in ("link", "email", "name"))
        attempt = Attempt(
            email,
            _text(form, "password"),
            client_address(request, self._database.settings),
            read_cookie(request, BROWSER_COOKIE)[:100],
        )
        lend, limits = self._database.control, self._database.limits
        try:
            if link:
                login = await log_in_by_link(lend, limits, link, attempt, name)
            else:
                login = await log_in(lend, limits, attempt)
        except ApiError as error:
            page = self._page(
                request,
                error.status,
                fault=error.message,
                next=_safe(_text(form, "next")),
                link=link,
                owner={"user_ref": None if "name" in form else "", "email": email},
                email=email,
                name=name,
            )
            page.headers.update(error.headers)
            return page
        response = RedirectResponse(_safe(_text(form, "next")) or "/", 303)
        seconds = int(users.LOGIN.total_seconds())
        set_cookie(request, response, LOGIN_COOKIE, login.token, max_age=seconds)
        seconds = int(BROWSER_LIFE.total_seconds())
        set_cookie(request, response, BROWSER_COOKIE, login.browser, max_age=seconds)
        return response

    async def show_forgotten(self, request: Request) -> Response:
        """Show the form that sends a link for a new password."""
        if not self._database.settings.smtp_url:
            raise NotFound
        return self._page(request, forgotten=True)

    async def send_link(self, request: Request) -> Response:
        """Send a link to the address of an account. The page does not tell whether there is one."""
        if not self._database.settings.smtp_url:
            raise NotFound
        form = await read_form(request, MOST_BYTES)
        if not is_csrf_token(form.get("csrf"), read_cookie(request, FORM_COOKIE)):
            return self._page(
                request, 403, fault="This form is out of date. Try again.", forgotten=True
            )
        settings = self._database.settings
        address = client_address(request, settings)
        base = listening_url(request.scope, settings.public_url)
        try:
            await mails.request_reset(self._database.control, _text(form, "email"), address, base)
        except ApiError as error:
            page = self._page(request, error.status, fault=error.message, forgotten=True)
            page.headers.update(error.headers)
            return page
        return self._page(request, forgotten=True, is_sent=True)

    async def log_out(self, request: Request) -> Response:
        """Log out."""
        token = read_cookie(request, LOGIN_COOKIE)
        form = await read_form(request, MOST_BYTES)
        response = RedirectResponse("/login", 303)
        # A form of another site must not log the user out.
        if not is_csrf_token(form.get("csrf"), token):
            return response
        async with self._database.control() as work:
            await users.close_login(work, token)
        delete_cookie(request, response, LOGIN_COOKIE)
        return response

    async def _person(self, request: Request) -> users.SignedInUser | None:
        token = read_cookie(request, LOGIN_COOKIE)
        if not token:
            return None
        async with self._database.control() as work:
            return await users.fetch_login(work, token)

    def _page(self, request: Request, status: int = 200, **context: Any) -> Response:
        secret = form_secret(request)
        owner = context.get("owner") or {}
        link = context.get("link", "")
        is_first_account = bool(link) and owner.get("user_ref") is None
        title, button, lead = "Log in", "Log in", ""
        if is_first_account:
            title, button = "Welcome to Innkeeper", "Create the owner's account"
            lead = "This link creates the account of the first owner."
        elif link:
            title, button = "Choose a password", "Save and log in"
            lead = f"For {owner['email']}." if owner.get("email") else ""
        if context.get("forgotten"):
            title, button = "Forgotten password", "Send a link"
        values = {
            **{"forgotten": False, "is_sent": False},
            **{"can_mail": bool(self._database.settings.smtp_url)},
            **{"title": title, "button": button, "lead": lead, "asks_person": is_first_account},
            **{"link": link, "next": "", "fault": "", "email": "", "name": ""},
            **{"csrf": csrf_token(secret), "theme": theme_of(request)},
        }
        values |= {name: value for name, value in context.items() if name != "owner"}
        response = HTMLResponse(render("login.html", **values), status, HEADERS)
        set_cookie(request, response, FORM_COOKIE, secret, same_site="strict")
        return response


def _text(form: FormData, name: str) -> str:
    value = form.get(name, "")
    return value if isinstance(value, str) else ""


def _safe(path: str) -> str:
    """Return a path below `/w/`; empty for a text that could lead to another site."""
    return path if path.startswith("/w/") and "\\" not in path and "//" not in path else ""
