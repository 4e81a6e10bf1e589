"""The page of the signed-in user: password, time zone, open logins."""

from typing import Final

from starlette.responses import Response

from innkeeper.actions.admin import account
from innkeeper.errors import BadRequest
from innkeeper.rules.access import ABOUT
from innkeeper.rules.time_zones import suggested_time_zones
from innkeeper.web.browser_security import read_cookie
from innkeeper.web.ui.shell import LOGIN_COOKIE, PageRoute, Visit


async def show(visit: Visit) -> Response:
    """Show the forms of the account and its open logins."""
    token = read_cookie(visit.request, LOGIN_COOKIE)
    logins = await account.list_logins(visit.work, visit.person.ref, token)
    return visit.show(
        "account.html", logins=logins, zones=suggested_time_zones(), about=ABOUT[visit.person.role]
    )


async def change(visit: Visit) -> Response:
    """Change the password or the time zone, or end all other logins."""
    token, person = read_cookie(visit.request, LOGIN_COOKIE), visit.person
    match visit.form_text("action"):
        case "password":
            typed = visit.form_text("current"), visit.form_text("password")
            await account.change_password(visit.work, visit.database.limits, person, *typed, token)
            note = "Your password was changed. Your other logins have ended."
        case "time_zone":
            await account.set_time_zone(visit.work, person.ref, visit.form_text("time_zone"))
            note = "Times are shown in that time zone now."
        case "log_out":
            ended = await account.close_other_logins(visit.work, person.ref, token)
            note = f"{ended} other {'login has' if ended == 1 else 'logins have'} ended."
        case _:
            raise BadRequest("Unknown action.")
    return visit.go("/account", note)


PAGES: Final = (PageRoute("/account", show, change, whole=False),)
