"""`innkeeper db dump` and `restore`: backups, and the move to a PostgreSQL server."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from process import Innkeeper, Serve, run

VIEWERS = {"definition": {"operator": "AND", "filterGroups": [{"entity": "event", "type": "VIEW"}]}}
GUEST = {
    "guestType": "customer",
    "email": "ann@example.com",
    "lastName": "O'Neill\t\\N \N{SNOWMAN}",
    "identifiers": [{"provider": "email", "id": "ann@example.com"}],
}
ORDER = {
    "referenceId": "R-1",
    "orderedAt": "2026-03-01T12:00:00.000Z",
    "status": "PURCHASED",
    "currencyCode": "EUR",
    "price": 12.50,
    "channel": "WEB",
    "pointOfSale": "default",
    "paymentType": "Card",
}


def _fill(server: Innkeeper) -> None:
    """A guest with an extension and an order, and a browser of theirs that viewed a page."""
    post = server.client.post
    guest = post("/v2.1/guests", json=GUEST).json()["ref"]
    assert post(f"/v2.1/guests/{guest}/extensions", json={"name": "ext", "a": 1}).is_success
    ref = post("/v2.1/orders", json=ORDER).json()["ref"]
    contact = {"firstName": "Ann", "identifiers": GUEST["identifiers"]}
    assert post(f"/v2.1/orders/{ref}/contacts", json=contact).is_success
    page = {"client_key": server.client_key, "channel": "WEB", "pos": "default"}
    created = server.client.get(
        "/v1.2/browser/create.json", params={"client_key": server.client_key, "message": "{}"}
    )
    page["browser_id"] = created.json()["ref"]
    assert post("/v1.2/events", json={**page, "type": "VIEW", "page": "/"}).is_success
    who = {"type": "IDENTITY", "identifiers": GUEST["identifiers"]}
    assert post("/v1.2/events", json={**page, **who}).is_success


def _held(server: Innkeeper) -> dict[str, Any]:
    """What the server answers of it, without its own address."""
    (guest,) = server.client.get("/v2.1/guests?email=ann@example.com").json()["items"]
    paths = {
        "guest": f"/v2.1/guests/{guest['href'].rpartition('/')[2]}?expand=true",
        "context": f"/v2/guestContexts/{guest['href'].rpartition('/')[2]}",
        "orders": "/v2.1/orders?expand=true",
        "merges": "/innkeeper/v1/merges",
    }
    payload = {name: server.client.get(path) for name, path in paths.items()}
    payload["viewers"] = server.client.post("/innkeeper/v1/segments/preview", json=VIEWERS)
    for answer in payload.values():
        assert answer.status_code == 200, answer.text
    return {name: answer.text.replace(server.url, "") for name, answer in payload.items()}


@pytest.mark.long
def test_the_embedded_database_moves_to_a_server(
    serve: Serve, tmp_path: Path, empty_dsn: str
) -> None:
    """Keys, guests, orders, sessions and segments are as they were, and it goes on from there."""
    first = serve()
    _fill(first)
    before = _held(first)
    assert '"size":1' in before["viewers"]
    file = tmp_path / "innkeeper.dump"
    done = run("db", "dump", file, "--data", first.data)
    assert done.returncode == 0, done.stderr
    assert file.stat().st_mode & 0o077 == 0
    login = (first.client_key, first.token)
    assert first.stop() == 0

    half, moved = tmp_path / "half.dump", tmp_path / "moved"
    half.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    done = run("db", "restore", half, "--database", empty_dsn, "--data", moved)
    assert done.returncode == 1
    assert "pg_restore failed" in done.stderr
    # Nothing of the half is there: the whole finds an empty database.
    done = run("db", "restore", file, "--database", empty_dsn, "--data", moved)
    assert done.returncode == 0, done.stderr
    # S10: the key of the stored secrets is not in the dump.
    refused = run("serve", "--port", 0, "--database", empty_dsn, "--data", moved)
    assert refused.returncode == 1
    assert "Copy secrets.key" in refused.stderr
    shutil.copy(first.data / "secrets.key", moved / "secrets.key")
    second = serve("--database", empty_dsn, folder=moved)
    second.client_key, second.token = login
    assert _held(second) == before
    assert second.create_guest("new@example.com")
    assert second.stop() == 0

    again = run("db", "restore", file, "--database", empty_dsn, "--data", moved)
    assert again.returncode != 0
    assert "already contains an installation" in again.stderr


def test_what_cannot_be_dumped_is_a_sentence(tmp_path: Path, empty_dsn: str) -> None:
    done = run("db", "dump", tmp_path / "file", "--database", empty_dsn)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "no Innkeeper installation" in done.stderr
    assert not list(tmp_path.iterdir())
