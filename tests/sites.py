"""One server for many tests, real HTTP and PostgreSQL; each test finds its workspace empty.

Conftests import these fixtures with `*`; who needs none starts no server.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import databases
import psycopg
import pytest
from calling import Api, Bare, run_server
from databases import cloned
from waiting import until

from innkeeper.actions.admin import keys, workspaces
from innkeeper.jobs.worker import work_jobs
from innkeeper.rules.scopes import EVERY_SCOPE
from innkeeper.settings import Settings
from innkeeper.store.configuration_cache import ConfigurationCache
from innkeeper.store.database import Database
from innkeeper.store.work import Work
from innkeeper.web.app import create_app

__all__ = [
    "anonymous",
    "api",
    "bare",
    "connection",
    "empty",
    "emptying",
    "official",
    "official_key_api",
    "open_key_api",
    "other_workspace_api",
    "site",
    "stranger",
]


@dataclass(frozen=True)
class Site:
    """A running Innkeeper, and its database."""

    url: str
    dsn: str
    settings: Settings
    cache: ConfigurationCache
    """The configuration that the server has cached."""

    def control(self, act: Callable[[Work], Awaitable[Any]]) -> Any:
        """What an operator does from a process of his own."""

        async def run() -> Any:
            async with (
                Database(self.dsn, pool_size=1, settings=self.settings) as database,
                database.control("test") as work,
            ):
                return await act(work)

        return asyncio.run(run())

    def key(self, workspace: str = "live", compatibility: Any = "open") -> keys.NewKey:
        return self.control(lambda work: keys.create(work, workspace, compatibility))

    def api(self, workspace: str = "live", compatibility: Any = "open") -> Api:
        """The API with a new key of every scope."""
        key = self.control(
            lambda work: keys.create(work, workspace, compatibility, scopes=EVERY_SCOPE)
        )
        return Api(self.url, key.client_key, key.api_token, compatibility=compatibility)

    def run_worker(self) -> None:
        """Run what is due in the background, as `innkeeper jobs run --once` does, and wait for
        what another worker had taken."""
        asyncio.run(work_jobs(replace(self.settings, log_level="critical"), once=True))
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            running = "SELECT FROM jobs.procrastinate_jobs WHERE status = 'doing' LIMIT 1"
            until("jobs of other workers", lambda: connection.execute(running).fetchone() is None)

    def pass_time(self) -> None:
        """What is put off has come due."""
        with psycopg.connect(self.dsn) as connection:
            put_off = "UPDATE jobs.procrastinate_jobs SET scheduled_at = now() WHERE status = %s"
            connection.execute(put_off, ["todo"])

    @contextmanager
    def storage_away(self) -> Iterator[None]:
        """The place of uploads and exports cannot be reached."""
        place = self.settings.data / "files" / "live"
        aside = place.with_name("aside")
        place.mkdir(parents=True, exist_ok=True)
        place.rename(aside)
        place.touch()
        try:
            yield
        finally:
            place.unlink()
            aside.rename(place)


@contextmanager
def run_site(settings: Settings) -> Iterator[Site]:
    """Serve a site on a migrated database from a thread."""
    app: Any = create_app(settings)
    with run_server(app) as url:
        yield Site(url, settings.database, settings, app.apis.database.cache)


@pytest.fixture(scope="session")
def site(server: str, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with cloned(server, template) as dsn:
        settings = Settings(
            database=dsn,
            data=tmp_path_factory.mktemp("data"),
            log_level="error",
            log_format="text",
            pool_size=12,
            # Where `receiving` listens.
            allowed_private_hosts="127.0.0.1",
        )
        with run_site(settings) as running:
            yield running


@pytest.fixture(scope="session")
def connection(site: Site) -> Iterator[psycopg.Connection]:
    with psycopg.connect(site.dsn, autocommit=True) as opened:
        yield opened


@pytest.fixture(scope="session")
def open_key_api(site: Site) -> Iterator[Api]:
    with site.api() as api:
        yield api


@pytest.fixture(scope="session")
def official_key_api(site: Site) -> Iterator[Api]:
    with site.api(compatibility="official") as api:
        yield api


@pytest.fixture(scope="session")
def other_workspace_api(site: Site) -> Iterator[Api]:
    site.control(lambda work: workspaces.create(work, "other"))
    with site.api("other") as api:
        yield api


@pytest.fixture(scope="session")
def emptying(site: Site) -> Iterator[Callable[[], None]]:
    """Empties the workspace `live`."""
    opened, without_triggers = databases.connect_to_empty(site.dsn)
    with opened:
        yield lambda: databases.empty(opened, without_triggers)


@pytest.fixture
def empty(emptying: Callable[[], None]) -> None:
    """Nobody in the workspace `live`, whatever the tests before left there."""
    emptying()


@pytest.fixture
def api(empty: None, open_key_api: Api) -> Api:
    """The API as an `open` key sees it."""
    return open_key_api


@pytest.fixture
def official(empty: None, official_key_api: Api) -> Api:
    """The API as an `official` key of the same workspace sees it."""
    return official_key_api


@pytest.fixture
def stranger(other_workspace_api: Api) -> Api:
    """The API as an `open` key of another workspace sees it."""
    return other_workspace_api


@pytest.fixture
def anonymous(site: Site) -> Iterator[Api]:
    """The API without credentials."""
    with Api(site.url) as api:
        yield api


@pytest.fixture
def bare(api: Api) -> Bare:
    """Requests byte by byte, with the credentials of `api`."""
    return Bare.of(api)
