"""What is undone on its page: an import, and an application of identity rules. Each journey looks
at what it reaches in both widths."""

import re
from uuid import uuid4

import httpx
import pytest
from page_checks import is_accessible

RULES = "/innkeeper/v1/identity/rules"


@pytest.fixture(scope="module")
def api(shop):
    with httpx.Client(base_url=shop.url, auth=(shop.client_key, shop.token)) as client:
        yield client


@pytest.mark.long
def test_i10_an_import_is_undone(page, api, tmp_path) -> None:
    """Two guests come by a file; the preview counts them, and the undo removes them."""
    name = f"undo-{uuid4().hex}.csv"
    mails = [f"{each}.{uuid4().hex}@example.com" for each in ("orla", "paud")]
    file = tmp_path / name
    file.write_text("First name,E-mail\n" + "".join(f"Un,{mail}\n" for mail in mails))

    def find() -> list[int]:
        return [
            api.get("/v2.1/guests", params={"email": mail}).json()["totalCount"] for mail in mails
        ]

    page.go("/imports")
    page.locator("#file").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    page.get_by_role("button", name="Import without a dry run").click()
    page.get_by_role("link", name="Undo", exact=True).click()
    page.get_by_role("heading", level=1, name="Undo this import?").wait_for()
    row = page.get_by_role("row", name=re.compile("^Guests"))
    assert row.locator("td").all_inner_texts() == ["Guests", "2", "0"]
    is_accessible(page)
    assert find() == [1, 1]
    page.get_by_role("button", name="Undo the import").click()
    page.get_by_role("heading", level=2, name="Undone").wait_for()
    is_accessible(page)
    assert find() == [0, 0]
    page.get_by_role("link", name=name).click()
    page.get_by_role("link", name="Its undo").wait_for()


@pytest.mark.long
def test_an_application_of_rules_is_undone(page, api) -> None:
    """By hand: the two share a phone number and a last name, and nobody else does."""
    before = api.get(RULES).json()["rules"]
    person = {"guestType": "customer", "lastName": "Quinlivan", "phoneNumbers": ["+353861230091"]}
    for first in ("Niamh", "Neve"):
        api.post("/v2.1/guests", json={**person, "firstName": first}).raise_for_status()
    params = {"lastName": "Quinlivan", "limit": 1}

    def guests() -> int:
        return int(api.get("/v2.1/guests", params=params).json()["totalCount"])

    assert guests() == 2
    page.go("/settings/identity-rules")
    page.get_by_role("button", name="Phone and last name").click()
    page.get_by_text(re.compile("would join (others|another)")).first.wait_for()
    is_accessible(page)
    page.get_by_role("button", name="Save and merge existing guests").click()
    undo = page.get_by_role("button", name="Undo all of it")
    undo.wait_for()
    assert guests() == 1
    is_accessible(page)
    page.get_by_text("The rules from before are in force again.").wait_for()
    undo.click()
    page.get_by_text(re.compile(r"^\s*(\d+) of \1\s*$")).first.wait_for()
    assert guests() == 2
    assert api.get(RULES).json()["rules"] == before
    is_accessible(page)
