"""The daily work: exports by menus, consent, test messages, quarantine, lists, one's own account.

Each journey looks at what it reaches in both widths.
"""

import json
import re
import subprocess
from uuid import uuid4

import httpx
import pytest
from page_checks import fits
from process import COMMAND
from receiving import Receiver, receiver
from waiting import PATIENCE_SECONDS, until

from innkeeper.actions.admin.users import SHORTEST_PASSWORD

__all__ = ["receiver"]

TOWN = "Ballywork"
EVERYBODY = {"filterGroups": [{"entity": "guest", "rules": []}]}


@pytest.fixture(scope="module")
def api(shop):
    with httpx.Client(base_url=shop.url, auth=(shop.client_key, shop.token)) as client:
        yield client


@pytest.fixture(scope="module")
def segment(api) -> str:
    """Two guests of one town, of whom one is unsubscribed."""
    for name in ("Ann", "Bea"):
        mail = f"{name.lower()}@work.example"
        person = {"guestType": "customer", "firstName": name, "lastName": "Work", "city": TOWN}
        person |= {"email": mail, "identifiers": [{"provider": "email", "id": mail}]}
        ref = api.post("/v2.1/guests", json=person).json()["ref"]
        mailing = {"name": "ext", "mailing": "no" if name == "Ann" else "yes"}
        api.post(f"/v2.1/guests/{ref}/extensions", json=mailing).raise_for_status()
    rule = {"field": "city", "comparator": "is equal to", "values": [TOWN]}
    definition = {"filterGroups": [{"entity": "guest", "rules": [rule]}]}
    body = {"name": "At work", "definition": definition}
    return str(api.post("/innkeeper/v1/segments", json=body).json()["friendlyId"])


@pytest.mark.long
def test_an_export_is_scheduled_by_menus_and_its_columns_chosen_at_once(page, segment) -> None:
    page.go("/exports/new")
    page.get_by_label("Name", exact=True).fill("Monday adverts")
    page.locator("#f-segment").select_option(label="At work")
    cron = page.get_by_label("Cron line, in UTC")
    assert not cron.is_visible()
    page.get_by_label("Run", exact=True).select_option("Every Monday")
    page.get_by_label("At, in UTC").fill("06:15")
    page.get_by_label("Run", exact=True).select_option(value="cron")
    assert cron.is_visible()
    page.get_by_label("Run", exact=True).select_option("Every Monday")
    page.get_by_role("button", name="Advertising audience").click()
    chosen = page.locator("[name=columns]:checked").all()
    names = sorted(each.get_attribute("value") for each in chosen)
    assert names == ["country", "sha256.email", "sha256.phone"]
    fits(page)
    page.get_by_role("button", name="Create", exact=True).click()
    page.get_by_text("Every Monday at 06:15 UTC").wait_for()
    fits(page)


@pytest.mark.long
def test_the_unsubscribed_are_left_out_and_counted(page, segment, api) -> None:
    """By hand: of two guests one said no to mailings."""
    page.go("/exports/consent")
    page.get_by_label("Field").first.select_option(value="ext.mailing")
    page.get_by_label("Means unsubscribed").first.fill("no")
    fits(page)
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/exports")
    body = {"name": "Mailing", "segment": segment, "columns": ["email"]}
    api.post("/innkeeper/v1/exports", json=body).raise_for_status()
    page.go("/exports/mailing")
    page.get_by_role("button", name="Run now").click()
    page.get_by_role("link", name="download").wait_for()
    page.locator("summary", has_text="Log").click()
    page.get_by_text("1 unsubscribed from email").wait_for()
    fits(page)
    page.get_by_label("Jobs", exact=True).click()
    page.locator("#bell-list a", has_text="Mailing").first.wait_for()
    fits(page)
    page.get_by_role("link", name="All jobs").click()
    page.get_by_role("heading", name="Jobs", level=1).wait_for()
    page.go("/exports/consent")
    page.get_by_label("Field").first.select_option(index=0)
    page.get_by_role("button", name="Save").click()
    page.wait_for_url("**/exports")


