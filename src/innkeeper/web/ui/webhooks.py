"""Settings, webhooks: the URL for each segment or export, and the newest messages."""

from typing import Final

from starlette.responses import Response

from innkeeper.actions.audiences import (
    audience_exports,
    segments,
    subscriptions,
    webhook_trials,
    webhooks,
)
from innkeeper.actions.audiences.webhook_trials import WebhookAnswer
from innkeeper.errors import BadRequest
from innkeeper.resources.base import Record
from innkeeper.rules.access import Right
from innkeeper.web.ui.settings import TABS
from innkeeper.web.ui.shell import PageRoute, Visit

MAX_MESSAGES: Final = 30


async def show(
    visit: Visit, secret: str = "", url: str = "", answer: WebhookAnswer | None = None
) -> Response:
    """List the webhooks and the newest messages; a new webhook's `secret` and the `answer` to a
    test message are shown once."""
    subjects = [
        *(
            (f"segment:{row['friendly_id']}", f"Segment: {row['name']}")
            for row in await segments.list_all(visit.work)
        ),
        *(
            (f"export:{row['friendly_id']}", f"Export: {row['name']}")
            for row in await audience_exports.list_all(visit.work)
        ),
    ]
    rows = await subscriptions.list_all(visit.work)
    return visit.show(
        "settings_webhooks.html",
        tabs=TABS,
        version=subscriptions.version_of(rows),
        rows=_veiled(visit, rows),
        differing=_differing(visit, _veiled(visit, rows), dict(subjects)),
        messages=_veiled(visit, await webhooks.list_all(visit.work, MAX_MESSAGES)),
        every=subjects,
        secret=secret,
        url=url,
        answer=answer,
        most_bytes=webhook_trials.MOST_BYTES,
    )


def _veiled(visit: Visit, rows: list[Record]) -> list[Record]:
    """Mask the URLs of rows, whose query may contain a secret or personal data."""
    return [{**row, "url": visit.veil_text(row["url"])} for row in rows]


def _differing(
    visit: Visit, rows: list[Record], titles: dict[str, str]
) -> list[tuple[str, str, str]]:
    """Describe the webhook that a form creates or deletes: (subject, as sent, as stored)."""
    what = visit.form_text("what")
    stored = [row["url"] for row in rows if f"{row['kind']}:{row['friendly_id']}" == what]
    typed = "No webhook" if visit.form_text("action") == "delete" else visit.form_text("url")
    return [(titles.get(what, what), typed, stored[0] if stored else "No webhook")]


async def change(visit: Visit) -> Response:
    """Create, delete or test a webhook, or send a message again."""
    action = visit.form_text("action")
    kind, _, friendly = visit.form_text("what").partition(":")
    if action == "create":
        url = visit.form_text("url")
        secret = await subscriptions.put(visit.work, kind, friendly, url, visit.expected)
        return await show(visit, secret, url)
    if action == "delete":
        await subscriptions.remove(visit.work, kind, friendly, visit.expected)
        return visit.go("/settings/webhooks", "The webhook was deleted.")
    if action == "test":
        answer = await webhook_trials.send_test_message(visit.work, kind, friendly)
        answer.url = visit.veil_text(answer.url)
        return await show(visit, answer=answer)
    if action != "again" or not visit.form_text("sequence").isdecimal():
        raise BadRequest("Unknown action.")
    await subscriptions.retry_message(visit.work, int(visit.form_text("sequence")[:18]))
    return visit.go("/settings/webhooks", "The message will be sent again within seconds.")


PAGES: Final = (
    PageRoute("/settings/webhooks", show, change, post_right=Right.WEBHOOKS, whole=False),
)
