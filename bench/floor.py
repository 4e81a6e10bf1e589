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
FETCH = f"""SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at
FROM {SCHEMA}.guests WHERE ref = %s"""
LIST = f"""SELECT ref, guest_type, body, first_seen, last_seen, created_at, modified_at
FROM {SCHEMA}.guests WHERE survivor_ref IS NULL ORDER BY created_at, ref LIMIT 100"""
CREATE = f"""WITH created AS (
    INSERT INTO {SCHEMA}.guests
        (ref, guest_type, body, first_seen, last_seen, created_at, modified_at)
    VALUES (%(ref)s, 'customer', %(body)s, %(now)s, %(now)s, %(now)s, %(now)s)
) INSERT INTO {SCHEMA}.guest_keys (key, guest_ref) SELECT unnest(%(keys)s::uuid[]), %(ref)s"""


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

    def checked(request: Request) -> None:
        sent = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(sent, CREDENTIALS):
            raise PermissionError

    async def fetch(request: Request) -> Response:
        checked(request)
        async with pool.connection() as connection:
            cursor = await connection.execute(FETCH, (UUID(request.path_params["ref"]),))
            return answer(await cursor.fetchone())

    async def list_(request: Request) -> Response:
        checked(request)
        async with pool.connection() as connection:
            return answer(await (await connection.execute(LIST)).fetchall())

    async def create(request: Request) -> Response:
        checked(request)
        body = msgspec.json.decode(await request.body())
        params = {"ref": uuid4(), "body": Jsonb(body), "now": datetime.now(UTC)}
        keys = [uuid4() for _ in range(1 + len(body.get("identifiers", ())))]
        async with pool.connection() as connection:
            await connection.execute(CREATE, {**params, "keys": keys})
        return answer({**body, "ref": params["ref"], "createdAt": params["now"]}, 201)

    return Starlette(
        routes=[
            Route("/ready", lambda _: answer({})),
            Route("/guests/{ref}", fetch),
            Route("/guests", list_),
            Route("/guests", create, methods=["POST"]),
        ],
        lifespan=lifespan,
    )


def answer(value: Any, status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")
