"""Imports and exports of files by the installed command: formats, mappings, kill -9, memory."""

import csv
import gzip
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
from people import distinct, lines, people
from process import COMMAND, Innkeeper, Serve

LONG = os.environ.get("INNKEEPER_LONG") == "1"
MANY = 1_000_000 if LONG else 20_000
KILLS = 10 if LONG else 2
SEED = 20261121
RESIDENT_LIMIT = 500 * 1024 * 1024
ENDED: dict[int, str] = {}
"""The state that an import of so many people ended in, which nothing had cut off."""

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def command(data: Path) -> Command:
    """`innkeeper … --data` on the test's folder."""

    def run(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
        settings = {"capture_output": True, "text": True, "timeout": 3600}
        return subprocess.run(
            [COMMAND, *map(str, words), "--data", data], check=False, **settings | options
        )

    return run


def write(path: Path, many: int) -> Path:
    with path.open("wb") as file:
        file.writelines(lines(SEED, many))
    return path


def summed(done: subprocess.CompletedProcess[str]) -> dict[str, int]:
    assert done.returncode in (0, 2), done.stderr
    told: dict[str, int] = json.loads(done.stdout)
    return told


def guests(server: Innkeeper) -> int:
    return int(server.client.get("/v2.1/guests?limit=1").json()["totalCount"])


def dsn(server: Innkeeper) -> str:
    return str(json.loads((server.data / "server.json").read_text())["dsn"])


def lines_done(server: Innkeeper) -> int:
    """How far the import is."""
    with psycopg.connect(dsn(server)) as connection:
        row = connection.execute("SELECT coalesce(max(line), 0) FROM ws_live.batches").fetchone()
    assert row is not None
    return int(row[0])


def state(server: Innkeeper) -> str:
    """A digest of everything that an import may write, without refs and times."""
    digest = hashlib.sha256()
    with psycopg.connect(dsn(server)) as connection, connection.cursor("state") as rows:
        rows.execute(
            "SELECT g.guest_type, g.body::text, (SELECT count(*) FROM ws_live.guest_keys AS k "
            "WHERE k.guest_ref = g.ref), (SELECT string_agg(name || key || pairs::text, ',' "
            "ORDER BY name, key) FROM ws_live.guest_extensions AS e WHERE e.guest_ref = g.ref) "
            "FROM ws_live.guests AS g ORDER BY g.body::text"
        )
        for row in rows:
            digest.update(repr(row).encode())
    return digest.hexdigest()


class TestManyGuests:
    """Issue 5, shown by 2: the exact number of guests, whatever happens on the way."""

    def test_exact_number_flat_memory_and_an_api_that_answers(
        self, serve: Serve, command: Command, tmp_path: Path
    ) -> None:
        server = serve()
        file = write(tmp_path / "people.ndjson", MANY)
        one = server.create_guest("waiting@example.com")
        importer = subprocess.Popen(
            [COMMAND, "import", "guests", file, "--data", server.data, "--json"],
            stdout=subprocess.PIPE,
            text=True,
        )
        peak, answers = 0, list[float]()
        while importer.poll() is None:
            peak = max(peak, resident(server.process.pid, importer.pid))
            for _ in range(4):
                began = time.monotonic()
                assert server.client.get(f"/v2.1/guests/{one}").is_success
                answers.append(time.monotonic() - began)
                time.sleep(0.05)
        printed, _ = importer.communicate()
        assert importer.returncode == 0
        told = json.loads(printed)
        assert told["records"] == MANY
        assert told["created"] == distinct(SEED, MANY)
        assert guests(server) == distinct(SEED, MANY) + 1
        assert peak < RESIDENT_LIMIT, f"{peak / 1e6:.0f} MB"
        p99 = sorted(answers)[int(len(answers) * 0.99)]
        # Not a measure of speed, for which see bench/imports.py: nobody waits for an import.
        assert p99 < 1
        print(f"{peak / 1e6:.0f} MB at most, p99 of GET {p99 * 1000:.0f} ms")

        server.client.delete(f"/v2.1/guests/{one}").raise_for_status()
        before = ENDED[MANY] = state(server)
        again = summed(command("import", "guests", file, "--json", "--restart"))
        assert guests(server) == distinct(SEED, MANY)
        assert again.get("created", 0) == 0
        # The last word of each person is what it was: the file ends as it ended before.
        assert state(server) == before

    def test_killed_again_and_again_it_ends_the_same(
        self, serve: Serve, command: Command, tmp_path: Path
    ) -> None:
        many = MANY if LONG else MANY // 5
        server = serve()
        file = write(tmp_path / "people.ndjson", many)
        expected = distinct(SEED, many)
        random_ = random.Random(SEED)
        for kill in range(1, KILLS + 1):
            process = subprocess.Popen(
                [COMMAND, "import", "guests", file, "--data", server.data],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            # Each further in than the one before, in the middle of whatever it is at.
            while lines_done(server) < many * kill // (KILLS + 2):
                assert process.poll() is None
                time.sleep(0.01)
            time.sleep(random_.uniform(0, 0.05))
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert 0 < lines_done(server) < many
        told = summed(command("import", "guests", file, "--json"))
        assert (told["records"], told["created"]) == (many, expected)
        assert guests(server) == expected
        if many not in ENDED:
            assert uninterrupted(serve, server, file) == told
        assert state(server) == ENDED[many]


def uninterrupted(serve: Serve, server: Innkeeper, file: Path) -> dict[str, int]:
    """Import a file somewhere else in one go; what the command tells."""
    other = serve(folder=server.data.parent / (server.data.name + "-other"))
    try:
        words = [COMMAND, "import", "guests", file, "--data", other.data, "--json"]
        told = summed(subprocess.run(words, capture_output=True, text=True, check=False))
        ENDED[told["records"]] = state(other)
    finally:
        other.stop()
        shutil.rmtree(other.data)
    return told


def resident(*roots: int) -> int:
    """Memory of processes and all below them, in bytes: the sum of their proportional sets (PSS).

    Of a page that n processes share, PSS counts an nth for each. A sum of RSS would count the
    buffers of PostgreSQL once for each of its twenty processes.
    """
    total = 0
    for pid in {*roots, *(child for root in roots for child in below(root))}:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        total += sum(
            int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")
        )
    return total


def below(pid: int) -> set[int]:
    found: set[int] = set()
    for thread in Path(f"/proc/{pid}/task").glob("*"):
        try:
            children = (thread / "children").read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            found |= {child} | below(child)
    return found


def few(many: int = 60) -> list[dict[str, Any]]:
    found = people(SEED)
    return [next(found)[1] for _ in range(many)]


class TestFormats:
    def imported(self, command: Command, *words: object, **options: Any) -> dict[str, int]:
        return summed(command("import", "guests", *words, "--json", **options))

    def test_ndjson_plain_and_gzip(self, serve: Serve, command: Command, tmp_path: Path) -> None:
        serve()
        content = b"".join(json.dumps(one).encode() + b"\n" for one in few())
        for name in ("a.ndjson", "a.ndjson.gz", "a.jsonl"):
            file = tmp_path / name
            file.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
            assert self.imported(command, file)["records"] == 60

    def test_standard_input(self, command: Command) -> None:
        text = "".join(json.dumps(one) + "\n" for one in few())
        told = self.imported(command, "-", "--format", "ndjson", input=text)
        assert told["created"] == distinct(SEED, 60)
        told = self.imported(
            command, "-", "--format", "ndjson", input=gzip.compress(text.encode()), text=False
        )
        assert (told["records"], told["failed"]) == (60, 0)

    def test_csv_by_a_suggested_mapping(
        self, serve: Serve, command: Command, tmp_path: Path
    ) -> None:
        file = tmp_path / "people.csv"
        file.write_text(
            "E-Mail;First name;Surname;Birthday;Sex;Points;Newsletter;Customer no\n"
            "jane@example.com;Jane;Ó Néill;24.12.1985;F;5;yes;C-1\n"
            "tom@example.com;Tom;Doe;1.2.1990;M;7;no;\n"
            "bad@example.com;Bad;Day;soon;M;7;no;\n",
            encoding="utf-8-sig",
        )
        assert command("import", "guests", file, "--suggest").returncode == 0
        mapping = tmp_path / "people.csv.mapping.toml"
        text = mapping.read_text()
        assert '"E-Mail" = ["email", "identifiers.email"]' in text
        assert '"First name" = "firstName"' in text
        assert '"Customer no" = "identifiers.CRM"' in text
        assert '"Points" = "extensions.ext.points"' in text
        text = text.replace("[formats]", '[formats]\n"Birthday" = "%d.%m.%Y"')
        text = text.replace("[values]", '[values]\n"Sex" = { M = "male", F = "female" }')
        text = text.replace("[types]", '[types]\n"Newsletter" = "boolean"\n"Points" = "number"')
        mapping.write_text(dedup(text))
        server = serve()
        told = self.imported(command, file)
        assert told == {"records": 3, "created": 2, "failed": 1}
        rejects = (tmp_path / "people.csv.rejects.ndjson").read_text().splitlines()
        assert json.loads(rejects[0])["line"] == 4
        assert json.loads(rejects[0])["errors"] == ["Birthday: is not a date as %d.%m.%Y"]
        (jane,) = server.client.get("/v2.1/guests?email=jane@example.com").json()["items"]
        assert (jane["lastName"], jane["dateOfBirth"]) == ("Ó Néill", "1985-12-24")
        assert jane["gender"] == "Female"
        ext = server.client.get(f"/v2.1/guests/{jane['ref']}/extensions/ext").json()
        assert (ext["points"], ext["newsletter"]) == (5, True)

    def test_what_is_exported_can_be_imported_and_changes_nothing(
        self, serve: Serve, command: Command, tmp_path: Path
    ) -> None:
        server = serve()
        file = write(tmp_path / "people.ndjson", 300)
        self.imported(command, file)
        before = state(server)
        everyone = distinct(SEED, 300)
        for name in ("x.csv", "x.csv.gz", "x.parquet", "x.ndjson", "x.ndjson.gz"):
            out = tmp_path / name
            exported = command("export", "guests", out)
            assert exported.returncode == 0, exported.stderr
            told = self.imported(command, out)
            assert told == {"records": everyone, "unchanged": everyone, "failed": 0}, name
            assert state(server) == before, name

    def test_a_file_that_is_no_gzip_is_told_in_one_sentence(
        self, command: Command, tmp_path: Path
    ) -> None:
        file = tmp_path / "a.ndjson.gz"
        file.write_bytes(b"no gzip")
        done = command("import", "guests", file)
        assert done.returncode == 1
        assert done.stderr.startswith("innkeeper: ")
        assert "Traceback" not in done.stderr

    def test_csv_without_mapping_must_name_fields(self, command: Command, tmp_path: Path) -> None:
        file = tmp_path / "a.csv"
        file.write_text("Shoe size\n44\n")
        done = command("import", "guests", file)
        assert done.returncode == 1
        assert "--suggest" in done.stderr


def dedup(text: str) -> str:
    """The mapping with the last of several lines of a column in a section."""
    out: dict[tuple[str, str], str] = {}
    section = ""
    for number, line in enumerate(text.splitlines()):
        if line.startswith("["):
            section = line
        key = line.partition(" = ")[0] if " = " in line and line[0] == '"' else str(number)
        out.setdefault((section, key), line)
    return "\n".join(out.values()) + "\n"


def test_dry_run_tells_what_would_be_done_and_does_nothing(
    serve: Serve, command: Command, tmp_path: Path
) -> None:
    server = serve()
    file = write(tmp_path / "people.ndjson", 1000)
    with file.open("ab") as out:
        out.write(b'{"email": "nobody@example.com"}\n')
    told = summed(command("import", "guests", file, "--dry-run", "--json"))
    expected = distinct(SEED, 1000)
    assert told == {
        "records": 1001,
        "created": expected,
        "merged": 1000 - expected,
        "failed": 1,
    }
    assert guests(server) == 0
    real = summed(command("import", "guests", file, "--json"))
    assert real["created"] == expected
    after = summed(command("import", "guests", file, "--dry-run", "--json"))
    assert after.get("created", 0) == 0
    rejects = Path(str(file) + ".rejects.ndjson").read_text()
    assert json.loads(rejects) == {
        "line": 1001,
        "ref": None,
        "code": 400,
        "message": "Identity information missing",
        "errors": [],
    }


def test_orders_of_a_csv_and_back(serve: Serve, command: Command, tmp_path: Path) -> None:
    server = serve()
    file = tmp_path / "orders.csv"
    head = ["Order number", "Order date", "Amount", "Currency", "Channel", "Store", "Payment"]
    head += ["Email", "First name", "Last name", "SKU", "Item name", "Qty"]
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(head)
        for number in range(30):
            person = f"p{number % 10}@example.com"
            row = [f"O-{number}", "2024-03-01", "12.50", "EUR", "WEB", "default", "Cash"]
            rows.writerow([*row, person, "Jane", "Doe", "SKU-1", "Shoe", "2"])
    assert command("import", "orders", file, "--suggest").returncode == 0
    mapping = Path(str(file) + ".mapping.toml")
    constants = '[constants]\n"status" = "PURCHASED"\n"orderItems.type" = "SHOE"\n'
    constants += '"orderItems.description" = "-"\n"orderItems.vendor" = "-"\n'
    constants += '"orderItems.price" = 6.25\n"orderItems.currencyCode" = "EUR"\n'
    mapping.write_text(mapping.read_text().replace("[constants]", constants))
    told = summed(command("import", "orders", file, "--json"))
    assert told == {"records": 30, "created": 30, "failed": 0}
    assert server.client.get("/v2.1/orders?limit=1&referenceId=O-1").json()["items"]
    assert guests(server) == 10
    out = tmp_path / "orders.ndjson"
    assert command("export", "orders", out).returncode == 0
    values = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(values) == 30
    assert values[0]["orderItems"][0]["quantity"] == 2
    again = summed(command("import", "orders", out, "--json"))
    assert again == {"records": 30, "unchanged": 30, "failed": 0}


def test_events_of_history(serve: Serve, command: Command, tmp_path: Path) -> None:
    server = serve()
    file = tmp_path / "events.ndjson"
    browser = "11111111-2222-4333-8444-555555555555"
    common = {"channel": "WEB", "pos": "default", "currency": "EUR", "language": "EN"}
    events = [
        {
            **common,
            "type": "VIEW",
            "browser_id": browser,
            "page": f"page {number}",
            "requested_at": f"2021-05-01T10:0{number}:00.000Z",
        }
        for number in range(5)
    ]
    person = [{"provider": "email", "id": "jane@example.com"}]
    events.append(
        {
            **common,
            "type": "VIEW",
            "page": "home",
            "identifiers": person,
            "requested_at": "2021-05-02T10:00:00Z",
        }
    )
    events.append({"type": "VIEW", "browser_id": browser, "requested_at": "soon"})
    file.write_text("".join(json.dumps(event) + "\n" for event in events))
    told = summed(command("import", "events", file, "--json"))
    assert told == {"records": 7, "created": 6, "failed": 1}
    again = summed(command("import", "events", file, "--json", "--restart"))
    assert again == {"records": 7, "unchanged": 6, "failed": 1}
    (jane,) = server.client.get(
        "/v2.1/guests?identifiers.provider=email&identifiers.id=jane@example.com"
    ).json()["items"]
    assert jane["guestType"] == "customer"
    out = tmp_path / "out.csv"
    assert command("export", "events", out).returncode == 0
    back = summed(command("import", "events", out, "--json"))
    # What Jane said of herself is an event of its own.
    assert back == {"records": 7, "unchanged": 7, "failed": 0}
