"""Data in and out of the screens: exports, imports, reports, webhooks, extensions, access."""

import csv
import gzip
import io
import json
import subprocess

import httpx
import openpyxl
import pytest
from process import COMMAND
from waiting import until


@pytest.fixture
def api(shop):
    with httpx.Client(base_url=shop.url, auth=(shop.client_key, shop.token)) as client:
        yield client


@pytest.fixture
def segment(api):
    """A segment of one guest, and that guest."""
    person = {"guestType": "customer", "firstName": "Siobhan", "city": "Kinvara"}
    guest = api.post("/v2.1/guests", json={**person, "email": "siobhan@example.com"}).json()
    rule = {"field": "city", "comparator": "is equal to", "values": ["Kinvara"]}
    body = {"name": "In Kinvara", "definition": {"filterGroups": [{"entity": "guest"}]}}
    body["definition"]["filterGroups"][0]["rules"] = [rule]
    created = api.post("/innkeeper/v1/segments", json=body).json()
    yield created, guest["ref"]
    api.delete(f"/innkeeper/v1/segments/{created['ref']}")
    api.delete(f"/v2.1/guests/{guest['ref']}")


def saved(page, act) -> bytes:
    """What a click downloads."""
    with page.expect_download() as download:
        act()
    with open(download.value.path(), "rb") as file:
        return file.read()


@pytest.mark.long
def test_a_file_is_mapped_tried_and_imported(page, api, tmp_path) -> None:
    """It is the first test here: an erased guest, which others leave, ends all refused rows."""
    file = tmp_path / "customers.csv"
    file.write_text(
        "Customer ID,First name,E-mail,Birthday,Town,Points\n"
        "C77001,Tadhg,tadhg.i@example.com,31/12/1984,Cork,120\n"
        "C77002,Una,not-an-address,14/02/1990,Sligo,80\n"
    )
    page.go("/imports")
    page.locator("#file").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    assert page.get_by_label("Customer ID becomes").input_value() == "identifiers.CRM"
    assert page.get_by_label("How dates in Birthday are written").input_value() == "DD/MM/YYYY"
    page.get_by_label("Town becomes").select_option("")
    page.get_by_role("button", name="Dry run", exact=True).click()
    row = page.get_by_role("row").filter(has_text="not a well-formed email address")
    assert [row.locator("td").nth(at).inner_text() for at in (1, 2, 3)] == [
        *("1", "3", "not-an-address")
    ]
    assert page.get_by_label("Town becomes").input_value() == ""
    assert page.get_by_text("1 of 2 sample records pass").is_visible()
    params = {"email": "tadhg.i@example.com"}
    assert api.get("/v2.1/guests", params=params).json()["totalCount"] == 0
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_role("link", name="Refused rows").wait_for()
    rejects = saved(page, page.get_by_role("link", name="Refused rows").click).decode()
    assert rejects.splitlines()[0].endswith("Town,Points,innkeeper:reason")
    assert rejects.splitlines()[1].startswith("C77002,Una,not-an-address,14/02/1990,Sligo,80,")
    guest = api.get("/v2.1/guests", params={**params, "expand": "true"}).json()["items"][0]
    assert (guest["firstName"], guest["dateOfBirth"][:10]) == ("Tadhg", "1984-12-31")
    assert "city" not in guest
    page.go("/imports")
    assert page.get_by_role("link", name="customers.csv").is_visible()


