"""The pages of one segment in a browser: its guests, its history, copies, a comparison."""

import re

import httpx
import pytest
from picking import pick_field

TOWN = "Ballysegment"


@pytest.fixture(scope="module")
def segment(shop):
    """Three guests of one town: one is called Zoe, one has an order."""
    with httpx.Client(base_url=shop.url, auth=(shop.client_key, shop.token)) as api:
        for name in ("Abe", "Zoe", "Moe"):
            mail = f"{name.lower()}@segment.example"
            person = {"guestType": "customer", "firstName": name, "lastName": name, "city": TOWN}
            person |= {"email": mail, "identifiers": [{"provider": "email", "id": mail}]}
            assert api.post("/v2.1/guests", json=person).status_code == 201
        rule = {"field": "city", "comparator": "is equal to", "values": [TOWN]}
        definition = {"filterGroups": [{"entity": "guest", "rules": [rule]}]}
        body = {"name": "Town", "definition": definition, "tags": ["journey"]}
        assert api.post("/innkeeper/v1/segments", json=body).status_code == 201
    return "town"


def names(page) -> list[str]:
    return page.locator(".guest-table a.open").all_inner_texts()


def test_the_guests_of_a_segment_are_sorted_chosen_and_downloaded(page, segment) -> None:
    """By hand: Abe, Moe, Zoe by last name; the other way round at the second click. The same table
    at both widths."""
    page.go("/segments?q=journ")
    page.get_by_role("link", name="Town").click()
    page.get_by_role("link", name="All guests").click()
    page.get_by_text("3 guests now").wait_for()
    page.get_by_role("link", name="Guest", exact=True).click()
    page.wait_for_url("**sort=-lastName")
    assert names(page) == ["Zoe Zoe", "Moe Moe", "Abe Abe"]
    page.get_by_role("link", name="Guest", exact=True).click()
    page.wait_for_url("**sort=lastName")
    assert names(page) == ["Abe Abe", "Moe Moe", "Zoe Zoe"]
    page.locator("summary", has_text="Columns").click()
    page.get_by_label("Find a column").fill("birth")
    page.get_by_label("Date").check()
    page.get_by_role("button", name="Show these").click()
    page.wait_for_url("**columns=dateOfBirth**")
    assert page.get_by_role("columnheader", name=re.compile("Date")).is_visible()
    assert names(page) == ["Abe Abe", "Moe Moe", "Zoe Zoe"]
    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    lines = download.value.path().read_text().splitlines()
    assert len(lines) == 4
    assert lines[0] == "ref,email,city,country,trait.orderCount,lastSeen,dateOfBirth"
    page.set_viewport_size({"width": 390, "height": 844})
    assert names(page) == ["Abe Abe", "Moe Moe", "Zoe Zoe"]
    page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.long
def test_a_segment_is_copied_compared_and_set_back(page, segment) -> None:
    page.go(f"/segments/{segment}")
    page.get_by_role("button", name="Duplicate").click()
    page.wait_for_url("**/copy_of_town/edit")
    page.locator(".count:not(.loading)", has_text=re.compile("^3$")).wait_for()
    page.get_by_label("Name of the segment").fill("Town, later")
    page.get_by_role("button", name="Save", exact=True).last.click()
    page.get_by_text("was saved").wait_for()
    page.get_by_role("link", name="Compare").click()
    page.get_by_label("Compare with").select_option("Town")
    page.get_by_text("100.0 % of the 3 guests in Town, later are in both.").wait_for()
    page.get_by_role("link", name="History").click()
    page.get_by_role("button", name="Restore revision 1").click()
    page.get_by_text("Revision 1 is restored").wait_for()
    assert page.get_by_role("heading", level=1).inner_text() == "Copy of Town"


def test_guests_are_filtered_sorted_and_saved_as_a_segment(page, segment) -> None:
    """By hand: of the town Zoe alone has a last name that begins with z. The URL holds the filter,
    and the segment that is made of it counts the same."""
    page.go("/guests")
    page.get_by_role("button", name="Filter").click()
    pick_field(page, "City")
    page.get_by_label("Value").fill(TOWN)
    page.get_by_label("Value").press("Enter")
    page.locator(".guest-table").wait_for()
    assert sorted(names(page)) == ["Abe Abe", "Moe Moe", "Zoe Zoe"]
    page.get_by_role("button", name="Filter").click()
    pick_field(page, "Last name")
    page.get_by_label("Comparison").nth(1).select_option("starts with")
    page.get_by_label("Value").nth(1).fill("Zo")
    page.get_by_label("Value").nth(1).press("Enter")
    page.locator(".guest-table a.open").nth(1).wait_for(state="detached")
    page.reload()
    assert names(page) == ["Zoe Zoe"]
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.set_viewport_size({"width": 1280, "height": 900})
    page.get_by_role("link", name="Save as a segment").click()
    page.locator(".count:not(.loading)", has_text=re.compile("^1$")).wait_for()
    page.get_by_role("link", name="Cancel").click()


@pytest.mark.parametrize("width", [1280, 390])
def test_guests_are_chosen_and_added_to_a_list(page, segment, width) -> None:
    """By hand: two boxes, none, then the three guests of the segment."""
    page.set_viewport_size({"width": width, "height": 900})
    page.go(f"/segments/{segment}/guests")
    boxes = page.locator("[data-choose]")
    boxes.nth(0).check()
    boxes.nth(1).check()
    assert page.locator("#bulk").inner_text().split()[:2] == ["2", "chosen"]
    page.get_by_role("button", name="Choose none").click()
    assert not page.locator("#bulk").is_visible()
    for box in boxes.all():
        box.check()
    page.get_by_role("button", name="Add to a list").click()
    page.get_by_label("List", exact=True).select_option("A new list")
    page.get_by_label("Name of the new list").fill(f"Town {width}")
    page.get_by_role("button", name="Add 3 guests").click()
    page.get_by_text(f"3 guests were added to Town {width}.").wait_for()
    assert page.locator(".guest-table a.open").count() == 3
    page.set_viewport_size({"width": 1280, "height": 900})
