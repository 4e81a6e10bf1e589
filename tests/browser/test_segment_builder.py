"""The segment builder in a browser: rules, counts, sums, sequences, SQL, and what they count."""

import re

import httpx
import pytest
from page_checks import fits
from picking import pick_field

ORDER = {"currencyCode": "EUR", "status": "PURCHASED", "channel": "WEB"}
ORDER |= {"pointOfSale": "harbourandhill.com"}


@pytest.fixture
def api(shop):
    with httpx.Client(base_url=shop.url, auth=(shop.client_key, shop.token)) as client:
        yield client


CITY = "Ballyhand"
"""A town of this file's own, so that counts can be made by hand."""


@pytest.fixture(scope="module")
def town(shop):
    """People of one town: what each did is written beside them."""
    with httpx.Client(base_url=shop.url, auth=(shop.client_key, shop.token)) as api:
        payload = {
            "Ann": (2, [30, 80], []),
            "Bea": (2, [10, 20], ["VIEW"]),
            "Cal": (1, [150], ["VIEW boots", "ADD"]),
            "Dot": (3, [40, 40, 40], []),
            "Eve": (0, [], ["VIEW shoes", "ADD"]),
            "Flo": (0, [], ["ADD", "VIEW"]),
        }
        refs = {}
        for name, (_, prices, events) in payload.items():
            mail = f"{name.lower()}@ballyhand.example"
            identifiers = [{"provider": "email", "id": mail}]
            person = {"guestType": "customer", "firstName": name, "lastName": "Hand"}
            person |= {"city": CITY, "email": mail, "identifiers": identifiers}
            refs[name] = api.post("/v2.1/guests", json=person).json()["ref"]
            for number, price in enumerate(prices):
                at = f"2026-0{number + 5}-01T10:00:00.000Z"
                order = {**ORDER, "referenceId": f"{name}-{number}", "price": price}
                created = api.post("/v2.1/orders", json={**order, "orderedAt": at}).json()
                contact = {"firstName": name, "email": mail, "identifiers": identifiers}
                answer = api.post(f"/v2.1/orders/{created['ref']}/contacts", json=contact)
                assert answer.json()["guest"]["href"].endswith(refs[name]), answer.text
            if events:
                _visit(api, shop.client_key, events, mail)
        yield refs


def _visit(api, client_key: str, events: list[str], mail: str) -> None:
    browser = api.get("/v1.2/browser/create.json", params={"client_key": client_key}).json()["ref"]
    common = {"client_key": client_key, "browser_id": browser, "channel": "WEB"}
    common |= {"pos": "harbourandhill.com", "currency": "EUR", "language": "EN"}
    identity = {"type": "IDENTITY", "identifiers": [{"provider": "email", "id": mail}]}
    product = {"item_id": "X", "product_id": "X", "name": "X", "type": "X", "price": 1}
    messages = [identity]
    for event in events:
        kind, _, category = event.partition(" ")
        more = {"product": {**product, "quantity": 1}} if kind == "ADD" else {"page": "/x"}
        if category:
            more["ext"] = {"category": category}
        messages.append({"type": kind, **more})
    for each in messages:
        answer = api.post("/v1.2/events", json={**common, **each})
        assert answer.status_code < 300, answer.text


def _in_town(page) -> None:
    """Add: who are of the town."""
    group = page.locator(".group").nth(page.locator(".group").count())
    page.get_by_role("button", name="Guest", exact=True).click()
    group.get_by_role("button", name="Rule", exact=True).click()
    pick_field(page, "City")
    group.get_by_label("Value").fill(CITY)
    group.get_by_label("Value").press("Tab")


def _counted(page, number: int) -> None:
    page.locator(".count:not(.loading)", has_text=re.compile(f"^{number}$")).wait_for()


