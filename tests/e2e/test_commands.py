"""Every command, while a server runs and while none does."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest
from process import COMMAND, Serve, keys_of, run
from waiting import PATIENCE_SECONDS, until

from innkeeper import __version__
from innkeeper.settings import Settings


def _status(url: str, key: str, token: str) -> int:
    return httpx.get(f"{url}/v2.1/guests", auth=(key, token)).status_code


def test_keys_while_the_server_runs_take_effect_at_once(serve: Serve) -> None:
    server = serve("--workers", 2)
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


def test_keys_made_before_the_first_start_open_it(data: Path, serve: Serve) -> None:
    key = json.loads(run("keys", "create", "--json", "--data", data).stdout)
    server = serve()
    assert server.token == ""
    assert server.client_key == key["clientKey"]
    assert _status(server.url, key["clientKey"], key["apiToken"]) == 200


def test_commands_without_a_server_wait_for_each_other(data: Path) -> None:
    run("db", "migrate", "--data", data)
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
    assert len(keys_of(data)) == 3


def test_workspaces_are_listed_created_reset(data: Path, serve: Serve) -> None:
    server = serve()
    made = json.loads(run("workspaces", "create", "hotel", "--json", "--data", data).stdout)
    assert [row["workspace"] for row in made] == ["hotel", "hotel_sandbox"]
    listed = json.loads(run("workspaces", "list", "--json", "--data", data).stdout)
    assert [row["name"] for row in listed] == ["hotel", "hotel_sandbox", "live", "live_sandbox"]
    sandbox = made[1]
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
    assert [row["clientKey"] for row in json.loads(listed.stdout)] == [first.client_key]


def test_the_password_is_in_no_command_line(empty_dsn: str, serve: Serve) -> None:
    secret = "opensesame"  # noqa: S105 - of this test alone
    server = serve("--workers", 2, env={"INNKEEPER_DATABASE": f"{empty_dsn} password={secret}"})
    shown = subprocess.run(
        ["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=False
    ).stdout
    assert str(server.data) in shown
    assert secret not in shown
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
    assert before["control"][0] == "0001_workspaces"
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
    server = serve()
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
    again = serve()
    again.client_key, again.token = server.client_key, server.token
    answer = again.client.put(f"/v2/batches/{ref[:-1]}1", json=body).json()
    assert httpx.put(answer["location"]["href"], content=b"hello").status_code == 200
