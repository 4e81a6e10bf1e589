"""The command palette and the suggestions of the search, by keyboard."""

import httpx
import pytest
from profiles import each_day


@pytest.mark.parametrize("width", each_day((1280, 390), 390))
def test_pages_and_guests_are_reached_by_keys(opened, shop, width) -> None:
    """Ctrl K, words, arrows, Enter; Escape closes. The search suggests guests while one types."""
    person = {"guestType": "customer", "firstName": "Palettia", "lastName": f"Keys{width}"}
    with httpx.Client(base_url=shop.url, auth=(shop.client_key, shop.token)) as api:
        assert api.post("/v2.1/guests", json=person).status_code == 201
    one = opened(width)
    page = one.go("/reports")
    page.keyboard.press("Control+k")
    palette = page.locator("#palette")
    palette.get_by_role("option").first.wait_for()
    page.keyboard.type("new seg")
    page.locator("#palette [role=listbox][data-typed='new seg']").wait_for()
    page.keyboard.press("ArrowDown")
    field = palette.get_by_role("combobox")
    active = page.locator(f"#{field.get_attribute('aria-activedescendant')}")
    assert active.get_attribute("aria-selected") == "true"
    page.keyboard.press("Enter")
    page.wait_for_url("**/segments/new?mode=sql")
    page.keyboard.press("Control+k")
    palette.get_by_role("option").first.wait_for()
    page.keyboard.type("quarantine")
    page.keyboard.press("Enter")
    page.wait_for_url("**/quarantine")
    page.keyboard.press("Control+k")
    palette.get_by_role("option").first.wait_for()
    page.keyboard.press("Escape")
    assert not palette.is_visible()
    one.go("/reports")
    page.keyboard.press("/")
    page.keyboard.type("palettia")
    suggestions = page.locator("#search-options")
    suggestions.get_by_role("option").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/w/live/guests/*")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    one.context.close()
    assert one.faults == []
