"""The floor: the least an honest server must do for the same requests.

A Starlette application that checks Basic credentials, runs one bare psycopg statement over the
same tables and writes JSON. No validation, no dialects, no links, no errors.
"""

import base64
import hmac
import os
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import msgspec
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb, set_json_dumps, set_json_loads
from psycopg_pool import AsyncConnectionPool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

CREDENTIALS = b"Basic " + base64.b64encode(b"floor:" + b"0" * 43)
SCHEMA = "ws_live"
COLUMNS = "ref, guest_type, body, first_seen, last_seen, created_at, modified_at"
FETCH = f"SELECT {COLUMNS} FROM {SCHEMA}.guests WHERE ref = %s"
LIST = f"""SELECT {COLUMNS} FROM {SCHEMA}.guests
WHERE survivor_ref IS NULL ORDER BY created_at, ref LIMIT 100 OFFSET %s"""
CREATE = f"""WITH created AS (
    INSERT INTO {SCHEMA}.guests ({COLUMNS})
    VALUES (%(ref)s, 'customer', %(body)s, %(now)s, %(now)s, %(now)s, %(now)s)
) INSERT INTO {SCHEMA}.guest_keys (key, guest_ref) SELECT unnest(%(keys)s::uuid[]), %(ref)s"""
CREATE_ORDER = f"""INSERT INTO {SCHEMA}.orders
(ref, reference_id, reference_key, ordered_at, body, created_at, modified_at)
VALUES (%(ref)s, %(reference_id)s, %(key)s, %(now)s, %(body)s, %(now)s, %(now)s)"""
CREATE_ITEM = f"""INSERT INTO {SCHEMA}.order_items
(ref, order_ref, ordered_at, body, created_at, modified_at)
VALUES (%(ref)s, %(order)s, %(now)s, %(body)s, %(now)s, %(now)s)"""
CREATE_CONTACT = f"""WITH guest AS (
    INSERT INTO {SCHEMA}.guests ({COLUMNS})
    VALUES (%(guest)s, 'customer', %(body)s, %(now)s, %(now)s, %(now)s, %(now)s)
), keys AS (
    INSERT INTO {SCHEMA}.guest_keys (key, guest_ref) SELECT unnest(%(keys)s::uuid[]), %(guest)s
), joined AS (
    INSERT INTO {SCHEMA}.guest_joins (guest_ref, evidence, source, source_ref, actor, joined_at)
    VALUES (%(guest)s, '[]', 'order contact', %(order)s, 'floor', %(now)s)
) INSERT INTO {SCHEMA}.order_contacts (ref, order_ref, guest_ref, body, created_at, modified_at)
VALUES (%(ref)s, %(order)s, %(guest)s, %(body)s, %(now)s, %(now)s)"""
CREATE_KNOWN = f"""WITH guest AS (
    SELECT guest_ref AS ref FROM {SCHEMA}.guest_keys WHERE key = %(key)s
), joined AS (
    INSERT INTO {SCHEMA}.guest_joins (guest_ref, evidence, source, source_ref, actor, joined_at)
    SELECT ref, '[]', 'order contact', %(order)s, 'floor', %(now)s FROM guest
) INSERT INTO {SCHEMA}.order_contacts (ref, order_ref, guest_ref, body, created_at, modified_at)
SELECT %(ref)s, %(order)s, ref, %(body)s, %(now)s, %(now)s FROM guest"""
EVENT_COLUMNS = """ref, at, session_ref, guest_ref, browser_ref, number, type, channel,
    point_of_sale, timeout_seconds, ends_session, body, received_at"""
CREATE_EVENT = f"""INSERT INTO {SCHEMA}.events ({EVENT_COLUMNS})
VALUES (%(ref)s, %(now)s, %(session)s, %(guest)s, %(browser)s, 1, %(type)s, %(channel)s, %(pos)s,
    1200, false, %(body)s, %(now)s)"""
# The rows of an event that goes on with a session, and of one that begins one, as ours leaves them.
OF_SESSION = f"""INSERT INTO {SCHEMA}.events ({EVENT_COLUMNS})
SELECT %(ref)s, %(now)s, ref, guest_ref, %(browser)s, version, %(type)s, %(channel)s, %(pos)s,
    1200, false, %(body)s, %(now)s FROM session"""
GO_ON = f"""WITH session AS (
    UPDATE {SCHEMA}.sessions SET version = version + 1, last_at = %(now)s, events = events + 1,
        expires_at = %(now)s + interval '20 minutes', details = %(details)s, modified_at = %(now)s
    WHERE browser_ref = %(browser)s AND channel = %(channel)s RETURNING ref, guest_ref, version
) {OF_SESSION}"""
BEGIN = f"""WITH browser AS (
    UPDATE {SCHEMA}.browsers SET version = version + 1, channel = %(channel)s,
        point_of_sale = %(pos)s
    WHERE ref = %(browser)s RETURNING guest_ref
), seen AS (
    UPDATE {SCHEMA}.guests SET last_seen = %(now)s FROM browser WHERE ref = browser.guest_ref
), session AS (
    INSERT INTO {SCHEMA}.sessions (ref, browser_ref, guest_ref, channel, started_at, last_at,
        expires_at, events, details, created_at, modified_at)
    SELECT %(session)s, %(browser)s, guest_ref, %(channel)s, %(now)s, %(now)s,
        %(now)s + interval '20 minutes', 1, %(details)s, %(now)s, %(now)s
    FROM browser RETURNING ref, guest_ref, version
) {OF_SESSION}"""
EVENTS = {"alone": CREATE_EVENT, "goes-on": GO_ON, "begins": BEGIN}
ORDER_COLUMNS = "ref, reference_id, ordered_at, body, created_at, modified_at"
FETCH_ORDER = f"SELECT {ORDER_COLUMNS} FROM {SCHEMA}.orders WHERE ref = %s"
WHOLE = f"""SELECT o.ref, o.reference_id, o.ordered_at, o.body, o.created_at, o.modified_at,
    (SELECT jsonb_agg(to_jsonb(i)) FROM {SCHEMA}.order_items AS i WHERE i.order_ref = o.ref)
        AS items,
    (SELECT jsonb_agg(to_jsonb(c)) FROM {SCHEMA}.order_contacts AS c WHERE c.order_ref = o.ref)
        AS contacts,
    (SELECT jsonb_agg(to_jsonb(c)) FROM {SCHEMA}.order_consumers AS c WHERE c.order_ref = o.ref)
        AS consumers
FROM {SCHEMA}.orders AS o"""
WHOLE_ORDER = f"{WHOLE} WHERE o.ref = %s"
ORDERS_OF_GUEST = f"""{WHOLE} WHERE o.ref IN
(SELECT order_ref FROM {SCHEMA}.order_contacts WHERE guest_ref = %s) ORDER BY created_at"""


