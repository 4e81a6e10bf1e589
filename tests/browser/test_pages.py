"""Every page in both widths: it opens, nothing is wrong with it for axe, nothing overflows."""

import re

import httpx
import pytest
from profiles import LONG, each_day
from waiting import PATIENCE_SECONDS

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
    "/reports/revenue",
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
    "/segments/new?from=left",
    "/segments/new?from=spent",
    "/segments/new?mode=sql",
    "/traits/of/rfmValue.EUR",
    "/reports/events?interval=month",
    "/reports/rfm",
]
"""Pages that another one resembles, left to the long profile."""
TABS = ["", "/timeline", "/orders", "/properties", "/identity", "/json", "/edit"]
TABS += ["/extensions/new"]

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
    found = page.evaluate(SERIOUS, rules or {"type": "tag", "values": WCAG})
    return [str(each) for each in found]


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


@pytest.fixture(scope="module")
def shared(opened, request):
    """One page for every address in one width: a new one for each takes longer than axe does."""
    one = opened(request.param)
    one.page.emulate_media(color_scheme=SCHEMES[request.param])
    yield one, request.param
    one.context.close()


WIDE_AND_NARROW = pytest.mark.parametrize("shared", each_day((1280, 390), 1280), indirect=True)


@pytest.fixture(scope="module")
def made(shop, opened):
    """What pages of their own are about: a segment, an export that ran, an import that waits."""
    with httpx.Client(base_url=shop.url, auth=(shop.client_key, shop.token)) as api:
        body = {"name": "Everybody", "definition": {"filterGroups": [{"entity": "guest"}]}}
        api.post("/innkeeper/v1/segments", json=body)
        api.post("/innkeeper/v1/segments/everybody/run")
        api.post("/innkeeper/v1/staticLists", json={"name": "Autumn"})
        shoes = {"location": "ext", "field": "category", "comparator": "is equal to"}
        steps = [{"entity": "event", "rules": [{**shoes, "values": ["shoes"]}] * 2}]
        steps += [{"entity": "order", "absent": True, "withinDays": 7}]
        body = {"name": "Steps", "definition": {"filterGroups": [{"sequence": steps}]}}
        assert api.post("/innkeeper/v1/segments", json=body).status_code == 201
        recent = {"field": "orderedAt", "comparator": "is in the past", "values": [1, "years"]}
        trait = {"entity": "order", "function": "greatest", "field": "price", "currency": "EUR"}
        trait["rules"] = [recent]
        assert api.put("/innkeeper/v1/traits/dearest", json=trait).status_code == 200
        export = {"name": "All", "segment": "everybody", "columns": ["ref"]}
        api.post("/innkeeper/v1/exports", json=export)
        api.post("/innkeeper/v1/exports/all/run")
        order = _first(api, "/v2.1/orders")
        guest = _first(api, "/v2.1/guests")
        pair = [api.post("/v2.1/guests", json={"guestType": "customer"}).json() for _ in "ab"]
        merged = pair[0]["ref"]
        both = {"survivor": merged, "absorbed": pair[1]["ref"]}
        assert api.post("/innkeeper/v1/merges", json=both).status_code < 300
    one = opened(1280)
    page = one.go("/imports")
    text = b"E-mail,Town\na@example.com,Cork\n"
    file = {"name": "people.csv", "mimeType": "text/csv", "buffer": text}
    page.locator("#file").set_input_files(file)
    page.get_by_role("button", name="Upload").click()
    page.wait_for_url("**/imports/*")
    found = re.sub(r".*/w/live", "", page.url)
    one.context.close()
    return [
        *("/segments/everybody/guests", "/segments/everybody/history"),
        *("/segments/everybody/compare?with=steps", "/segments?q=steps"),
        *("/segments/everybody", "/segments/everybody/edit", f"/segments/everybody/why/{guest}"),
        *(
            "/segments/steps",
            "/segments/steps/edit",
            "/lists/autumn",
            f"/guests/bulk?do=erase&guests={guest}",
        ),
        *("/traits/of/dearest", "/traits/of/dearest/edit"),
        *("/exports/all", "/exports/all/edit", found, f"/orders/{order}"),
        *(f"/guests/{guest}/merge", f"/guests/{guest}/merge?other=a", f"/guests/{merged}/identity"),
    ]


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


@WIDE_AND_NARROW
@pytest.mark.parametrize("path", each_day(PATHS, *(set(PATHS) - set(VARIATIONS))))
def test_page(shared, path: str) -> None:
    shared[0].go(path)
    check(shared, PATHS.index(path))


def _first(api: httpx.Client, path: str) -> str:
    item = api.get(path, params={"limit": 1}).json()["items"][0]
    return str(item.get("ref") or item["href"].rpartition("/")[2])


@WIDE_AND_NARROW
def test_pages_of_what_was_made(shared, made) -> None:
    for number, path in enumerate(made):
        shared[0].go(path)
        check(shared, number)
    undo = shared[0].page.get_by_role("link", name="Undo…")
    undo.click()
    shared[0].page.get_by_role("heading", name="Undo this merge?").wait_for()
    check(shared, len(made))


@WIDE_AND_NARROW
def test_the_door(browser, shop, shared) -> None:
    context = browser.new_context(viewport={"width": shared[1], "height": 800})
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    page = context.new_page()
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.goto(f"{shop.url}/login")
        assert findings(page) == []
    context.close()


@WIDE_AND_NARROW
def test_tabs_of_a_guest(shared) -> None:
    one, _ = shared
    row = one.go("/guests").locator("[data-row] a.open").first
    base = re.sub(r".*/w/live", "", row.get_attribute("href"))
    for number, tab in enumerate(TABS):
        one.go(base + tab)
        if one.page.get_by_role("heading", name="Not found").count() == 0:
            check(shared, number)


BLOCKING = """() => performance.getEntriesByType("resource")
  .filter((each) => each.renderBlockingStatus === "blocking")
  .map((each) => new URL(each.name).pathname)"""


def test_first_paint_waits_for_the_stylesheet_alone(page) -> None:
    """F24: what the first paint waits for; how long that takes is measured by bench/pages.py."""
    for path in ("/", "/guests", "/segments/new", "/reports/funnel", "/exports/new", "/imports"):
        blocking = page.go(path).evaluate(BLOCKING)
        assert len(blocking) == 1, (path, blocking)
        assert re.fullmatch(r"/ui/.*\.css", blocking[0]), (path, blocking)
