"""What every page is checked for: nothing is wrong with it for axe, nothing overflows or jumps."""

import pytest
from profiles import LONG, each_day

SCHEMES = {1280: "dark", 390: "light"}
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
# Only what is serious leaves the page: axe's whole answer takes as long to send as to find.
SERIOUS = """(only) => axe.run({ runOnly: only, resultTypes: ["violations"] }).then((found) =>
  found.violations.filter((each) => ["serious", "critical"].includes(each.impact))
    .flatMap((each) => each.nodes.slice(0, 3).map((node) =>
      `${each.id}: ${node.html.slice(0, 120)} ${node.failureSummary.slice(0, 160)}`)))"""


def findings(page, rules: list[str] | None = None) -> list[str]:
    """What axe finds that is serious or critical; it is read into a page once."""
    axe = pytest.importorskip("axe_playwright_python.base")
    if page.evaluate("typeof axe === 'undefined'"):
        page.evaluate(axe.AXE_SCRIPT)
    value = page.evaluate(SERIOUS, rules or {"type": "tag", "values": WCAG})
    return [str(each) for each in value]


# The page of components shows what loads as one of its samples.
SETTLED = """() => location.pathname.endsWith("/ui/components")
  || !document.querySelector('[aria-busy=true], .loading')"""
SHIFTED = """() => new Promise((done) => {
  let sum = 0;
  new PerformanceObserver((list) => {
    for (const each of list.getEntries()) if (!each.hadRecentInput) sum += each.value;
  }).observe({ type: "layout-shift", buffered: true });
  requestAnimationFrame(() => requestAnimationFrame(() => done(sum)));
})"""


WIDE_AND_NARROW = pytest.mark.parametrize("shared", each_day((1280, 390), 1280), indirect=True)


def check(shared, number: int) -> None:
    """Nothing overflows or jumps, in both widths; every rule of axe in one of them, narrow and
    light for pages of odd numbers. The long profile opens each page in both, in both schemes."""
    one, width = shared
    page = one.page
    page.wait_for_function(SETTLED)
    assert page.get_by_role("heading", level=1).count() == 1
    assert page.evaluate(SHIFTED) < 0.05
    widths = [width] if LONG else list(SCHEMES)
    for each in widths if number % 2 else reversed(widths):
        page.set_viewport_size({"width": each, "height": 900})
        page.emulate_media(color_scheme=SCHEMES[each])
        assert page.evaluate("document.documentElement.scrollWidth") <= each
    assert findings(page) == []
    if LONG:
        for scheme in SCHEMES.values():
            page.emulate_media(color_scheme=scheme)
            assert findings(page, ["color-contrast"]) == []
    page.set_viewport_size({"width": width, "height": 900})
    assert one.faults == []


def fits(page) -> None:
    """Check that nothing overflows in either width; the page stays wide."""
    for width in (390, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        value = page.evaluate("document.documentElement.scrollWidth")
        assert value <= width, f"{page.url} is {value} wide at {width}"


def is_accessible(page) -> None:
    """Check that nothing overflows in either width, and that axe finds nothing in light or dark."""
    fits(page)
    for scheme in ("dark", "light"):
        page.emulate_media(color_scheme=scheme)
        assert findings(page) == []
