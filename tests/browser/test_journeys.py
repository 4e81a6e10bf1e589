"""What people come to do, from the first click to the last."""

import re

import httpx
import pytest
from waiting import PATIENCE_SECONDS

from innkeeper.actions.admin.users import SHORTEST_PASSWORD

ORDER = {
    "referenceId": "B1-2026-0001",
    "orderedAt": "2026-10-01T10:00:00.000Z",
    "currencyCode": "EUR",
    "price": 199.5,
    "status": "PURCHASED",
    "channel": "WEB",
    "pointOfSale": "harbourandhill.com",
}


@pytest.fixture
def api(shop):
    with httpx.Client(base_url=shop.url, auth=(shop.client_key, shop.token)) as client:
        yield client


def test_seed_001_finds_the_order_of_a_guest(page, api) -> None:
    """Get started, steps 1 to 5."""
    order = api.post("/v2.1/orders", json=ORDER).json()
    contact = {"firstName": "Visiting", "lastName": "Person", "email": "visiting@example.com"}
    path = f"/v2.1/orders/{order['ref']}/contacts"
    answer = api.post(path, json=contact)
    assert answer.status_code == 201, answer.text
    guest = answer.json()["guest"]["href"].rpartition("/")[2]
    page.go("/")
    page.get_by_role("link", name="Guests", exact=True).click()
    page.keyboard.press("/")
    page.keyboard.type(guest)
    page.keyboard.press("Enter")
    page.get_by_role("link", name=re.compile("^All ")).click()
    page.get_by_role("link", name="Visiting Person").click()
    page.wait_for_url(f"**/guests/{guest}")
    page.get_by_role("navigation", name="Guest").get_by_role("link", name="Orders").click()
    page.get_by_role("link", name="B1-2026-0001").click()
    assert page.get_by_role("heading", level=1).inner_text() == "Order B1-2026-0001"
    assert page.get_by_text("199.50 EUR").first.is_visible()


def test_extension_keys_read_as_words(page, api) -> None:
    """E-9."""
    order = api.post("/v2.1/orders", json={**ORDER, "referenceId": "B1-2026-0002"}).json()
    answer = api.post(
        f"/v2.1/orders/{order['ref']}/extensions/ext",
        json={"firstTimeOrder": True, "totalUnits": 8},
    )
    assert answer.status_code == 201, answer.text
    page.go(f"/orders/{order['ref']}")
    assert page.get_by_text("First time order").is_visible()
    assert page.locator("dt:text-is('First time order') + dd").inner_text() == "true"


def test_support_pastes_an_email(page, api) -> None:
    changes = {"guestType": "visitor", "email": "maeve.o@example.com", "firstName": "Maeve"}
    ref = api.post("/v2.1/guests", json=changes).json()["ref"]
    page.go("/guests")
    page.get_by_role("searchbox").fill("Maeve.O@example.com")
    page.get_by_role("link", name="Show 1 hit under All").click()
    page.get_by_role("link", name="Maeve").click()
    page.wait_for_url(f"**/guests/{ref}")
    page.go_back()
    assert page.get_by_role("searchbox").input_value() == "Maeve.O@example.com"


def test_a_slip_of_the_pen_and_the_arrow_keys(page, api) -> None:
    for first in ("Cathal", "Cathleen"):
        changes = {"guestType": "customer", "firstName": first, "lastName": "Zubrowka"}
        api.post("/v2.1/guests", json=changes)
    page.go("/")
    page.keyboard.press("/")
    page.keyboard.type("zubrwoka")
    page.keyboard.press("Enter")
    page.get_by_role("link", name="Cathal Zubrowka").wait_for()
    page.locator("body").click(position={"x": 900, "y": 700})
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    focused = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=focused, level=1).wait_for()


def test_merge_by_hand_and_undo_with_preview(page, api) -> None:
    one, two = (
        api.post("/v2.1/guests", json={"guestType": "customer", **person}).json()["ref"]
        for person in (
            {"firstName": "Gráinne", "lastName": "Quux", "phoneNumbers": ["+353861112223"]},
            {"firstName": "Grainne", "lastName": "Quux", "phoneNumbers": ["086 111 2223"]},
        )
    )
    page.go(f"/guests/{one}/identity")
    page.get_by_role("link", name="Compare").click()
    page.get_by_role("button", name="Merge into one guest").click()
    page.get_by_text("The guests were merged.").wait_for()
    assert page.get_by_role("heading", name="2 records are one guest").is_visible()
    page.go(f"/guests/{two}")
    page.wait_for_url(f"**/guests/{one}")
    page.go(f"/guests/{one}/identity")
    page.get_by_role("link", name="Undo…").click()
    assert page.get_by_role("heading", name="Undo this merge?").is_visible()
    assert api.get(f"/v2.1/guests/{two}").status_code == 404
    page.get_by_role("button", name="Undo the merge").click()
    page.get_by_text("The merge was undone").wait_for()
    assert api.get(f"/v2.1/guests/{two}").status_code == 200


