"""`make bench-attacks`: how GET guest fares while somebody attacks the server.

Each attack is measured in turns with the same load without it; the table shows the p99 of both,
their ratio (3 is the target) and the most memory of all processes together (600 MB is the target).
"""

import argparse
import asyncio
import http.client
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from urllib.parse import urlencode, urlsplit

from bench.attackers import ATTACKS, Target
from bench.idle import resident_megabytes
from bench.load import Sample, drive
from bench.servers import Server, innkeeper

ROUNDS = 3
CONNECTIONS = 4
MOST_RATIO, MOST_MEGABYTES = 3.0, 600.0
PASSWORD = "correct horse battery"  # noqa: S105 - of this measurement alone


class _Caller:
    """Calls the server before the attacks begin."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def call(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self._server.host, self._server.port, timeout=60)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, content

    def api(self, method: str, path: str, body: object = None) -> dict[str, object]:
        payload = None if body is None else json.dumps(body).encode()
        kind = {"Content_Type": "application/json", "Authorization": self._server.authorization}
        status, _, content = self.call(method, path, payload, **kind)
        if status >= 300:
            raise RuntimeError(f"{method} {path} answered {status}: {content[:500]!r}")
        record: dict[str, object] = json.loads(content)
        return record


def prepared(server: Server, data: Path, seconds: float) -> tuple[Target, str]:
    """What attacks need: a login, a browser, a signed link; and the path of a guest."""
    caller = _Caller(server)
    client_key = json.loads(_listed(data))[0]["clientKey"]
    cookie = _owner(caller, (data / "first-link").read_text().strip())
    guests = [
        str(
            caller.api("POST", "/v2.1/guests", {"guestType": "customer", "city": f"Town {n}"})[
                "ref"
            ]
        )
        for n in range(300)
    ]
    query = urlencode({"client_key": client_key, "message": "{}"})
    browser = str(caller.api("GET", f"/v1.2/browser/create.json?{query}")["ref"])
    event = {
        "client_key": client_key,
        "browser_id": browser,
        "channel": "WEB",
        "type": "VIEW",
        "pos": "nowhere",
        "page": "/",
        "ext": {f"k{number}": "x" * 100 for number in range(4000)},
    }
    caller.api("POST", "/v1.2/events", event)
    export = {"entity": "guests", "format": "ndjson", "compressed": False}
    response = caller.api("POST", "/innkeeper/v1/fileExports", export)
    link = _link(caller, str(response["ref"]))
    target = Target(
        server.host, server.port, server.authorization, client_key, cookie, link, browser, seconds
    )
    return target, f"/v2.1/guests/{guests[0]}"


def _listed(data: Path) -> str:
    command = [str(Path(sys.executable).with_name("innkeeper")), "keys", "list", "--json"]
    done = subprocess.run([*command, "--data", data], check=True, capture_output=True, text=True)
    return done.stdout


def _owner(caller: _Caller, link: str) -> str:
    """The cookies of the first owner."""
    parts = urlsplit(link)
    _, headers, page = caller.call("GET", f"{parts.path}?{parts.query}")
    cookie = headers.get("set-cookie", "").partition(";")[0]
    match = re.search(rb'name="csrf" value="([^"]+)"', page)
    assert match is not None
    form = {
        "csrf": match[1].decode(),
        "link": parts.query.partition("=")[2],
        "name": "Owner",
        "email": "owner@example.com",
        "password": PASSWORD,
    }
    kind = {"Content_Type": "application/x-www-form-urlencoded", "Cookie": cookie}
    _, headers, _ = caller.call("POST", "/login", urlencode(form).encode(), **kind)
    return headers["set-cookie"].partition(";")[0]


def _link(caller: _Caller, export: str) -> str:
    """The signed link of a file export, once it is written."""
    for _ in range(300):
        record = caller.api("GET", f"/innkeeper/v1/fileExports/{export}")
        location = record.get("location")
        if isinstance(location, dict):
            parts = urlsplit(str(location["href"]))
            return f"{parts.path}?{parts.query}"
        time.sleep(0.2)
    raise RuntimeError("the file export was not written")


class _Memory:
    """The most memory of all processes of a server while this lasts, in MB."""

    def __init__(self, pid: int) -> None:
        self.most = 0.0
        self._pid = pid
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> "_Memory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(0.25):
            self.most = max(self.most, resident_megabytes(self._pid))


def measure(server: Server, target: Target, path: str, name: str) -> str:
    """One attack beside the same load without it: a line of the table."""
    calm: list[Sample] = []
    attacked: list[Sample] = []
    with _Memory(server.pid) as memory:
        for _ in range(ROUNDS):
            calm.append(_load(server, path, target.seconds))
            attack = subprocess.Popen(
                [sys.executable, "-m", "bench.attackers", name], env=target.to_environment()
            )
            attacked.append(_load(server, path, target.seconds))
            attack.terminate()
            attack.wait(30)
    before, during = (median(one.p99 for one in each) for each in (calm, attacked))
    failed = sum(one.failures for one in attacked)
    ratio = during / max(before, 0.001)
    is_met = ratio <= MOST_RATIO and memory.most <= MOST_MEGABYTES and not failed
    return (
        f"| {name.replace('_', ' ')} | {before:.1f} | {during:.1f} | {ratio:.1f} | {failed} "
        f"| {memory.most:.0f} | {'yes' if is_met else 'no'} |"
    )


def _load(server: Server, path: str, seconds: float) -> Sample:
    request = server.get(path)
    return asyncio.run(drive(server.host, server.port, lambda _: request, CONNECTIONS, seconds))


def lines(names: list[str], seconds: float) -> Iterator[str]:
    """The table, line by line."""
    yield "| Attack | p99 ms without | p99 ms during | ratio | failed | most MB | met |"
    yield "|---|---:|---:|---:|---:|---:|---|"
    with tempfile.TemporaryDirectory(prefix="innkeeper-attacks-") as folder:
        data = Path(folder)
        with innkeeper(data) as server:
            target, path = prepared(server, data, seconds)
            for name in names:
                yield measure(server, target, path, name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("attacks", nargs="*", choices=[*ATTACKS, []], help="all when none")
    parser.add_argument("--seconds", type=float, default=5, help="per round")
    options = parser.parse_args()
    for line in lines(options.attacks or list(ATTACKS), options.seconds):
        print(line, flush=True)


if __name__ == "__main__":
    main()
