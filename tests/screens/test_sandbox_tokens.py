"""Tokens of a sandbox: made by a click, valid for an hour, within what the role may do."""

import psycopg
from calling import Api
from sites import Site
from visiting import Person

from innkeeper.actions.admin import sandbox_tokens
from innkeeper.rules.scopes import EVERY_SCOPE

ASK = {"X-Requested-With": "innkeeper"}


def test_a_token_opens_the_sandbox_alone(
    api: Api, owner: Person, developer: Person, analyst: Person, site: Site
) -> None:
    response = owner.http.post("/sandbox-token?workspace=live", headers=ASK)
    assert response.status_code == 201, response.text
    assert response.headers["cache-control"] == "no-store"
    client_key, token = response.json()["login"].split(":")
    with Api(site.url, client_key, token) as sandbox:
        assert sandbox.get("/innkeeper/v1/jobs").status_code == 200
        assert sandbox.get("/innkeeper/v1/keys").status_code == 403, "no administration"
        guest = sandbox.guest(firstName="Sand")["ref"]
        assert api.get(f"/v2.1/guests/{guest}").status_code == 404
        with psycopg.connect(site.dsn) as connection:
            expired = "UPDATE innkeeper.api_keys SET expires_at = now() WHERE client_key = %s"
            connection.execute(expired, [client_key])
        assert client_key not in owner.http.get("/w/live_sandbox/settings").text

    own = developer.http.post("/sandbox-token?workspace=live", headers=ASK).json()["login"]
    with Api(site.url, *own.split(":")) as sandbox:
        assert "Sand" not in sandbox.get(f"/v2.1/guests/{guest}").text, "masked for the role"
    for answer, status in (
        (owner.http.post("/sandbox-token?workspace=live"), 403),
        (owner.http.post("/sandbox-token?workspace=nowhere", headers=ASK), 404),
        (analyst.http.post("/sandbox-token?workspace=live", headers=ASK), 403),
        (api.post("/sandbox-token", headers=ASK), 401),
    ):
        assert answer.status_code == status, answer.text


def test_a_sandbox_has_at_most_twenty(site: Site) -> None:
    async def create(work: object) -> list[str]:
        created = [await sandbox_tokens.create(work, "live", EVERY_SCOPE) for _ in range(22)]  # type: ignore[arg-type]
        return [each.client_key for each in created]

    keys = site.control(create)
    with psycopg.connect(site.dsn) as connection:
        rows = connection.execute(
            "SELECT client_key FROM innkeeper.api_keys WHERE expires_at IS NOT NULL"
        ).fetchall()
    assert {key for (key,) in rows} == set(keys[2:])
