"""Directus as one of the compared systems: three collections of the same fields."""

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from bench.guests import OFFSETS, guest, in_turn
from bench.load import Load
from bench.orders import ITEM, order
from bench.peers.packages import DIRECTUS, node_project
from bench.peers.systems import System, call, create_database, new_city, node_server, run_node
from bench.servers import Server, free_port

TOKEN: Final = "t" * 32
ID: Final = {
    "field": "id",
    "type": "uuid",
    "schema": {"is_primary_key": True},
    "meta": {"special": ["uuid"]},
}
GUESTS: Final = {
    "email": "string",
    "crm_id": "string",
    "guest_type": "string",
    "first_name": "string",
    "last_name": "string",
    "phone_numbers": "json",
    "city": "string",
    "country": "string",
}
ORDERS: Final = {
    "reference_id": "string",
    "ordered_at": "timestamp",
    "currency_code": "string",
    "price": "float",
    "channel": "string",
    "point_of_sale": "string",
    "payment_type": "string",
    "card_type": "string",
    "status": "string",
}
ITEMS: Final = {
    "order_ref": "uuid",
    "name": "string",
    "type": "string",
    "product_id": "string",
    "price": "float",
    "currency_code": "string",
    "status": "string",
    "quantity": "integer",
}
FILLED: Final = 50
"""Guests that one request creates before the measurement."""
INDEXED: Final = {"email", "crm_id", "reference_id", "order_ref"}
"""By what Innkeeper's tables are looked up as well, besides the primary key."""


class Directus(System):
    """Its items API; a nested item needs no request of its own."""

    name = "Directus"
    guests = "SELECT id FROM guests"
    orders = "SELECT order_ref FROM order_items"

    def create_guest(self) -> Load:
        return self.send(lambda number: self.server.post("/items/guests", _guest(number)))

    def fill(self) -> tuple[Load, int]:
        def some(number: int) -> bytes:
            several = [_guest(number * FILLED + each) for each in range(FILLED)]
            return self.server.post("/items/guests", b"[" + b",".join(several) + b"]")

        return self.send(some), FILLED

    def read_guest(self) -> Load:
        return self.of_any(self.guests, lambda ref, _: self.server.get(f"/items/guests/{ref}"))

    def update_guest(self) -> Load:
        return self.of_any(
            self.guests,
            lambda ref, number: self.server.patch(f"/items/guests/{ref}", new_city(number)),
        )

    def list_guests(self) -> Load:
        lists = (self.server.get(f"/items/guests?limit=100&offset={offset}") for offset in OFFSETS)
        return self.send(in_turn(lists))

    def create_order(self) -> Load:
        return self.send(lambda number: self.server.post("/items/orders", _order(number)))

    def read_order(self) -> Load:
        return self.of_any(
            self.orders, lambda ref, _: self.server.get(f"/items/orders/{ref}?fields=*,items.*")
        )


def _guest(number: int) -> bytes:
    fields = json.loads(guest(number))
    (identifier,) = fields.pop("identifiers")
    return json.dumps({**_snake(fields), "crm_id": identifier["id"]}).encode()


def _order(number: int) -> bytes:
    fields, item = _snake(json.loads(order(number))), _snake(json.loads(ITEM))
    return json.dumps({**fields, "items": [item]}).encode()


def _snake(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields as the collections name them."""
    return {
        "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name): value
        for name, value in fields.items()
    }


@contextmanager
def running(dsn: str) -> Iterator[Directus]:
    """Directus in production mode on a database of the same server, with its collections."""
    project = node_project("directus", DIRECTUS, compiled=["isolated-vm"])
    program = str(project / "node_modules" / "directus" / "cli.js")
    port = free_port()
    database = create_database(dsn, "directus")
    with tempfile.TemporaryDirectory(prefix="directus-") as scratch:
        variables = _variables(port, database, scratch)
        run_node([program, "bootstrap"], Path(scratch), variables)
        url = f"http://127.0.0.1:{port}/server/ping"
        with node_server([program, "start"], Path(scratch), variables, url) as (pid, ready_after):
            address = f"host={database['host']} user={database['user']} dbname=directus"
            server = Server("127.0.0.1", port, f"Bearer {TOKEN}", address, pid, ready_after)
            _create_collections(server)
            yield Directus(server)


def _variables(port: int, database: dict[str, Any], scratch: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "NODE_ENV": "production",
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "KEY": "k" * 32,
        "SECRET": "s" * 32,
        "ADMIN_EMAIL": "admin@example.com",
        "ADMIN_PASSWORD": "correct horse battery staple",
        "ADMIN_TOKEN": TOKEN,
        "DB_CLIENT": "pg",
        "DB_HOST": database["host"],
        "DB_PORT": str(database.get("port", 5432)),
        "DB_USER": database["user"],
        "DB_PASSWORD": "",
        "DB_DATABASE": database["dbname"],
        "EXTENSIONS_PATH": f"{scratch}/extensions",
        "STORAGE_LOCAL_ROOT": f"{scratch}/uploads",
        "LOG_LEVEL": "warn",
        "TELEMETRY": "false",
        # It would refuse requests while all of its processor is in use.
        "PRESSURE_LIMITER_ENABLED": "false",
    }


def _create_collections(server: Server) -> None:
    for name, fields in (("guests", GUESTS), ("orders", ORDERS), ("order_items", ITEMS)):
        columns = [
            {"field": each, "type": kind, "schema": {"is_indexed": each in INDEXED}, "meta": {}}
            for each, kind in fields.items()
        ]
        call(
            server,
            "/collections",
            # Without a log of activity and revisions, which is more than the others write.
            {
                "collection": name,
                "schema": {},
                "meta": {"accountability": None},
                "fields": [ID, *columns],
            },
        )
    items = {"field": "items", "type": "alias", "meta": {"special": ["o2m"]}}
    call(server, "/fields/orders", items)
    call(
        server,
        "/relations",
        {
            "collection": "order_items",
            "field": "order_ref",
            "related_collection": "orders",
            "meta": {"one_field": "items"},
            "schema": {"on_delete": "CASCADE"},
        },
    )
