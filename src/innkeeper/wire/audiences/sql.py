"""`/innkeeper/v1/sql`: views, measured queries and saved queries, for writing segments in SQL."""

from datetime import datetime
from typing import Annotated, Final

from innkeeper.actions.audiences import sql_queries
from innkeeper.lake.sql_jobs import LONGEST
from innkeeper.resources.base import Record
from innkeeper.resources.kinds import Text
from innkeeper.resources.payloads import Payload
from innkeeper.rules.masking import masked_sql
from innkeeper.rules.scopes import READ_PERSONAL
from innkeeper.store.work import Work
from innkeeper.wire.audiences.segments import TAG
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest
from innkeeper.wire.payloads import Actor, Href, Items, Masked

OWN: Final = "/innkeeper/v1/sql"
SQL: Final = EndpointFamily(TAG, OWN)
_NAME: Final = "/queries/{name}"


class _Column(Payload):
    name: str
    type: Annotated[str, "Type in DuckDB."]
    samples: Annotated[list[str], "Some of its values."]


class _SqlView(Payload):
    name: str
    columns: list[_Column]


@SQL.endpoint(
    "GET",
    "/views",
    "List the views that SQL may read",
    response=Items[_SqlView],
    scopes=READ_PERSONAL,
)
async def list_sql_views(work: Work, _: EndpointRequest) -> Record:
    """Return the views with their columns, types and sample values."""
    return {"items": await sql_queries.list_sampled_views(work)}


class SqlText(Payload):
    """SQL as in the definition of a segment."""

    sql: Annotated[str, Text(LONGEST)]


class _Step(Payload):
    depth: Annotated[int, "0 for the last step, which reads those below it."]
    operator: str
    detail: str
    rows: int
    seconds: float


class _SqlExplanation(Payload):
    seconds: Annotated[float, "Processor time of all steps."]
    steps: list[_Step]


@SQL.endpoint(
    "POST",
    "/explain",
    "Run SQL and measure its steps",
    request=SqlText,
    response=_SqlExplanation,
    scopes=READ_PERSONAL,
    own_transactions=True,
)
async def explain_sql(work: Work, request: EndpointRequest) -> Record:
    """Return the steps of a query with their rows and times, without its result."""
    text: SqlText = request.payload
    return await sql_queries.explain(work, text.sql)


class SavedQuery(Payload):
    """SQL that is saved under a name."""

    name: str
    href: Annotated[str, Href(OWN + _NAME)]
    sql: Annotated[str, Masked(masked_sql)]
    owner: Annotated[str, "Who saved it first.", Actor()]
    modified_by: Annotated[str, Actor()]
    created_at: datetime
    modified_at: datetime


@SQL.endpoint("GET", "/queries", "List saved queries", response=Items[SavedQuery], is_large=True)
async def list_saved_queries(work: Work, _: EndpointRequest) -> Record:
    """Return the saved queries by name."""
    return {"items": await sql_queries.list_saved(work)}


@SQL.endpoint("GET", _NAME, "Fetch a saved query", response=SavedQuery)
async def fetch_saved_query(work: Work, request: EndpointRequest) -> Record:
    """Return one saved query."""
    return await sql_queries.fetch_saved(work, request.path["name"])


@SQL.endpoint(
    "PUT", _NAME, "Save a query", request=SqlText, response=SavedQuery, failures=frozenset({409})
)
async def save_query(work: Work, request: EndpointRequest) -> Record:
    """Save a text under a name, also one that is not finished."""
    text: SqlText = request.payload
    return await sql_queries.save(work, request.path["name"], text.sql)


class RenameQueryRequest(Payload):
    """The new name of a saved query."""

    name: str


@SQL.endpoint(
    "PATCH",
    _NAME,
    "Rename a saved query",
    request=RenameQueryRequest,
    response=SavedQuery,
    failures=frozenset({409}),
)
async def rename_query(work: Work, request: EndpointRequest) -> Record:
    """Rename a saved query; its owner stays."""
    change: RenameQueryRequest = request.payload
    return await sql_queries.rename(work, request.path["name"], change.name)


@SQL.endpoint("DELETE", _NAME, "Delete a saved query")
async def delete_saved_query(work: Work, request: EndpointRequest) -> None:
    """Delete a saved query; segments made from it stay as they are."""
    await sql_queries.delete(work, request.path["name"])