def test_analyst_builds_bought_twice_and_not_back(page, town) -> None:
    """By hand: Ann and Dot bought twice or more and have no session; Bea was just here."""
    page.go("/segments")
    page.get_by_role("link", name="New segment").click()
    page.get_by_label("Name of the segment").fill("Bought twice, no visit for 30 days")
    page.get_by_label("Of what").select_option("order")
    page.get_by_label("How many").select_option("at least")
    page.get_by_label("Number").fill("2")
    page.get_by_role("button", name="Session").click()
    page.get_by_label("With or without").nth(1).select_option("Guests who do not have")
    page.get_by_role("button", name="Rule").nth(1).click()
    pick_field(page, "Started at")
    page.get_by_label("Comparison").select_option("is within the last")
    page.get_by_label("Value").fill("30")
    page.get_by_label("Unit").select_option("days")
    _in_town(page)
    _counted(page, 2)
    live = page.locator("#live")
    assert {"Ann Hand", "Dot Hand"} == set(live.locator("li a").all_inner_texts())
    live.get_by_role("button", name="Why is Dot Hand in it?").click()
    why = live.locator(".why")
    assert why.locator("p").first.inner_text().split() == ["Order", "3"]
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_text("was saved").wait_for()
    assert page.get_by_text("Guests who have at least 2 orders").is_visible()
    assert page.get_by_text("where Started at is within the last 30 days").is_visible()
    assert page.locator(".stat dd").first.inner_text() == "2"
    page.get_by_role("link", name="Why?").first.click()
    assert page.get_by_role("heading", level=1).inner_text().endswith("no visit for 30 days")
    assert page.get_by_role("heading", name="Guests who do not have any sessions").is_visible()
    assert page.get_by_text("3 found", exact=True).or_(page.get_by_text("2 found")).is_visible()
    assert page.get_by_text(f"City is {CITY}", exact=True).is_visible()


@pytest.mark.long
def test_sums_and_sequences_are_built_and_counted(page, town) -> None:
    """By hand: Ann 110, Cal 150 and Dot 120 add up to 100 EUR or more, Bea 30 does not."""
    page.go("/segments/new?from=spent")
    page.get_by_label("Total", exact=True).fill("100")
    _in_town(page)
    _counted(page, 3)
    page.get_by_label("Total", exact=True).fill("111")
    page.get_by_label("Total", exact=True).press("Tab")
    _counted(page, 2)
    # Cal and Eve added after they had viewed; Flo did the other way round. Cal's order is old.
    page.go("/segments/new?from=left")
    _in_town(page)
    _counted(page, 2)
    page.get_by_label("Then or not").select_option("then")
    _counted(page, 0)
    page.get_by_label("Then or not").select_option("then no")
    page.get_by_label("Name of the segment").fill("Left the cart")
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_text("was saved").wait_for()
    assert page.get_by_text("then no Order within 7 days").is_visible()
    page.get_by_role("link", name="Edit").click()
    _counted(page, 2)
    assert page.get_by_label("Days after the previous step").last.input_value() == "7"


@pytest.mark.long
def test_a_step_has_rules_of_its_own(page, api, town) -> None:
    """By hand: of the two who viewed, added and did not buy, Eve alone viewed shoes. Keys only."""
    page.go("/segments/new?from=left")
    _in_town(page)
    _counted(page, 2)
    page.get_by_role("button", name="Add a rule of step 1").press("Enter")
    page.get_by_role("combobox", name="Find a field").wait_for()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Find a field"
    page.locator("#field-options [role=option]").first.wait_for()
    page.keyboard.type("category")
    page.keyboard.press("Enter")
    value = page.get_by_label("Value of step 1", exact=True)
    value.wait_for()
    assert page.get_by_label("Field of step 1: Category (ext)").is_visible()
    value.press_sequentially("sho")
    page.locator("datalist option[value=shoes]").wait_for(state="attached")
    page.keyboard.type("es")
    page.keyboard.press("Tab")
    _counted(page, 1)
    assert page.locator("#live li a").all_inner_texts() == ["Eve Hand"]
    page.get_by_label("Name of the segment").fill("Left the shoes")
    page.keyboard.press("Enter")
    page.get_by_text("was saved").wait_for()
    assert page.get_by_text("where Category (ext) is shoes").is_visible()
    segment = api.get("/innkeeper/v1/segments/left_the_shoes").json()["definition"]
    steps = segment["filterGroups"][0]["sequence"]
    assert [len(step.get("rules", ())) for step in steps] == [1, 0, 0]
    assert (steps[0]["rules"][0]["location"], steps[0]["rules"][0]["field"]) == ("ext", "category")
    page.get_by_role("link", name="Edit").click()
    _counted(page, 1)
    page.get_by_role("button", name="Remove this rule of step 1").press("Enter")
    _counted(page, 2)
    assert page.evaluate("document.activeElement.id") == "g0.s0.add"