def test_developer_makes_a_key_and_revokes_it(page, shop) -> None:
    page.go("/settings")
    page.get_by_role("button", name="New key").click()
    page.locator("#key-name").fill("Web shop")
    page.get_by_role("button", name="Create key").click()
    login = (page.locator("#fresh-key").inner_text(), page.locator("#fresh-token").inner_text())
    assert httpx.get(f"{shop.url}/v2.1/guests", auth=login).status_code == 200
    page.go("/settings")
    assert login[1] not in page.content()
    row = page.get_by_role("row").filter(has_text="Web shop")
    row.get_by_role("button", name="Revoke…").click()
    page.get_by_role("button", name="Revoke permanently").locator("visible=true").click()
    page.get_by_text("The key was revoked.").wait_for()
    assert httpx.get(f"{shop.url}/v2.1/guests", auth=login).status_code == 401
    page.go("/settings/audit-log?action=key.revoke")
    assert page.get_by_text(login[0]).is_visible()


@pytest.mark.long
def test_rules_are_previewed_before_they_are_saved(page) -> None:
    page.go("/settings/identity-rules")
    page.get_by_text("Nothing has changed yet").wait_for()
    page.get_by_role("button", name="Phone and last name").click()
    page.get_by_label("What must be equal, rule 3").nth(1).select_option(label="First name")
    page.get_by_role("button", name="Save for new records").click()
    page.get_by_text("The rules are in force for new records.").wait_for()
    assert page.get_by_label("Name of rule 3").input_value() == "Phone + First name"
    page.get_by_label("Remove rule 3").click()
    page.get_by_label("Name of rule 3").wait_for(state="detached")
    page.get_by_role("button", name="Save for new records").click()
    page.get_by_text("The rules are in force for new records.").wait_for()


def test_erase_requires_the_ref(page, api) -> None:
    changes = {"guestType": "customer", "firstName": "Gone", "lastName": "Tomorrow"}
    ref = api.post("/v2.1/guests", json=changes).json()["ref"]
    page.go(f"/guests/{ref}")
    page.get_by_label("More actions").click()
    page.get_by_role("button", name="Erase…").click()
    button = page.get_by_role("button", name="Erase permanently")
    assert button.is_disabled()
    page.locator("dialog[open] [name=confirm]").fill(ref)
    button.click()
    page.get_by_text("was erased").wait_for()
    assert api.get(f"/v2.1/guests/{ref}").status_code == 404


def test_quarantine_is_replayed(page) -> None:
    page.go("/quarantine?reason=unknown+point+of+sale")
    page.locator("details.session summary").first.click()
    page.get_by_role("button", name="Create harbourandhill.fr and replay").first.click()
    page.get_by_text(re.compile("[1-9] attached, 0 still in quarantine")).wait_for()


def test_a_dialog_that_is_refused_opens_again_as_it_was_typed(page) -> None:
    page.go("/settings/points-of-sale")
    page.get_by_role("button", name="New point of sale").click()
    page.locator("#pos-name").fill("harbourandhill.com")
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Brand").fill("Burren & Sons")
    page.get_by_role("button", name="Create", exact=True).click()
    dialog.get_by_role("alert").wait_for()
    assert page.locator("#pos-name").input_value() == "harbourandhill.com"
    assert dialog.get_by_label("Brand").input_value() == "Burren & Sons"
    page.keyboard.press("Escape")
    assert dialog.count() == 0


def test_the_menu_of_a_narrow_screen_opens_and_closes_by_keys_and_pointer(opened) -> None:
    narrow = opened(390)
    page = narrow.go("/segments")
    side, button = page.locator(".side"), page.get_by_role("button", name="Menu")
    for leave in (lambda: page.keyboard.press("Escape"), lambda: page.mouse.click(370, 500)):
        button.press("Enter")
        assert side.is_visible()
        assert button.get_attribute("aria-expanded") == "true"
        leave()
        assert not side.is_visible()
        assert button.get_attribute("aria-expanded") == "false"
    narrow.context.close()
    assert narrow.faults == []


def test_an_event_is_given_up_only_once_that_was_confirmed(page) -> None:
    page.go("/quarantine?reason=reserved+name")
    rows = page.locator("details.session")
    number = rows.count()
    assert number
    rows.first.locator("summary").click()
    rows.first.get_by_role("button", name="Delete…").click()
    page.locator("dialog[open]").get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("The event was deleted.").wait_for()
    assert rows.count() == number - 1


