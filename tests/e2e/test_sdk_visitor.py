"""A scripted visitor, call by call as a shop's pages make them, checked by REST."""

import json
from typing import Any
from uuid import uuid4

import pytest
from calling import Api
from process import Innkeeper, run
from streams import JANE, Page, ago, product, types


@pytest.fixture
def shop(running: Innkeeper) -> Any:
    """A workspace of its own, whose point of sale is for tests."""
    name = f"visitor_{uuid4().hex[:8]}"
    where = ("--data", running.data)
    workspace = json.loads(run("workspaces", "create", name, "--json", *where).stdout)
    key = next(one for one in workspace if one["workspace"] == name)
    done = run(
        "points-of-sale", "change", "default", "--test", "--workspace", name, "--data", running.data
    )
    assert done.returncode == 0, done.stderr
    with Api(running.url, key["clientKey"], key["apiToken"]) as api:
        api.workspace = name  # type: ignore[attr-defined]
        yield api


def test_a_visitor_ends_as_one_customer(shop: Api, running: Innkeeper) -> None:
    """Browser, views, search, two carts, identity, order, force close: about thirty calls."""
    phone, laptop = Page(shop, channel="MOBILE_WEB"), Page(shop)
    minute = 180.0

    def at(step: float = 1) -> str:
        nonlocal minute
        minute -= step
        return ago(minutes=minute)

    # On the phone, three hours ago: looks around, fills a cart and leaves it.
    phone("VIEW", requested_at=at(), page="home", currency="EUR", language="EN", utm_source="ad")
    phone("VIEW", requested_at=at(), page="dresses")
    phone("SEARCH", requested_at=at(), product_name="red dress", product_type="DRESS")
    phone("VIEW", requested_at=at(), page="dress 1")
    phone("ADD", requested_at=at(), product=product("1", 19.99, 2))
    phone("ADD", requested_at=at(), product=product("2", 0.1, 3))
    phone("ADD", requested_at=at(), product=product("1", 19.99, 1))
    phone("VIEW", requested_at=at(), page="cart")
    # On the laptop, half an hour later: a newsletter form, who she is, a cart that is bought.
    laptop("VIEW", requested_at=at(60), page="home", currency="EUR", language="EN")
    laptop("FORM", requested_at=at(), ext={"formId": "news", "interactionType": "SUBMITTED"})
    laptop("IDENTITY", requested_at=at(), **JANE)
    laptop("ADD", requested_at=at(), product=product("3", 30))
    laptop("ADD", requested_at=at(), product=product("4", 12.5))
    laptop("SHOP:COUPON", requested_at=at(), ext={"code": "SPRING"})
    laptop("ADD_CONTACTS", requested_at=at(), contact=[JANE])
    laptop("CONFIRM", requested_at=at(), product=[{"item_id": "3"}, {"item_id": "4"}])
    laptop("PAYMENT", requested_at=at(), pay_type="Card")
    laptop("CHECKOUT", requested_at=at(), reference_id="B-1", status="PURCHASED")
    laptop("VIEW", requested_at=at(), page="thanks")
    laptop("FORCE_CLOSE", requested_at=at())
    laptop("VIEW", requested_at=at(), page="home again")
    # The phone sends what it kept while it had no network, then she logs in there too.
    phone("VIEW", requested_at=ago(minutes=177.5), page="dresses by size")
    phone("IDENTITY", requested_at=at(20), **JANE)
    phone("VIEW", requested_at=at(), page="orders")

    (guest,) = shop.get("/v2.1/guests").json()["items"]
    assert (guest["guestType"], guest["email"]) == ("customer", "jane@example.com")
    assert phone.guest == laptop.guest == guest["ref"]
    left, bought, again, login = phone.sessions
    assert types(left) == [
        "VIEW", "VIEW", "VIEW", "SEARCH", "VIEW", "ADD", "ADD", "ADD", "VIEW",
    ]  # fmt: skip
    assert (left["channel"], left["cartType"]) == ("MOBILE_WEB", "ABANDONED")
    assert left["abandonedRevenue"] == 20.29
    assert left["utmAttributes"] == {"source": "ad"}
    assert (left["firstPageURI"], left["lastPageURI"]) == ("home", "cart")
    assert (bought["channel"], bought["cartType"], bought["status"]) == (
        "WEB", "CONVERTED", "CLOSED",
    )  # fmt: skip
    assert types(bought)[-1] == "FORCE_CLOSE"
    assert [types(again), types(login)] == [["VIEW"], ["IDENTITY", "VIEW"]]
    (order,) = phone.context()["orders"]
    assert bought["orders"] == [order["ref"]]
    assert (order["referenceId"], order["price"], order["paymentType"]) == ("B-1", 42.5, "Card")
    assert sorted(item["referenceId"] for item in order["orderItems"]) == ["R-3", "R-4"]
    assert shop.get("/innkeeper/v1/quarantine").json()["items"] == []


@pytest.mark.long
def test_quarantine_at_the_command_line(shop: Api, running: Innkeeper) -> None:
    """Issue: listed and replayable, by an operator too."""
    page = Page(shop)
    name = shop.workspace  # type: ignore[attr-defined]
    where = ("--workspace", name, "--data", running.data)
    ref = page("VIEW", pos="later")["ref"]
    page("CLICK")
    listed = json.loads(run("quarantine", "list", "--json", *where).stdout)
    assert (listed[0]["ref"], listed[0]["reason"]) == (ref, "unknown point of sale")
    assert "2 still in quarantine" in run("quarantine", "replay", *where).stdout
    assert run("points-of-sale", "create", "later", *where).returncode == 0
    assert run("quarantine", "replay", ref, *where).stdout.startswith(
        "1 attached, 0 still in quarantine."
    )
    done = json.loads(run("quarantine", "replay", "--json", *where).stdout)
    assert [one["reason"] for one in done.pop("items")] == ["reserved name"]
    assert done == {"attached": 0, "waiting": 1, "reasons": {"reserved name": 1}}
    assert types(page.session) == ["VIEW"]
    points = json.loads(run("points-of-sale", "list", "--json", *where).stdout)
    assert {point["name"] for point in points} == {"default", "later"}
    assert "later" in run("points-of-sale", "list", *where).stdout
    assert run("points-of-sale", "change", "nope", "--timeout", "5", *where).returncode == 1
    assert run("aliases", "site", "s", "nope", *where).returncode == 1
    assert run("aliases", "site", "s", "later", *where).returncode == 0
    assert "later" in run("aliases", "list", *where).stdout
    assert run("aliases", "delete", "s", "--site", *where).returncode == 0
    assert run("aliases", "delete", "s", "--site", *where).returncode == 1
