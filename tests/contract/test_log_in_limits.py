"""S3: log-ins are limited by address, account and browser, counted before a password is verified,
and hash without a connection to the database."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from uuid import uuid4

import pytest
from logging_in import PASSWORD, Visitor, invited
from sites import Site
from waiting import wait_until

from innkeeper import clock
from innkeeper.actions.admin.log_in import Attempt, log_in
from innkeeper.errors import ApiError, Unavailable
from innkeeper.settings import Settings
from innkeeper.store.database import Database
from innkeeper.store.limiter import Limiter
from innkeeper.store.work import Work

WRONG = "not the password"


def somewhere() -> dict[str, str]:
    """The header by which a proxy names a caller whom nobody has seen."""
    ref = uuid4().int
    return {"x-forwarded-for": f"2001:db8:{ref % 65536:x}:{ref // 65536 % 65536:x}::1"}


@pytest.fixture
def email(site: Site) -> Iterator[str]:
    """An owner with a password, who logged in from a browser that nobody has any more."""
    address = f"{uuid4().hex}@example.com"
    with Visitor(site.url) as browser:
        assert browser.follow(invited(site, address)).status_code == 303
    return address


@contextmanager
def stranger(url: str, **where: str) -> Iterator[Visitor]:
    with Visitor(url, headers=where or somewhere()) as browser:
        yield browser


def test_s3_attempts_are_counted_before_they_are_verified(site: Site, email: str) -> None:
    """Twelve at the same moment: five are verified, though none of them has failed before."""

    async def run() -> list[int]:
        database = Database(site.dsn, pool_size=8, settings=Settings())
        await database.open()
        limits = replace(database.limits, log_ins=Limiter("log-ins", 12, 0))
        attempts = [
            log_in(database.control, limits, Attempt(email, WRONG, f"address {number}"))
            for number in range(12)
        ]
        try:
            refused = await asyncio.gather(*attempts, return_exceptions=True)
        finally:
            await database.close()
        return sorted(each.status for each in refused if isinstance(each, ApiError))

    assert asyncio.run(run()) == [403] * 5 + [429] * 7


@pytest.mark.long
def test_s3_others_cannot_lock_out_somebody_whose_browser_is_known(site: Site, email: str) -> None:
    with stranger(site.url) as client:
        assert client.log_in(email).status_code == 303
        for _ in range(5):
            with stranger(site.url) as other:
                assert other.log_in(email, WRONG).status_code == 403
        with stranger(site.url) as other:
            refused = other.log_in(email)
            assert refused.status_code == 429
            assert 20 <= int(refused.headers["retry-after"]) <= 30
            assert "Too many attempts" in refused.text
        del client.kept["innkeeper_login"]
        assert client.log_in(email).status_code == 303


@pytest.mark.long
def test_s3_a_known_browser_has_a_budget_of_its_own(site: Site, email: str) -> None:
    """And a right password ends its failures."""
    with stranger(site.url) as client:
        client.log_in(email)
        del client.kept["innkeeper_login"]
        assert client.log_in(email, WRONG).status_code == 403
        assert client.log_in(email).status_code == 303
        del client.kept["innkeeper_login"]
        for _ in range(5):
            assert client.log_in(email, WRONG).status_code == 403
        assert client.log_in(email).status_code == 429
    with stranger(site.url) as other:
        assert other.log_in(email).status_code == 303


@pytest.mark.long
def test_s3_a_browser_is_known_for_who_logged_in_with_it_alone(site: Site, email: str) -> None:
    """Its cookie opens no other account's budget, nor does one that somebody made up."""
    with stranger(site.url) as browser:
        browser.follow(invited(site, f"{uuid4().hex}@example.com"))
        del browser.kept["innkeeper_login"]
        for _ in range(5):
            assert browser.log_in(email, WRONG).status_code == 403
        assert browser.log_in(email).status_code == 429
    with stranger(site.url) as planted:
        planted.kept["innkeeper_browser"] = "chosen by somebody else"
        assert planted.log_in(email).status_code == 429
        other = f"{uuid4().hex}@example.com"
        planted.follow(invited(site, other))
        assert planted.kept["innkeeper_browser"] != "chosen by somebody else"