STEPS = [
    {
        "entity": "Event",
        "type": ["VIEW", "SEARCH"],
        "ruleOperator": "or",
        "rules": [
            {"location": "ext", "field": "nobodySendsThis", "comparator": "Is Equal To"}
            | {"comparatorDataType": "number", "values": [3]},
            {"field": "createdAt", "comparator": "is in the past", "values": [1, "month"]},
            {"field": "page", "comparator": "includes any of", "values": ["/a", "/b"]},
        ],
    },
    {"entity": "orderItem", "withinDays": 0.5}
    | {"rules": [{"field": "price", "comparator": "is between", "values": [1, 2.5]}]},
]


@pytest.mark.long
def test_what_the_api_defined_opens_and_saves_back_unchanged(page, api) -> None:
    trait = {"location": "trait", "field": "lifetimeValue.CHF", "comparator": "is greater than"}
    guest = {"entity": "guest", "rules": [{**trait, "values": [200]}]}
    definition = {"filterGroups": [{"sequence": STEPS, "filterGroupType": "exclude"}, guest]}
    payload = {"name": "By the API", "definition": definition}
    assert api.post("/innkeeper/v1/segments", json=payload).status_code == 201
    page.go("/segments/by_the_api/edit")
    page.locator(".count:not(.loading)").wait_for()
    assert (
        page.get_by_label("Step 1", exact=True)
        .locator("option:checked")
        .inner_text()
        .endswith("or Search")
    )
    assert page.get_by_label("Unit of step 1").input_value() == "months"
    page.get_by_label("Name of the segment").fill("By the API, renamed")
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_text("By the API, renamed was saved").wait_for()
    assert api.get("/innkeeper/v1/segments/by_the_api").json()["definition"] == definition
    # What the form has no place for is not opened, since it would be lost.
    count = {"comparator": "is between", "values": [2, 4]}
    body = {"definition": {"filterGroups": [{"entity": "order", "count": count}]}}
    assert api.patch("/innkeeper/v1/segments/by_the_api", json=body).status_code == 200
    page.go("/segments/by_the_api/edit")
    page.wait_for_url("**/segments/by_the_api")
    assert page.get_by_role("link", name="Edit").count() == 0
    assert page.get_by_text("cannot show every part of").is_visible()


def test_values_are_suggested_with_their_shares(page, town) -> None:
    page.go("/segments/new")
    page.get_by_role("button", name="Rule").click()
    pick_field(page, "City")
    page.get_by_label("Value").press_sequentially("ballyh")
    option = page.locator(f"datalist option[value={CITY}]")
    option.wait_for(state="attached")
    assert re.fullmatch(r"\d+\.\d % \(6\)", option.get_attribute("label"))


@pytest.mark.long
def test_a_problem_of_sql_has_its_reason_and_position(page) -> None:
    page.go("/segments/new?mode=sql")
    page.locator(".count:not(.loading)").wait_for()
    # An explanation leaves the count, which is of the same text.
    page.get_by_role("button", name="Explain").click()
    page.get_by_text("ms of processor time").wait_for()
    assert page.locator("#live:not(.stale) .count:not(.loading)").is_visible()
    sql = page.get_by_label("SQL", exact=True)
    sql.fill("DELETE FROM guests")
    sql.blur()
    page.locator(".problem").first.wait_for()
    sql.fill("SELECT guest_ref\nFROM orders\nWHERE prize > 3")
    sql.blur()
    page.get_by_role("button", name="Line 3, column 7").click()
    assert page.locator("#sql-highlighted .wrong-here").inner_text() == "prize"
    chosen = "[document.activeElement.selectionStart, document.activeElement.selectionEnd]"
    start, end = page.evaluate(chosen)
    assert sql.input_value()[start:end] == "prize"