class Floor:
    """The endpoints: each checks credentials and runs one statement on the pool."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def read(self, request: Request, sql: str, *params: Any, many: bool = False) -> Response:
        _check(request)
        async with self._pool.connection() as connection:
            cursor = await connection.execute(sql, params)
            return answer(await (cursor.fetchall() if many else cursor.fetchone()))

    async def write(self, request: Request, sql: str, **more: Any) -> Response:
        _check(request)
        body = msgspec.json.decode(await request.body())
        params = {"ref": uuid4(), "body": Jsonb(body), "now": datetime.now(UTC), **more}
        params["reference_id"] = body.get("referenceId")
        async with self._pool.connection() as connection:
            await connection.execute(sql, params)
        return answer({**body, "ref": params["ref"], "createdAt": params["now"]}, 201)

    async def create_event(self, request: Request) -> Response:
        _check(request)
        body = msgspec.json.decode(await request.body())
        params = {name: body[name] for name in ("type", "channel", "pos")}
        params |= {"ref": uuid4(), "body": Jsonb(body), "now": datetime.now(UTC)}
        params |= {"session": uuid4(), "guest": uuid4(), "browser": UUID(body["browser_id"])}
        params["details"] = Jsonb(
            {name: body[name] for name in ("pos", "currency", "language", "page")}
        )
        async with self._pool.connection() as connection:
            await connection.execute(EVENTS[request.path_params["how"]], params)
        return answer({"status": "OK", "version": "1.2", "ref": params["ref"]}, 201)

    async def fetch(self, request: Request) -> Response:
        return await self.read(request, FETCH, _ref(request))

    async def list_(self, request: Request) -> Response:
        return await self.read(request, LIST, int(request.query_params["offset"]), many=True)

    async def create(self, request: Request) -> Response:
        return await self.write(request, CREATE, keys=[uuid4(), uuid4()])

    async def create_order(self, request: Request) -> Response:
        return await self.write(request, CREATE_ORDER, key=uuid4())

    async def create_item(self, request: Request) -> Response:
        return await self.write(request, CREATE_ITEM, order=_ref(request))

    async def create_contact(self, request: Request) -> Response:
        more = {"order": _ref(request), "guest": uuid4(), "keys": [uuid4()]}
        return await self.write(request, CREATE_CONTACT, **more)

    async def create_known(self, request: Request) -> Response:
        key = UUID(request.query_params["key"])
        return await self.write(request, CREATE_KNOWN, order=_ref(request), key=key)

    async def fetch_order(self, request: Request) -> Response:
        return await self.read(request, FETCH_ORDER, _ref(request))

    async def whole_order(self, request: Request) -> Response:
        return await self.read(request, WHOLE_ORDER, _ref(request))

    async def orders_of_guest(self, request: Request) -> Response:
        guest = UUID(request.query_params["guest"])
        return await self.read(request, ORDERS_OF_GUEST, guest, many=True)

    def routes(self) -> list[Route]:
        return [
            Route("/ready", _ready),
            Route("/guests/{ref}", self.fetch),
            Route("/guests", self.list_),
            Route("/guests", self.create, methods=["POST"]),
            Route("/events/{how}", self.create_event, methods=["POST"]),
            Route("/orders", self.create_order, methods=["POST"]),
            Route("/orders", self.orders_of_guest),
            Route("/orders/{ref}/orderItems", self.create_item, methods=["POST"]),
            Route("/orders/{ref}/contacts", self.create_contact, methods=["POST"]),
            Route("/orders/{ref}/contacts/known", self.create_known, methods=["POST"]),
            Route("/orders/{ref}", self.fetch_order),
            Route("/orders/{ref}/whole", self.whole_order),
        ]


def create_app() -> Starlette:
    """The application; its database is named by FLOOR_DATABASE."""
    set_json_loads(msgspec.json.decode)
    set_json_dumps(msgspec.json.encode)
    pool: AsyncConnectionPool[Any] = AsyncConnectionPool(
        os.environ["FLOOR_DATABASE"],
        kwargs={"autocommit": True, "row_factory": dict_row, "prepare_threshold": 2},
        min_size=2,
        max_size=8,
        open=False,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> Any:
        async with pool:
            yield

    return Starlette(routes=Floor(pool).routes(), lifespan=lifespan)


def _check(request: Request) -> None:
    header = request.headers.get("authorization", "").encode()
    if not hmac.compare_digest(header, CREDENTIALS):
        raise PermissionError


def _ref(request: Request) -> UUID:
    return UUID(request.path_params["ref"])


async def _ready(_: Request) -> Response:
    return answer({})


def answer(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
