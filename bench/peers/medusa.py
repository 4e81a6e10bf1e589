"""Medusa as one of the compared systems: customers, and draft orders with an item."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final
from urllib.parse import quote

from bench.guests import OFFSETS, guest, in_turn
from bench.load import Load
from bench.orders import ITEM, order
from bench.peers.packages import MEDUSA, node_project
from bench.peers.systems import System, call, create_database, new_city, node_server, run_node
from bench.servers import Server, free_port

EMAIL: Final = "admin@example.com"
PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - of a server on loopback
CONFIG: Final = """const { defineConfig } = require("@medusajs/framework/utils");

module.exports = defineConfig({
  admin: { disable: true },
  projectConfig: {
    databaseUrl: process.env.DATABASE_URL,
    databaseDriverOptions: { connection: { ssl: false } },
    http: {
      storeCors: "", adminCors: "", authCors: "",
      jwtSecret: process.env.JWT_SECRET, cookieSecret: process.env.COOKIE_SECRET,
    },
  },
});
"""


class Medusa(System):
    """Its admin API. What a customer or an order has no column for is in its metadata."""

    name = "Medusa"
    guests = "SELECT id FROM customer"
    orders = 'SELECT id FROM "order"'

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        region = {"name": "Europe", "currency_code": "eur"}
        self._region = call(server, "/admin/regions", region)["region"]["id"]
        customer = {"email": "customer@example.com"}
        self._customer = call(server, "/admin/customers", customer)["customer"]["id"]

    def create_guest(self) -> Load:
        return self.send(lambda number: self.server.post("/admin/customers", _customer(number)))

    def read_guest(self) -> Load:
        return self.of_any(self.guests, lambda ref, _: self.server.get(f"/admin/customers/{ref}"))

    def update_guest(self) -> Load:
        def body(number: int) -> bytes:
            return json.dumps({"metadata": json.loads(new_city(number))}).encode()

        return self.of_any(
            self.guests,
            lambda ref, number: self.server.post(f"/admin/customers/{ref}", body(number)),
        )

    def list_guests(self) -> Load:
        lists = (
            self.server.get(f"/admin/customers?limit=100&offset={offset}") for offset in OFFSETS
        )
        return self.send(in_turn(lists))

    def create_order(self) -> Load:
        return self.send(
            lambda number: self.server.post("/admin/draft-orders", self._order(number))
        )

    def read_order(self) -> Load:
        return self.of_any(self.orders, lambda ref, _: self.server.get(f"/admin/orders/{ref}"))

    def _order(self, number: int) -> bytes:
        payload, item = json.loads(order(number)), json.loads(ITEM)
        text = ("currencyCode", "price")
        return json.dumps(
            {
                "customer_id": self._customer,
                "region_id": self._region,
                "currency_code": payload["currencyCode"].lower(),
                "items": [
                    {
                        "title": item["name"],
                        "quantity": item["quantity"],
                        "unit_price": item["price"],
                        "metadata": {name: item[name] for name in ("type", "productId", "status")},
                    }
                ],
                "metadata": {name: value for name, value in payload.items() if name not in text},
            }
        ).encode()


def _customer(number: int) -> bytes:
    payload = json.loads(guest(number))
    return json.dumps(
        {
            "email": payload["email"],
            "first_name": payload["firstName"],
            "last_name": payload["lastName"],
            "phone": payload["phoneNumbers"][0],
            "metadata": {
                name: payload[name] for name in ("guestType", "city", "country", "identifiers")
            },
        }
    ).encode()


@contextmanager
def running(dsn: str) -> Iterator[Medusa]:
    """Medusa in production mode on a database of the same server, with an administrator."""
    project = node_project("medusa", MEDUSA)
    (project / "medusa-config.js").write_text(CONFIG)
    program = str(project / "node_modules" / "@medusajs" / "cli" / "cli.js")
    port, database = free_port(), create_database(dsn, "medusa")
    host = quote(database["host"], safe="")
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": os.environ["HOME"],
        "NODE_ENV": "production",
        "DATABASE_URL": f"postgres://{database['user']}@{host}/medusa",
        "JWT_SECRET": "j" * 32,
        "COOKIE_SECRET": "c" * 32,
        "LOG_LEVEL": "warn",
        "MEDUSA_DISABLE_TELEMETRY": "true",
    }
    for command in (["db:migrate"], ["user", "-e", EMAIL, "-p", PASSWORD]):
        run_node([program, *command], project, variables)
    start = [program, "start", "--host", "127.0.0.1", "--port", str(port)]
    url = f"http://127.0.0.1:{port}/health"
    with node_server(start, project, variables, url) as (pid, ready_after):
        address = f"host={database['host']} user={database['user']} dbname=medusa"
        server = Server("127.0.0.1", port, "", address, pid, ready_after)
        existing = call(server, "/auth/user/emailpass", {"email": EMAIL, "password": PASSWORD})
        server = replace(server, authorization=f"Bearer {existing['token']}")
        yield Medusa(server)
