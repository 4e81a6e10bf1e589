"""Who searches before they create finds whom identity rules would find (F10; rest-v2.1.md G-9)."""

import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from calling import Api, body_of
from ordering import guest_of, new_order, new_person, refs_in
from sites import Site
from streams import work_on

from innkeeper.actions.identity import rulebook
from innkeeper.actions.paging import PageRequest
from innkeeper.actions.records import guests
from innkeeper.store.configuration_cache import IDENTITY_RULES
from innkeeper.store.work import Work

OWN = "/innkeeper/v1"
PATHS = ("/v2.1/guests", "/v2/guests")
MAIL = "jane@x.example"


@pytest.fixture
def ruled(api: Api) -> Iterator[Api]:
    """The API; rules and guards are as they were afterwards."""
    before = body_of(api.get(f"{OWN}/identity/rules"))
    yield api
    api.put(f"{OWN}/identity/rules", json=before)
    api.patch(f"{OWN}/identity/guards", json=dict.fromkeys(("groupLimit", "region", "never")))


def by_id(value: str, provider: str = "email") -> dict[str, str]:
    return {"identifiers.provider": provider, "identifiers.id": value}


def ids(value: str, provider: str = "email") -> list[dict[str, str]]:
    return [{"provider": provider, "id": value}]


def search(api: Api, **query: str) -> list[str]:
    """The refs of a search in order, the same by each dialect, with the right number of all."""
    payload = {name.replace("__", "."): value for name, value in query.items()}
    pages = [api.get(path, params={"limit": "100", **payload}) for path in PATHS]
    assert refs_in(pages[0]) == refs_in(pages[1])
    total = pages[0].json()["totalCount"]
    assert total == len(refs_in(pages[0]))
    return refs_in(pages[0])


def set_rules(api: Api, *rules: dict[str, Any]) -> None:
    body_of(
        api.put(f"{OWN}/identity/rules", json={"rules": [{"providers": [], **r} for r in rules]})
    )


@pytest.mark.parametrize(
    ("provider", "stored", "params"),
    [
        ("email", MAIL, "Jane@X.example"),
        ("email", " JANE@x.EXAMPLE ", MAIL),
        ("email", "ja\u200bne@x.example", "JANE@x.example\u00a0"),
        ("CRM", "C-1\u200e", "\ufeffC-1"),
        ("CRM", "C-1", "C-1"),
        ("CRM", "C-1", "c-1"),
        ("email", "null", "NULL"),
        ("email", "null", "null"),
    ],
)
def test_f10_a_search_finds_the_guests_of_the_rules(
    ruled: Api, provider: str, stored: str, params: str
) -> None:
    """F10: and nobody else, but for the exact value; so no duplicate is made."""
    set_rules(ruled, *({"identityRule": name, "providers": [name]} for name in ("email", "CRM")))
    guest = ruled.guest(identifiers=ids(stored, provider))["ref"]
    result = search(ruled, **by_id(params, provider))
    payload = {"firstName": "J", "lastName": "D", "identifiers": ids(params, provider)}
    recognised = guest_of(new_person(ruled, new_order(ruled), "contacts", **payload)) == guest
    assert (result == [guest]) == (recognised or stored == params)


