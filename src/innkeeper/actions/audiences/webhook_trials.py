"""Send a test message to a webhook and return the response of its receiver."""

import time
from dataclasses import dataclass, field
from typing import Final

import msgspec

from innkeeper import clock
from innkeeper.actions.admin import audit
from innkeeper.actions.audiences.delivery_slots import MESSAGES, SlowSlotsFull
from innkeeper.actions.audiences.subscriptions import KINDS
from innkeeper.actions.audiences.webhooks import SECONDS, signed_headers
from innkeeper.errors import Conflict, Invalid, Problem, Unavailable, existing
from innkeeper.resources.messages import WebhookTestMessage
from innkeeper.settings import Settings
from innkeeper.store.outbound_http import OutboundFailed, OutboundResponse, send_request
from innkeeper.store.work import Work

MOST_BYTES: Final = 2048
"""Most bytes of the response's body that are read."""
_MOST_HEADERS: Final = 50
_LONGEST_HEADER: Final = 500


@dataclass(slots=True)
class WebhookAnswer:
    """The response of the receiver of a test message, or the reason why there is none."""

    url: str
    milliseconds: int = 0
    error: str | None = None
    """Reason why there is no response; the other members are then empty."""
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    is_cut: bool = False
    """Whether the response's body is longer than `MOST_BYTES`."""

    @property
    def is_accepted(self) -> bool:
        """Whether a message of the segment or export would count as delivered."""
        return self.status is not None and 200 <= self.status < 300


async def send_test_message(work: Work, kind: str, friendly_id: str) -> WebhookAnswer:
    """Send a signed test message now, once; no connection is held meanwhile.

    It is not stored and not repeated. Raises `Invalid`, `Unknown`, `Conflict` if there is no
    webhook, and `Unavailable` while other messages use every slot.
    """
    if kind not in KINDS:
        raise Invalid(Problem("kind", f"value must be one of {','.join(KINDS)}"))
    row = await work.one("webhooks.fetch", kind=kind, friendly_id=friendly_id)
    row = existing(row, KINDS[kind], friendly_id)
    if row["url"] is None:
        raise Conflict(f"The {kind} {friendly_id} has no webhook.")
    await audit.note(work, "webhook.test", kind=kind, name=friendly_id)
    answer = WebhookAnswer(row["url"])
    message = msgspec.json.encode(WebhookTestMessage("test", kind, friendly_id, clock.now()))
    headers = signed_headers(work.settings, row["secret"], message)
    slot = MESSAGES.take(work, answer.url)
    if slot is None:
        raise Unavailable
    started = time.monotonic()
    with slot:
        try:
            async with work.released():
                _read(answer, await slot.run(_send(work.settings, answer.url, message, headers)))
        except OutboundFailed as error:
            answer.error = str(error)
        except SlowSlotsFull:
            raise Unavailable from None
    answer.milliseconds = round((time.monotonic() - started) * 1000)
    return answer


async def _send(
    settings: Settings, url: str, message: bytes, headers: dict[str, str]
) -> OutboundResponse:
    return await send_request(
        *(settings, "POST", url),
        headers=headers,
        body=message,
        seconds=SECONDS,
        most_bytes=MOST_BYTES,
        cuts=True,
    )


def _read(answer: WebhookAnswer, response: OutboundResponse) -> None:
    """Copy the members of a response that are shown."""
    headers = list(response.headers.items())[:_MOST_HEADERS]
    answer.status = response.status
    answer.headers = {name[:_LONGEST_HEADER]: value[:_LONGEST_HEADER] for name, value in headers}
    answer.body = response.body.decode("utf-8", "replace").replace("\0", "\ufffd")
    answer.is_cut = response.is_cut
