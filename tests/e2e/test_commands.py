"""Every command, while a server runs and while none does."""

import json
import os
import re
import shlex
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from process import COMMAND, Serve, keys_of, run
from waiting import PATIENCE_SECONDS, until

from innkeeper import __version__
from innkeeper.actions.admin.security_review import LINK_FILE, LOGIN_FILE
from innkeeper.settings import Settings


def _status(url: str, key: str, token: str) -> int:
    return httpx.get(f"{url}/v2.1/guests", auth=(key, token)).status_code


def test_keys_while_the_server_runs_take_effect_at_once(serve: Serve) -> None:
    server = serve("--workers", 2, jobs=False)
    answer = run("keys", "create", "--json", "--compatibility", "official", "--data", server.data)
    key = json.loads(answer.stdout)
    assert sorted(key) == ["apiToken", "clientKey", "compatibility", "scopes"]
    assert key["compatibility"] == "official"
    name, token = key["clientKey"], key["apiToken"]

    def statuses(token: str) -> set[int]:
        """Of enough requests for every worker to answer one."""
        return {_status(server.url, name, token) for _ in range(8)}

    assert statuses(token) == {200}
    rotated = run("keys", "rotate", name, "--json", "--data", server.data)
    newer = json.loads(rotated.stdout)["apiToken"]
    until("both workers to refuse the rotated token", lambda: statuses(token) == {401})
    assert statuses(newer) == {200}
    assert run("keys", "revoke", name, "--data", server.data).returncode == 0
    until("both workers to refuse the revoked key", lambda: statuses(newer) == {401})
    revoked = [row["clientKey"] for row in keys_of(server.data) if row["revokedAt"]]
    assert revoked == [name]


@pytest.mark.long
def test_keys_made_while_no_server_runs_open_it(data: Path, serve: Serve) -> None:
    serve(jobs=False).stop()
    key = json.loads(run("keys", "create", "--json", "--data", data).stdout)
    server = serve(jobs=False)
    assert _status(server.url, key["clientKey"], key["apiToken"]) == 200


