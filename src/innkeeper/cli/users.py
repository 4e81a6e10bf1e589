"""`innkeeper users`: who may log in to the screens."""

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
        help="Workspace that they may open, with its sandbox; give it once for each. Without it "
        "every one.",
        show_default=False,
    ),
]
RoleOption = Annotated[
    str, typer.Option("--role", help="owner, admin, developer, analyst or read-only.")
]


@command(app, "list")
def users_list(here: CommandContext, json: Json = False) -> None:
    """List everybody, those whose access was taken too."""
    from innkeeper.actions.admin import users
    from innkeeper.cli.output import show, table

    rows = here.control(users.list_all)
    if json:
        show(rows)
    else:
        table(
            rows, "email", "name", "role", "workspaces", "created_at", "last_seen_at", "disabled_at"
        )


@command(app, "invite")
def users_invite(
    here: CommandContext,
    email: Email,
    name: Annotated[str, typer.Option(help="What to call them; the address when left out.")] = "",
    role: RoleOption = "analyst",
    workspace: Workspaces = None,
    json: Json = False,
) -> None:
    """Add somebody, and print the path of the link by which they choose a password."""
    from innkeeper.actions.admin import users

    wanted = _role(role)
    token = here.control(
        lambda work: users.invite(work, email, name or email, wanted, workspace or None)
    )
    _print_link(token, json)


@command(app, "link")
def users_link(
    here: CommandContext,
    email: Email,
    json: Json = False,
) -> None:
    """Print another link for somebody who lost their password or their link."""
    from innkeeper.actions.admin import users

    async def renew(work: Any) -> str:
        return await users.renew_link(work, await _find_user(work, email))

    _print_link(here.control(renew), json)


@command(app, "disable")
def users_disable(
    here: CommandContext,
    email: Email,
) -> None:
    """Take somebody's access away, at once."""
    from innkeeper.actions.admin import users
    from innkeeper.rules.access import Role

    async def disable(work: Any) -> None:
        user = await _find_user(work, email)
        row = next(row for row in await users.list_all(work) if row["ref"] == user)
        kept = {"role": Role(row["role"]), "memberships": row["workspaces"]}
        await users.change(work, user, disabled=True, **kept)

    here.control(disable)
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