def test_an_export_is_defined_run_and_downloaded(page, segment) -> None:
    _, guest = segment
    page.go("/exports")
    page.get_by_role("link", name="New export").click()
    page.get_by_label("Name", exact=True).fill("Kinvara newsletter")
    page.locator("#f-segment").select_option(label="In Kinvara")
    for name in ("First name", "Last name", "Country"):
        page.get_by_label(name, exact=True).uncheck()
    page.get_by_role("button", name="Create and run").click()
    link = page.get_by_role("link", name="download")
    link.wait_for()
    text = gzip.decompress(saved(page, link.click)).decode()
    assert list(csv.reader(io.StringIO(text))) == [
        ["ref", "city", "email"],
        [guest, "Kinvara", "siobhan@example.com"],
    ]
    page.go("/settings/audit-log?action=export.download")
    assert page.get_by_text("kinvara_newsletter").first.is_visible()
    page.go("/exports/kinvara_newsletter")
    page.get_by_role("button", name="Delete…").click()
    page.locator("dialog[open] [name=confirm]").fill("kinvara_newsletter")
    page.locator("dialog[open]").get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("was deleted").wait_for()


@pytest.mark.long
def test_an_export_that_waits_says_for_what(page, api, shop, segment) -> None:
    """Issue 6: why nothing comes, and when it is tried again."""
    # A file is in the place of the folder.
    (shop.data / "exports").mkdir(exist_ok=True)
    (shop.data / "exports" / "nowhere").touch()
    destination = {"type": "FOLDER", "url": "nowhere"}
    body = {"name": "Waits", "segment": segment[0]["ref"], "destination": destination}
    api.post("/innkeeper/v1/exports", json=body).raise_for_status()
    api.post("/innkeeper/v1/exports/waits/run").raise_for_status()

    def tried() -> bool:
        page.go("/exports/waits")
        return page.get_by_text("not delivered, tried once: NotADirectoryError").count() > 0

    until("the first attempt to deliver", tried)
    assert page.get_by_text("; the next").is_visible()
    words = [COMMAND, "audience-exports", "executions", "waits", "--json", "--data", shop.data]
    (output,) = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    assert (output["status"], output["deliveryAttempts"]) == ("SUCCESS", 1)
    assert output["deliveryNextAt"] is not None

    place = shop.data / "files" / "live"
    place.rename(place.with_name("aside"))
    place.touch()
    try:
        api.post("/innkeeper/v1/exports/waits/run").raise_for_status()
        page.go("/exports/waits")
        page.get_by_text("tried once: NotADirectoryError").first.wait_for()
    finally:
        place.unlink()
        place.with_name("aside").rename(place)
    api.delete("/innkeeper/v1/exports/waits").raise_for_status()


@pytest.mark.long
def test_an_export_is_edited_with_a_filter_and_a_template(page, api, segment) -> None:
    """Of the two in Kinvara only the one with an e-mail address goes out, by the template."""
    _, _guest = segment
    person = {"guestType": "customer", "firstName": "Colm", "city": "Kinvara"}
    api.post("/v2.1/guests", json=person)
    rule = {"field": "email", "comparator": "is not null", "values": []}
    groups = [{"entity": "guest", "rules": [rule]}]
    api.post(
        "/innkeeper/v1/segments",
        json={"name": "Has an address", "definition": {"filterGroups": groups}},
    )
    page.go("/exports/new")
    page.get_by_label("Name", exact=True).fill("Kinvara letters")
    page.locator("#f-segment").select_option(label="In Kinvara")
    page.get_by_role("button", name="Create", exact=True).click()
    page.get_by_role("link", name="Edit").click()
    assert page.get_by_label("Name", exact=True).input_value() == "Kinvara letters"
    page.get_by_label("Only guests who are also in").select_option(label="Has an address")
    page.get_by_label("Format").select_option("NDJSON")
    template = '{"to": "{{email}}", "text": "Dear {{firstName}}"}'
    page.get_by_label("Template of a line, in place of columns").fill(template)
    page.get_by_role("button", name="Save and run").click()
    link = page.get_by_role("link", name="download")
    link.wait_for()
    lines = gzip.decompress(saved(page, link.click)).decode().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"to": "siobhan@example.com", "text": "Dear Siobhan"}
    ]
    page.go("/settings/audit-log?action=export.change")
    assert page.get_by_text("kinvara_letters").first.is_visible()
    record = api.get("/innkeeper/v1/exports/kinvara_letters").json()
    assert record["template"] == json.loads(template)
    changed = {"schedule": "DAILY"}
    answer = api.patch("/innkeeper/v1/exports/kinvara_letters", json=changed)
    assert (answer.status_code, answer.json()["schedule"]) == (200, "DAILY")
    page.go("/exports/kinvara_letters/edit")
    assert page.get_by_label("Run", exact=True).input_value() == "* * *"
    assert page.get_by_label("At, in UTC").input_value() == "00:30"
    api.delete("/innkeeper/v1/exports/kinvara_letters")


