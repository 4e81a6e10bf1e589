"""Every page in both widths: it opens, nothing is wrong with it for axe, nothing overflows."""

import re

import pytest
from page_checks import WIDE_AND_NARROW, check, findings
from profiles import each_day
from waiting import PATIENCE_SECONDS

from innkeeper.web.ui.report_titles import TITLES
from innkeeper.web.ui.routes import PAGES

PATHS = [
    "/",
    "/?period=365",
    "/guests",
    "/guests?q=Murphy&type=all",
    "/guests?q=nobody-has-this",
    "/segments",
    "/segments/new",
    "/segments/new?mode=sql",
    "/segments/new?from=left",
    "/segments/new?from=spent",
    "/lists",
    "/traits",
    "/traits/new",
    "/traits/of/rfmValue.EUR",
    "/account",
    "/import-sources",
    "/reports/revenue",
    *(f"/reports/{name}" for name in ("totals", "abandoned", "variants", "pages", "campaigns")),
    *(f"/reports/{name}" for name in ("guests", "merges")),
    "/reports/events?interval=month",
    "/reports/products",
    "/reports/funnel",
    "/reports/retention",
    "/reports/rfm",
    "/reports/rfm_groups",
    "/exports",
    "/exports/new",
    "/exports/consent",
    "/dashboard",
    "/jobs",
    "/imports",
    "/quarantine",
    "/settings",
    "/settings/identity-rules",
    "/settings/points-of-sale",
    "/settings/webhooks",
    "/settings/users",
    "/settings/workspace",
    "/settings/audit-log",
    "/ui/components",
]
VARIATIONS = [
    "/?period=365",
    "/guests?q=nobody-has-this",
    "/guests?q=Murphy&type=all",
    "/segments/new?from=left",
    "/segments/new?from=spent",
    "/segments/new?mode=sql",
    "/traits/of/rfmValue.EUR",
    "/reports/events?interval=month",
    *(f"/reports/{name}" for name in ("totals", "abandoned", "variants", "pages", "campaigns")),
    *(f"/reports/{name}" for name in ("rfm", "guests", "merges")),
]
"""Pages that another one resembles, left to the long profile."""
PARTS = {"/find", "/guests/columns", "/segments/sql-views", "/segments/values", "/segments/fields"}
PARTS |= {"/jobs/bell", "/guests/csv", "/guests/bulk", "/guests/bulk/csv", "/reports"}
PARTS |= {"/settings/oauth", "/settings/aliases"}
PARTS |= {"/settings/audit-log/csv", "/settings/audit-log/file"}
"""Parts of pages, files, redirects, and pages of what was chosen."""


def test_every_page_is_looked_at() -> None:
    looked_at = {path.partition("?")[0] for path in PATHS}
    paths = {page.path for page in PAGES if page.show and "{" not in page.path}
    assert paths - looked_at == PARTS
    reports = {f"/reports/{name}" for name in TITLES}
    assert reports <= looked_at


@WIDE_AND_NARROW
@pytest.mark.parametrize("path", each_day(PATHS, *(set(PATHS) - set(VARIATIONS))))
def test_page(shared, path: str) -> None:
    shared[0].go(path)
    check(shared, PATHS.index(path))


@WIDE_AND_NARROW
def test_the_door(browser, shop, shared) -> None:
    viewport = {"width": shared[1], "height": 800}
    context = browser.new_context(viewport=viewport, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    page = context.new_page()
    for path in ("/login", "/docs#createGuest"):
        page.goto(shop.url + path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        # Of the API reference the first section: axe takes most of a minute for all of them.
        page.evaluate("document.querySelectorAll('section ~ section').forEach((e) => e.remove())")
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            assert findings(page) == []
    context.close()


BLOCKING = """() => performance.getEntriesByType("resource")
  .filter((each) => each.renderBlockingStatus === "blocking")
  .map((each) => new URL(each.name).pathname)"""


def test_first_paint_waits_for_the_stylesheet_alone(page) -> None:
    """F24: what the first paint waits for; how long that takes is measured by bench/pages.py."""
    for path in ("/", "/guests", "/segments/new", "/reports/funnel", "/exports/new", "/imports"):
        blocking = page.go(path).evaluate(BLOCKING)
        assert len(blocking) == 1, (path, blocking)
        assert re.fullmatch(r"/ui/.*\.css", blocking[0]), (path, blocking)
