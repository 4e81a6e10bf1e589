"""Who sees and changes what: every form by a role that may not send it, personal data masked."""

import re
from uuid import uuid4

import httpx
import pytest
from waiting import PATIENCE_SECONDS

from innkeeper.actions.admin.users import SHORTEST_PASSWORD
from innkeeper.rules.access import Right
from innkeeper.rules.masking import masked_addresses, masked_free
from innkeeper.web.ui.routes import PAGES

HIDDEN = "quokka"
PASSWORD = "x" * SHORTEST_PASSWORD


class Person:
    """Somebody who is logged in, without a browser."""

    def __init__(self, shop, link: str) -> None:
        self.http = httpx.Client(base_url=shop.url, follow_redirects=True, timeout=PATIENCE_SECONDS)
        page = self.http.get(link)
        form = {"csrf": _field(page.text, "csrf"), "link": _field(page.text, "link")}
        answer = self.http.post("/login", data={**form, "password": PASSWORD})
        assert answer.url.path == "/w/live/", answer.text
        self.csrf = _field(answer.text, "csrf")

    def get(self, path: str) -> httpx.Response:
        """A page with the parts that it asks for once it is there."""
        return self.http.get(f"/w/live{path}", headers={"HX-Request": "true"})

    def post(self, path: str, **form: str) -> httpx.Response:
        return self.http.post(f"/w/live{path}", data={"csrf": self.csrf, **form})


def _field(text: str, name: str) -> str:
    match = re.search(rf'name="{name}" value="([^"]*)"', text)
    return match[1] if match else ""


@pytest.fixture(scope="module")
def invited(shop, browser, owner):
    """Makes somebody of a role."""
    context = browser.new_context(storage_state=owner)
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    people = []

    def invite(role: str) -> Person:
        page = context.new_page()
        page.goto(f"{shop.url}/w/live/settings/users")
        page.get_by_role("button", name="Invite").click()
        page.locator("#invite-email").fill(f"{role}-{uuid4().hex[:6]}@example.com")
        page.locator("#invite-role").select_option(role)
        page.get_by_role("button", name="Create a link").click()
        people.append(Person(shop, page.locator("#link").inner_text()))
        return people[-1]

    yield invite
    context.close()
    for person in people:
        person.http.close()


@pytest.fixture
def api(shop):
    with httpx.Client(base_url=shop.url, auth=(shop.client_key, shop.token)) as client:
        yield client


OF_EVERYBODY = {"/account", "/dashboard", "/guests/views"}
"""Pages whose forms change what is the sender's own."""


def test_every_form_names_the_right_it_needs() -> None:
    assert {page.path for page in PAGES if page.post and page.post_right is None} == OF_EVERYBODY


def test_read_only_sends_no_form_at_all(invited) -> None:
    person = invited("read-only")
    for page in PAGES:
        if page.post is None or page.path in OF_EVERYBODY:
            continue
        path = re.sub(r"\{\w+\}", lambda _: str(uuid4()), page.path)
        answer = person.post(path, action="delete", confirm="yes")
        assert answer.status_code == 403, page.path


def test_a_role_without_the_right_to_a_page_gets_403(invited) -> None:
    person = invited("analyst")
    for page in PAGES:
        if page.show and page.right in (Right.KEYS, Right.USERS, Right.AUDIT, Right.IMPORTS):
            path = re.sub(r"\{\w+\}", lambda _: str(uuid4()), page.path)
            assert person.get(path).status_code == 403, page.path


