"""What waits in quarantine is mended on its page: a point of sale created, a message corrected."""

import json
import re

from calling import Api
from streams import Page
from visiting import Person


def test_a_missing_point_of_sale_is_created_and_all_that_wait_for_it_are_replayed(
    owner: Person, api: Api
) -> None:
    """By hand: two events wait for the shop; one more lacks its product, which is then added."""
    page = Page(api)
    point = {"name": "default", "timeout": 30}
    api.post("/v2/tenants/points-of-sale", json=point)
    for _ in range(2):
        page.send("VIEW", pos="shop.example")
    page.send("ADD", product={"item_id": "A"})
    waiting = api.get("/innkeeper/v1/quarantine").json()
    by_reason = {each["reason"]: each for each in waiting["items"]}
    shop = by_reason["unknown point of sale"]["ref"]
    created = owner.post("/quarantine", action="create", ref=shop)
    assert created.status_code == 303
    assert "2 attached, 0 still in quarantine." in owner.get("/quarantine").text
    assert "shop.example" in owner.get("/settings/points-of-sale").text
    left = api.get("/innkeeper/v1/quarantine").json()["items"]
    assert [each["reason"] for each in left] == ["bad attributes"]
    message = left[0]["message"]
    for wrong in ("{", "[]", json.dumps({**message, "browser_id": "other"})):
        refused = owner.post("/quarantine", action="correct", ref=left[0]["ref"], message=wrong)
        assert refused.status_code == 400, wrong
    owner.post("/quarantine", action="correct", ref=left[0]["ref"], message=json.dumps(message))
    text = owner.get("/quarantine").text
    assert re.search("notice warn.*0 attached, 1 still in quarantine", text, re.S), "amber"
    product = {"item_id": "A", "type": "HAT", "price": 5, "quantity": 1}
    mended = {"message": {**message, "product": product}}
    answer = api.put(f"/innkeeper/v1/quarantine/{left[0]['ref']}", json=mended)
    assert answer.status_code == 204, answer.text
    assert api.post("/innkeeper/v1/quarantine/replay", json={}).json()["attached"] == 1
    deleted = api.delete("/v2/tenants/points-of-sale/shop.example")
    assert deleted.is_success
