"""`innkeeper users`: who may log in to the screens."""

from typing import Annotated, Any
from uuid import UUID

import typer

from innkeeper.cli.options import Config, Data, Database, Json, settings

app = typer.Typer(help="People who may log in to the screens.", no_args_is_help=True)

Email = Annotated[str, typer.Argument(metavar="EMAIL", show_default=False)]
RoleOption = Annotated[
    str, typer.Option("--role", help="owner, admin, developer, analyst or read-only.")
]


@app.command("list")
def users_list(
    data: Data = None, database: Database = None, config: Config = None, json: Json = False
) -> None:
    """List everybody, those whose access was taken too."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.actions.admin import users
    from innkeeper.cli.output import show, table
    from innkeeper.cli.reach import run

    rows = run(chosen, "users list", users.list_all)
    if json:
        show(rows)
    else:
        table(rows, "email", "name", "role", "created_at", "last_seen_at", "disabled_at")


@app.command("invite")
def users_invite(
    email: Email,
    name: Annotated[str, typer.Option(help="What to call them; the address when left out.")] = "",
    role: RoleOption = "analyst",
    data: Data = None,
    database: Database = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Add somebody, and print the path of the link by which they choose a password."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.actions.admin import users
    from innkeeper.cli.reach import run

    wanted = _role(role)
    token = run(
        chosen, "users invite", lambda work: users.invite(work, email, name or email, wanted)
    )
    _print_link(token, json)


@app.command("link")
def users_link(
    email: Email,
    data: Data = None,
    database: Database = None,
    config: Config = None,
    json: Json = False,
) -> None:
    """Print another link for somebody who lost their password or their link."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.actions.admin import users
    from innkeeper.cli.reach import run

    async def renew(work: Any) -> str:
        return await users.renew_link(work, await _found(work, email))

    _print_link(run(chosen, "users link", renew), json)


@app.command("disable")
def users_disable(
    email: Email, data: Data = None, database: Database = None, config: Config = None
) -> None:
    """Take somebody's access away, at once."""
    chosen = settings(config, data=data, database=database)
    from innkeeper.actions.admin import users
    from innkeeper.cli.reach import run
    from innkeeper.rules.access import Role

    async def disable(work: Any) -> None:
        user = await _found(work, email)
        row = next(row for row in await users.list_all(work) if row["ref"] == user)
        await users.change(work, user, role=Role(row["role"]), disabled=True)

    run(chosen, "users disable", disable)
    print(f"{email} can no longer log in.")


def _role(text: str) -> Any:
    from innkeeper.errors import OperatorError
    from innkeeper.rules.access import Role

    try:
        return Role(text)
    except ValueError:
        raise OperatorError(f"{text} is not a role: choose {', '.join(Role)}.") from None


async def _found(work: Any, email: str) -> UUID:
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