@pytest.mark.long
def test_a_masked_role_sees_no_personal_data(browser, shop, page, api) -> None:
    changes = {"guestType": "customer", "firstName": "Xanthe", "email": "xanthe@example.com"}
    ref = api.post("/v2.1/guests", json=changes).json()["ref"]
    page.go("/settings/users")
    page.get_by_role("button", name="Invite").click()
    page.locator("#invite-email").fill("dev@example.com")
    page.locator("#invite-role").select_option("developer")
    page.get_by_role("button", name="Create a link").click()
    link = page.locator("#link").inner_text()
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    other = context.new_page()
    other.goto(link)
    other.fill("[name=password]", "x" * SHORTEST_PASSWORD)
    other.get_by_role("button", name="Save and log in").click()
    other.wait_for_url("**/w/live/")
    for tab in ("", "/properties", "/json", "/identity"):
        other.goto(f"{shop.url}/w/live/guests/{ref}{tab}")
        assert "anthe" not in other.content()
    other.goto(f"{shop.url}/w/live/guests?q=xanthe@example.com&type=all")
    assert other.locator("[data-row]").count() == 0
    assert other.goto(f"{shop.url}/w/live/settings/users").status == 403
    other.goto(link)
    assert other.get_by_text("This link has expired or was already used").is_visible()
    context.close()


def test_forms_without_their_token_are_refused(page, shop) -> None:
    answer = page.request.post(f"{shop.url}/w/live/settings", form={"action": "create"})
    assert answer.status == 403


@pytest.mark.long
def test_a_stranger_is_sent_to_the_door_and_locked_out(browser, shop, owner) -> None:
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    other = context.new_page()
    other.goto(f"{shop.url}/w/live/guests?q=x")
    assert "/login?next=%2Fw%2Flive%2Fguests%3Fq%3Dx" in other.url
    for _ in range(6):
        other.fill("[name=email]", "guess@example.com")
        other.fill("[name=password]", "wrong password")
        other.get_by_role("button", name="Log in").click()
    assert other.get_by_text("Too many attempts").is_visible()
    context.close()


def test_a_guest_is_edited_and_problems_are_shown(page, api) -> None:
    changes = {"guestType": "customer", "firstName": "Edna", "email": "edna@example.com"}
    ref = api.post("/v2.1/guests", json=changes).json()["ref"]
    page.go(f"/guests/{ref}/properties")
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("City").fill("Sligo")
    page.get_by_label("Country").select_option("Ireland (IE)")
    page.get_by_label("Gender").select_option("Female")
    page.get_by_label("Date of birth").fill("1990-02-03")
    page.get_by_label("Emails", exact=True).fill("no address")
    page.get_by_role("button", name="Save").click()
    assert page.locator(".field .wrong").count() == 1
    assert page.get_by_label("City").input_value() == "Sligo"
    page.get_by_label("Emails", exact=True).fill("edna@example.com")
    page.get_by_label("Emails, 2").fill("edna@work.example")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    guest = api.get(f"/v2.1/guests/{ref}").json()
    assert (guest["city"], guest["country"]) == ("Sligo", "IE")
    assert (guest["gender"], guest["dateOfBirth"][:10]) == ("Female", "1990-02-03")
    assert guest["emails"] == ["edna@example.com", "edna@work.example"]


def test_sql_is_completed_by_keyboard_at_both_widths(page) -> None:
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.go("/segments/new?mode=sql")
        editor = page.locator("#sql")
        editor.fill("")
        editor.press_sequentially("select guest_ref from ord")
        page.get_by_role("listbox", name="Completions").wait_for()
        page.keyboard.press("ArrowDown")
        second = page.get_by_role("option").nth(1).inner_text().split()[0]
        page.keyboard.press("Enter")
        assert editor.input_value() == f"select guest_ref from {second}"
        editor.fill("select guest_ref from orders")
        editor.press_sequentially(" o where o.sta")
        chosen = page.get_by_role("option", selected=True)
        assert chosen.inner_text().split()[0] == "core_status"
        assert editor.get_attribute("aria-activedescendant") == chosen.get_attribute("id")
        box = page.get_by_role("listbox").bounding_box()
        assert box["x"] + box["width"] <= width
        page.keyboard.press("Tab")
        assert editor.input_value().endswith("where o.core_status")
        editor.press_sequentially(" = 'gue")
        assert page.get_by_role("listbox").count() == 0
        editor.press("Control+Space")
        assert page.get_by_role("listbox").count() == 0
        editor.press_sequentially("' and gu")
        page.keyboard.press("Escape")
        assert page.get_by_role("listbox").count() == 0
