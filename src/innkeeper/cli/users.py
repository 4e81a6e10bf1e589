"""`innkeeper users`: accounts for the screens."""

from typing import Annotated, Any
from uuid import UUID

import typer

from innkeeper.cli.options import CommandContext, Json, command

app = typer.Typer(help="People who may log in to the screens.", no_args_is_help=True)

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


@command(app, "list")
def users_list(context: CommandContext, json: Json = False) -> None:
    """List users, including disabled ones."""
    from innkeeper.actions.admin import users
    from innkeeper.cli.output import print_rows

    rows = context.control(users.list_all)
    columns = ("email", "name", "role", "workspaces", "created_at", "last_seen_at", "disabled_at")
    print_rows(rows, json, *columns)


@command(app, "invite")
def users_invite(
    context: CommandContext,
    email: Email,
    name: Annotated[str, typer.Option(help="Display name; by default the address.")] = "",
    role: RoleOption = "analyst",
    workspace: Workspaces = None,
    json: Json = False,
) -> None:
    """Add a user, and print the path of the link at which they choose a password."""
    from innkeeper.actions.admin import users

    chosen = _role(role)
    token = context.control(
        lambda work: users.invite(work, email, name or email, chosen, workspace or None)
    )
    _print_link(token, json)


@command(app, "link")
def users_link(
    context: CommandContext,
    email: Email,
    json: Json = False,
) -> None:
    """Print a new link for a user who lost the password or the link."""
    from innkeeper.actions.admin import users

    async def renew(work: Any) -> str:
        return await users.renew_link(work, await _find_user(work, email))

    _print_link(context.control(renew), json)


@command(app, "logout")
def users_logout(
    context: CommandContext,
    email: Email,
) -> None:
    """End all logins of a user, who can log in again."""
    from innkeeper.actions.admin import account

    async def close(work: Any) -> int:
        return await account.close_other_logins(work, await _find_user(work, email), None)

    ended = context.control(close)
    print(f"{ended} {'login' if ended == 1 else 'logins'} of {email} ended.")


@command(app, "disable")
def users_disable(
    context: CommandContext,
    email: Email,
) -> None:
    """Disable a user, with immediate effect."""
    from innkeeper.actions.admin import users
    from innkeeper.rules.access import Role

    async def disable(work: Any) -> None:
        user = await _find_user(work, email)
        row = next(row for row in await users.list_all(work) if row["ref"] == user)
        unchanged = {"role": Role(row["role"]), "memberships": row["workspaces"]}
        await users.change(work, user, disabled=True, **unchanged)

    context.control(disable)
    print(f"{email} can no longer log in.")


def _role(text: str) -> Any:
    from innkeeper.errors import OperatorError
    from innkeeper.rules.access import Role

    try:
        return Role(text)
    except ValueError:
        raise OperatorError(f"{text} is not a role: choose {', '.join(Role)}.") from None


async def _find_user(work: Any, email: str) -> UUID:
    from innkeeper.actions.admin import users
    from innkeeper.errors import OperatorError

    for row in await users.list_all(work):
        if row["email"] == email.strip().lower():
            ref: UUID = row["ref"]
            return ref
    raise OperatorError(f"There is no user {email}.")


def _print_link(token: str, json: bool) -> None:
    from innkeeper.cli.output import show

    path = f"/login?link={token}"
    if json:
        show({"path": path})
    else:
        print(f"Open this path of the server within three days: {path}")
