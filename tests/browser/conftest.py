"""A server with a small demo shop for the run, and a headless Chromium that watches every page."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from page_checks import SCHEMES
from waiting import PATIENCE_SECONDS

COMMAND = Path(sys.executable).with_name("innkeeper")
GUESTS = 60
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
FLAGS += ["--disable-sync", "--disable-component-update", "--disable-default-apps"]
OWNER = ("Nora Byrne", "nora@harbourandhill.com", "correct horse battery")
WIDTHS = {1280: {"width": 1280, "height": 900}, 390: {"width": 390, "height": 844}}


def _chromium() -> str | None:
    """Debian's chromium without windows, which takes less time than the whole one; installed now
    where that is possible and neither is here."""
    names = ("chromium-headless-shell", "chromium")
    executable = next(filter(None, map(shutil.which, names)), None)
    if executable is None and os.geteuid() == 0 and shutil.which("apt-get"):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "timeout": 600}
        with open(os.devnull) as nothing:
            for words in (["update"], ["install", "-y", "--no-install-recommends", names[0]]):
                subprocess.run(["apt-get", "-q", *words], stdin=nothing, check=False, **quiet)
        executable = shutil.which(names[0])
    return executable


@dataclass
class Shop:
    """The running server, a key of its API, and where its first owner's link leads."""

    url: str
    client_key: str
    token: str
    link: str
    data: Path


@pytest.fixture(scope="session")
def shop() -> Iterator[Shop]:
    base = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="innkeeper-ui-", dir=base if base.is_dir() else None))
    environment = {n: v for n, v in os.environ.items() if not n.startswith("INNKEEPER_")}
    environment["INNKEEPER_ALLOWED_PRIVATE_HOSTS"] = "127.0.0.1"
    words = ["demo", "--only-guests", "--guests", str(GUESTS), "--data", str(folder)]
    subprocess.run([COMMAND, *words], env=environment, check=True, capture_output=True)
    with (folder / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [COMMAND, "serve", "--port", "0", "--data", folder],
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
        )
    try:
        printed = ""
        assert process.stdout is not None
        for line in process.stdout:
            printed += line
            if line.startswith("curl"):
                break
        # Its output is a pipe, so the login and the link are in files.
        client_key, _, token = (folder / "first-login").read_text().strip().partition(":")
        link = (folder / "first-link").read_text().strip()
        yield Shop(_found(r"at (http://\S+)", printed), client_key, token, link, folder)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
        assert process.stdout is not None
        process.stdout.close()
        shutil.rmtree(folder, ignore_errors=True)


def _found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    assert match is not None, text
    return match[1]


@pytest.fixture(scope="session")
def browser() -> Iterator:
    sync = pytest.importorskip("playwright.sync_api")
    path = _chromium()
    if path is None:
        pytest.skip("no chromium here, and it cannot be installed")
    with sync.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def owner(browser, shop: Shop, tmp_path_factory) -> str:
    """The cookies of the first owner, who came by the printed link."""
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_SECONDS * 1000)
    page = context.new_page()
    page.goto(shop.link)
    for field, value in zip(("name", "email", "password"), OWNER, strict=True):
        page.fill(f"[name={field}]", value)
    page.get_by_role("button", name="Create the owner's account").click()
    page.wait_for_url("**/w/live/")
    path = tmp_path_factory.mktemp("login") / "state.json"
    path.write_text(json.dumps(context.storage_state()))
    context.close()
    return str(path)


class Watched:
    """A page, and what went wrong on it: console errors, requests to elsewhere."""

    def __init__(self, browser, url: str, width: int, state: str | None) -> None:
        self.url = url
        self.context = browser.new_context(
            viewport=WIDTHS[width], storage_state=state, reduced_motion="reduce"
        )
        self.context.set_default_timeout(PATIENCE_SECONDS * 1000)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", self._request)

    def _console(self, message) -> None:
        # A form that is refused is shown again, with the status that says so.
        # A request that a later one replaces, or whose page is left, is aborted.
        refused = re.search("status of 4(00|09|12)|AbortError: signal is aborted", message.text)
        if message.type in ("error", "warning") and not refused:
            self.faults.append(message.text)

    def _request(self, request) -> None:
        if not request.url.startswith((self.url, "data:")):
            self.faults.append(f"left the host: {request.url}")

    def go(self, path: str):
        """Open a path of the workspace `live`."""
        self.page.goto(f"{self.url}/w/live{path}")
        return self.page


@pytest.fixture(scope="session")
def opened(browser, shop: Shop, owner: str) -> Callable[[int], Watched]:
    """Makes a page of the owner's of a width."""
    return lambda width: Watched(browser, shop.url, width, owner)


@pytest.fixture(scope="session")
def wide(opened: Callable[[int], Watched]) -> Iterator[Watched]:
    """The wide page that tests have one after the other: making one takes longer than most do."""
    one = opened(1280)
    one.page.go = one.go
    yield one
    one.context.close()


@pytest.fixture
def page(wide: Watched, shop: Shop, owner: str) -> Iterator:
    """A wide page of the owner's; at the end nothing may have gone wrong, and nothing stays."""
    yield wide.page
    if wide.page.url.startswith(shop.url):
        wide.page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
    wide.page.goto("about:blank")
    wide.page.set_viewport_size(WIDTHS[1280])
    wide.context.clear_cookies()
    wide.context.add_cookies(json.loads(Path(owner).read_text())["cookies"])
    faults, wide.faults[:] = [*wide.faults], []
    assert faults == []


@pytest.fixture(scope="module")
def shared(opened, request):
    """One page for every address in one width: a new one for each takes longer than axe does."""
    one = opened(request.param)
    one.page.emulate_media(color_scheme=SCHEMES[request.param])
    yield one, request.param
    one.context.close()
