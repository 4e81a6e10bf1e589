"""`innkeeper users`: accounts for the screens."""

from typing import Annotated, Any

import typer

from innkeeper.actions.admin import account, users
from innkeeper.cli.options import Act, command
from innkeeper.errors import OperatorError, existing
from innkeeper.rules.access import Role
from innkeeper.store.work import Row, Work

app = typer.Typer()

Email = Annotated[str, typer.Argument(metavar="EMAIL", show_default=False)]
Workspaces = Annotated[
    list[str] | None,
    typer.Option(
        "--workspace",
        help="Workspace that the user may open, with its sandbox; repeatable. Without it, all of "
        "them.",
        show_default=False,
    ),
]
RoleOption = Annotated[
    str, typer.Option("--role", help="owner, admin, developer, analyst, marketer or read-only.")
]


@command(
    app,
    "list",
    columns="email name role workspaces created_at last_seen_at disabled_at",
    control=True,
)
async def users_list(work: Work) -> Any:
    """List users, including disabled ones."""
    return await users.list_all(work)


def _print_link(link: dict[str, str]) -> None:
    print(f"Open this path of the server within three days: {link['path']}")


@command(app, "invite", text=_print_link, control=True)
def users_invite(
    email: Email,
    name: Annotated[str, typer.Option(help="Display name; by default the address.")] = "",
    role: RoleOption = "analyst",
    workspace: Workspaces = None,
) -> Act[dict[str, str]]:
    """Add a user, and print the path of the link at which they choose a password."""
    chosen = _role(role)

    async def act(work: Work) -> dict[str, str]:
        token = await users.invite(work, email, name or email, chosen, workspace or None)
        return {"path": f"/login?link={token}"}

    return act


@command(app, "link", text=_print_link, control=True)
async def users_link(work: Work, email: Email) -> dict[str, str]:
    """Print a new link for a user who lost the password or the link."""
    token = await users.renew_link(work, (await _find_user(work, email))["ref"])
    return {"path": f"/login?link={token}"}


@command(app, "logout", control=True)
async def users_logout(work: Work, email: Email) -> str:
    """End all logins of a user, who can log in again."""
    ended = await account.close_other_logins(work, (await _find_user(work, email))["ref"], None)
    return f"{ended} {'login' if ended == 1 else 'logins'} of {email} ended."


@command(app, "disable", control=True)
async def users_disable(work: Work, email: Email) -> str:
    """Disable a user, with immediate effect."""
    user = await _find_user(work, email)
    unchanged = {"role": Role(user["role"]), "memberships": user["workspaces"]}
    await users.change(work, user["ref"], disabled=True, **unchanged)
    return f"{email} can no longer log in."


def _role(text: str) -> Any:
    try:
        return Role(text)
    except ValueError:
        raise OperatorError(f"{text} is not a role: choose {', '.join(Role)}.") from None


async def _find_user(work: Work, email: str) -> Row:
    return existing(await users.find(work, email), "User", email)
