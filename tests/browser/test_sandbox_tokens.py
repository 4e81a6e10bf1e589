"""An example is copied with a sandbox token, and the API reference sends a request with one."""

import re

import pytest
from page_checks import is_accessible


def test_a_token_is_made_on_the_click(opened, shop) -> None:
    one = opened(1280)
    one.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = one.go("/settings")
    example = page.locator("#how-rest")
    assert "CLIENT_KEY:API_TOKEN" in example.inner_text()
    page.locator("[data-sandbox-copy='#how-rest']").click()
    page.get_by_text("is not shown again").wait_for()
    text = page.evaluate("navigator.clipboard.readText()")
    assert re.search(r"-u \w{32}:\S{43} ", text)
    assert text == example.inner_text().strip()

    page.goto(f"{shop.url}/docs#createGuest")
    operation = page.locator("#createGuest")
    body = '{"guestType": "customer", "firstName": "Sandy"}'
    operation.get_by_label("Body").fill(body)
    operation.get_by_role("button", name="Send POST").click()
    operation.get_by_text("201 Created").wait_for()
    assert '"firstName": "Sandy"' in operation.get_by_role("status").inner_text()
    one.context.close()
    assert one.faults == []


@pytest.mark.long
def test_the_demo_shop_is_loaded_into_an_empty_sandbox(page, shop) -> None:
    """Its progress is a job; afterwards the home page has figures, and the sandbox is emptied."""
    home = f"{shop.url}/w/live_sandbox/"
    empty(page, home)
    page.goto(home)
    is_accessible(page)
    page.get_by_role("button", name="Load demo data").click()
    page.get_by_role("heading", level=1, name="Jobs").wait_for()
    job = page.locator(".card > .job", has_text="Demo data")
    is_accessible(page)
    job.get_by_text("Done", exact=True).wait_for()
    page.goto(home)
    assert page.locator(".stat", has_text="Guests").locator("dd").first.inner_text() != "0"
    assert page.get_by_role("button", name="Load demo data").count() == 0
    empty(page, home)


def empty(page, home: str) -> None:
    """Empty the sandbox on its page."""
    page.goto(f"{home}settings/workspace")
    page.get_by_role("button", name="Empty this sandbox").click()
    page.locator("dialog[open] [name=confirm]").fill("live_sandbox")
    page.locator("dialog[open]").get_by_role("button", name="Empty it").click()
    page.get_by_role("button", name="Load demo data").wait_for()
