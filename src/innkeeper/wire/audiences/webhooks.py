"""`/innkeeper/v1/webhooks`: the webhooks of segments and exports, and test messages."""

from dataclasses import asdict
from typing import Annotated, Final

from innkeeper.actions.audiences import subscriptions, webhook_trials
from innkeeper.resources.base import Record
from innkeeper.resources.payload_kinds import NotBlank, one_of
from innkeeper.resources.payloads import Absent, Payload
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
from innkeeper.wire.payloads import ErrorText, Items

WEBHOOKS: Final = EndpointFamily("Webhooks", "/innkeeper/v1/webhooks")
_Kind = Annotated[str, one_of(*subscriptions.KINDS)]


class Webhook(Payload):
    """A webhook, and how many of its messages of the last seven days arrived."""

    kind: _Kind
    friendly_id: Annotated[str, "Friendly id of its segment or export."]
    name: str
    url: str
    waiting: int
    delivered: int
    failed: int
    error: Annotated[ErrorText, "Why the newest message that did not arrive failed."] | Absent


class TestWebhookRequest(Payload):
    """The segment or export whose webhook gets a test message."""

    kind: _Kind
    friendly_id: Annotated[str, NotBlank()]


class WebhookTest(Payload):
    """The response of the receiver, or the reason why there is none."""

    url: str
    milliseconds: int
    error: Annotated[ErrorText, "Why no response was received."] | Absent
    status: int | Absent
    headers: dict[str, str]
    body: Annotated[str, f"The first {webhook_trials.MOST_BYTES} bytes."]
    is_cut: Annotated[bool, "Whether the body is longer."]


@WEBHOOKS.endpoint("GET", "", "List webhooks", response=Items[Webhook])
async def list_webhooks(work: Work, _: EndpointRequest) -> Record:
    """Return every webhook."""
    rows = await subscriptions.list_all(work)
    return {"items": [{**row, "delivered": row["sent"]} for row in rows]}


@WEBHOOKS.endpoint(
    "POST",
    "/test",
    "Send a test message to a webhook",
    request=TestWebhookRequest,
    response=WebhookTest,
    own_transactions=True,
    failures=frozenset({404, 409}),
)
async def test_webhook(work: Work, request: EndpointRequest) -> Record:
    """Send a signed message now, once, and return the receiver's response."""
    payload: TestWebhookRequest = request.payload
    answer = await webhook_trials.send_test_message(work, payload.kind, payload.friendly_id)
    return asdict(answer)
