"""`innkeeper serve` and its embedded PostgreSQL survive what may happen to them."""

import base64
import contextlib
import json
import os
import pty
import re
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from process import COMMAND, Innkeeper, Serve, run
from process import nobody as unprivileged
from waiting import PATIENCE_SECONDS, until

ROOT = os.geteuid() == 0
LINUX = sys.platform == "linux"
pytestmark = pytest.mark.installed


def _again(serve: Serve, before: Innkeeper) -> Innkeeper:
    after = serve()
    after.client_key, after.token = before.client_key, before.token
    return after


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except FileNotFoundError:
        return True


@pytest.mark.first_start
def test_first_start_prints_a_line_that_creates_a_guest(serve: Serve) -> None:
    server = serve()
    line = server.printed.splitlines()[-1]
    answer = subprocess.run(
        ["sh", "-c", line.replace("curl", "curl -sS", 1)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(answer.stdout)["email"] == "jane.doe@example.com", answer


def test_a_clean_stop_ends_everything_and_loses_nothing(serve: Serve, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    first = serve(env={"TMPDIR": str(temporary)})
    postmaster = first.postmaster
    ref = first.create_guest("a@example.com")
    assert first.stop() == 0
    assert _gone(postmaster)
    # The lake's folder is there once something was flushed.
    left = {path.name for path in first.data.iterdir()} - {"lake"}
    first_access = {"first-login", "first-link"}
    assert left == {"lock", "postgres", "postgres.log", "scratch", "secrets.key"} | first_access
    assert not any((first.data / "scratch").iterdir())
    assert not any(temporary.iterdir())
    second = _again(serve, first)
    assert second.has_guest(ref)
    assert f'-u "$(cat {first.data / "first-login"})"' in second.printed
    second.stop()
    (first.data / "first-login").unlink()
    third = serve()
    assert f"keys rotate {first.client_key}" in third.printed


@pytest.mark.long
@pytest.mark.first_start
def test_s10_the_first_login_is_in_a_file_when_the_output_is_no_terminal(serve: Serve) -> None:
    """What reads a log or a pipe finds no secret in it, but the file that holds it."""
    server = serve()
    login, link = server.data / "first-login", server.data / "first-link"
    assert {stat.S_IMODE(path.stat().st_mode) for path in (login, link)} == {0o600}
    assert login.read_text() == f"{server.client_key}:{server.token}\n"
    assert link.read_text().startswith(f"{server.url}/login?link=")
    for secret in (server.token, link.read_text().strip().partition("link=")[2]):
        assert secret
        assert secret not in server.printed + server.log.read_text()
    assert f"Screens: the address in {link}" in server.printed


@pytest.mark.long
def test_s10_a_terminal_is_shown_the_first_login(data: Path, tmp_path: Path) -> None:
    """Nothing of it is written to a file then."""
    parent, child = pty.openpty()
    words = [COMMAND, "serve", "--port", "0", "--data", data]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(words, stdout=child, stderr=log)
    os.close(child)
    printed = b""
    while b"\ncurl" not in printed or not printed.endswith(b"\r\n"):
        printed += os.read(parent, 4096)
    process.terminate()
    assert process.wait(60) == 0
    os.close(parent)
    assert re.search(rb"API token +\S{43}\r\n", printed), printed
    assert re.search(rb"/login\?link=\S+\r\n", printed), printed
    assert not (data / "first-login").exists()
    assert not (data / "first-link").exists()


@pytest.mark.long
def test_s10_a_revoked_login_file_is_not_offered(serve: Serve) -> None:
    first = serve()
    run("keys", "rotate", first.client_key, "--data", first.data)
    first.stop()
    second = serve()
    assert "first-login" not in second.printed


@pytest.mark.long
@pytest.mark.parametrize("what", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_and_a_closed_terminal_stop_in_order(serve: Serve, what: signal.Signals) -> None:
    server = serve()
    postmaster = server.postmaster
    assert server.stop(what) == 0
    assert _gone(postmaster)


@pytest.mark.long
def test_kill_innkeeper(serve: Serve) -> None:
    first = serve()
    ref = first.create_guest("a@example.com")
    first.stop(signal.SIGKILL)
    assert _again(serve, first).has_guest(ref)


@pytest.mark.long
def test_kill_both(serve: Serve) -> None:
    first = serve()
    ref = first.create_guest("a@example.com")
    # Stopped, it cannot start PostgreSQL again in between.
    first.send(signal.SIGSTOP)
    os.kill(first.postmaster, signal.SIGKILL)
    first.stop(signal.SIGKILL)
    assert _again(serve, first).has_guest(ref)


def test_kill_postgres_under_a_running_server(serve: Serve) -> None:
    server = serve()
    ref = server.create_guest("a@example.com")
    killed = server.postmaster
    os.kill(killed, signal.SIGKILL)
    statuses = set()

    def back() -> bool:
        answer = server.client.get(f"/v2.1/guests/{ref}")
        statuses.add(answer.status_code)
        with contextlib.suppress(FileNotFoundError, ValueError):
            return answer.status_code == 200 and server.postmaster != killed
        return False

    until("another PostgreSQL", back)
    assert statuses <= {200, 503}
    assert server.has_guest(ref)
    assert server.stop() == 0


@pytest.mark.long
@pytest.mark.skipif(not LINUX, reason="finds orphans in /proc")
def test_a_server_left_by_a_killed_run_is_ended_first(data: Path, serve: Serve) -> None:
    script = (
        "import os, sys, pathlib\n"
        "from innkeeper.store import embedded\n"
        "embedded.follow_parent = lambda *_: None\n"
        "server = embedded.EmbeddedServer(pathlib.Path(sys.argv[1]))\n"
        "server.start()\n"
        "print(server.pid, flush=True)\n"
        "os._exit(9)\n"
    )
    left = subprocess.run(
        [sys.executable, "-c", script, data], capture_output=True, text=True, check=False
    )
    orphan = int(left.stdout)
    assert not _gone(orphan)
    server = serve()
    assert _gone(orphan)
    server.create_guest("a@example.com")


@pytest.mark.long
@pytest.mark.skipif(not LINUX, reason="follows its parent by prctl")
def test_postgres_does_not_outlive_a_killed_innkeeper(serve: Serve) -> None:
    server = serve()
    postmaster = server.postmaster
    server.stop(signal.SIGKILL)
    until("the end of PostgreSQL", lambda: _gone(postmaster))


@pytest.mark.long
def test_a_postmaster_pid_that_is_another_programs_now_is_no_obstacle(serve: Serve) -> None:
    first = serve()
    first.stop()
    (first.data / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n/x\n0\n5432\n\n\n\n")
    _again(serve, first)


def test_a_second_server_on_the_folder_is_refused_in_a_sentence(serve: Serve) -> None:
    server = serve()
    second = run("serve", "--port", "0", "--data", server.data)
    assert second.returncode == 1
    assert second.stdout == ""
    (line,) = second.stderr.splitlines()
    assert f"process {server.process.pid}" in line
    assert "in use by another Innkeeper" in line
    server.create_guest("a@example.com")


@pytest.mark.long
def test_a_port_in_use_is_a_sentence(serve: Serve) -> None:
    server = serve()
    port = server.url.rpartition(":")[2]
    second = run("serve", "--port", port, "--data", server.data / "other")
    assert (second.returncode, second.stdout) == (1, "")
    assert f"Port {port} of 127.0.0.1 is in use" in second.stderr


@pytest.mark.long
def test_two_workers_answer_and_end_with_their_parent(serve: Serve) -> None:
    server = serve("--workers", 2)
    refs = [server.create_guest(f"{number}@example.com") for number in range(4)]
    children = _children(server.process.pid)
    server.stop(signal.SIGKILL)
    until("the end of both workers", lambda: all(map(_gone, children)))
    again = _again(serve, server)
    assert all(map(again.has_guest, refs))


def _children(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text() if LINUX else ""
    return [int(word) for word in listed.split()]


@pytest.mark.long
def test_a_folder_that_cannot_be_used_is_a_sentence(data: Path) -> None:
    (data / "file").write_text("")
    answer = run("serve", "--port", "0", "--data", data / "file")
    assert answer.returncode == 1
    assert answer.stderr == f"innkeeper: The data folder {data}/file cannot be used: File exists.\n"


@pytest.mark.long
def test_a_cluster_of_another_version_is_a_sentence(data: Path) -> None:
    (data / "postgres").mkdir()
    (data / "postgres" / "PG_VERSION").write_text("9\n")
    answer = run("serve", "--port", "0", "--data", data)
    assert answer.returncode == 1
    assert "was made by PostgreSQL 9" in answer.stderr


@pytest.mark.long
@pytest.mark.skipif(not ROOT or not LINUX, reason="mounts a small disk, which takes root")
def test_a_full_disk_is_a_sentence(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=20m", "tmpfs", disk]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine does not let root mount")
    try:
        answer = run("serve", "--port", "0", "--data", disk)
        assert answer.returncode == 1
        assert answer.stderr == (
            f"innkeeper: The database in {disk} cannot be made: the disk is full.\n"
        )
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.skipif(not ROOT, reason="only root can become somebody else")
class TestAsAnOrdinaryUser:
    """The same command without root's rights, with a home of its own."""

    @pytest.fixture
    def nobody(self, data: Path) -> dict[str, object]:
        options = unprivileged()
        if options is None:
            pytest.skip("nobody cannot run this environment")
        os.chown(data, options["user"], options["group"])
        return options

    @pytest.mark.long
    @pytest.mark.first_start
    def test_it_serves(self, serve: Serve, data: Path, nobody: dict[str, object]) -> None:
        first = serve(env={"HOME": str(data)}, **nobody)
        assert os.stat(f"/proc/{first.postmaster}").st_uid == nobody["user"]
        ref = first.create_guest("a@example.com")
        first.stop(signal.SIGKILL)
        second = serve(env={"HOME": str(data)}, **nobody)
        second.client_key, second.token = first.client_key, first.token
        assert second.has_guest(ref)

    @pytest.mark.long
    def test_the_default_folder_is_in_the_home(self, data: Path, nobody: dict[str, object]) -> None:
        environment = {**os.environ, "HOME": str(data)}
        answer = run("settings", "--json", env=environment, **nobody)
        values = {row["name"]: row["value"] for row in json.loads(answer.stdout)}
        assert values["data"].startswith(str(data))

    @pytest.mark.long
    def test_a_folder_it_may_not_read_is_a_sentence(
        self, tmp_path: Path, nobody: dict[str, object]
    ) -> None:
        closed = tmp_path / "closed"
        closed.mkdir(mode=0o700)
        for folder in (closed, closed / "inside"):
            answer = run("serve", "--port", "0", "--data", folder, **nobody)
            assert answer.returncode == 1
            assert "cannot be used: Permission denied." in answer.stderr
            assert len(answer.stderr.splitlines()) == 1


@pytest.mark.long
def test_open_requests_are_finished_before_the_end(serve: Serve) -> None:
    server = serve()
    guest = b'{"guestType":"customer","email":"slow@example.com"}'
    host, port = server.url.removeprefix("http://").split(":")
    login = base64.b64encode(f"{server.client_key}:{server.token}".encode()).decode()
    head = (
        f"POST /v2.1/guests HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {login}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(guest)}\r\n"
        "Expect: 100-continue\r\nConnection: close\r\n\r\n"
    )
    with (
        socket.create_connection((host, int(port)), PATIENCE_SECONDS) as connection,
        connection.makefile("rb") as answers,
    ):
        connection.sendall(head.encode())
        # What a server has not begun to read is nobody's open request: now it has.
        assert answers.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert answers.readline() == b"\r\n"
        connection.sendall(guest[:10])
        server.send(signal.SIGTERM)
        until("the server to take no more", lambda: not _listens(host, int(port)))
        connection.sendall(guest[10:])
        assert answers.readline().startswith(b"HTTP/1.1 201 ")
        record = answers.read().partition(b"\r\n\r\n")[2]
    assert server.stop() == 0
    again = _again(serve, server)
    assert again.has_guest(json.loads(record)["ref"])


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), PATIENCE_SECONDS).close()
    except ConnectionRefusedError:
        return False
    return True