@pytest.mark.long
def test_s3_a_new_password_makes_every_browser_a_stranger(site: Site, email: str) -> None:
    from innkeeper.actions.admin import users

    with stranger(site.url) as client, stranger(site.url) as other:
        client.log_in(email)
        (person,) = (p for p in site.control(users.list_all) if p["email"] == email)
        token = site.control(lambda work: users.renew_link(work, person["ref"]))
        assert other.follow(token).status_code == 303
        del client.kept["innkeeper_login"]
        for _ in range(5):
            assert client.log_in(email, WRONG).status_code == 403
        assert client.log_in(email).status_code == 429
        # It is the account's budget that was used up.
        del other.kept["innkeeper_login"]
        assert other.log_in(email).status_code == 303


def test_s3_one_address_tries_twenty_times_whatever_the_account(site: Site, email: str) -> None:
    where = somewhere()
    network = where["x-forwarded-for"].removesuffix("1") + "/64"

    async def count_eighteen(work: Work) -> None:
        budget, _ = Attempt("", "", network).budgets(is_familiar=False)
        for _ in range(18):
            options = {"budget": budget.digest, "window": budget.window, "now": clock.now()}
            await work.one("users.count_attempt", **options)

    site.control(count_eighteen)
    with stranger(site.url, **where) as browser:
        statuses = [browser.log_in(f"{n}@example.com", WRONG).status_code for n in range(2)]
        assert statuses == [403] * 2
        assert browser.log_in(email).status_code == 429
    # An address of the same subscriber counts as the same one.
    neighbour = where["x-forwarded-for"].removesuffix("1") + "beef"
    with stranger(site.url, **{"x-forwarded-for": neighbour}) as browser:
        assert browser.log_in(email).status_code == 429
    with stranger(site.url) as browser:
        assert browser.log_in(email).status_code == 303


def test_s3_hashing_holds_no_connection(site: Site, email: str) -> None:
    """One connection in all, and a hash that does not come to its end: others have the first."""

    async def run() -> None:
        database = Database(site.dsn, pool_size=1, settings=Settings())
        await database.open()
        stop = threading.Event()
        loop = asyncio.get_running_loop()
        executor = ThreadPoolExecutor(1)
        loop.set_default_executor(executor)
        loop.run_in_executor(None, stop.wait)
        attempt = Attempt(email, PASSWORD, str(uuid4()))
        limits = database.limits
        try:
            trying = asyncio.create_task(log_in(database.control, limits, attempt))
            await wait_until("the slot to be taken", lambda: not limits.log_ins.free)
            for _ in range(20):
                async with database.work("live") as work:
                    assert await work.one("health.ping") is not None
                await asyncio.sleep(0.01)
            assert not trying.done()
            stop.set()
            assert (await trying).token
        finally:
            stop.set()
            await database.close()

    asyncio.run(run())


@pytest.mark.long
def test_s3_more_strangers_than_may_wait_are_503_and_known_people_are_not(
    site: Site, email: str
) -> None:
    """Sixty anonymous posts: one is hashed, sixteen wait, the others are told to come back."""

    async def run() -> None:
        database = Database(site.dsn, pool_size=2, settings=Settings())
        await database.open()
        limits = database.limits
        try:
            opened = await log_in(database.control, limits, Attempt(email, PASSWORD, "a"))
            async with limits.log_ins:
                waiting = [
                    asyncio.create_task(
                        log_in(database.control, limits, Attempt(f"{n}@e.com", WRONG, f"{n}"))
                    )
                    for n in range(16)
                ]
                await wait_until("the queue to fill", lambda: limits.log_ins.queued == 16)
                with pytest.raises(Unavailable) as refused:
                    await log_in(database.control, limits, Attempt("x@e.com", WRONG, "x"))
                assert refused.value.headers == {"Retry-After": "5"}
                existing = Attempt(email, PASSWORD, "b", opened.browser)
                assert (await log_in(database.control, limits, existing)).browser == opened.browser
                for task in waiting:
                    task.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)
            assert (limits.log_ins.free, limits.log_ins.queued) == (1, 0)
        finally:
            await database.close()

    asyncio.run(run())