@pytest.mark.long
def test_a_test_message_shows_what_was_answered(page, api, receiver: Receiver) -> None:
    body = {"name": "Hooked", "definition": EVERYBODY, "webhook": receiver.url}
    api.post("/innkeeper/v1/segments", json=body).raise_for_status()
    for status in (200, 500):
        receiver.status, receiver.body = status, b'{"why": "tired"}'
        page.go("/settings/webhooks")
        page.get_by_role("row", name="Hooked").get_by_role("button", name="Send test").click()
        answer = page.get_by_label("Response to the test message")
        assert str(status) in answer.inner_text()
        assert '{"why": "tired"}' in answer.inner_text()
        fits(page)
    assert page.get_by_text("A message counts as arrived only").is_visible()
    assert len(receiver.got) == 1


@pytest.mark.long
def test_an_event_is_corrected_and_replayed(page, api, shop) -> None:
    params = {"client_key": shop.client_key}
    browser = api.get("/v1.2/browser/create.json", params=params).json()["ref"]
    event = {"browser_id": browser, "type": "VIEW", "pos": "nowhere.example", "channel": "WEB"}
    assert api.post("/v1.2/events", json={**params, **event, "page": "/typo"}).status_code < 300
    page.go("/quarantine?reason=unknown+point+of+sale")
    row = page.locator("details.session", has_text="nowhere.example")
    row.locator("summary").click()
    row.get_by_role("button", name="Edit…").click()
    message = page.locator("dialog[open] textarea")
    message.fill(message.input_value().replace("nowhere.example", "harbourandhill.com"))
    fits(page)
    page.get_by_role("button", name="Save and replay").click()
    page.get_by_text(re.compile("attached")).first.wait_for()
    assert page.locator("details.session", has_text="nowhere.example").count() == 0
    fits(page)


def test_a_list_is_made_of_pasted_addresses(page, segment) -> None:
    """One of the three addresses is nobody's; a guest is taken off again by its box."""
    page.go("/lists")
    page.get_by_role("button", name="New list").click()
    page.get_by_label("Name", exact=True).fill("Pasted")
    page.get_by_role("button", name="Create", exact=True).click()
    page.get_by_role("button", name="Add guests").click()
    lines = "ann@work.example\nbea@work.example\nnobody@work.example"
    page.get_by_label("E-mail addresses, refs or ids").fill(lines)
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("link", name="Ann Work").wait_for()
    fits(page)
    page.locator("[data-choose]").first.check()
    page.locator("#bulk").get_by_role("button", name="Remove").click()
    page.get_by_role("button", name=re.compile("^Remove 1")).click()
    page.get_by_text(re.compile("1 guest was removed")).wait_for()
    page.go("/lists/pasted")
    assert page.locator(".guest-table a.open").count() == 1


@pytest.mark.long
def test_a_view_is_saved_shared_and_opened(page, segment) -> None:
    page.go("/guests?type=all&columns=city&sort=-lastSeen")
    page.locator("summary", has_text="Views").click()
    page.get_by_role("button", name="Save this view…").click()
    page.locator("#view-name").fill("By town")
    page.get_by_label("Everybody sees it").check()
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("The view By town was saved.").wait_for()
    address = page.url
    page.go("/guests")
    page.locator("summary", has_text="Views").click()
    page.get_by_role("link", name="By town").click()
    page.wait_for_url(address)
    assert page.get_by_role("columnheader", name="City").is_visible()
    fits(page)
    page.locator("summary", has_text="By town").click()
    page.get_by_role("button", name="Delete By town").click()
    page.get_by_text(re.compile("deleted")).wait_for()


