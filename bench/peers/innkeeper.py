"""Innkeeper as one of the compared systems."""

import json

from bench.guests import OFFSETS, guest, in_turn
from bench.load import Load
from bench.orders import ITEM, order
from bench.peers.systems import System, new_city


class Innkeeper(System):
    """The official guest and order API; an item needs a request of its own."""

    name = "Innkeeper"
    guests = "SELECT ref FROM ws_live.guests"
    orders = "SELECT order_ref FROM ws_live.order_items"

    def create_guest(self) -> Load:
        return self.send(lambda number: self.server.post("/v2.1/guests", guest(number)))

    def read_guest(self) -> Load:
        return self.of_any(self.guests, lambda ref, _: self.server.get(f"/v2.1/guests/{ref}"))

    def update_guest(self) -> Load:
        return self.of_any(
            self.guests,
            lambda ref, number: self.server.patch(f"/v2.1/guests/{ref}", new_city(number)),
        )

    def list_guests(self) -> Load:
        lists = (self.server.get(f"/v2.1/guests?limit=100&offset={offset}") for offset in OFFSETS)
        return self.send(in_turn(lists))

    def create_order(self) -> Load:
        def item(created: bytes) -> bytes:
            ref = json.loads(created)["ref"]
            return self.server.post(f"/v2.1/orders/{ref}/orderItems", ITEM)

        return Load(
            self.server, lambda number: self.server.post("/v2.1/orders", order(number)), item
        )

    def read_order(self) -> Load:
        return self.of_any(
            self.orders, lambda ref, _: self.server.get(f"/v2.1/orders/{ref}?expand=true")
        )