WORST = (
    "Bestellungen März;;;;;;;;;\n\n"
    "Bestellnummer;Bestelldatum;Kunde;E-Mail;Status;Artikel;Artikelnummer;Menge;Einzelpreis;Währung\n"
    'W-1;07.03.2026;"Müller, Jürgen";jürgen@example.com;bezahlt;Mühle „M“;00417;1;1.249,50;EUR\n'
    "W-1;07.03.2026;;;;Filterpapier;00099;3;4,20;\n"
    "W-1;;;;;Löffel;00102;2;12,00;\n"
    "W-2;08.03.2026;Änne Weiß;änne@example.com;storniert;Kännchen;00200;1;39,90;EUR\n"
)
"""Windows-1252, semicolons, decimal commas, German names and dates, an order over three lines."""


def test_i11_the_worst_file_becomes_the_right_guests_and_orders(
    opened, shop, api, tmp_path
) -> None:
    """I11: through the page, at both widths."""
    for width in (1280, 390):
        one = opened(width)
        mails = {"jürgen@": f"juergen{width}@", "änne@": f"aenne{width}@"}
        text = WORST.replace("W-", f"W{width}-")
        for old, new in mails.items():
            text = text.replace(old, new)
        file = tmp_path / "bestellungen.csv"
        file.write_bytes(text.encode("cp1252"))
        page = one.go("/imports")
        page.locator("#file").set_input_files(file)
        page.get_by_role("button", name="Upload").click()
        page.get_by_text("2 of 2 sample records pass").wait_for()
        assert page.get_by_text("Read as Windows-1252").is_visible()
        page.get_by_label("Artikelnummer becomes").select_option("")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.get_by_text("Rows will be recognised by email (2); 0 have nothing").wait_for()
        page.get_by_label("Artikelnummer becomes").select_option("orderItems.productId")
        page.get_by_role("button", name="Dry run", exact=True).click()
        page.get_by_text("What an import would do").wait_for()
        assert (
            api.get("/v2.1/guests", params={"email": f"juergen{width}@example.com"}).json()["items"]
            == []
        )
        page.get_by_role("button", name="Import", exact=True).click()
        page.get_by_text("2 records in").wait_for()
        assert imported(api, width) == {
            ("W-1", "PURCHASED", 1286.1, "EUR", "2026-03-07", "Jürgen", "Müller"): [
                ("00099", "Filterpapier", 3, 4.2),
                ("00102", "Löffel", 2, 12),
                ("00417", "Mühle „M“", 1, 1249.5),
            ],
            ("W-2", "CANCELLED", 39.9, "EUR", "2026-03-08", "Änne", "Weiß"): [
                ("00200", "Kännchen", 1, 39.9)
            ],
        }
        assert one.faults == []
        one.context.close()


def imported(api, width: int) -> dict:
    """The orders of the worst file with the guest's name -> their items."""
    orders = {}
    for name in ("juergen", "aenne"):
        (guest,) = api.get(
            "/v2.1/guests", params={"email": f"{name}{width}@example.com", "expand": "true"}
        ).json()["items"]
        (bought,) = api.get(f"/v2.1/guests/{guest['ref']}/orders").json()
        path = f"/v2.1/orders/{bought['ref']}"
        order, path = api.get(path).json(), f"{path}/orderItems"
        items = api.get(path, params={"expand": "true"}).json()["items"]
        key = (
            *(order["referenceId"].replace(str(width), ""), order["status"], order["price"]),
            *(order["currencyCode"], order["orderedAt"][:10]),
            *(guest["firstName"], guest["lastName"]),
        )
        orders[key] = sorted(
            (item["productId"], item["name"], item["quantity"], item["price"]) for item in items
        )
    return orders


