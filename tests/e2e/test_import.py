"""Imports and exports of files by the installed command: formats, mappings, kill -9, memory."""

import asyncio
import contextlib
import csv
import gzip
import hashlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

import duckdb
import psycopg
import pytest
from calling import Api
from people import distinct, lines, people
from process import COMMAND, Innkeeper, run
from profiles import LONG
from waiting import until

from innkeeper.actions.admin import workspaces
from innkeeper.actions.bulk import batches, command_imports
from innkeeper.actions.paging import PageRequest
from innkeeper.store.database import Database

MANY = 1_000_000 if LONG else 4_000
MANY_KILLED = MANY if LONG else 3_000
KILLS = 10 if LONG else 2
SEED = 20261121
RESIDENT_LIMIT = 500 * 1024 * 1024
_numbers: Final = count()


@dataclass(frozen=True)
class ImportTarget:
    """An empty workspace of a running server."""

    server: Innkeeper
    workspace: str
    api: Api

    @property
    def dsn(self) -> str:
        """Where its database is."""
        return str(json.loads((self.server.data / "server.json").read_text())["dsn"])

    @property
    def schema(self) -> str:
        return f"ws_{self.workspace}"

    def words(self, *words: object) -> list[str]:
        """`innkeeper …` in this workspace."""
        there = ("--data", self.server.data, "--workspace", self.workspace)
        return [str(word) for word in (COMMAND, *words, *there)]

    def run(self, *words: object, **options: Any) -> subprocess.CompletedProcess[Any]:
        command, *params = self.words(*words)
        return run(*params, command=(Path(command),), **{"timeout": 3600, **options})

    def imported(self, *words: object, **options: Any) -> dict[str, int]:
        """What `innkeeper import …` tells."""
        done = self.run("import", *words, "--json", **options)
        assert done.returncode in (0, 2), done.stderr
        output: dict[str, int] = json.loads(done.stdout)
        for details in ("refused", "matches"):
            output.pop(details, None)
        return output

    def one(self, question: str) -> Any:
        """The first column of the only row of a query."""
        with psycopg.connect(self.dsn) as connection:
            row = connection.execute(question.replace("{ws}", self.schema)).fetchone()
        assert row is not None
        return row[0]

    @property
    def guests(self) -> int:
        return int(self.api.get("/v2.1/guests?limit=1").json()["totalCount"])

    @property
    def lines_done(self) -> int:
        """How far the import is."""
        return int(self.one("SELECT coalesce(max(line), 0) FROM {ws}.batches"))

    @property
    def state(self) -> str:
        """A digest of everything that an import may write, without refs and times."""
        digest = hashlib.sha256()
        question = (
            "SELECT g.guest_type, g.body::text, (SELECT count(*) FROM {ws}.guest_keys AS k "
            "WHERE k.guest_ref = g.ref), (SELECT string_agg(name || key || pairs::text, ',' "
            "ORDER BY name, key) FROM {ws}.guest_extensions AS e WHERE e.guest_ref = g.ref) "
            "FROM {ws}.guests AS g ORDER BY g.body::text"
        )
        with psycopg.connect(self.dsn) as connection, connection.cursor("state") as rows:
            rows.execute(question.replace("{ws}", self.schema))
            for row in rows:
                digest.update(repr(row).encode())
        return digest.hexdigest()


@pytest.fixture
def target(running: Innkeeper) -> Iterator[ImportTarget]:
    with new_target(running) as site:
        yield site


@contextmanager
def new_target(running: Innkeeper) -> Iterator[ImportTarget]:
    """A workspace of its own in the server that all tests share."""
    name = f"import_{next(_numbers)}"

    async def create(dsn: str) -> Any:
        async with Database(dsn, pool_size=1) as database, database.control("test") as work:
            return await workspaces.create(work, name)

    dsn = json.loads((running.data / "server.json").read_text())["dsn"]
    key = asyncio.run(create(dsn))[name]
    with Api(running.url, key.client_key, key.api_token) as api:
        yield ImportTarget(running, name, api)


