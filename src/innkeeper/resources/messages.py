"""Messages to webhooks."""

from datetime import datetime
from uuid import UUID

from innkeeper.resources.payloads import Payload


class SegmentMessage(Payload):
    """Guests who entered a Live segment, or left it."""

    event: str
    segment_ref: UUID
    friendly_id: str
    segment_name: str
    guests: list[UUID]
    at: datetime


class ExecutionMessage(Payload):
    """The end of an execution of an audience export (2.2)."""

    api_url: str
    audience_export_name: str
    client_key: str
    definition_type: str
    execution_ref: UUID
    execution_type: str
    friendly_id: str
    segment_name: str | None
    status: str


class WebhookTestMessage(Payload):
    """A test message, which a user requests."""

    event: str
    kind: str
    friendly_id: str
    at: datetime