def test_a_file_may_be_thrown_away(page, shop, tmp_path) -> None:
    """A workbook, of which a sheet is chosen: the first one has no records."""
    book = openpyxl.Workbook()
    book.active.append(["Made by ACME"])
    people = book.create_sheet("People")
    for cell in ("First name", "Nobody"):
        people.append([cell])
    file = tmp_path / "nothing.xlsx"
    book.save(file)
    page.go("/imports")
    page.locator("#file").set_input_files(file)
    page.get_by_text("its sheet Sheet has one row").wait_for()
    page.get_by_label("Sheet").select_option("People")
    # Its first rows are there before it is uploaded.
    page.get_by_role("cell", name="Nobody").wait_for()
    page.get_by_role("button", name="Upload").click()
    assert page.get_by_label("First name becomes").input_value() == "firstName"
    assert page.get_by_text("Sheet People").is_visible()
    page.get_by_role("button", name="Delete the file").click()
    page.get_by_text("Nothing was imported.").wait_for()
    paths = [path for path in (shop.data / "files").rglob("uploads/*") if path.is_file()]
    assert paths == []


@pytest.mark.long
def test_a_report_counts_days_where_its_reader_lives(page, api) -> None:
    order = {"referenceId": "ISK-1", "orderedAt": "2026-10-01T02:00:00.000Z", "price": 5400}
    order |= {"currencyCode": "ISK", "status": "PURCHASED", "channel": "WEB"}
    api.post("/v2.1/orders", json=order)
    page.go("/reports/revenue?from=2026-09-29&to=2026-10-01&interval=day")
    page.get_by_label("Days begin in").fill("America/New_York")
    page.get_by_role("button", name="Show").click()
    page.get_by_role("heading", name="Revenue, ISK").wait_for()
    text = saved(page, page.get_by_role("link", name="CSV").click).decode()
    assert "2026-09-30,ISK,1,5400.0" in text.splitlines()
    # The chart says the same to those who do not see it.
    table = page.locator("caption", has_text="Revenue, ISK").locator("xpath=..")
    cells = table.locator("tbody tr").all_inner_texts()
    assert [cell.split("\t") for cell in cells] == [
        ["2026-09-29", "0.0"],
        ["2026-09-30", "5400.0"],
        ["2026-10-01", "0.0"],
    ]
    page.go("/reports/revenue?timeZone=Nowhere/Atlantis")
    assert page.get_by_text("must be the name of a time zone").is_visible()


@pytest.mark.long
def test_a_webhook_is_made_and_deleted(page, segment) -> None:
    page.go("/settings/webhooks")
    page.get_by_role("button", name="New webhook").click()
    page.locator("#hook-what").select_option(label="Segment: In Kinvara")
    page.locator("#hook-url").fill("https://hooks.example.com/in")
    page.get_by_role("button", name="Create webhook").click()
    secret = page.locator("#secret").inner_text()
    assert len(secret) > 30
    page.go("/settings/webhooks")
    assert secret not in page.content()
    assert page.get_by_text("https://hooks.example.com/in").first.is_visible()
    page.get_by_role("button", name="Delete…").click()
    page.locator("dialog[open]").get_by_role("button", name="Delete", exact=True).click()
    page.get_by_text("The webhook was deleted.").wait_for()


