"""What each compared system offers: a running server, and six requests of the same meaning."""

import json
import subprocess
import time
import urllib.error
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from bench.load import Load, Requests
from bench.peers.packages import node
from bench.servers import Server, await_answer
from innkeeper.store.embedded_roles import administrator

OWNER: Final = "peers"
"""The login of the databases of the other systems."""
MOST_IDS: Final = 10_000


class System(ABC):
    """A running server and how it is sent each of the six requests."""

    name: str
    guests: str
    """Statement that selects ids of guests, in the system's own database."""
    orders: str
    """Statement that selects ids of orders with an item."""

    def __init__(self, server: Server) -> None:
        self.server = server

    @abstractmethod
    def create_guest(self) -> Load:
        """Create a guest with an e-mail address, an identifier and seven fields."""

    def fill(self) -> tuple[Load, int]:
        """Create guests as fast as the system can; with how many a request creates."""
        return self.create_guest(), 1

    @abstractmethod
    def read_guest(self) -> Load:
        """Read one of the guests by its id."""

    @abstractmethod
    def update_guest(self) -> Load:
        """Change the city of one of the guests."""

    @abstractmethod
    def list_guests(self) -> Load:
        """Read the first hundred guests whole."""

    @abstractmethod
    def create_order(self) -> Load:
        """Create an order and its item, with as few requests as the system needs."""

    @abstractmethod
    def read_order(self) -> Load:
        """Read one of the orders with its item."""

    def of_any(self, statement: str, request: Callable[[str, int], bytes]) -> Load:
        """A request about an id that is chosen at random among those of `statement`."""
        with psycopg.connect(self.server.dsn) as connection:
            rows = connection.execute(f"{statement} LIMIT {MOST_IDS}".encode()).fetchall()
        ids, chance = [str(ref) for (ref,) in rows], Random(1)
        return Load(self.server, lambda number: request(chance.choice(ids), number))

    def send(self, requests: Requests) -> Load:
        """A request that needs no id."""
        return Load(self.server, requests)


WORK: Final[Mapping[str, Callable[[System], Load]]] = {
    "read a guest": lambda system: system.read_guest(),
    "update a guest": lambda system: system.update_guest(),
    "list 100 guests": lambda system: system.list_guests(),
    "create a guest": lambda system: system.create_guest(),
    "create an order and its item": lambda system: system.create_order(),
    "read an order with its item": lambda system: system.read_order(),
}


def new_city(number: int) -> bytes:
    """The body of the n-th update."""
    return json.dumps({"city": f"Cork {number}"}).encode()


def create_database(dsn: str, name: str) -> dict[str, Any]:
    """Create a database of the same PostgreSQL server; return the parts of its address."""
    with psycopg.connect(administrator(dsn), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [OWNER]).fetchone():
            connection.execute(sql.SQL("CREATE ROLE {} LOGIN").format(sql.Identifier(OWNER)))
        create = sql.SQL("CREATE DATABASE {} OWNER {}")
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(OWNER)))
    return {**conninfo_to_dict(dsn), "user": OWNER, "dbname": name}


def run_node(arguments: list[str], folder: Path, variables: Mapping[str, str]) -> None:
    """Run a Node.js program; what it prints is shown if it fails."""
    done = subprocess.run(
        [node(), *arguments],
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stdout[-3000:]}")


@contextmanager
def node_server(
    arguments: list[str], folder: Path, variables: Mapping[str, str], url: str
) -> Iterator[tuple[int, float]]:
    """Run a Node.js server until it answers at `url`: its process id, seconds to the answer."""
    started = time.monotonic()
    with open(folder / "server.log", "wb") as log:
        process = subprocess.Popen(
            [node(), *arguments], cwd=folder, env=variables, stdout=log, stderr=log
        )
        try:
            await_answer(url, process, seconds=180)
            yield process.pid, time.monotonic() - started
        finally:
            process.terminate()
            process.wait(30)


def call(server: Server, path: str, body: Mapping[str, Any]) -> Any:
    """POST a body as JSON; return what the response holds."""
    request = urllib.request.Request(
        f"http://{server.host}:{server.port}{path}",
        data=json.dumps(body).encode(),
        headers={"Authorization": server.authorization, "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request) as response:
            return json.loads(response.read() or b"null")
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{path}: {error}: {error.read(1000).decode()}") from error