@pytest.mark.long
def test_a_saved_query_is_renamed_and_leaves_the_count(page) -> None:
    page.go("/segments/new?mode=sql")
    page.locator(".count:not(.loading)").wait_for()
    page.get_by_label("Save this query as").fill("Regulars")
    page.get_by_role("button", name="Save query").click()
    page.get_by_text("Regulars is saved.").wait_for()
    page.get_by_label("Rename the query Regulars").click()
    page.get_by_label("New name").fill("Frequent buyers")
    page.get_by_role("button", name="Rename", exact=True).click()
    page.get_by_text("Regulars is named Frequent buyers.").wait_for()
    assert page.locator("#live:not(.stale) .count:not(.loading)").is_visible()
    page.get_by_role("button", name="Delete the query Frequent buyers").click()
    page.get_by_text("Frequent buyers is deleted.").wait_for()


def test_the_count_follows_typing_and_says_when_it_is_old(page, town) -> None:
    """Nothing is left or pressed: 300 ms after the last key the count is of what is typed. Until
    then it says that it is not. A value that is missing is named beside its field."""
    page.go("/segments/new")
    _counted_any(page)
    page.get_by_role("button", name="Rule", exact=True).click()
    pick_field(page, "City")
    page.get_by_text("Enter a value.").wait_for()
    assert page.get_by_text("No count yet: complete what is marked.").is_visible()
    page.get_by_label("Value").press_sequentially(CITY, delay=5)
    assert page.get_by_text("Counting. These numbers are of the rules before").is_visible()
    _counted(page, 6)
    assert page.get_by_label("Value").input_value() == CITY
    assert page.get_by_text("Enter a value.").count() == 0
    assert not page.get_by_text("Counting. These numbers are of the rules before").is_visible()


def _counted_any(page) -> None:
    page.locator(".count:not(.loading)").wait_for()


@pytest.mark.long
def test_a_count_that_failed_is_sent_again(page) -> None:
    failed = []

    def fail_once(route) -> None:
        if route.request.method != "POST" or failed:
            route.continue_()
            return
        failed.append(route)
        route.fulfill(body="<p>Busy</p>", content_type="text/html")

    page.route("**/segments/new", fail_once)
    page.go("/segments/new")
    page.get_by_text("The count failed. Trying again.").wait_for()
    page.locator("#live:not(.stale) .count:not(.loading)").wait_for()
    page.unroute("**/segments/new", fail_once)


@pytest.mark.long
def test_a_name_that_is_typed_while_guests_are_counted_leaves_the_count_current(page) -> None:
    rows = []

    def hold(route) -> None:
        if route.request.method == "POST":
            rows.append(route)
        else:
            route.continue_()

    page.route("**/segments/new", hold)
    with page.expect_request(lambda request: request.method == "POST"):
        page.go("/segments/new")
    name = page.get_by_label("Name of the segment")
    name.fill("Typed early")
    rows[0].continue_()
    page.locator("#live .count:not(.loading)").wait_for()
    assert page.locator("#live.stale").count() == 0
    assert name.input_value() == "Typed early"
    page.unroute("**/segments/new", hold)


@pytest.mark.long
def test_a_query_is_saved_opened_and_deleted(page) -> None:
    sql = f"SELECT guest_ref FROM guests WHERE core_city = '{CITY}'"
    page.go("/segments/new?mode=sql")
    page.locator("#sql").fill(sql)
    page.get_by_label("Save this query as").fill("Of the town")
    page.get_by_role("button", name="Save query").click()
    page.get_by_text("Of the town is saved.").wait_for()
    fits(page)
    page.go("/segments/new?mode=sql")
    page.get_by_role("link", name="Of the town").click()
    page.wait_for_url("**query=Of*")
    assert page.locator("#sql").input_value() == sql
    page.get_by_role("button", name="Delete the query Of the town").click()
    page.get_by_text("Of the town is deleted.").wait_for()
    assert page.get_by_role("link", name="Of the town").count() == 0
