"""A visitor's browser as its pages drive the stream API, and what REST then shows of the guest."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from calling import Api

from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.store.work import Work


def ago(**time: float) -> str:
    """An instant before now, as a client's clock tells it."""
    return iso(datetime.now(UTC) - timedelta(**time))


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Page:
    """One browser, with an id of its own: what a page of a website sends."""

    def __init__(self, api: Api, browser: str | None = None, **always: Any) -> None:
        self.api = api
        self.always = {"channel": "WEB", "pos": "default", **always}
        if browser is None:
            query = {"client_key": api.client_key, "message": "{}"}
            response = self.get("/v1.2/browser/create.json", query)
            assert response.status_code == 201, response.text
            browser = response.json()["ref"]
        self.browser = browser

    def get(self, path: str, query: Any = None) -> httpx.Response:
        """GET as a page does: without credentials but those in the query."""
        return self.api.get(path, params=query, auth=None)

    def post(self, path: str, **more: Any) -> httpx.Response:
        """POST as a page does."""
        return self.api.post(path, auth=None, **more)

    def send(self, type_: str, **members: Any) -> httpx.Response:
        """Send one event."""
        body = {"client_key": self.api.client_key, "browser_id": self.browser, "type": type_}
        return self.post("/v1.2/events", json=body | self.always | members)

    def __call__(self, type_: str, **members: Any) -> dict[str, Any]:
        """Send one event that is acknowledged; the answer."""
        answer = self.send(type_, **members)
        assert answer.status_code == 201, answer.text
        return answer.json()

    @property
    def guest(self) -> str:
        """The ref of the guest whose browser it is now."""
        key = {"client_key": self.api.client_key}
        response = self.get(f"/v1.2/browser/{self.browser}/show.json", key)
        assert response.status_code == 200, response.text
        return response.json()["customer"]["ref"]

    def context(self, guest: str | None = None) -> dict[str, Any]:
        """The guest with all that belongs to it, by REST."""
        answer = self.api.get(f"/v2/guestContexts/{guest or self.guest}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    @property
    def sessions(self) -> list[dict[str, Any]]:
        """The guest's sessions, oldest first, each with its events oldest first."""
        result = self.context()["sessions"][::-1]
        for session in result:
            session["events"].reverse()
        return result

    @property
    def session(self) -> dict[str, Any]:
        """The guest's only session."""
        (result,) = self.sessions
        return result


def types(session: dict[str, Any]) -> list[str]:
    """The types of a session's events in order."""
    return [event["type"] for event in session["events"]]


def quarantine(api: Api, **query: Any) -> list[dict[str, Any]]:
    """What waits in quarantine."""
    answer = api.get("/innkeeper/v1/quarantine", params={"limit": 100, **query})
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def replay(api: Api, **selection: Any) -> dict[str, Any]:
    """Try again what waits in quarantine; how many are attached and wait."""
    done = replayed(api, **selection)
    assert len(done.pop("items")) == done["attached"] + done["waiting"]
    return done


def replayed(api: Api, **selection: Any) -> dict[str, Any]:
    """The same, with what came of each."""
    answer = api.post("/innkeeper/v1/quarantine/replay", json=selection)
    assert answer.status_code == 200, answer.text
    return answer.json()


def work_on(dsn: str, act: Callable[[Work], Awaitable[Any]], **settings: Any) -> Any:
    """Do something in the workspace `live` from a process of its own, as a job does."""

    async def run() -> Any:
        async with (
            Database(dsn, pool_size=1, settings=Settings(database=dsn, **settings)) as database,
            database.work("live", "test") as work,
        ):
            return await act(work)

    return asyncio.run(run())


JANE = {
    "identifiers": [{"provider": "email", "id": "jane@example.com"}],
    "email": "jane@example.com",
    "firstname": "Jane",
    "lastname": "Doe",
}


def product(item: str, price: Any = 10, quantity: int = 1, **more: Any) -> dict[str, Any]:
    """A product of an ADD event."""
    return {
        "type": "DRESS",
        "item_id": item,
        "name": f"Dress {item}",
        "orderedAt": "2026-11-21T10:00:00.000Z",
        "quantity": quantity,
        "price": price,
        "productId": f"P-{item}",
        "currency": "EUR",
        "referenceId": f"R-{item}",
        **more,
    }
