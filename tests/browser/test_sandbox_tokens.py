"""An example is copied with a sandbox token, and the API reference sends a request with one."""

import re


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