def test_f10_exact_matches_come_first(api: Api) -> None:
    """G-9: one result set, exact matches first, then by age (L-10); pages and links of it."""
    spelt = ["JANE@x.example", MAIL, "Jane@x.example", MAIL, " jane@x.example"]
    refs = [api.guest(identifiers=ids(one))["ref"] for one in spelt]
    api.guest(identifiers=ids("jane@x.exampl"))
    expected = [refs[1], refs[3], refs[0], refs[2], refs[4]]
    assert search(api, **by_id(MAIL)) == expected
    assert search(api, **by_id("Jane@x.example")) == [refs[2], *refs[:2], *refs[3:]]
    assert search(api, **by_id("JANE@X.EXAMPLE")) == refs
    url = f"{api.url}/v2.1/guests?identifiers.provider=email&identifiers.id=jane%40x.example"
    response, page = [], body_of(api.get(url + "&limit=2"))
    while True:
        assert page["totalCount"] == 5
        assert page["last"] == {"href": f"{url}&offset=4&limit=2"}
        assert page["first"] == {"href": f"{url}&offset=0&limit=2"}
        response += [item["ref"] for item in page["items"]]
        if "next" not in page:
            break
        page = body_of(api.get(page["next"]["href"]))
    assert response == expected
    behind = body_of(api.get(url + "&offset=50&limit=2"))
    assert (behind["items"], behind["totalCount"]) == ([], 5)


def test_f10_a_requested_sort_comes_first(api: Api) -> None:
    """L-11: exact matches first among those that it leaves equal."""
    names = ["B", "A", "A"]
    spelt = [MAIL, MAIL.upper(), MAIL]
    refs = [
        api.guest(firstName=name, identifiers=ids(one))["ref"]
        for name, one in zip(names, spelt, strict=True)
    ]
    assert search(api, **by_id(MAIL), sort="firstName::ASC") == [refs[2], refs[1], refs[0]]


def test_f10_e_mail_addresses(api: Api) -> None:
    """G-9: `email` and each of `emails`, in any case, exact matches first."""
    upper = api.guest(email="JANE@x.example")["ref"]
    second = api.guest(emails=["other@x.example", MAIL])["ref"]
    soft = api.guest(email="ja\u00adne@x.example")["ref"]
    exact = api.guest(email=MAIL)["ref"]
    assert search(api, email=MAIL) == [second, exact, upper, soft]
    assert search(api, email="\u200bJANE@X.example ") == [upper, second, soft, exact]
    assert search(api, email="JANE@x.example")[0] == upper
    assert search(api, email__untouched=MAIL) == [second, exact]


def test_f10_what_identifies_nobody_is_found_exactly(api: Api) -> None:
    """F7, F10: identity rules find nobody by it, so only those have it who have it as it is."""
    upper, lower = (api.guest(identifiers=ids(one))["ref"] for one in ("NULL", "null"))
    assert search(api, **by_id("null")) == [lower]
    assert search(api, **by_id("NULL")) == [upper]
    assert search(api, **by_id(" null")) == []


def test_f10_phone_numbers(ruled: Api) -> None:
    """G-9, G-13: as they were sent, and as the rules over phone numbers compare them."""
    payload = {"national": "086 123 4567", "whole": "+353 86 123 4567", "desk": "01 234 5678 x5"}
    refs = {
        name: ruled.guest(phoneNumbers=[one], country="IE")["ref"] for name, one in payload.items()
    }
    old = ruled.guest(phone="086 123 4567", lastName="Lee")["ref"]
    short, words = (ruled.guest(phoneNumbers=[one])["ref"] for one in ("12345", "call me"))
    # No rule looks at them: exactly.
    assert search(ruled, phoneNumber="086 123 4567") == [refs["national"], old]
    assert search(ruled, phoneNumber="0861234567") == []
    assert search(ruled, phoneNumber="+353 86 123 4567") == [refs["whole"]]
    assert search(ruled, phoneNumber="12345") == [short]
    assert search(ruled, phoneNumber="call me") == [words]


def indexed(api: Api, site: Site) -> None:
    """Let the background index guests by the rules in force."""
    site.run_worker()
    (job, *_) = body_of(api.get(f"{OWN}/identity/jobs"))["items"]
    assert job["state"] == "done", job