@pytest.mark.long
def test_an_oauth_key_opens_exports_until_it_is_revoked(page, shop) -> None:
    page.go("/settings")
    page.get_by_role("button", name="New OAuth key").click()
    page.locator("#client-name").fill("Warehouse")
    page.get_by_role("button", name="Create OAuth key").click()
    payload = {
        "grant_type": "client_credentials",
        "client_id": page.locator("#fresh-client").inner_text(),
        "client_secret": page.locator("#fresh-secret").inner_text(),
    }
    assert httpx.post(f"{shop.url}/oauth/token", data=payload).status_code == 200
    page.go("/settings")
    assert payload["client_secret"] not in page.content()
    row = page.get_by_role("row").filter(has_text="Warehouse")
    row.get_by_role("button", name="Revoke…").click()
    page.locator("dialog[open]").get_by_role("button", name="Revoke permanently").click()
    page.get_by_text("were revoked").wait_for()
    assert httpx.post(f"{shop.url}/oauth/token", data=payload).status_code == 401


@pytest.mark.long
def test_a_key_changes_its_compatibility(page, api) -> None:
    """`open` keys name an extension as they like, `official` ones only ext (N-13)."""
    guest = api.post("/v2.1/guests", json={"guestType": "visitor"}).json()["ref"]
    path = f"/v2.1/guests/{guest}/extensions"
    assert api.post(path, json={"name": "mine", "one": 1}).status_code == 201
    for expected, status in (("official", 400), ("open", 201)):
        page.go("/settings")
        page.get_by_label("Compatibility", exact=False).filter(has_text="o").first.click()
        page.locator("dialog[open]").get_by_role("button", name=f"Change to {expected}").click()
        page.get_by_text(f"follows {expected} now").wait_for()
        assert api.post(path, json={"name": f"n{expected}", "two": 2}).status_code == status


@pytest.mark.long
def test_a_data_extension_is_edited_and_keeps_its_types(page, api) -> None:
    guest = api.post("/v2.1/guests", json={"guestType": "customer", "firstName": "Ext"}).json()
    path = f"/v2.1/guests/{guest['ref']}/extensions"
    pairs = {"tier": "Gold", "points": 12, "vip": True}
    assert api.post(path, json={"name": "ext", **pairs}).status_code == 201
    page.go(f"/guests/{guest['ref']}/properties")
    page.get_by_role("link", name="Edit data extension ext").click()
    # PostgreSQL keeps shorter keys first: vip, tier, points.
    page.get_by_label("Value 3").fill("many")
    page.get_by_role("button", name="Save").click()
    assert page.get_by_text("must be a number", exact=True).is_visible()
    page.get_by_label("Value 3").fill("30")
    page.get_by_label("Key 4").fill("favouriteColour")
    page.get_by_label("Value 4").fill("green")
    page.get_by_label("Key 2").fill("")
    page.get_by_label("Value 2").fill("")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    stored = api.get(f"{path}/ext").json()
    expected = {key: stored[key] for key in ("points", "vip", "favouriteColour")}
    assert expected == {"points": 30, "vip": True, "favouriteColour": "green"}
    assert "tier" not in stored
    page.go("/settings/audit-log?action=extension.edit")
    assert page.get_by_text("favouriteColour").first.is_visible()


def test_what_is_held_is_exported_once_the_ref_is_typed(page, api) -> None:
    changes = {"guestType": "customer", "firstName": "Held", "email": "held@example.com"}
    ref = api.post("/v2.1/guests", json=changes).json()["ref"]
    page.go(f"/guests/{ref}")
    page.get_by_label("More actions").click()
    page.get_by_role("button", name="Export what is held…").click()
    dialog = page.locator("dialog[open]")
    button = dialog.get_by_role("button", name="Export", exact=True)
    assert button.is_disabled()
    dialog.locator("[name=confirm]").fill(ref)
    dialog.locator("[name=format]").select_option("json")
    record = json.loads(saved(page, button.click))
    assert record["guest"] == ref
    assert "held@example.com" in json.dumps(record["held"])
    page.go(f"/settings/audit-log?action=privacy.access&subject={ref}")
    assert page.locator("tbody tr").count() == 1
