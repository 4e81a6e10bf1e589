"""The registry of all dialects."""

from innkeeper.wire.administration.audit_log import AUDIT_LOG
from innkeeper.wire.administration.jobs import JOBS
from innkeeper.wire.administration.keys import KEYS
from innkeeper.wire.audiences.bulk_actions import BULK_ACTIONS
from innkeeper.wire.audiences.consent import CONSENT
from innkeeper.wire.audiences.dashboards import DASHBOARDS
from innkeeper.wire.audiences.exports import EXPORTS, OWN_EXPORTS
from innkeeper.wire.audiences.guest_search import GUEST_SEARCH
from innkeeper.wire.audiences.guest_views import GUEST_VIEWS
from innkeeper.wire.audiences.reports import REPORTS
from innkeeper.wire.audiences.segment_fields import SEGMENT_FIELDS
from innkeeper.wire.audiences.segment_tables import SEGMENT_TABLES
from innkeeper.wire.audiences.segments import OWN_SEGMENTS, SEGMENTS_V4
from innkeeper.wire.audiences.sql import SQL
from innkeeper.wire.audiences.static_lists import STATIC_LISTS
from innkeeper.wire.audiences.traits import TRAITS
from innkeeper.wire.audiences.webhooks import WEBHOOKS
from innkeeper.wire.bulk.batch import BATCHES
from innkeeper.wire.bulk.import_sources import IMPORT_SOURCES
from innkeeper.wire.bulk.imports import FILES
from innkeeper.wire.dialects import legacy
from innkeeper.wire.dialects.guest_contexts import GUEST_CONTEXTS
from innkeeper.wire.dialects.nested import NESTED_ORDERS, OPEN_GUEST, OPEN_GUEST_EXTENSION
from innkeeper.wire.dialects.official import GUEST, GUEST_EXTENSION, OFFICIAL_ORDERS
from innkeeper.wire.dialects.tenants import TENANTS
from innkeeper.wire.identity.merges import MERGES
from innkeeper.wire.identity.rule_jobs import RULE_JOBS
from innkeeper.wire.identity.rules import IDENTITY, TENANT_RULES
from innkeeper.wire.privacy.privacy import PRIVACY
from innkeeper.wire.stream.quarantine import QUARANTINE
from innkeeper.wire.views import Dialect

V21 = Dialect(
    name="v2.1",
    views=(
        (OPEN_GUEST, GUEST),
        (OPEN_GUEST_EXTENSION, GUEST_EXTENSION),
        *OFFICIAL_ORDERS,
        *NESTED_ORDERS,
    ),
)

V2 = Dialect(
    name="v2",
    views=legacy.VIEWS,
    endpoints=(*TENANTS, *TENANT_RULES, *GUEST_CONTEXTS, *BATCHES, *EXPORTS, *legacy.ENDPOINTS),
    extra_error_members={"moreInfo": "moreInfoUrl"},
    page_before_filters=True,
    href_keeps_expand=True,
)

V4 = Dialect(name="v4", views=(), endpoints=tuple(SEGMENTS_V4))

OURS = Dialect(
    name="innkeeper",
    views=(),
    endpoints=(
        *(
            *IDENTITY,
            *RULE_JOBS,
            *MERGES,
            *QUARANTINE,
            *OWN_SEGMENTS,
            *SEGMENT_FIELDS,
            *SEGMENT_TABLES,
            *STATIC_LISTS,
            *SQL,
            *BULK_ACTIONS,
            *GUEST_SEARCH,
            *GUEST_VIEWS,
            *TRAITS,
            *OWN_EXPORTS,
            *WEBHOOKS,
            *CONSENT,
            *DASHBOARDS,
            *REPORTS,
        ),
        *(*FILES, *IMPORT_SOURCES, *PRIVACY, *KEYS, *AUDIT_LOG, *JOBS),
    ),
)

DIALECTS: tuple[Dialect, ...] = (V21, V2, V4, OURS)


def dialect_at(path: str) -> Dialect:
    """Return the dialect whose error body a path uses, whether the path exists or not."""
    for dialect in DIALECTS:
        if path.startswith(f"/{dialect.name}/"):
            return dialect
    return V21