def write(path: Path, many: int) -> Path:
    with path.open("wb") as file:
        file.writelines(lines(SEED, many))
    return path


class TestManyGuests:
    """Issue 5, shown by 2: the exact number of guests, whatever happens on the way."""

    @pytest.mark.long
    def test_exact_number_flat_memory_and_an_api_that_answers(
        self, target: ImportTarget, tmp_path: Path
    ) -> None:
        file = write(tmp_path / "people.ndjson", MANY)
        one = target.api.guest(email="waiting@example.com")["ref"]
        with importing(target, file, tmp_path) as importer:
            peak = 0
            while importer.poll() is None:
                peak = max(peak, resident(target.server.process.pid, importer.pid))
                for _ in range(4):
                    # How fast it answers meanwhile is measured by bench/imports.py.
                    assert target.api.get(f"/v2.1/guests/{one}").is_success
                    time.sleep(0.05)
            summary = summary_of(importer, tmp_path)
        assert summary["records"] == MANY
        assert summary["created"] == distinct(SEED, MANY)
        assert target.guests == distinct(SEED, MANY) + 1
        assert peak < RESIDENT_LIMIT, f"{peak / 1e6:.0f} MB"
        print(f"{peak / 1e6:.0f} MB at most")

        target.api.delete(f"/v2.1/guests/{one}").raise_for_status()
        before = target.state
        again = target.imported("guests", file, "--restart")
        assert target.guests == distinct(SEED, MANY)
        assert again.get("created", 0) == 0
        # The last word of each person is what it was: the file ends as it ended before.
        assert target.state == before

    @pytest.mark.long
    def test_nobody_who_reads_waits_for_an_import(
        self, target: ImportTarget, tmp_path: Path
    ) -> None:
        """It is stopped inside a transaction that has written, and holds all it will hold."""
        file = write(tmp_path / "people.ndjson", MANY_KILLED)
        target.imported("guests", write(tmp_path / "known.ndjson", 100))
        items = target.api.get("/v2.1/guests?limit=100").json()["items"]
        with importing(target, file, tmp_path) as importer:
            stop_inside(target, importer)
            done = target.lines_done
            for guest in items:
                assert target.api.get(f"/v2.1/guests/{guest['ref']}").is_success
            assert target.api.get("/v2.1/guests?limit=1").json()["totalCount"] >= len(items)
            email = items[0]["email"]
            assert target.api.get("/v2.1/guests", params={"email": email}).json()["items"]
            assert target.lines_done == done
            importer.send_signal(signal.SIGCONT)
            summary = summary_of(importer, tmp_path)
        assert summary["records"] == MANY_KILLED
        assert target.guests == distinct(SEED, MANY_KILLED)

    @pytest.mark.long
    def test_killed_again_and_again_it_ends_the_same(
        self, running: Innkeeper, target: ImportTarget, tmp_path: Path
    ) -> None:
        many = MANY_KILLED
        file = write(tmp_path / "people.ndjson", many)
        expected = distinct(SEED, many)
        random_ = random.Random(SEED)
        for kill in range(1, KILLS + 1):
            with importing(target, file, tmp_path) as process:
                # Each further in than the one before, in the middle of whatever it is at.
                wanted = many * kill // (KILLS + 2)

                def far_enough(process: Any = process, wanted: int = wanted) -> bool:
                    assert process.poll() is None
                    return target.lines_done >= wanted

                until(f"line {wanted} of the import", far_enough)
                time.sleep(random_.uniform(0, 0.05))
                process.kill()
        assert 0 < target.lines_done < many
        swept = sweep(target)
        assert swept["state"] == "error"
        assert (
            f"stopped after line {target.lines_done}, before the end of the file" in swept["fault"]
        )
        summary = target.imported("guests", file)
        assert (summary["records"], summary["created"]) == (many, expected)
        assert target.guests == expected
        with new_target(running) as other:
            assert other.imported("guests", file) == summary
            assert target.state == other.state