@pytest.mark.long
def test_ones_own_account(browser, shop, opened) -> None:
    """A time zone, other logins ended, another password: of somebody of her own."""
    words = ["users", "invite", f"{uuid4().hex}@example.com", "--role", "marketer", "--json"]
    output = subprocess.run(
        [COMMAND, *words, "--data", shop.data], check=True, capture_output=True, text=True
    )
    first = "a" * SHORTEST_PASSWORD
    context, other = browser.new_context(), browser.new_context()
    for each in (context, other):
        each.set_default_timeout(PATIENCE_SECONDS * 1000)
    page = context.new_page()
    invited = json.loads(output.stdout)
    page.goto(shop.url + invited["path"])
    page.fill("[name=password]", first)
    page.locator("form button").first.click()
    page.wait_for_url("**/w/live/")
    second = other.new_page()
    second.goto(f"{shop.url}/login")
    second.fill("[name=email]", words[2])
    second.fill("[name=password]", first)
    second.get_by_role("button", name="Log in").click()
    second.wait_for_url("**/w/live/")

    page.goto(f"{shop.url}/w/live/account")
    page.get_by_label("Times and days are shown in").fill("Pacific/Auckland")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Pacific/Auckland").first.wait_for(state="attached")
    page.goto(f"{shop.url}/w/live/reports/revenue")
    assert page.get_by_label("Days begin in").input_value() == "Pacific/Auckland"
    page.goto(f"{shop.url}/w/live/account")
    fits(page)
    page.get_by_role("button", name="Log out everywhere else").click()
    page.get_by_role("button", name="Log out everywhere else").wait_for(state="detached")
    second.reload()
    second.wait_for_url("**/login**")
    page.get_by_label("Current password").fill(first)
    page.get_by_label("New password").fill(first + "b")
    page.get_by_role("button", name="Change password").click()
    page.get_by_text("Your password was changed.").wait_for()
    second.fill("[name=email]", words[2])
    second.fill("[name=password]", first + "b")
    second.get_by_role("button", name="Log in").click()
    second.wait_for_url("**/w/live/**")
    context.close()
    other.close()


@pytest.mark.long
def test_guests_are_erased_after_a_page_that_shows_them(page, api) -> None:
    refs = []
    for name in ("Era", "Erb"):
        person = {"guestType": "customer", "firstName": name, "lastName": "Eraseme"}
        refs.append(api.post("/v2.1/guests", json=person).json()["ref"])
    page.go("/guests?q=Eraseme&type=all")
    for box in page.locator("[data-choose]").all():
        box.check()
    page.locator("#bulk").get_by_role("button", name="Erase…").click()
    page.get_by_role("heading", level=1, name="Erase guests").wait_for()
    assert page.get_by_text("Era Eraseme").first.is_visible()
    fits(page)
    button = page.get_by_role("button", name="Erase 2 guests")
    assert button.is_disabled()
    page.get_by_label("Type erase 2 to confirm").fill("erase 2")
    button.click()
    page.wait_for_url(re.compile(r"/guests(/bulk/[^?]+|\?.*)?$"))
    for ref in refs:
        until("the erasure", lambda ref=ref: api.get(f"/v2.1/guests/{ref}").status_code == 404)


@pytest.mark.long
def test_a_point_of_sale_is_changed(page) -> None:
    page.go("/settings/points-of-sale")
    page.get_by_role("row", name="harbourandhill.com").get_by_role("button", name="Edit…").click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Session timeout in minutes").fill("25")
    fits(page)
    dialog.get_by_role("button", name="Save").click()
    page.get_by_role("row", name="harbourandhill.com").get_by_text("25 min").wait_for()
    fits(page)


def test_the_reference_finds_an_operation(page, shop) -> None:
    page.goto(f"{shop.url}/docs")
    page.get_by_label("Find an operation").fill("static list guests")
    page.get_by_role("status").filter(has_text=re.compile("^[1-9][0-9]? operations$")).wait_for()
    texts = page.locator("main > section > details:visible > summary").all_inner_texts()
    assert texts
    assert all("static list" in each.lower() for each in texts)
    fits(page)


