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
    code, result = doctor(server, "--security")
    assert code == 1
    assert result["first owner"]["state"] == "bad"
    assert result["first login"]["state"] == "warning"
    for name in ("database login", "database connection", "stored secrets", "files", "metrics"):
        assert result[name]["state"] == "good", result[name]
    (server.data / "first-login").unlink()
    (server.data / "secrets.key").chmod(0o644)
    code, result = doctor(server, "--security")
    assert result["first login"]["state"] == "good"
    assert result["files"]["state"] == "bad"
    assert "secrets.key" in result["files"]["finding"]


def test_the_health_of_a_running_installation(serve: Serve) -> None:
    server = serve()
    code, result = doctor(server)
    assert code == 0
    assert {row["state"] for row in result.values()} == {"good"}
    assert {"migrations", "background jobs", "quarantine of live"} <= result.keys()
