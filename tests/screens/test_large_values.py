"""S1: pages show the beginning of a large value, and link to a download with all of it."""

import asyncio
import csv
import io
import json
import re
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from uuid import uuid4

import pytest
from calling import Api, body_of
from streams import Page
from visiting import Person

from innkeeper.actions.console import figures
from innkeeper.actions.paging import PageRequest
from innkeeper.actions.records.order_items import OrderItems
from innkeeper.errors import Unavailable
from innkeeper.store.database import Database
from innkeeper.store.work import Work
from innkeeper.web.ui import downloads, orders, rendering, shell, timeline
from innkeeper.web.ui.attributes import WholeAttributes
from innkeeper.web.ui.bounded import ROWS, TEXT_CHARACTERS
from innkeeper.web.ui.import_form import MOST_COLUMNS
from innkeeper.web.ui.rendering import ON_LOOP_CHARACTERS, PageResponse

LARGEST = 400_000
"""Characters of a page about one thing, whatever it holds."""
LONG = ("long " * 4_000).strip()


def download(person: Person, page: str) -> Any:
    """What `Show all` of a page leads to."""
    match = re.search(r'<a href="([^"]+)" download>Show all', page)
    assert match is not None, page[:2000]
    answer = person.http.get(match[1])
    assert answer.status_code == 200
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert answer.headers["x-content-type-options"] == "nosniff"
    return answer.json()