@pytest.mark.long
def test_personal_data_is_masked_on_every_page(invited, api, shop) -> None:
    mail = f"{HIDDEN}@example.com"
    guest = {"guestType": "customer", "firstName": HIDDEN.title(), "lastName": "Zzyzx"}
    guest |= {"email": mail, "phoneNumbers": [f"+35386{HIDDEN}"], "street": [f"1 {HIDDEN} road"]}
    guest |= {"identifiers": [{"provider": "email", "id": mail}]}
    ref = api.post("/v2.1/guests", json=guest).json()["ref"]
    api.post(f"/v2.1/guests/{ref}/extensions", json={"name": "ext", "nick": HIDDEN, "age": 40})
    order = {"referenceId": f"Q-{ref[:6]}", "orderedAt": "2026-10-02T10:00:00.000Z"}
    order |= {"currencyCode": "EUR", "price": 1, "status": "PURCHASED", "channel": "WEB"}
    bought = api.post("/v2.1/orders", json=order).json()["ref"]
    contact = {"firstName": HIDDEN.title(), "email": mail}
    contact["identifiers"] = [{"provider": "email", "id": mail}]
    response = api.post(f"/v2.1/orders/{bought}/contacts", json=contact)
    assert response.json()["guest"]["href"].endswith(ref), response.text
    browser = api.get("/v1.2/browser/create.json", params={"client_key": shop.client_key}).json()
    event = {"client_key": shop.client_key, "channel": "WEB", "pos": "harbourandhill.com"}
    event |= {"browser_id": browser["ref"], "type": "IDENTITY", "email": mail}
    event |= {"identifiers": [{"provider": "email", "id": mail}]}
    assert api.post("/v1.2/events", json=event).status_code < 300
    view = {**event, "type": "VIEW", "page": f"/hello?mail={mail}", "email": None}
    api.post("/v1.2/events", json={k: v for k, v in view.items() if v and k != "identifiers"})
    rule = {"field": "email", "comparator": "is equal to", "values": [mail]}
    body = {"name": f"Only one {ref[:6]}"}
    body["definition"] = {"filterGroups": [{"entity": "guest", "rules": [rule]}]}
    segment = api.post("/innkeeper/v1/segments", json=body).json()["friendlyId"]
    api.post(f"/innkeeper/v1/segments/{segment}/run")
    trait = {"entity": "event", "function": "latest", "field": "page"}
    assert api.put("/innkeeper/v1/traits/lastPage", json=trait).status_code == 200
    person = invited("developer")
    timeline = person.get(f"/guests/{ref}/timeline").text
    session = re.search(r'id="s-([0-9a-f-]{36})"', timeline)
    assert session is not None
    paths = [f"/guests/{ref}{tab}" for tab in ("", "/timeline", "/orders", "/properties")]
    paths += [f"/guests/{ref}{tab}" for tab in ("/identity", "/json")]
    paths += [f"/guests/{ref}/timeline?open={session[1]}", f"/orders/{bought}"]
    paths += [f"/segments/{segment}", f"/segments/{segment}/why/{ref}", "/segments"]
    paths += ["/guests?type=all", f"/guests?q={ref}&type=all", "/exports", "/imports"]
    paths += ["/traits", "/traits/of/lastPage", "/traits/of/orderCount"]
    paths += ["/quarantine", "/reports/pages", "/settings/identity-rules", "/"]
    for path in paths:
        answer = person.get(path)
        assert answer.status_code == 200, path
        assert HIDDEN not in answer.text.lower(), path
    assert "Your role does not show the values." in person.get("/traits/of/lastPage").text
    # Neither search nor export nor access is a way around.
    assert "data-row" not in person.get(f"/guests?q={mail}&type=all").text
    assert person.get("/exports/new").status_code == 403
    assert person.get(f"/exports/x/files/{uuid4()}/0").status_code == 403
    assert person.post(f"/guests/{ref}/access", confirm=ref).status_code == 403
    assert person.post(f"/guests/{ref}/edit", first_name="x").status_code == 403


@pytest.mark.long
def test_the_preview_of_an_import_is_masked(invited) -> None:
    person = invited("developer")
    file = {"file": ("people.csv", f"First name,E-mail\n{HIDDEN},{HIDDEN}@example.com\n")}
    answer = person.http.post(
        "/w/live/imports", data={"csrf": person.csrf, "entity": "guests"}, files=file
    )
    assert answer.status_code == 200
    assert "q•••@•••" in answer.text
    assert HIDDEN not in answer.text
    path = answer.url.path.removeprefix("/w/live")
    tried = person.post(path, action="try", c0="firstName", c1="email,identifiers.email")
    assert "Dry run" in tried.text
    assert HIDDEN not in tried.text
    person.post(path, action="discard")


def test_what_masking_leaves() -> None:
    assert masked_addresses("/a?mail=jane@example.com&x=1") == "/a?mail=j•••@•••&x=1"
    assert masked_addresses("to jane%40example.com now") == "to j••• now"
    pairs = {"nick": "Jane", "age": 40, "vip": True}
    assert masked_free(pairs) == {"nick": "J•••", "age": 40, "vip": True}
