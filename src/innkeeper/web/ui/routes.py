"""The routes of every page and static file."""

from typing import Final

from starlette.routing import BaseRoute, Route

from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.web.ui import (
    account,
    bulk,
    components,
    dashboard,
    exports,
    extension_form,
    field_picker,
    finder,
    guest_form,
    guest_list,
    guest_tables,
    guests,
    home,
    identity,
    identity_rules,
    import_preview,
    import_sources,
    import_undo,
    imports,
    jobs,
    login,
    orders,
    quarantine,
    reports,
    sandbox_tokens,
    segment_pages,
    segments,
    settings,
    settings_keys,
    sql_editor,
    static_lists,
    timeline,
    traits,
    webhooks,
)
from innkeeper.web.ui.assets import ROUTES
from innkeeper.web.ui.shell import PageRoute, Shell

PAGES: Final[tuple[PageRoute, ...]] = (
    *home.PAGES,
    *finder.PAGES,
    *guest_tables.PAGES,
    *guest_list.PAGES,
    *bulk.PAGES,
    *guests.PAGES,
    *guest_form.PAGES,
    *extension_form.PAGES,
    *timeline.PAGES,
    *orders.PAGES,
    *identity.PAGES,
    *sql_editor.PAGES,
    *field_picker.PAGES,
    *segment_pages.PAGES,
    *segments.PAGES,
    *static_lists.PAGES,
    *traits.PAGES,
    *dashboard.PAGES,
    *reports.PAGES,
    *exports.PAGES,
    *import_preview.PAGES,
    *imports.PAGES,
    *import_undo.PAGES,
    *import_sources.PAGES,
    *quarantine.PAGES,
    *settings_keys.PAGES,
    *settings.PAGES,
    *webhooks.PAGES,
    *identity_rules.PAGES,
    *account.PAGES,
    *jobs.PAGES,
    *components.PAGES,
)


def routes(database: Database, server_settings: Settings) -> list[BaseRoute]:
    """Return the routes of the login, the static files, and every page of a workspace."""
    shell = Shell(database, server_settings)
    pages = []
    for page in PAGES:
        methods = [*(["GET"] if page.show else []), *(["POST"] if page.post else [])]
        pages.append(Route("/w/{workspace}" + page.path, shell.endpoint(page), methods=methods))
    return [*login.routes(database), *sandbox_tokens.routes(database), *ROUTES, *pages]