def nested(tokens: int) -> list[Any]:
    """JSON of so many tokens, some of which pages escape."""
    return [{"a": number, "b": [None, True, "x<y" * 35]} for number in range(tokens // 5)]


def test_s1_an_event_in_quarantine(owner: Person, api: Api) -> None:
    """586 KB of tokens froze the server for 24 s when the page was opened; here are nearly as many
    members as a body may hold."""
    tokens = nested(22_000)
    assert 500_000 < len(json.dumps(tokens)) < 1_000_000
    Page(api)("VIEW", pos="nowhere", tokens=tokens)
    page = owner.get("/quarantine").text
    assert len(page) < LARGEST
    assert "unknown point of sale" in page.lower()
    stored = download(owner, page)
    assert stored["tokens"] == tokens


def test_s1_raw_json(owner: Person, api: Api) -> None:
    guest = {"guestType": "customer", "lastName": LONG, "subscriptions": [nested(22_000)]}
    ref = body_of(api.post("/v2.1/guests", json=guest))["ref"]
    page = owner.get(f"/guests/{ref}/json").text
    assert len(page) < LARGEST
    assert LONG not in page
    whole = download(owner, page)
    assert whole["subscriptions"] == guest["subscriptions"]
    assert whole["lastName"] == LONG
    short = api.post("/v2.1/guests", json={"guestType": "customer", "lastName": "Doe"})
    page = owner.get(f"/guests/{short.json()['ref']}/json").text
    assert "Show all" not in page
    assert "Copy the JSON" in page


def test_s1_every_page_of_a_guest(owner: Person, api: Api) -> None:
    """Values of fields, identifiers, extensions, orders, sessions and events."""
    guest = {"guestType": "customer", "firstName": LONG, "lastName": LONG, "city": LONG}
    guest |= {"street": [LONG] * 20, "subscriptions": nested(5_000)}
    guest |= {"identifiers": [{"provider": LONG[:200], "id": LONG}] * 20}
    ref = body_of(api.post("/v2.1/guests", json=guest))["ref"]
    for name in ("ext", "ext1", "ext2"):
        pairs = {f"key{number}": LONG for number in range(30)}
        answer = api.post(f"/v2.1/guests/{ref}/extensions", json={"name": name, **pairs})
        assert answer.status_code == 201, answer.text
    for tab in ("", "/timeline", "/properties", "/identity", "/json"):
        page = owner.part(f"/guests/{ref}{tab}")
        assert page.status_code == 200
        assert len(page.text) < LARGEST, tab
        assert LONG not in page.text, tab
    assert len(owner.get("/guests?type=all").text) < LARGEST


def test_s1_an_offset_of_5000_digits(owner: Person) -> None:
    """Python refuses to convert so many digits: the list shows its first page."""
    assert owner.http.get(f"/w/live/guests?offset={'9' * 5000}").status_code == 200


def test_s1_a_form_has_whole_values(owner: Person, api: Api) -> None:
    """What a form shows it sends back: nothing of it may be cut."""
    guest = {"guestType": "customer", "lastName": LONG, "street": [LONG, "x"]}
    ref = body_of(api.post("/v2.1/guests", json=guest))["ref"]
    extension = api.post(f"/v2.1/guests/{ref}/extensions", json={"name": "ext", "note": LONG})
    page = owner.get(f"/guests/{ref}/edit").text
    assert page.count(f'value="{LONG}"') == 2
    assert 'name="street" value="x"' in page
    assert LONG in owner.get(f"/guests/{ref}/extensions/{extension.json()['ref']}").text
    assert owner.post(f"/guests/{ref}/edit", last_name=LONG, city="Cork").status_code == 303
    changed = api.get(f"/v2.1/guests/{ref}").json()
    assert (changed["lastName"], changed["city"]) == (LONG, "Cork")


def test_s1_a_session_with_large_events(owner: Person, api: Api) -> None:
    """A timeline reads a line of each event, of one session."""
    visitor = Page(api, page=f"/{LONG}", ext={"a": LONG})
    for _ in range(5):
        visitor("VIEW")
    product = {"name": "A kettle", "item_id": "k-1", "type": "x"}
    visitor("ADD", product=product | {"currency": "EUR", "price": 1, "quantity": 1})
    ref = visitor.guest
    page = owner.get(f"/guests/{ref}/timeline").text
    session = re.search(r'id="s-([0-9a-f-]{36})"', page)
    assert session is not None
    page = owner.get(f"/guests/{ref}/timeline?open={session[1]}").text
    assert len(page) < LARGEST
    assert LONG not in page
    assert "A kettle" in page
    assert page.count("<strong>View</strong>") == 5
    events = download(owner, page)["events"]
    assert [event["type"] for event in events] == ["VIEW"] * 5 + ["ADD"]
    assert [event["page"] for event in events][:5] == [f"/{LONG}"] * 5
    assert events[0]["arbitrary_data"]["ext"] == {"a": LONG}
    other = owner.get(f"/guests/{ref}/timeline?open={uuid4()}")
    assert other.status_code == 200
    assert "A kettle" not in other.text


def test_s1_an_order(owner: Person, api: Api) -> None:
    order = {"referenceId": LONG, "orderedAt": "2026-10-02T10:00:00.000Z", "status": "PURCHASED"}
    order |= {"currencyCode": "EUR", "price": 1, "channel": "WEB", "pointOfSale": LONG}
    ref = api.post("/v2.1/orders", json=order).json()["ref"]
    item = {"name": "A", "type": "X", "price": 1, "currencyCode": "EUR", "status": "OK"}
    answer = api.post(f"/v2.1/orders/{ref}/orderItems", json={**item, "description": LONG})
    assert answer.status_code == 201, answer.text
    page = owner.get(f"/orders/{ref}").text
    assert LONG not in page
    assert len(page) < LARGEST
    whole = owner.get(f"/orders/{ref}/file").json()
    assert whole["point_of_sale"] == LONG
    assert [each["description"] for each in whole["items"]] == [LONG]


@pytest.mark.long
def test_s1_a_file_with_15000_columns(owner: Person, api: Api) -> None:
    """The mapping took 15 s: a page has the first columns, the others get the suggested fields."""
    names = ["First name", "E-mail", *(f"column {number}" for number in range(2, 15_000))]
    text = io.StringIO()
    csv.writer(text).writerows([names, ["Jane", "jane@example.com", *["x"] * 14_998]])
    file = {"file": ("wide.csv", text.getvalue().encode())}
    answer = owner.http.post(
        "/w/live/imports", data={"csrf": owner.csrf, "entity": "guests"}, files=file
    )
    path = answer.headers["location"].removeprefix("/w/live")
    page = owner.get(path).text
    assert len(page) < 3_000_000
    assert f"the first {MOST_COLUMNS} of 15,000" in page
    assert page.count('<select id="c') == MOST_COLUMNS
    form = {"c0": "firstName", "c1": "email,identifiers.email"}
    tried = owner.post(path, action="try", **form)
    assert tried.status_code == 200
    # Its data extensions take 100 pairs each; the mapping has no more.
    assert "are not imported, since data extensions take 600 pairs" in tried.text
    assert owner.post(path, action="discard").status_code == 303


def test_s1_a_file_whose_first_line_has_no_end(owner: Person) -> None:
    file = {"file": ("wide.csv", b"x," * 700_000)}
    answer = owner.http.post(
        "/w/live/imports", data={"csrf": owner.csrf, "entity": "guests"}, files=file
    )
    assert answer.status_code == 400
    assert "it has more than 16,384 columns" in answer.text


def test_s1_large_pages_are_rendered_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """The beginning where the request is, the rest in a thread, two pages at a time."""
    threads: list[str] = []

    def row(number: int) -> str:
        threads.append(threading.current_thread().name)
        return "x" * 1_000

    environment = rendering._environment()
    template = environment.from_string("{% for n in range(count) %}{{ row(n) }}{% endfor %}")
    monkeypatch.setattr(environment, "get_template", lambda _: template)

    def rendered(count: int) -> PageResponse:
        threads.clear()
        response = PageResponse("any", 200, {"count": count, "row": row})
        asyncio.run(response.render_body())
        assert response.headers["content-length"] == str(1_000 * count)
        assert len(response.body) == 1_000 * count
        return response

    here = threading.current_thread().name
    rendered(20)
    assert set(threads) == {here}
    rendered(1_000)
    on_loop = threads.count(here)
    assert on_loop <= ON_LOOP_CHARACTERS // 1_000 + 1
    assert len(threads) == 1_000
    assert len(set(threads[on_loop:])) == 1


def test_s1_pages_are_rendered_without_a_connection(
    owner: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    lent, locked = 0, list[int]()
    checkout, put_back, render = Database.checkout, Database.put_back, PageResponse.render_body

    async def counted_checkout(database: Database, **pool: bool) -> Any:
        nonlocal lent
        connection = await checkout(database, **pool)
        lent += 1
        return connection

    async def counted_put_back(database: Database, connection: Any, **pool: bool) -> None:
        nonlocal lent
        lent -= 1
        await put_back(database, connection, **pool)

    async def counted_render(response: PageResponse) -> None:
        locked.append(lent)
        await render(response)

    monkeypatch.setattr(Database, "checkout", counted_checkout)
    monkeypatch.setattr(Database, "put_back", counted_put_back)
    monkeypatch.setattr(PageResponse, "render_body", counted_render)
    for path in ("/", "/guests", "/segments", "/quarantine", "/settings"):
        assert owner.get(path).status_code == 200
    assert locked == [0] * 5
    assert lent == 0


def test_the_start_page_is_shown_while_the_lake_is_busy(
    owner: Person, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it reads of the database is there; what it cannot know is not 0."""
    api.guest(firstName="Busy")

    @asynccontextmanager
    async def busy(work: Work) -> AsyncIterator[Any]:
        raise Unavailable
        yield

    figures._cached.clear()
    with monkeypatch.context() as patched:
        patched.setattr(figures, "opened", busy)
        page = owner.get("/")
    assert page.status_code == 200
    assert page.text.count("too many queries are running") == 4
    assert "bought in this period" not in page.text
    page = owner.get("/")
    assert "too many queries" not in page.text
    assert "0 bought in this period" in page.text


def test_s1_one_place_cuts_every_value() -> None:
    """Between tags values are cut, in attributes and text areas they are whole."""
    environment = rendering._environment()
    assert WholeAttributes.identifier in environment.extensions
    text = environment.from_string(
        "<p title=\"{{ x }}\" {% if y %}class='{{ x }}'{% endif %}>{{ x }}</p>"
        "<textarea>{{ x }}</textarea>{{ x }}<input value={{ x }}>{{ y|rows|length }}"
    ).render(x="a" * (TEXT_CHARACTERS + 1), y=range(1_000))
    cut = r"a{2000}… \(2,001 characters\)"
    whole = "a{2001}"
    assert re.fullmatch(
        rf'<p title="{whole}" class=\'{whole}\'>{cut}</p>'
        rf"<textarea>{whole}</textarea>{cut}<input value={whole}>{ROWS}",
        text,
    )


def test_s1_a_guest_with_many_large_extensions(owner: Person, api: Api) -> None:
    """A page reads the first ones, and the beginning of their texts; a file has all of them."""
    ref = api.post("/v2.1/guests", json={"guestType": "customer"}).json()["ref"]
    for number in range(25):
        pairs = {f"key{each}": LONG for each in range(5)} | {"number": number, "flag": True}
        answer = api.post(f"/v2.1/guests/{ref}/extensions", json={"name": f"e{number}", **pairs})
        assert answer.status_code == 201, answer.text
    for tab in ("", "/properties", "/json"):
        page = owner.get(f"/guests/{ref}{tab}").text
        assert len(page) < LARGEST, tab
        assert LONG not in page
    page = owner.get(f"/guests/{ref}/properties").text
    assert "The first 20 of 25 data extensions." in page
    assert f"{LONG[:TEXT_CHARACTERS]}…" in page
    whole = download(owner, owner.get(f"/guests/{ref}/json").text)
    assert [each["number"] for each in whole["extensions"]] == list(range(25))
    assert whole["extensions"][24]["key4"] == LONG


def test_s1_lists_of_guests_read_lines(owner: Person, api: Api) -> None:
    """A list needs a name, an address and a city of each guest, not its identifiers."""
    identifiers = [{"provider": f"p{number}", "id": LONG} for number in range(40)]
    guest = {"guestType": "customer", "phoneNumbers": ["+353861234567"], "city": "Cork"}
    api.post("/v2.1/guests", json={**guest, "identifiers": identifiers})
    api.post("/v2.1/guests", json={**guest, "firstName": "Jane", "lastName": "Doe"})
    api.post("/v2.1/guests", json={"guestType": "customer", "emails": ["a@example.com"]})
    api.post("/v2.1/guests", json={"guestType": "visitor"})
    page = owner.get("/guests?type=all").text
    names = re.findall(r'<a class="open ellipsis"[^>]*>([^<]+)</a>', page)
    assert [re.sub(r"Guest \w{8}", "Guest", name) for name in names] == [
        *("Anonymous", "a@example.com", "Jane Doe", "Guest")
    ]
    assert page.count("+353861234567") == 2
    assert "Cork" in page
    matches = re.findall(r'<a class="open ellipsis"', owner.get("/guests?type=visitor").text)
    assert len(matches) == 1


def test_s1_what_a_session_keeps_has_a_bound(api: Api) -> None:
    """Events add to what their session tells of itself, which each of them writes anew."""
    visitor = Page(api)
    for number in range(4):
        payload = {f"{number}.{each}": LONG for each in range(6)}
        visitor("VIEW", session_data={**payload, "latest": number})
    (session,) = visitor.sessions
    assert {name.partition(".")[0] for name in session["customData"]} == {"0", "1", "latest"}
    assert session["customData"]["latest"] == 1
    assert all(event["arbitraryData"]["session_data"] for event in session["events"])


def test_s1_an_order_of_many_items_is_read_in_part(
    owner: Person, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S1: a page reads as many parts as it shows; the file has all."""
    monkeypatch.setattr(orders, "ROWS", 2)
    order = {"referenceId": "M-1", "orderedAt": "2026-10-02T10:00:00.000Z", "status": "PURCHASED"}
    order |= {"currencyCode": "EUR", "price": 1, "channel": "WEB", "pointOfSale": "default"}
    ref = body_of(api.post("/v2.1/orders", json=order))["ref"]
    for number in range(3):
        item = {"name": f"Kettle {number}", "type": "X", "price": 1, "currencyCode": "EUR"}
        body_of(api.post(f"/v2.1/orders/{ref}/orderItems", json={**item, "status": "PURCHASED"}))
    page = owner.get(f"/orders/{ref}").text
    assert page.count("<strong>Kettle") == 2
    assert "The first 2 of 3." in page
    assert len(owner.get(f"/orders/{ref}/file").json()["items"]) == 3


def test_s1_the_audit_log(owner: Person, api: Api) -> None:
    """S1: rows show the beginning of a value, the file of the same page all of it."""
    ref = body_of(api.post("/v2.1/guests", json={"guestType": "customer"}))["ref"]
    assert owner.post(f"/guests/{ref}/edit", last_name=LONG).status_code == 303
    page = owner.get(f"/settings/audit-log?subject={ref}").text
    assert len(page) < LARGEST
    assert LONG not in page
    (row,) = [row for row in download(owner, page) if row["action"] == "guest.edit"]
    assert {"field": "last_name", "before": None, "after": LONG} in row["changes"]


def test_s1_files_are_read_while_they_are_sent(
    owner: Person, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S1: two records at a time, however many there are, each time with a connection of its own."""
    monkeypatch.setattr(downloads, "READ_AT_ONCE", 2)
    monkeypatch.setattr(timeline, "READ_AT_ONCE", 2)
    read: list[int] = []
    list_all = OrderItems.list_

    async def counted(items: OrderItems, work: Work, page_request: PageRequest, **of: Any) -> Any:
        page = await list_all(items, work, page_request, **of)
        read.append(len(page.items))
        return page

    monkeypatch.setattr(OrderItems, "list_", counted)
    ref = an_order(api)
    body_of(api.post(f"/v2.1/orders/{ref}/extensions/ext", json={"note": LONG}))
    items = [an_item(api, ref, number) for number in range(5)]
    body_of(api.post(f"/v2.1/orderItems/{items[4]}/extensions/ext", json={"note": LONG}))
    page = owner.get(f"/orders/{ref}").text
    assert LONG not in page
    read.clear()
    whole = owner.get(f"/orders/{ref}/file").json()
    assert read == [2, 2, 1]
    assert [each["ref"] for each in whole["items"]] == items
    assert whole["items"][4]["extensions"][0]["pairs"] == {"note": LONG}
    assert [each["pairs"] for each in whole["extensions"]] == [{"note": LONG}]
    assert (whole["ref"], whole["contacts"], whole["consumers"]) == (ref, [], [])
    visitor = Page(api)
    for number in range(5):
        visitor("VIEW", page=f"/{number}")
    (session,) = visitor.sessions
    path = f"/guests/{visitor.guest}/timeline/{session['ref']}/file"
    events = owner.get(path).json()["events"]
    assert [event["page"] for event in events] == [f"/{number}" for number in range(5)]
    assert owner.get(path.replace(session["ref"], str(uuid4()))).status_code == 404


def test_s1_an_extension_is_read_alone(owner: Person, api: Api) -> None:
    """S1: its form reads none of the others, which may be 99 of a megabyte each."""
    ref = body_of(api.post("/v2.1/guests", json={"guestType": "customer"}))["ref"]
    other = body_of(api.post(f"/v2.1/guests/{ref}/extensions", json={"name": "ext", "note": LONG}))
    mine = body_of(api.post(f"/v2.1/guests/{ref}/extensions", json={"name": "ext1", "size": 3}))
    with counted_rows() as rows:
        page = owner.get(f"/guests/{ref}/extensions/{mine['ref']}").text
    assert "ext1" in page
    assert other["ref"] not in rows


def test_s2_large_values_are_masked_off_the_event_loop(
    developer: Person, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S2: to mask 20,000 members took the loop 60 ms for each page that shows some of them."""
    members = {f"key{number}": f"value {number}" for number in range(1_000)}
    body = {"guestType": "customer", "lastName": "Doe", "subscriptions": [members]}
    ref = body_of(api.post("/v2.1/guests", json=body))["ref"]
    other = body_of(api.post("/v2.1/guests", json=body))["ref"]
    body_of(api.post("/innkeeper/v1/merges", json={"survivor": ref, "absorbed": other}))
    on_loop: list[bool] = []
    mask = shell.masked_record

    def watched(record: Any, resource: Any) -> Any:
        if "subscriptions" in record:
            on_loop.append(is_loop_running())
        return mask(record, resource)

    monkeypatch.setattr(shell, "masked_record", watched)
    for tab in ("", "/timeline", "/properties", "/identity", "/json", "/json/file"):
        on_loop.clear()
        assert developer.part(f"/guests/{ref}{tab}").status_code == 200
        assert on_loop == [False], tab


def is_loop_running() -> bool:
    """Whether this thread runs an event loop."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def an_order(api: Api) -> str:
    order = {"referenceId": uuid4().hex, "orderedAt": "2026-10-02T10:00:00.000Z"}
    order |= {"currencyCode": "EUR", "price": 1, "channel": "WEB", "pointOfSale": "default"}
    return str(body_of(api.post("/v2.1/orders", json={**order, "status": "PURCHASED"}))["ref"])


def an_item(api: Api, order: str, number: int) -> str:
    item = {"name": f"Kettle {number}", "type": "X", "price": 1, "currencyCode": "EUR"}
    posted = api.post(f"/v2.1/orders/{order}/orderItems", json={**item, "status": "PURCHASED"})
    return str(body_of(posted)["ref"])


@contextmanager
def counted_rows() -> Iterator[list[str]]:
    """The refs of the rows that statements about extensions return meanwhile."""
    refs: list[str] = []
    all_rows, one_row = Work.all, Work.one

    async def counted_all(work: Work, name: str, **arguments: Any) -> Any:
        rows = await all_rows(work, name, **arguments)
        if name.startswith("extensions."):
            refs.extend(str(row.get("ref")) for row in rows)
        return rows

    async def counted_one(work: Work, name: str, **arguments: Any) -> Any:
        row = await one_row(work, name, **arguments)
        if name.startswith("extensions.") and row is not None:
            refs.append(str(row.get("ref")))
        return row

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Work, "all", counted_all)
        patch.setattr(Work, "one", counted_one)
        yield refs


def test_s1_tags_of_a_segment(owner: Person, api: Api) -> None:
    definition = {"filterGroups": [{"entity": "guest", "rules": []}]}
    body = {"name": "Tagged", "friendlyId": "tagged", "definition": definition}
    assert api.post("/innkeeper/v1/segments", json=body).status_code == 201
    path = "/segments/tagged"
    for tags in (LONG, ",".join(map(str, range(10_000))), "a\0b"):
        assert owner.post(path, action="tag", tags=tags).status_code == 400
    assert owner.post(path, action="tag", tags="spring, ,mail").status_code == 303
    assert api.get(f"/innkeeper/v1{path}").json()["tags"] == ["spring", "mail"]
