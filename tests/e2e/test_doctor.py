"""S11: `innkeeper doctor` on a running installation."""

import json
from typing import Any

from process import Innkeeper, Serve, run


def doctor(server: Innkeeper, *words: str) -> tuple[int, dict[str, Any]]:
    done = run("doctor", *words, "--json", "--data", server.data)
    return done.returncode, {row["name"]: row for row in json.loads(done.stdout)}


def test_s11_the_security_of_a_running_installation(serve: Serve) -> None:
    """A first start is not ready for production, and the command says what is missing."""
    server = serve()
    code, found = doctor(server, "--security")
    assert code == 1
    assert found["first owner"]["state"] == "bad"
    assert found["first login"]["state"] == "warning"
    for name in ("database login", "database connection", "stored secrets", "files", "metrics"):
        assert found[name]["state"] == "good", found[name]
    (server.data / "first-login").unlink()
    (server.data / "secrets.key").chmod(0o644)
    code, found = doctor(server, "--security")
    assert found["first login"]["state"] == "good"
    assert found["files"]["state"] == "bad"
    assert "secrets.key" in found["files"]["finding"]


def test_the_health_of_a_running_installation(serve: Serve) -> None:
    server = serve()
    code, found = doctor(server)
    assert code == 0
    assert {row["state"] for row in found.values()} == {"good"}
    assert {"migrations", "background jobs", "quarantine of live"} <= found.keys()
