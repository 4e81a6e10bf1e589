"""Who is told by webhook of what: the address of a segment or an export, changed at any time."""

from typing import Final

from innkeeper import clock
from innkeeper.actions.admin import stored_secrets
from innkeeper.actions.audiences import segments
from innkeeper.errors import Conflict, Invalid, Problem, Unknown
from innkeeper.resources.base import Record
from innkeeper.store.work import Work

KINDS: Final = {"segment": "Segment", "export": "Audience export"}


async def list_all(work: Work) -> list[Record]:
    """kind, friendly_id, name, url, and how many of its messages wait, arrived, were given up."""
    return await work.all("webhooks.subscriptions")


async def put(work: Work, kind: str, friendly_id: str, url: str) -> str:
    """Tell an address; the secret that its messages are signed with. Raises `Invalid`,
    `Unknown`."""
    if problems := segments.web_address_problems(work, "url", url):
        raise Invalid(*problems)
    stored = stored_secrets.new_webhook_secret(work)
    await _write(work, kind, friendly_id, url, stored)
    return stored_secrets.webhook_secret(work.settings, stored)


async def remove(work: Work, kind: str, friendly_id: str) -> None:
    """Tell nobody any more; messages that wait are still sent. Raises `Unknown`."""
    await _write(work, kind, friendly_id, None, None)


async def again(work: Work, sequence: int) -> None:
    """Try a message anew that was given up; raises `Conflict` for one that was not."""
    if not await work.run("webhooks.again", sequence=sequence, now=clock.now()):
        raise Conflict("Only a message that was given up is sent again.")


async def _write(
    work: Work, kind: str, friendly_id: str, url: str | None, secret: str | None
) -> None:
    if kind not in KINDS:
        raise Invalid(Problem("kind", f"value must be one of {','.join(KINDS)}"))
    written = await work.run(
        f"webhooks.subscribe_{kind}",
        friendly_id=friendly_id,
        url=url,
        secret=secret,
        actor=work.actor,
        now=clock.now(),
    )
    if not written:
        raise Unknown(KINDS[kind], friendly_id)