@pytest.mark.long
def test_f10_phone_numbers_by_a_rule(ruled: Api, site: Site) -> None:
    """G-9: whom the rule finds, exact matches first; the extension is part of the number."""
    set_rules(ruled, {"identityRule": "phone", "fields": ["phone"]})
    body_of(ruled.patch(f"{OWN}/identity/guards", json={"region": "IE"}))
    national = ruled.guest(phoneNumbers=["086 123 4567"])["ref"]
    whole = ruled.guest(phoneNumbers=["+353 86 123 4567"])["ref"]
    desk = ruled.guest(phoneNumbers=["01 234 5678 x5"])["ref"]
    assert search(ruled, phoneNumber="+353861234567") == [national, whole]
    assert search(ruled, phoneNumber="+353 86 123 4567") == [whole, national]
    assert search(ruled, phoneNumber="00353861234567") == [national, whole]
    assert search(ruled, phoneNumber="01 2345678") == []
    assert search(ruled, phoneNumber="+353 1 2345678;ext=5") == [desk]
    damaged = ruled.guest(phoneNumbers=["3.53861E+11"])["ref"]
    assert search(ruled, phoneNumber="3.53861E+11") == [damaged]
    # A rule that looks at more than the number needs the rest in the query.
    set_rules(ruled, {"identityRule": "both", "fields": ["phone", "lastName"]})
    indexed(ruled, site)
    lee = ruled.guest(phoneNumbers=["086 123 4567"], lastName="Lee")["ref"]
    assert search(ruled, phoneNumber="+353861234567") == []
    assert search(ruled, phoneNumber="+353861234567", lastName="Lee") == [lee]
    assert search(ruled, phoneNumber="+353861234567", lastName="Poe") == []


def test_f10_an_absorbed_guest_leads_to_its_survivor(ruled: Api) -> None:
    """G-14: and by an exact match it comes first."""
    set_rules(ruled, {"identityRule": "phone", "fields": ["phone"]})
    other = ruled.guest(identifiers=ids(MAIL.upper()), phoneNumbers=["+353861234567"])["ref"]
    survivor = ruled.guest(firstName="A")["ref"]
    absorbed = ruled.guest(identifiers=ids(MAIL), phoneNumbers=["+353 86 123 4567"])["ref"]
    body_of(ruled.post(f"{OWN}/merges", json={"survivor": survivor, "absorbed": absorbed}))
    assert search(ruled, **by_id(MAIL)) == [survivor, other]
    assert search(ruled, **by_id(MAIL.upper())) == [other, survivor]
    assert search(ruled, phoneNumber="+353 86 123 4567") == [survivor, other]


def test_f10_filters_combine(api: Api) -> None:
    """G-11: with AND, each as the rules compare."""
    jane = api.guest(email="Jane@x.example", identifiers=ids(MAIL), city="Cork")["ref"]
    api.guest(email=MAIL, city="Cork")
    api.guest(identifiers=ids(MAIL), city="Cork")
    both = {"email": MAIL.upper(), **by_id(MAIL.upper())}
    assert search(api, **both) == [jane]
    assert search(api, **by_id(MAIL.upper()), phoneNumber="086 1234567") == []


def test_f10_rules_that_another_process_changed(ruled: Api, site: Site) -> None:
    """What a process remembers of rules and guards is compared in the statement that uses it."""
    number, report = "086 123 4567", by_id("NULL")
    guest = ruled.guest(phoneNumbers=[number], country="IE", identifiers=ids("null"))["ref"]
    payload = {"phoneNumber": "+353 86 123 4567"}
    assert search(ruled, **payload) == search(ruled, **report) == []
    cache = site.cache
    response = cache.get(IDENTITY_RULES, "live")
    set_rules(ruled, {"identityRule": "phone", "fields": ["phone"]})
    ruled.patch(f"/v2.1/guests/{guest}", json={"city": "Cork"})
    body_of(ruled.patch(f"{OWN}/identity/guards", json={"removeNever": ["null"]}))
    for query in (payload, report):
        cache.put(IDENTITY_RULES, "live", response)
        assert search(ruled, **query) == [guest]
    cache.put(IDENTITY_RULES, "live", response)
    assert search(ruled, **{**payload, "phoneNumber": "+353 86 123 4568"}) == []
    assert cache.get(IDENTITY_RULES, "live").rules[0].name == "phone"