@pytest.mark.long
def test_an_import_source_is_added_read_edited_and_deleted(page, api, shop) -> None:
    mail = f"{uuid4().hex}@example.com"
    folder = shop.data / "imports"
    folder.mkdir(exist_ok=True)
    (folder / "members.csv").write_text(f"firstName,email\nSorcha,{mail}\n")
    page.go("/import-sources")
    page.get_by_role("button", name="New source").click()
    dialog = page.locator("dialog[open]")
    dialog.get_by_label("Name").fill("Members")
    dialog.get_by_label("Address").fill("members.csv")
    dialog.get_by_label("Schedule").select_option("Every Monday")
    dialog.get_by_label("At, in UTC").fill("04:15")
    fits(page)
    dialog.get_by_role("button", name="Create").click()
    row = page.get_by_role("row", name="Members")
    row.get_by_role("button", name="Read now").click()
    params = {"email": mail}
    until("the import", lambda: api.get("/v2.1/guests", params=params).json()["totalCount"] == 1)

    def is_read() -> bool:
        page.go("/import-sources")
        return row.get_by_role("link", name="Latest import").count() == 1

    until("the source to be read", is_read)
    fits(page)
    row.get_by_role("button", name="Edit…").click()
    assert dialog.get_by_label("At, in UTC").input_value() == "04:15"
    dialog.get_by_label("Name").fill("All members")
    dialog.get_by_label("Schedule").select_option("")
    dialog.get_by_role("button", name="Save").click()
    row = page.get_by_role("row", name="All members")
    row.get_by_text("on request").wait_for()
    row.get_by_role("button", name="Delete…").click()
    dialog.get_by_role("button", name="Delete", exact=True).click()
    row.wait_for(state="detached")
    assert api.get("/v2.1/guests", params=params).json()["totalCount"] == 1


@pytest.mark.long
def test_a_list_is_made_of_a_file(page, segment, tmp_path) -> None:
    """By hand: two of the file's three addresses are guests; its heading is nobody."""
    file = tmp_path / "autumn.csv"
    file.write_text("E-mail,Town\nann@work.example,Cork\nbea@work.example,\nno@work.example,\n")
    page.go("/lists")
    page.get_by_role("button", name="New list").click()
    page.get_by_label("Name", exact=True).fill("From a file")
    page.get_by_role("button", name="Create", exact=True).click()
    page.get_by_role("button", name="Add guests").click()
    page.get_by_label(re.compile("^Or a file of them")).set_input_files(file)
    fits(page)
    page.get_by_role("button", name="Add", exact=True).click()
    page.get_by_role("link", name="Bea Work").wait_for()
    assert page.locator(".guest-table a.open").count() == 2
    fits(page)


@pytest.mark.long
def test_a_forgotten_password_is_replaced_by_the_link_of_the_operator(browser, shop) -> None:
    """The log-in names the command; its link works once and ends what was open."""

    def run(*words: str) -> dict[str, str]:
        line = [COMMAND, "users", *words, "--json", "--data", shop.data]
        done = subprocess.run(line, check=True, capture_output=True, text=True)
        return json.loads(done.stdout)

    mail = f"{uuid4().hex}@example.com"
    invited = run("invite", mail, "--role", "marketer")
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    page = context.new_page()
    for letter in "ab":
        path = invited["path"] if letter == "a" else run("link", mail)["path"]
        page.goto(shop.url + path)
        fits(page)
        page.get_by_label("Password").fill(letter * SHORTEST_PASSWORD)
        page.get_by_role("button", name="Save and log in").click()
        page.wait_for_url("**/w/live/")
        page.get_by_label("account and appearance").click()
        page.get_by_role("button", name="Log out").click()
        page.wait_for_url("**/login")
    page.goto(shop.url + path)
    page.get_by_text("This link has expired or was already used.").wait_for()
    page.goto(f"{shop.url}/login")
    assert page.get_by_text("innkeeper users link").is_visible()
    fits(page)
    for letter, lands in (("a", "/login"), ("b", "/w/live/")):
        page.get_by_label("E-mail address").fill(mail)
        page.get_by_label("Password").fill(letter * SHORTEST_PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(f"**{lands}")
    context.close()
