"""The journeys of reports, in both widths."""

import re

import pytest
from profiles import each_day


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
    with page.expect_download() as download:
        page.get_by_role("button", name="Picture").click()
    assert download.value.suggested_filename == "revenue.svg"
    assert watched.faults == []
    watched.context.close()
