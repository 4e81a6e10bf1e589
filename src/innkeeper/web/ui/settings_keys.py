"""Settings, API access: client keys, their aliases (context ids), OAuth keys."""

from typing import Final

from starlette.responses import Response

from innkeeper import clock
from innkeeper.actions.admin import keys, oauth
from innkeeper.errors import BadRequest
from innkeeper.resources.base import Record
from innkeeper.rules.access import Right
from innkeeper.rules.scopes import DEFAULT_SCOPES, SCOPES, in_order, read_scopes, scopes_of_role
from innkeeper.web.ui.settings import TABS
from innkeeper.web.ui.shell import PageRoute, Visit


async def show(
    visit: Visit, fresh: keys.NewKey | None = None, client: oauth.NewClient | None = None
) -> Response:
    """List client keys and OAuth keys; the secret of a key that was just created is shown once."""
    rows = await keys.list_all(visit.work, visit.workspace)
    rows = [row for row in rows if row["expires_at"] is None or row["expires_at"] > clock.now()]
    live = [row for row in rows if row["revoked_at"] is None]
    own = {row["client_key"] for row in live}
    clients = await oauth.list_all(visit.work, visit.workspace)
    grantable = scopes_of_role(visit.person.role)
    return visit.show(
        "settings_api.html",
        tabs=TABS,
        keys=live,
        revoked=[row for row in rows if row["revoked_at"] is not None],
        aliases=[row for row in await keys.list_aliases(visit.work) if row["client_key"] in own],
        clients=[row for row in clients if row["revoked_at"] is None],
        fresh=fresh,
        client=client,
        scope=oauth.SCOPE,
        scopes={scope: text for scope, text in SCOPES.items() if scope in grantable},
        default_scopes=DEFAULT_SCOPES & grantable,
        versions=(versions := await keys.list_versions(visit.work, visit.workspace)),
        differing=[row for key in live for row in _differing(visit, key)],
        resend=versions.get(visit.form_text("client_key"), ""),
        rotatable={row["client_key"] for row in live if keys.scopes_in(row) <= grantable},
    )


def _differing(visit: Visit, key: Record) -> list[tuple[str, str, str]]:
    """List the fields of a key that a form changes: (name, as sent, as stored); empty for other
    keys."""
    if key["client_key"] != visit.form_text("client_key"):
        return []
    name = key["name"] or key["client_key"]
    rows = [("Key", name, name)]
    if visit.form_text("action") == "compatibility":
        rows.append(("Compatibility", visit.form_text("compatibility"), key["compatibility"]))
    if visit.form_text("action") == "scopes":
        stored = ", ".join(in_order(keys.scopes_in(key)))
        rows.append(("Scopes", ", ".join(visit.form_texts("scopes")), stored))
    if visit.form_text("action") == "rotate":
        rows.append(
            (
                "API token",
                "Another one",
                "It may have been replaced: ask the person who created the key",
            )
        )
    return rows


async def change(visit: Visit) -> Response:
    """Create, rotate, change or revoke a key of this workspace."""
    action, client_key = visit.form_text("action"), visit.form_text("client_key")
    rows = {row["client_key"]: row for row in await keys.list_all(visit.work, visit.workspace)}
    if action != "create" and client_key not in rows:
        raise BadRequest("There is no such key in this workspace.")
    grantable, expected = scopes_of_role(visit.person.role), visit.expected
    if action == "create":
        name = visit.form_text("name")[:100]
        fresh = await keys.create(
            *(visit.work, visit.workspace, _compatibility(visit), name),
            scopes=read_scopes(visit.form_texts("scopes")),
            by=grantable,
        )
    elif action == "rotate":
        fresh = await keys.rotate(visit.work, client_key, by=grantable, expected=expected)
    elif action == "scopes":
        scopes = read_scopes(visit.form_texts("scopes"))
        await keys.set_scopes(visit.work, client_key, scopes, by=grantable, expected=expected)
        return visit.go("/settings", f"The key may {', '.join(in_order(scopes))} now.")
    elif action == "compatibility":
        compatibility = _compatibility(visit)
        await keys.set_compatibility(visit.work, client_key, compatibility, expected=expected)
        return visit.go("/settings", f"The key follows {compatibility} now.")
    elif action == "revoke":
        await keys.revoke(visit.work, client_key)
        return visit.go("/settings", "The key was revoked. Requests with it are rejected.")
    else:
        raise BadRequest("Unknown action.")
    return await show(visit, fresh)


def _compatibility(visit: Visit) -> keys.Compatibility:
    return "official" if visit.form_text("compatibility") == "official" else "open"


async def change_client(visit: Visit) -> Response:
    """Create or revoke an OAuth key of this workspace."""
    action, client_id = visit.form_text("action"), visit.form_text("client_id")
    if action == "create":
        # An OAuth key reads guests.
        visit.need(Right.PERSONAL)
        client = await oauth.create(visit.work, visit.workspace, visit.form_text("name")[:100])
        return await show(visit, client=client)
    client_ids = {row["client_id"] for row in await oauth.list_all(visit.work, visit.workspace)}
    if action != "revoke" or client_id not in client_ids:
        raise BadRequest("There is no such key in this workspace.")
    await oauth.revoke(visit.work, client_id)
    return visit.go("/settings", "The OAuth key and its tokens were revoked.")


async def change_alias(visit: Visit) -> Response:
    """Create, change or delete an alias (context id) of a key of this workspace."""
    alias, client_key = visit.form_text("alias"), visit.form_text("client_key")
    own = {row["client_key"] for row in await keys.list_all(visit.work, visit.workspace)}
    key_of_alias = {row["alias"]: row["client_key"] for row in await keys.list_aliases(visit.work)}
    if not alias or client_key not in own or key_of_alias.get(alias, client_key) not in own:
        raise BadRequest("Enter a context id and a client key of this workspace.")
    if visit.form_text("action") == "remove":
        await keys.delete_alias(visit.work, alias)
        return visit.go("/settings", f"{alias} was deleted.")
    await keys.set_alias(visit.work, alias, client_key, only_new=True)
    return visit.go("/settings", f"{alias} is an alias of the key now.")


PAGES: Final = (
    PageRoute("/settings", show, change, post_right=Right.KEYS),
    PageRoute("/settings/oauth", show, change_client, right=Right.KEYS),
    PageRoute("/settings/aliases", show, change_alias, right=Right.KEYS),
)
