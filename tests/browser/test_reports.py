"""The journeys of reports, in both widths."""

import re

import pytest
from page_checks import fits
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


def test_the_values_of_a_chart_by_pointer_and_touch(page) -> None:
    """The tooltip names the period under the pointer, and stays inside the chart at both widths."""
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        page.go("/reports/revenue")
        figure = page.locator("#report figure").first
        chart = figure.locator("svg[data-left]:visible")
        chart.wait_for()
        box = chart.bounding_box()
        tip, periods = figure.locator(".tip strong"), figure.locator("table tbody tr")
        last = periods.last.locator("th, td").first.text_content().strip()
        chart.hover(position={"x": box["width"] - 20, "y": box["height"] / 2})
        expect(tip).to_have_text(last)
        inside = tip.bounding_box()
        assert inside["x"] + inside["width"] <= width
        chart.hover(position={"x": box["width"] / 2, "y": box["height"] / 2})
        expect(tip).not_to_have_text(last)


@pytest.mark.long
def test_a_report_is_pinned_moved_and_removed(page) -> None:
    page.go("/reports/revenue?currency=EUR")
    page.locator("#report figure").first.wait_for()
    page.get_by_role("button", name="Pin").click()
    page.wait_for_url("**/dashboard")
    page.go("/reports/events")
    page.locator("#report figure").first.wait_for()
    page.get_by_role("button", name="Pin").click()
    page.wait_for_url("**/dashboard")
    titles = page.locator(".pinned h2")
    order = titles.all_inner_texts()
    assert len(order) == 2
    page.locator(".pinned figure").first.wait_for()
    fits(page)
    page.get_by_role("button", name=re.compile("^Move later")).first.click()
    page.wait_for_load_state()
    assert titles.all_inner_texts() == order[::-1]
    for _ in order:
        page.get_by_role("button", name=re.compile("^Remove")).first.click()
        page.wait_for_load_state()
    assert page.get_by_role("heading", name="Nothing is pinned yet").is_visible()


@pytest.mark.long
def test_a_group_of_buyers_becomes_a_segment(page) -> None:
    page.go("/reports/rfm_groups")
    page.locator(".buyer-group").first.wait_for()
    fits(page)
    page.get_by_role("button", name=re.compile("^Make a segment")).first.click()
    page.wait_for_url("**/segments/buyers_**")
    page.go("/reports/rfm")
    cell = page.locator("button.cell").first
    cell.wait_for()
    fits(page)
    cell.click()
    page.wait_for_url("**/segments/buyers_**")
    assert page.get_by_role("heading", level=1).inner_text().startswith("Buyers ")


@pytest.mark.long
def test_the_first_column_of_retention_stays_while_its_weeks_are_scrolled(page) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.go("/reports/retention?from=2025-01-01")
    table = page.get_by_role("region", name="Retention")
    table.wait_for()
    head = table.locator("tbody th").first
    before = head.bounding_box()["x"]
    table.evaluate("(each) => { each.scrollLeft = 200; }")
    assert table.evaluate("(each) => each.scrollLeft") > 0
    assert head.bounding_box()["x"] == before
    fits(page)