QUERIES = [
    {"email": MAIL},
    {"identifier": ("email", MAIL)},
    {"identifier": ("email", "null")},
    {"phone_number": "+353861234567"},
    {"phone_number": "+353861234567", "identifier": ("email", MAIL), "email": MAIL},
]


@pytest.mark.parametrize("filters", QUERIES, ids=str)
@pytest.mark.parametrize("offset", [0, 2000])
def test_f10_one_indexed_statement(
    site: Site, empty: None, monkeypatch: pytest.MonkeyPatch, filters: dict[str, Any], offset: int
) -> None:
    """F10: a search that finds somebody is one statement, and no table of guests is read whole."""
    requests: list[tuple[str, Any]] = []
    real = Work.all

    async def record_call(work: Work, query: str, /, **more: Any) -> Any:
        requests.append((query, (work, more)))
        return await real(work, query, **more)

    async def find(work: Work) -> Any:
        payload = {"guest_type": "customer", "email": MAIL, "phone_numbers": ["+353861234567"]}
        identifiers = [*ids(MAIL), *ids("null")]
        await guests.create(work, {**payload, "identifiers": identifiers})
        await rulebook.read(work)
        requests.clear()
        with monkeypatch.context() as patch:
            patch.setattr(Work, "all", record_call)
            patch.setattr(Work, "one", _refused)
            page = await guests.list_(work, PageRequest(filters=filters))
        assert page.total == 1
        ((query, (_, more)),) = requests
        parts = dict(more.pop("parts"))
        if offset:
            query = "guests.list_deep"
            del parts["page"]
        text = work._queries.text(query, **parts)
        await work.connection.execute("SET enable_seqscan = off")
        plan = await work.connection.execute(f"EXPLAIN (FORMAT JSON) {text}", more)
        return json.loads((await plan.fetchone())["QUERY PLAN"])

    (plan,) = work_on(site.dsn, find)
    scanned = {
        node["Relation Name"] for node in nodes(plan["Plan"]) if node["Node Type"] == "Seq Scan"
    }
    assert scanned.isdisjoint({"guests", "guest_keys", "guest_words"}), plan


async def _refused(*_: Any, **__: Any) -> Any:
    raise AssertionError("a second statement")


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for inner in plan.get("Plans", ()):
        yield from nodes(inner)


def test_f10_who_is_not_found_costs_no_count(
    site: Site, empty: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """F10: the common case of a client that creates next."""
    requests: list[str] = []
    real = Work.one

    async def record_call(work: Work, query: str, /, **more: Any) -> Any:
        requests.append(query)
        return await real(work, query, **more)

    async def find(work: Work) -> Any:
        await rulebook.read(work)
        with monkeypatch.context() as patch:
            patch.setattr(Work, "one", record_call)
            by_mail = await guests.list_(work, PageRequest(filters={"email": MAIL}))
            assert (by_mail.total, requests) == (0, [])
            by_identifier = PageRequest(filters={"identifier": ("email", MAIL)})
            assert (await guests.list_(work, by_identifier)).total == 0

    work_on(site.dsn, find)
    assert requests == ["identity.version"]


def test_f10_words_of_phone_numbers(connection: psycopg.Connection) -> None:
    """The words that phone numbers are found by are those of the guests' own trigger."""
    words = "SELECT ws_live.search_words(jsonb_build_object('phone', %s::text))"
    for number, word in (("+353 86 123 4567", "#61234567"), ("01 234 5678 x5", "#12345678")):
        assert connection.execute(words, [number]).fetchone() == ([word],)
    for number in ("12345", "call me", "12345 x6"):
        assert connection.execute(words, [number]).fetchone() == ([],)
