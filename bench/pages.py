"""Screens: how soon Chromium paints a page, beside the same bytes served as plain files; then the
server time of every page of a large shop."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bench.page_times import measure_times
from bench.report import Bench
from bench.servers import invite

ROUNDS = 9
PATHS = ("/", "/guests", "/segments/new", "/reports/funnel", "/exports/new", "/imports")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
PAINTED = """() => new Promise((done) => {
  const painted = performance.getEntriesByName("first-contentful-paint")[0];
  if (painted) return done(painted.startTime);
  new PerformanceObserver((list) => {
    for (const each of list.getEntriesByName("first-contentful-paint")) done(each.startTime);
  }).observe({ type: "paint", buffered: true });
})"""
ABOUT = f"""First contentful paint by the browser's clock, median of {ROUNDS}, measured
alternately. The floor is a server of static files that responds with the same bytes of the page,
its stylesheet and its scripts.
"""


def measure(bench: Bench) -> Iterator[str]:
    """Two tables, with a line for each page."""
    yield from _paints(bench)
    yield from measure_times(bench.full)


def _paints(bench: Bench) -> Iterator[str]:
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        yield "Not measured: playwright is not installed."
        return
    chromium = shutil.which("chromium")
    if chromium is None:
        yield "Not measured: no chromium on PATH."
        return
    yield ABOUT
    yield "| Page | ms | floor ms | ratio |"
    yield "|---|---:|---:|---:|"
    url = f"http://{bench.ours.host}:{bench.ours.port}"
    with sync_playwright() as playwright, plain_files() as (floor, files):
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        page = browser.new_context().new_page()
        _log_in(page, url, invite(bench.ours))
        for path in PATHS:
            page.goto(f"{url}/w/live{path}", wait_until="networkidle")
            _copy(page, url, files)
            ours, beneath = list[float](), list[float]()
            for _ in range(ROUNDS):
                for times, host in ((ours, url), (beneath, floor)):
                    page.goto(f"{host}/w/live{path}")
                    times.append(page.evaluate(PAINTED))
            mine, others = _median(ours), _median(beneath)
            yield f"| {path} | {mine:.0f} | {others:.0f} | {mine / others:.2f} |"
        browser.close()


def _median(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]


def _log_in(page: Any, url: str, link: str) -> None:
    page.goto(url + link)
    page.fill("[name=password]", "correct horse battery staple")
    page.locator("form button").first.click()
    page.wait_for_url("**/w/**")


Files = dict[str, tuple[str, bytes]]
"""Content type and content by path."""


def _copy(page: Any, url: str, files: Files) -> None:
    """Copy an open page and all it loaded, for the floor to serve."""
    loaded = page.evaluate("performance.getEntriesByType('resource').map((each) => each.name)")
    for address in (page.url, *loaded):
        if address.startswith(url):
            answer = page.context.request.get(address)
            files[address.removeprefix(url)] = (answer.headers["content-type"], answer.body())


@contextmanager
def plain_files() -> Iterator[tuple[str, Files]]:
    """A server of files that are held in memory: its URL, and the files."""
    files: Files = {}

    class Plain(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            kind, content = files.get(self.path, ("text/plain", b""))
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            if self.path.startswith("/ui/static/"):
                self.send_header("Cache-Control", "public, max-age=31536000, immutable")
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None:
            """A browser closes connections whenever it likes."""

    with Quiet(("127.0.0.1", 0), Plain) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", files
        server.shutdown()
