"""Every change that the screens make is in the audit log, with who made it and of what."""

import csv
import io
import re

import httpx
import pytest
from page_checks import fits

CSV = b"E-mail,Town\na@example.com,Cork\n"
EXPORT = {"name": "Audited", "segment": "audited", "kind": "FULL_SYNC", "format": "CSV"}
EXPORT |= {"columns": "ref"}
OF_GUEST = {"g0.entity": "guest", "g0.was": "guest", "do": "save", "name": "Audited"}
TRAIT = {"name": "Audited trait", "entity": "order", "was": "order", "function": "count"}
TRAIT |= {"do": "save"}
# (address, form, action of the log, what its details name)
CHANGES = (
    ("/segments/new", OF_GUEST, "segment.create", "audited"),
    ("/segments/audited/edit", OF_GUEST, "segment.change", "audited"),
    ("/segments/audited", {"action": "run"}, "segment.run", "audited"),
    ("/exports/new", EXPORT, "export.create", "audited"),
    ("/exports/audited/edit", {**EXPORT, "schedule": "* * *"}, "export.change", "audited"),
    ("/exports/audited", {"action": "run"}, "export.run", "audited"),
    (
        "/settings/webhooks",
        {"action": "create", "what": "segment:audited", "url": "https://example.com/hook"},
        "webhook.create",
        "https://example.com/hook",
    ),
    (
        "/settings/webhooks",
        {"action": "delete", "what": "segment:audited"},
        "webhook.delete",
        "audited",
    ),
    ("/traits/new", TRAIT, "trait.create", "auditedTrait"),
    ("/traits/of/auditedTrait/edit", TRAIT, "trait.change", "auditedTrait"),
    ("/traits/of/auditedTrait", {"action": "delete"}, "trait.delete", "auditedTrait"),
    ("/exports/audited", {"action": "delete"}, "export.delete", "audited"),
    ("/segments/audited", {"action": "delete"}, "segment.delete", "audited"),
    ("/settings/oauth", {"action": "create", "name": "Audited"}, "oauth.create", ""),
    ("/settings/aliases", {"alias": "ctx-9", "client_key": "KEY"}, "alias.create", "ctx-9"),
    (
        "/settings/aliases",
        {"action": "remove", "alias": "ctx-9", "client_key": "KEY"},
        "alias.remove",
        "ctx-9",
    ),
    (
        "/settings",
        {"action": "compatibility", "client_key": "KEY", "compatibility": "open"},
        "key.compatibility",
        "KEY",
    ),
    ("/settings/points-of-sale", {"name": "audited.example"}, "point_of_sale.create", "audited"),
    (
        "/settings/points-of-sale",
        {"action": "delete", "name": "audited.example"},
        "point_of_sale.delete",
        "audited",
    ),
    (
        "/guests/REF/extensions/new",
        {"extension_name": "ext", "k0": "tier", "v0": "Gold", "t0": "text"},
        "extension.edit",
        "Gold",
    ),
    ("/guests/REF/edit", {"city": "Sligo"}, "guest.edit", "Sligo"),
)


@pytest.fixture
def guest(shop) -> str:
    with httpx.Client(base_url=shop.url, auth=(shop.client_key, shop.token)) as api:
        body = {"guestType": "customer", "firstName": "Audited"}
        return str(api.post("/v2.1/guests", json=body).json()["ref"])


@pytest.mark.long
def test_every_change_is_in_the_log(page, shop, guest) -> None:
    page.go("/settings")
    csrf = page.locator("[name=csrf]").first.input_value()
    base = f"{shop.url}/w/live"
    for path, form, action, item in CHANGES:
        named = {key: shop.client_key if each == "KEY" else each for key, each in form.items()}
        address = base + path.replace("REF", guest)
        answer = page.request.post(address, form={"csrf": csrf, **named})
        assert answer.status == 200, (path, action, answer.text()[-1500:])
        row = newest(page, base, action)
        assert "nora@harbourandhill.com" in row, action
        assert (shop.client_key if item == "KEY" else item) in row, (action, row)
    file = {"name": "audited.csv", "mimeType": "text/csv", "buffer": CSV}
    payload = {"csrf": csrf, "entity": "guests", "file": file}
    result = page.request.post(f"{base}/imports", multipart=payload).url.rpartition("/")[2]
    assert result in newest(page, base, "import.create")
    page.request.post(f"{base}/imports/{result}", form={"csrf": csrf, "action": "discard"})
    assert result in newest(page, base, "import.discard")


def newest(page, base: str, action: str) -> str:
    """The first row of the log of that action."""
    text = page.request.get(f"{base}/settings/audit-log?action={action}").text()
    rows = re.findall(r"<tr><td class=\"nowrap soft\">.*?</tr>", text, re.DOTALL)
    assert rows, action
    return str(rows[0])


def test_the_log_is_filtered_by_actor_action_and_subject(page, shop, guest) -> None:
    page.go(f"/guests/{guest}/edit")
    page.get_by_label("City").fill("Athlone")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    page.go("/settings/audit-log")
    page.get_by_label("What").select_option("guest.edit")
    page.wait_for_url("**action=guest.edit**")
    page.get_by_label("Who").select_option("nora@harbourandhill.com")
    page.wait_for_url("**actor=nora**")
    page.get_by_label("Guest ref").fill(guest)
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url(f"**subject={guest}**")
    assert page.locator("tbody tr").count() == 1
    assert page.get_by_text("city").is_visible()


@pytest.mark.long
def test_the_filtered_log_is_saved_as_csv(page, guest) -> None:
    page.go(f"/guests/{guest}/edit")
    page.get_by_label("City").fill("Athlone")
    page.get_by_role("button", name="Save").click()
    page.get_by_text("Saved.").wait_for()
    day = page.evaluate("new Date().toISOString().slice(0, 10)")
    page.go(f"/settings/audit-log?subject={guest}&from={day}&to={day}")
    assert page.locator("tbody").get_by_text("edited the guest").is_visible()
    fits(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    rows = [*csv.DictReader(io.StringIO(download.value.path().read_text()))]
    assert [(row["action"], row["field"], row["after"]) for row in rows] == [
        ("guest.edit", "city", "Athlone")
    ]
