"""The screen of the undo of an import: its preview, then its progress."""

from typing import Final

from starlette.responses import Response

from innkeeper.actions.bulk import batches, undo
from innkeeper.rules.access import Right
from innkeeper.web.ui.shell import PageRoute, Visit

ORDER: Final = ("guests", "orders", "items", "contacts", "consumers", "extensions")


async def confirm_undo(visit: Visit) -> Response:
    """Show the changes that the undo of an import would make or has made."""
    row = await batches.fetch(visit.work, visit.ref("import"))
    undone = await undo.describe(visit.work, row["ref"])
    names = dict.fromkeys([*ORDER, *sorted({*undone["removed"], *undone["restored"]})])
    counts = [
        (name, undone["removed"].get(name, 0), undone["restored"].get(name, 0)) for name in names
    ]
    return visit.show(
        "import_undo.html",
        row=row,
        undone=undone,
        not_undone=undo.NOT_UNDONE,
        counts=[one for one in counts if any(one[1:])],
        running=undone["state"] in undo.RUNNING,
    )


async def request_undo(visit: Visit) -> Response:
    """Queue the undo of an import; without a choice, nothing that changed later is skipped."""
    ref = visit.ref("import")
    await undo.request(visit.work, ref, skip_changed=visit.form_text("skip_changed") == "yes")
    return visit.go(f"/imports/{ref}/undo")


PAGES: Final = (
    PageRoute(
        *("/imports/{import}/undo", confirm_undo, request_undo), right=Right.IMPORTS, whole=False
    ),
)
