"""The journeys of reports, in both widths."""

import re

import pytest
from playwright.sync_api import Page, expect
from profiles import each_day


def saved_picture(page: Page, name: str) -> bytes:
    """Save the report as a picture, and return the file."""
    page.get_by_text("Picture", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name=f"{name[-3:].upper()} picture").click()
    assert download.value.suggested_filename == name
    return download.value.path().read_bytes()


@pytest.mark.parametrize("width", each_day((1280, 390), 390))
def test_a_step_of_a_funnel_becomes_a_segment(opened, width: int) -> None:
    """Steps are picked from what exists; the guests of a step are a segment of that size."""
    watched = opened(width)
    page = watched.go("/reports/funnel?from=2025-01-01")
    page.wait_for_selector("ol.funnel")
    assert [each.split(".")[0] for each in page.locator("ol.funnel strong").all_inner_texts()] == [
        *"1234"
    ]
    page.get_by_label("Step 4").select_option("")
    page.wait_for_selector("ol.funnel li:nth-child(3):last-child")
    guests = page.locator("ol.funnel li:nth-child(2) .num").first.inner_text()
    page.get_by_role("button", name="Make a segment: Add").click()
    page.wait_for_url(re.compile("/segments/funnel_to_add"))
    page.wait_for_function("!document.querySelector('[aria-busy=true], .loading')")
    assert guests.split()[0] in page.locator("main").inner_text()
    page = watched.go("/reports/revenue")
    figure = page.locator("#report figure").first
    figure.focus()
    page.keyboard.press("ArrowRight")
    first = figure.locator(".tip").inner_text()
    page.keyboard.press("ArrowRight")
    assert figure.locator(".tip").inner_text() != first
    assert "Revenue" in saved_picture(page, "revenue.svg").decode()
    page = watched.go("/reports/products?from=2025-01-01")
    page.wait_for_selector(".ranked")
    variants = page.locator("tr.variants").first
    variants.locator("summary").click()
    expect(variants.locator("tbody tr")).to_have_count(int(variants.inner_text().split()[0]))
    assert saved_picture(page, "products.png").startswith(b"\x89PNG")
    assert watched.faults == []
    watched.context.close()