def sweep(target: ImportTarget) -> dict[str, Any]:
    """F2: what the minutely sweep makes of the import, once it was silent for minutes."""

    async def act() -> dict[str, Any]:
        async with (
            Database(target.dsn, pool_size=1) as database,
            database.work(target.workspace) as work,
            work.transaction(),
        ):
            # In one transaction: the server sweeps as well.
            await work.connection.execute(
                f"UPDATE {target.schema}.batches SET modified_at = modified_at - %s",
                [2 * command_imports.SILENCE_LIMIT],
            )
            assert await command_imports.end_interrupted(work) == 1
            (row,) = (await batches.list_(work, PageRequest(), envelopes=False)).items
            return row

    return asyncio.run(act())


@contextmanager
def importing(target: ImportTarget, file: Path, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """An import of guests under way; `summary_of` waits for its end."""
    with (folder / "printed").open("w") as out, (folder / "complaints").open("w") as errors:
        words = target.words("import", "guests", file, "--json")
        process = subprocess.Popen(words, stdout=out, stderr=errors, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def summary_of(process: subprocess.Popen[str], folder: Path) -> dict[str, int]:
    """What an import that is under way tells at its end."""
    code = process.wait(3600)
    assert code == 0, (folder / "complaints").read_text()
    summary: dict[str, int] = json.loads((folder / "printed").read_text())
    return summary


def stop_inside(target: ImportTarget, process: subprocess.Popen[str]) -> None:
    """Stop an import in the middle of a chunk, which has written some of its guests by then."""
    # It alone holds a lock for every key of a chunk.
    doing = (
        "SELECT max(coalesce(wait_event, '')) FROM pg_stat_activity "
        "WHERE backend_xid IS NOT NULL AND pid IN (SELECT pid FROM pg_locks "
        "WHERE locktype = 'advisory' GROUP BY pid HAVING count(*) > 100)"
    )

    def stop_process() -> bool:
        assert process.poll() is None
        process.send_signal(signal.SIGSTOP)
        # What it sent before may keep the database busy for a moment yet.
        while (waits_for := target.one(doing)) not in (None, "ClientRead"):
            time.sleep(0.01)
        if waits_for is None:
            process.send_signal(signal.SIGCONT)
        return waits_for is not None

    until("the import to be inside a transaction", stop_process, pause=0.01)


def resident(*roots: int) -> int:
    """Memory of processes and all below them, in bytes: the sum of their proportional sets (PSS).

    Of a page that n processes share, PSS counts an nth for each. A sum of RSS would count the
    buffers of PostgreSQL once for each of its twenty processes.
    """
    total = 0
    for pid in {*roots, *(child for root in roots for child in below(root))}:
        try:
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(
            int(line.split()[1]) * 1024 for line in rollup.splitlines() if line.startswith("Pss:")
        )
    return total


def below(pid: int) -> set[int]:
    results: set[int] = set()
    # Processes end meanwhile, and take their folders with them.
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with contextlib.suppress(OSError):
                children = Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
                for child in map(int, children):
                    results |= {child} | below(child)
    return results


def few(many: int = 60) -> list[dict[str, Any]]:
    result = people(SEED)
    return [next(result)[1] for _ in range(many)]


class TestFormats:
    def test_ndjson_plain_and_gzip(self, target: ImportTarget, tmp_path: Path) -> None:
        content = b"".join(json.dumps(one).encode() + b"\n" for one in few())
        files = [tmp_path / name for name in ("a.ndjson", "a.ndjson.gz", "a.jsonl")]
        for file in files:
            file.write_bytes(gzip.compress(content) if file.suffix == ".gz" else content)
        assert target.imported("guests", *files)["records"] == 60 * len(files)

    @pytest.mark.long
    def test_standard_input(self, target: ImportTarget) -> None:
        text = "".join(json.dumps(one) + "\n" for one in few())
        summary = target.imported("guests", "-", "--format", "ndjson", input=text)
        assert summary["created"] == distinct(SEED, 60)
        packed = gzip.compress(text.encode())
        summary = target.imported("guests", "-", "--format", "ndjson", input=packed, text=False)
        assert (summary["records"], summary["failed"]) == (60, 0)

    def test_csv_by_a_suggested_mapping(self, target: ImportTarget, tmp_path: Path) -> None:
        file = tmp_path / "people.csv"
        file.write_text(
            "E-Mail;First name;Surname;Birthday;Sex;Points;Newsletter;Customer no\n"
            "jane@example.com;Jane;Ó Néill;24.12.1985;F;5;yes;C-1\n"
            "tom@example.com;Tom;Doe;1.2.1990;M;7;no;\n"
            "bad@example.com;Bad;Day;soon;M;7;no;\n",
            encoding="utf-8-sig",
        )
        assert target.run("import", "guests", file, "--suggest").returncode == 0
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
        summary = target.imported("guests", file)
        assert summary == {"records": 3, "created": 2, "failed": 1}
        rejects = (tmp_path / "people.csv.rejects.ndjson").read_text().splitlines()
        assert json.loads(rejects[0])["line"] == 4
        assert json.loads(rejects[0])["errors"] == ["Birthday: is not a date as %d.%m.%Y"]
        (jane,) = target.api.get("/v2.1/guests?email=jane@example.com").json()["items"]
        assert (jane["lastName"], jane["dateOfBirth"]) == ("Ó Néill", "1985-12-24")
        assert jane["gender"] == "Female"
        ext = target.api.get(f"/v2.1/guests/{jane['ref']}/extensions/ext").json()
        assert (ext["points"], ext["newsletter"]) == (5, True)

    @pytest.mark.long
    def test_what_is_exported_can_be_imported_and_changes_nothing(
        self, target: ImportTarget, tmp_path: Path
    ) -> None:
        file = write(tmp_path / "people.ndjson", 300)
        target.imported("guests", file)
        before = target.state
        everyone = distinct(SEED, 300)
        files = [tmp_path / name for name in ("x.csv.gz", "x.parquet", "x.ndjson")]
        for file in files:
            exported = target.run("export", "guests", file)
            assert exported.returncode == 0, exported.stderr
        many = everyone * len(files)
        summary = target.imported("guests", *files)
        assert summary == {"records": many, "unchanged": many, "failed": 0}
        assert target.state == before

    @pytest.mark.long
    def test_a_damaged_gzip_is_refused_in_one_sentence(
        self, target: ImportTarget, tmp_path: Path
    ) -> None:
        file = tmp_path / "a.ndjson.gz"
        file.write_bytes(gzip.compress(b'{"email": "a@example.com"}\n' * 9)[:-9])
        done = target.run("import", "guests", file)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"innkeeper: {file} cannot be read: the compressed file ends too early: it was cut "
            "off. Download or copy it again.\n"
        )

    def test_f2_a_file_that_cannot_be_read_holds_up_no_other(
        self, target: ImportTarget, tmp_path: Path
    ) -> None:
        line = b'{"identifiers": [{"provider": "email", "id": "%s@example.com"}]}\n'
        good, bad, more = (tmp_path / name for name in ("a.ndjson", "b.ndjson.gz", "c.ndjson"))
        good.write_bytes(line % b"a")
        bad.write_bytes(gzip.compress(line % b"b")[:-9])
        more.write_bytes(line % b"c")
        done = target.run("import", "guests", good, bad, more, "--json")
        assert done.returncode == 1
        assert done.stderr.startswith(f"innkeeper: {bad} cannot be read: ")
        assert json.loads(done.stdout) == {"records": 2, "created": 2, "failed": 0}
        faults = "SELECT array_agg(state || ': ' || coalesce(fault, '') ORDER BY created_at)"
        assert target.one(f"{faults} FROM {{ws}}.batches") == ["success: ", "success: "]

    @pytest.mark.long
    def test_f2_parquet_with_nan_and_instants_inside_a_struct(
        self, target: ImportTarget, tmp_path: Path
    ) -> None:
        """By the suggested mapping, unedited."""
        file = tmp_path / "people.parquet"
        duckdb.sql(
            "SELECT * FROM (VALUES ('a@example.com', 'nan'::DOUBLE, "
            "{'at': TIMESTAMPTZ '2024-01-02 03:04:05+02'}), ('b@example.com', 2.5, NULL)) "
            'AS t ("Email", points, consent)'
        ).write_parquet(str(file))
        assert target.run("import", "guests", file, "--suggest").returncode == 0
        assert target.imported("guests", file) == {"records": 2, "created": 2, "failed": 0}
        query = "SELECT array_agg(pairs ORDER BY pairs::text) FROM {ws}.guest_extensions"
        assert target.one(query) == [{"consentAt": "2024-01-02T01:04:05.000Z"}, {"points": 2.5}]

    def test_csv_without_anybody_is_refused(self, target: ImportTarget, tmp_path: Path) -> None:
        file = tmp_path / "a.csv"
        file.write_text("Shoe size\n44\n")
        done = target.run("import", "guests", file)
        assert done.returncode == 1
        assert "Rows will be recognised by nothing" in done.stderr


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


def test_dry_run_reports_outcomes_and_writes_nothing(target: ImportTarget, tmp_path: Path) -> None:
    file = write(tmp_path / "people.ndjson", 1000)
    with file.open("ab") as out:
        out.write(b'{"email": "nobody@example.com"}\n')
    summary = target.imported("guests", file, "--dry-run")
    expected = distinct(SEED, 1000)
    assert summary == {"records": 1001, "created": expected, "merged": 1000 - expected, "failed": 1}
    assert target.guests == 0
    real = target.imported("guests", file)
    assert real["created"] == expected
    after = target.imported("guests", file, "--dry-run")
    assert after.get("created", 0) == 0
    rejects = Path(str(file) + ".rejects.ndjson").read_text()
    assert json.loads(rejects) == {
        "line": 1001,
        "ref": None,
        "code": 400,
        "message": "Identity information missing",
        "errors": [],
    }


def test_orders_of_a_csv_and_back(target: ImportTarget, tmp_path: Path) -> None:
    file = tmp_path / "orders.csv"
    head = ["Order number", "Order date", "Amount", "Currency", "Channel", "Store", "Payment"]
    head += ["Email", "First name", "Last name", "SKU", "Item name", "Qty", "Item price"]
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(head)
        for number in range(30):
            person = f"p{number % 10}@example.com"
            row = [f"O-{number}", "2024-03-01", "12.50", "EUR", "WEB", "default", "Cash"]
            rows.writerow([*row, person, "Jane", "Doe", "SKU-1", "Shoe", "2", "6.25"])
    summary = target.imported("orders", file)
    assert summary == {"records": 30, "created": 30, "failed": 0}
    assert target.api.get("/v2.1/orders?limit=1&referenceId=O-1").json()["items"]
    assert target.guests == 10
    out = tmp_path / "orders.ndjson"
    assert target.run("export", "orders", out).returncode == 0
    values = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(values) == 30
    assert values[0]["orderItems"][0]["quantity"] == 2
    again = target.imported("orders", out)
    assert again == {"records": 30, "unchanged": 30, "failed": 0}


@pytest.mark.long
def test_events_of_history(target: ImportTarget, tmp_path: Path) -> None:
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
    summary = target.imported("events", file)
    assert summary == {"records": 7, "created": 6, "failed": 1}
    again = target.imported("events", file, "--restart")
    assert again == {"records": 7, "unchanged": 6, "failed": 1}
    (jane,) = target.api.get(
        "/v2.1/guests?identifiers.provider=email&identifiers.id=jane@example.com"
    ).json()["items"]
    assert jane["guestType"] == "customer"
    out = tmp_path / "out.csv"
    assert target.run("export", "events", out).returncode == 0
    back = target.imported("events", out)
    # What Jane said of herself is an event of its own.
    assert back == {"records": 7, "unchanged": 7, "failed": 0}
