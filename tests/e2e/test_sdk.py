"""The vendor's own packages against Innkeeper, in Node and in a real page (stream-api.md 8)."""

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from calling import Api
from process import Innkeeper, run
from streams import Page, types
from waiting import PATIENCE_SECONDS

SITE = Path(__file__).with_name("site")
QUIET = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "timeout": 300}
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]

Visit = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def site() -> Path:
    """The test site with its packages from npm, built once whoever asks first."""
    if not shutil.which("npm"):
        pytest.skip("no Node here")
    with open(Path(tempfile.gettempdir()) / "innkeeper-test-site.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock_file, installed = SITE / "package-lock.json", SITE / "node_modules" / ".installed"
        if not installed.exists() or installed.read_bytes() != lock_file.read_bytes():
            command = ["npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            done = subprocess.run(command, cwd=SITE, check=False, **QUIET)
            if done.returncode:
                pytest.skip(f"npm cannot install the packages: {done.stdout[-500:]}")
            installed.write_bytes(lock_file.read_bytes())
        done = subprocess.run(["npm", "run", "build"], cwd=SITE, check=False, **QUIET)
        assert done.returncode == 0, done.stdout
    return SITE


@pytest.fixture
def shop(running: Innkeeper) -> Iterator[Api]:
    """A workspace of its own, with a context id, a site and a point of sale."""
    name = f"shop_{uuid4().hex[:8]}"
    where = ("--data", running.data)
    workspace = json.loads(run("workspaces", "create", name, "--json", *where).stdout)
    key = next(one for one in workspace if one["workspace"] == name)
    inside = ("--workspace", name, *where)
    for words in (
        ("points-of-sale", "create", "shop/ie", "--timeout", "30", *inside),
        ("aliases", "context", name, key["clientKey"], *where),
        ("aliases", "site", "my-site", "shop/ie", *inside),
    ):
        done = run(*words)
        assert done.returncode == 0, done.stderr
    with Api(running.url, key["clientKey"], key["apiToken"]) as api:
        api.context_id = name  # type: ignore[attr-defined]
        yield api


@dataclass
class Browser:
    """A headless Chromium, and where the test site is served from."""

    chromium: Any
    origin: str


def chromium_path() -> str | None:
    """Debian's chromium; installed now where that is possible."""
    executable = shutil.which("chromium")
    if executable is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for words in (["update"], ["install", "-y", "--no-install-recommends", "chromium"]):
            subprocess.run(
                ["apt-get", "-q", *words], stdin=subprocess.DEVNULL, check=False, **QUIET
            )
        executable = shutil.which("chromium")
    return executable


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def browser(site: Path) -> Iterator[Browser]:
    # For one test only: while it lives, no event loop can be run in this process.
    sync = pytest.importorskip("playwright.sync_api")
    path = chromium_path()
    if path is None:
        pytest.skip("no chromium here, and it cannot be installed")
    handler = partial(Quiet, directory=site)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with sync.sync_playwright() as playwright:
            opened = playwright.chromium.launch(executable_path=path, args=FLAGS)
            # Another origin than the server's, by name and by port.
            yield Browser(opened, f"http://localhost:{server.server_port}")
            opened.close()
        server.shutdown()


@pytest.fixture
def visit(browser: Browser, shop: Api) -> Iterator[Visit]:
    """Opens a page of the test site and waits for what its script was told.

    Whatever the page writes to its console as an error, and every answer from 400 up that the
    test did not expect, fails the test.
    """
    context = browser.chromium.new_context()
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    faults: list[str] = []
    expected: list[int] = []

    def open_page(name: str, *, expects: tuple[int, ...] = (), **query: str) -> dict[str, Any]:
        expected.extend(expects)
        page = context.new_page()
        page.on("console", lambda said: faults.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "response",
            lambda answer: (
                faults.append(f"{answer.status} {answer.url}")
                if answer.status >= 400 and answer.status not in expected
                else None
            ),
        )
        message = "&".join(f"{key}={value}" for key, value in query.items())
        page.goto(f"{browser.origin}/{name}.html?target={shop.url}&key={shop.client_key}&{message}")
        page.wait_for_function("window.told !== undefined")
        page.wait_for_load_state("networkidle")
        measured: dict[str, Any] = page.evaluate("window.told")
        measured["cookies"] = {cookie["name"]: cookie["value"] for cookie in context.cookies()}
        assert "error" not in measured, (measured, faults)
        return measured

    yield open_page
    context.close()
    assert faults == []


def the_customer(api: Api) -> dict[str, Any]:
    """The only guest of the workspace, who is a customer."""
    (guest,) = api.get("/v2.1/guests").json()["items"]
    assert (guest["guestType"], guest["firstName"]) == ("customer", "Jane")
    return guest


def accepted(*answers: dict[str, Any]) -> None:
    for answer in answers:
        assert answer["status"] == "OK", answer


@pytest.mark.long
def test_engage_in_a_page(shop: Api, visit: Visit) -> None:
    """Section 8 row @sitecore/engage: init, page view, custom event, identity, form, order,
    queued event, personalize, guest id; the script of web personalization loads."""
    report = visit("engage", pos="shop/ie")
    accepted(*(report[name] for name in ("view", "custom", "identity", "form", "order")))
    guest = the_customer(shop)
    assert report["guest"] == guest["ref"]
    assert report["cookies"][f"bid_{shop.client_key}"] == report["browser"]
    assert report["decision"] == {}
    page = Page(shop, report["browser"])
    session = page.session
    assert types(session) == [
        "VIEW", "SHOP:WISH", "IDENTITY", "FORM", "ORDER_CHECKOUT", "SHOP:LATER",
    ]  # fmt: skip
    assert {event["pointOfSale"] for event in session["events"]} == {"shop/ie"}
    assert session["events"][0]["arbitraryData"]["ext"] == {"group_size": 2}
    (order,) = page.context()["orders"]
    assert (order["referenceId"], order["price"], order["status"]) == ("E-1", 12.5, "PURCHASED")
    assert [item["name"] for item in order["orderItems"]] == ["Hat"]
    # A second page of the same visitor is the same browser.
    again = visit("engage", pos="shop/ie")
    assert again["browser"] == report["browser"]
    assert len(page.context()["orders"]) == 1
    assert shop.get("/innkeeper/v1/quarantine").json()["items"] == []


@pytest.mark.long
def test_cloud_sdk_in_a_page(shop: Api, visit: Visit) -> None:
    """Section 8 row @sitecore-cloudsdk: the edge paths, context id and site as aliases."""
    report = visit("cloud", context=shop.context_id, site="my-site")  # type: ignore[attr-defined]
    accepted(*(report[name] for name in ("view", "custom", "identity", "form", "order")))
    guest = the_customer(shop)
    assert report["guest"] == guest["ref"]
    assert report["cookies"]["sc_cid"] == report["browser"]
    assert report["cookies"]["sc_cid_personalize"] == guest["ref"]
    assert report["decision"] == {}
    page = Page(shop, report["browser"])
    assert types(page.session)[:5] == ["VIEW", "SITE:WISH", "IDENTITY", "FORM", "ORDER_CHECKOUT"]
    assert {event["pointOfSale"] for event in page.session["events"]} == {"shop/ie"}
    assert [order["referenceId"] for order in page.context()["orders"]] == ["C-1"]
    assert shop.get("/innkeeper/v1/quarantine").json()["items"] == []


@pytest.mark.long
def test_a_legacy_page_with_jsonp(shop: Api, visit: Visit) -> None:
    """Section 8 row legacy JS library: scripts with callbacks, messages unencoded; a stale
    browser id is told so in a script that runs (section 4)."""
    report = visit("legacy", pos="shop/ie")
    assert report["stale"]["status"] == "NOT_FOUND"
    assert report["stale"]["error_msg"] == "Invalid browser id/ref specified"
    accepted(report["made"], report["view"], report["identity"])
    assert report["shown"]["customer"]["ref"] == report["identity"]["customer_ref"]
    page = Page(shop, report["made"]["ref"])
    assert types(page.session) == ["VIEW", "IDENTITY"]
    assert page.session["events"][0]["page"] == "Home Page"


def test_the_packages_on_a_server(shop: Api, site: Path) -> None:
    """Section 8: the same packages in Node, with server cookies; two browsers of one person."""
    command = ["node", "node.cjs", shop.url, shop.client_key, shop.context_id, "shop/ie"]  # type: ignore[attr-defined]
    done = subprocess.run(
        command, cwd=site, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    output = json.loads(done.stdout)
    for package in ("engage", "cloud"):
        accepted(*(output[package][name] for name in ("view", "custom", "identity")))
        assert output[package]["decision"] == {}
    guest = the_customer(shop)
    assert output["cloud"]["identity"]["customer_ref"] == guest["ref"]
    sessions = shop.get(f"/v2/guestContexts/{guest['ref']}").json()["sessions"]
    assert [types(session)[::-1] for session in sessions] == [
        ["VIEW", "SERVER:WISH", "IDENTITY"],
        ["VIEW", "SERVER:WISH", "IDENTITY"],
    ]
    assert len({session["browserRef"] for session in sessions}) == 2
    assert {session["pointOfSale"] for session in sessions} == {"shop/ie"}
    assert {session["utmAttributes"]["source"] for session in sessions} == {"mail"}