def contents(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ["keys", "list"],
        ["db", "migrate"],
        ["db", "status"],
        ["jobs", "run", "--once"],
        ["import", "guests", "people.ndjson"],
        ["workspaces", "create", "hotel"],
    ],
)
def test_f19_a_wrong_folder_makes_no_database(tmp_path: Path, words: list[str]) -> None:
    """It says where it looked and what is there, and leaves all as it was."""
    empty, wrong = tmp_path / "empty", tmp_path / "photos"
    empty.mkdir()
    wrong.mkdir()
    (wrong / "cat.jpg").touch()
    (tmp_path / "people.ndjson").write_text("{}\n")
    for folder, each in (
        (tmp_path / "nowhere", "the folder does not exist"),
        (empty, "the folder is empty"),
        (wrong, "it holds cat.jpg"),
    ):
        done = run(*words, "--data", folder, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == (
            f"innkeeper: There is no database in {folder}: {each}. Name the folder of a server "
            "with --data, its database with --database, or make one with `innkeeper serve`.\n"
        )
    assert contents(tmp_path) == ["empty", "people.ndjson", "photos"]
    assert (contents(empty), contents(wrong)) == ([], ["cat.jpg"])


def test_f19_a_restore_makes_one_in_an_empty_folder_alone(
    data: Path, tmp_path: Path, serve: Serve
) -> None:
    server = serve(jobs=False)
    ref = server.create_guest("a@example.com")
    dump, wrong, into = (tmp_path / name for name in ("dump", "photos", "into"))
    assert run("db", "dump", dump, "--data", data).returncode == 0
    server.stop()
    wrong.mkdir()
    (wrong / "cat.jpg").touch()
    refused = run("db", "restore", dump, "--data", wrong)
    assert refused.returncode == 1
    assert f"There is no database in {wrong}: it holds cat.jpg." in refused.stderr
    assert contents(wrong) == ["cat.jpg"]
    into.mkdir()
    # Beside a dump belongs the key of its secrets, which may be there already.
    shutil.copy(data / "secrets.key", into)
    restored = run("db", "restore", dump, "--data", into)
    assert restored.returncode == 0, restored.stderr
    again = serve(folder=into, jobs=False)
    again.client_key, again.token = server.client_key, server.token
    assert again.has_guest(ref)


def test_f19_a_command_without_a_folder_finds_the_running_server(
    data: Path, tmp_path: Path, serve: Serve
) -> None:
    """As beside `make serve`, whose folder is not the default one."""
    state = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")}
    environment = {**os.environ, **state}
    nothing = run("keys", "list", env=environment)
    assert nothing.returncode == 1
    assert "There is no database in" in nothing.stderr
    server = serve(env=state, jobs=False)
    output = run("keys", "list", "--json", env=environment)
    assert output.returncode == 0, output.stderr
    own = [row for row in json.loads(output.stdout) if row["workspace"] == "live"]
    assert [row["clientKey"] for row in own] == [server.client_key]
    assert output.stderr == f"innkeeper: using the server at {server.url}, --data {data}\n"
    serve(folder=tmp_path / "second", env=state, jobs=False)
    several = run("keys", "list", env=environment)
    assert several.returncode == 1
    assert "Several servers run: choose one with --data, of " in several.stderr
    assert str(data) in several.stderr
    server.stop()
    assert run("keys", "list", env=environment).returncode == 0


@pytest.mark.long
def test_f19_a_demo_says_what_it_filled_and_how_to_see_it(data: Path, serve: Serve) -> None:
    folder = data / "shop"
    # As typed, whatever runs these tests.
    environment = {name: value for name, value in os.environ.items() if name != "MAKELEVEL"}
    done = run("demo", "--guests", 3, "--data", folder, env=environment)
    assert done.returncode == 0, done.stderr
    assert f"Data folder: {folder}\n" in done.stdout
    link = folder / LINK_FILE
    assert f"Screens: the address in {link}\n" in done.stdout
    (start,) = re.findall("They open once the server runs. Start it: (.*)", done.stdout)
    assert shlex.split(start)[1:] == ["serve", "--data", str(folder)]
    # The address of the server that is to come; here it listens elsewhere, and keeps the link.
    host, _, token = link.read_text().strip().partition("/login?link=")
    assert host == "http://127.0.0.1:8420"
    server = serve(folder=folder, jobs=False)
    assert link.read_text().strip() == f"{server.url}/login?link={token}"
    opened = httpx.get(f"{server.url}/login?link={token}", follow_redirects=True)
    assert opened.status_code == 200
    assert "At least 10 characters." in opened.text
    export = "champions_for_the_autumn_mailing"
    ran = run("audience-exports", "executions", export, "--json", "--data", folder)
    assert [each["status"] for each in json.loads(ran.stdout)] == ["SUCCESS"]
    other = run("demo", "--guests", 3, "--workspace", "live_sandbox", "--data", folder)
    assert other.returncode == 0, other.stderr
    # No terminal: the link is in a file that only its owner can read.
    assert f"Screens: the address in {link}\n" in other.stdout
    address = link.read_text().strip()
    assert address.startswith(f"{server.url}/login?link=")
    assert httpx.get(address, follow_redirects=True).status_code == 200


def test_f19_make_demo_fills_what_make_serve_serves() -> None:
    """Both name the same folder."""
    root = Path(__file__).parents[2]
    printed = subprocess.run(
        ["make", "-n", "serve", "demo", "DATA=/x/y"],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "innkeeper serve --data /x/y" in printed
    assert "innkeeper demo --data /x/y" in printed


@pytest.mark.long
def test_f19_make_demo_says_how_to_start_what_it_filled(data: Path) -> None:
    """Without a server: it fills the folder, and says where and how it is seen."""
    folder = data / "shop"
    done = run("demo", "--guests", 1, "--data", folder, env={**os.environ, "MAKELEVEL": "1"})
    assert done.returncode == 0, done.stderr
    assert f"Data folder: {folder}\nScreens: the address in {folder / LINK_FILE}\n" in done.stdout
    assert f"Start it: make serve DATA={folder}\n" in done.stdout
    assert run("users", "list", "--data", folder).returncode == 0


@pytest.mark.long
def test_f23_the_version_is_an_option_too() -> None:
    assert run("--version").stdout == run("version").stdout


@pytest.mark.long
def test_f23_an_empty_list_says_so(data: Path, serve: Serve) -> None:
    serve(jobs=False)
    for words in (["users", "list"], ["segments", "list"], ["audience-exports", "list"]):
        done = run(*words, "--data", data)
        assert (done.returncode, done.stdout) == (0, "Nothing is listed here.\n"), done.stderr
    assert json.loads(run("users", "list", "--json", "--data", data).stdout) == []


@pytest.mark.long
def test_f23_jobs_are_listed_with_the_time_they_finished(data: Path, serve: Serve) -> None:
    server = serve()
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    server.client.post("/innkeeper/v1/fileExports", json={"entity": "guests"})

    def finished() -> list[dict[str, Any]]:
        rows = json.loads(run("jobs", "list", "--json", "--data", data).stdout)
        own = [row for row in rows if row["task"] == "file_exports.write"]
        return [row for row in own if row["status"] == "succeeded"]

    (job,) = until("the job", finished)
    assert before < datetime.fromisoformat(job["finishedAt"]) <= datetime.now(UTC)
    assert "finished at" in run("jobs", "list", "--data", data).stdout


@pytest.mark.long
def test_f23_the_hint_to_rotate_a_key_can_be_pasted(
    data: Path, serve: Serve, empty_dsn: str
) -> None:
    """With the options by which a command finds the same installation, quoted for a shell."""
    folder = data / "two words"
    serve(folder=folder, jobs=False).stop()
    (folder / LOGIN_FILE).unlink(missing_ok=True)
    server = serve(folder=folder, jobs=False)
    words = f"keys rotate {server.client_key} --data '{folder}'"
    assert words in server.printed
    serve("--database", empty_dsn, folder=data / "other", jobs=False).stop()
    (data / "other" / LOGIN_FILE).unlink(missing_ok=True)
    options = serve("--database", empty_dsn, folder=data / "other", jobs=False)
    assert f"keys rotate {options.client_key} --database '{empty_dsn}'" in options.printed


@pytest.mark.long
def test_commands_without_a_server_wait_for_each_other(data: Path, serve: Serve) -> None:
    serve(jobs=False).stop()
    commands = [
        subprocess.Popen(
            [COMMAND, "keys", "create", "--json", "--data", data],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    answers = [command.communicate(timeout=PATIENCE_SECONDS) for command in commands]
    assert [command.returncode for command in commands] == [0, 0, 0], answers
    assert len(keys_of(data)) == 2 + 3


@pytest.mark.long
def test_workspaces_are_listed_created_reset(data: Path, serve: Serve) -> None:
    server = serve(jobs=False)
    workspace = json.loads(run("workspaces", "create", "hotel", "--json", "--data", data).stdout)
    assert [row["workspace"] for row in workspace] == ["hotel", "hotel_sandbox"]
    listed = json.loads(run("workspaces", "list", "--json", "--data", data).stdout)
    assert [row["name"] for row in listed] == ["hotel", "hotel_sandbox", "live", "live_sandbox"]
    sandbox = workspace[1]
    with httpx.Client(
        base_url=server.url, auth=(sandbox["clientKey"], sandbox["apiToken"])
    ) as client:
        guest = {"guestType": "customer", "email": "a@example.com"}
        ref = client.post("/v2.1/guests", json=guest).json()["ref"]
        assert client.get(f"/v2.1/guests/{ref}").status_code == 200
        assert not server.has_guest(ref)
        assert run("workspaces", "reset", "hotel_sandbox", "--data", data).returncode == 0
        assert client.get(f"/v2.1/guests/{ref}").status_code == 404
        assert client.post("/v2.1/guests", json=guest).status_code == 201
    refused = run("workspaces", "reset", "hotel", "--data", data)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == (
        "innkeeper: hotel is not a sandbox, and only a sandbox can be reset.\n"
    )


@pytest.mark.long
def test_a_given_server_serves_the_same_way(empty_dsn: str, serve: Serve) -> None:
    first = serve("--database", empty_dsn)
    assert not (first.data / "postgres").exists()
    ref = first.create_guest("a@example.com")
    announced = json.loads((first.data / "server.json").read_text())
    assert announced == {"pid": first.process.pid, "url": first.url, "dsn": None}
    # Another data folder, the same database.
    folder = first.data / "second"
    folder.mkdir()
    shutil.copy(first.data / "secrets.key", folder)
    second = serve("--database", empty_dsn, folder=folder)
    assert second.client_key == first.client_key
    second.token = first.token
    assert second.has_guest(ref)
    listed = run("keys", "list", "--json", env={**os.environ, "INNKEEPER_DATABASE": empty_dsn})
    own = [row for row in json.loads(listed.stdout) if row["workspace"] == "live"]
    assert [row["clientKey"] for row in own] == [first.client_key]


@pytest.mark.long
def test_the_password_is_in_no_command_line(empty_dsn: str, serve: Serve) -> None:
    secret = "opensesame"  # noqa: S105 - of this test alone
    server = serve("--workers", 2, env={"INNKEEPER_DATABASE": f"{empty_dsn} password={secret}"})
    output = subprocess.run(
        ["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=False
    ).stdout
    assert str(server.data) in output
    assert secret not in output
    assert secret not in server.printed
    assert secret not in (server.data / "server.json").read_text()


def test_settings_lists_every_setting_and_masks_the_password() -> None:
    environment = {**os.environ, "INNKEEPER_DATABASE": "postgresql://ann:s3cret@db/cdp"}
    answer = run("settings", "--json", env=environment)
    rows = {row["name"]: row for row in json.loads(answer.stdout)}
    assert list(rows) == [item.name for item in Settings.declarations()]
    assert rows["database"]["value"] == "postgresql://ann:***@db/cdp"
    assert rows["port"]["environment"] == "INNKEEPER_PORT"
    table = run("settings", env=environment).stdout
    assert "s3cret" not in table
    assert all(name in table for name in rows)


def test_version() -> None:
    assert run("version").stdout == f"{__version__}\n"
    assert json.loads(run("version", "--json").stdout) == {"version": __version__}


def test_db_status_and_migrate(empty_dsn: str) -> None:
    def states(command: str) -> dict[str, list[str]]:
        answer = run("db", command, "--json", "--database", empty_dsn)
        return {row["scope"]: row["pending"] for row in json.loads(answer.stdout)}

    before = states("status")
    assert list(before) == ["control"]
    assert before["control"][0] == "0001_baseline"
    done: dict[str, list[str]] = {"control": [], "live": [], "live_sandbox": []}
    assert states("migrate") == done
    assert states("status") == done


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["serve", "--port", "70000"], "The option --port sets port to 70000"),
        (["keys", "list", "--database", "host=/nowhere"], "cannot be reached"),
        (["keys", "list", "--config", "/nowhere.toml"], "The file /nowhere.toml cannot be read"),
    ],
)
def test_what_the_operator_must_put_right_is_one_sentence(words: list[str], said: str) -> None:
    answer = run(*words)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert said in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_s10_secrets_are_rotated_while_the_server_runs(serve: Serve) -> None:
    """A link signed before is good after, also in the next process."""
    server = serve(jobs=False)
    body = {"checksum": "5d41402abc4b2a76b9719d911017c592", "size": 5}
    ref = "0b9a4e4a-6f3f-4b8e-9f1e-1f7b0e7f0a10"
    href = server.client.put(f"/v2/batches/{ref}", json=body).json()["location"]["href"]
    key = (server.data / "secrets.key").read_text()
    rotated = run("secrets", "rotate", "--data", server.data)
    assert rotated.returncode == 0, rotated.stderr
    assert rotated.stdout == "2 secrets encrypted with the newest key.\n"
    assert (server.data / "secrets.key").read_text().split()[1:] == key.split()
    assert httpx.put(href, content=b"hello").status_code == 200
    server.stop()
    again = serve(jobs=False)
    again.client_key, again.token = server.client_key, server.token
    answer = again.client.put(f"/v2/batches/{ref[:-1]}1", json=body).json()
    assert httpx.put(answer["location"]["href"], content=b"hello").status_code == 200
