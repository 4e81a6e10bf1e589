"""S8: roles without personal data see none, on any page, in any download, in any error."""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import Any
from urllib.parse import unquote, urlsplit
from uuid import uuid4

import httpx
import pytest
from calling import Api, body_of
from profiles import LONG, each_day
from sites import Site
from streams import Page as Visitor
from visiting import Person, log_in

from innkeeper.resources.base import Resource
from innkeeper.resources.guests import Guest
from innkeeper.resources.kinds import Instant, ListOf
from innkeeper.resources.orders import OrderConsumer, OrderContact
from innkeeper.rules import masking
from innkeeper.rules.access import Right, Role, may
from innkeeper.web.ui.routes import PAGES

WORD = "quokka"
"""In every planted text; days and numbers have spellings of their own."""
BORN, EXPIRES, NUMBER = "1971-02-03", "2033-07-08", 353_861_234_567
SECRETS = (WORD, BORN, EXPIRES, str(NUMBER), "53.3498053")
"""Never shown to a role without personal data."""
MAIL = f"{WORD}@example.com"
MASKED = [role for role in Role if not may(role, Right.PERSONAL)]


def planted(resource: type[Resource], mail: str) -> dict[str, Any]:
    """A value for every personal field of a resource, as its clients spell them."""
    body: dict[str, Any] = {}
    for name, declared in resource.fields.items():
        if not declared.personal:
            continue
        spelt = re.sub("_(.)", lambda match: match[1].upper(), name)
        if name == "date_of_birth":
            body[spelt] = BORN
        elif isinstance(declared.kind, Instant):
            body[spelt] = f"{EXPIRES}T00:00:00.000Z"
        elif name in ("email", "emails"):
            body[spelt] = mail if name == "email" else [mail]
        elif name == "identifiers":
            ids = [("email", mail), ("CRM", f"{WORD}-{uuid4().hex[:6]}")]
            body[spelt] = [{"provider": provider, "id": each} for provider, each in ids]
        elif name == "subscriptions":
            body[spelt] = [{"name": WORD, "provider": WORD, "number": NUMBER, MAIL: True}]
        else:
            text = f"{WORD} {name}"
            body[spelt] = [text] if isinstance(declared.kind, ListOf) else text
    return body


@dataclass
class Planted:
    """Refs of everything that holds planted values."""

    guest: str = ""
    order: str = ""
    segments: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@pytest.fixture
def shop(site: Site, api: Api, owner: Person) -> Planted:
    """A workspace in which every place that can hold a person's data holds some."""
    shop = Planted()
    body = {"guestType": "customer", "country": "IE", **planted(Guest, MAIL)}
    shop.guest = body_of(api.post("/v2.1/guests", json=body))["ref"]
    pairs = {"nick": WORD, "phone": NUMBER, "latitude": 53.3498053, "age": 40, "vip": True}
    body_of(api.post(f"/v2.1/guests/{shop.guest}/extensions", json={"name": "ext", **pairs}))
    _plant_order(api, shop, pairs)
    _plant_merge(api, shop)
    _plant_events(api)
    _plant_segments(api, shop)
    _plant_import(owner, shop)
    return shop


def _plant_order(api: Api, shop: Planted, pairs: dict[str, Any]) -> None:
    order = {"referenceId": f"Q-{uuid4().hex[:6]}", "orderedAt": "2026-10-02T10:00:00.000Z"}
    order |= {"currencyCode": "EUR", "price": 1, "status": "PURCHASED", "channel": "WEB"}
    shop.order = body_of(api.post("/v2.1/orders", json=order))["ref"]
    item = {"name": "Tea", "type": "X", "price": 1, "currencyCode": "EUR", "status": "OK"}
    body_of(api.post(f"/v2.1/orders/{shop.order}/orderItems", json=item))
    body_of(api.post(f"/v2.1/orders/{shop.order}/extensions/ext", json=pairs))
    contact = planted(OrderContact, MAIL)
    body_of(api.post(f"/v2.1/orders/{shop.order}/contacts", json=contact))
    consumer = planted(OrderConsumer, f"{WORD}.two@example.com")
    body_of(api.post(f"/v2.1/orders/{shop.order}/consumers", json=consumer))


def _plant_merge(api: Api, shop: Planted) -> None:
    other = body_of(api.post("/v2.1/guests", json={"guestType": "customer", "lastName": WORD}))
    ends = {"survivor": shop.guest, "absorbed": other["ref"]}
    merge = body_of(api.post("/innkeeper/v1/merges", json=ends))
    shop.paths.append(f"/merges/{merge['ref']}/undo")
    twin = {"identifiers": [{"provider": "email", "id": f"{WORD}@example.com"}], "lastName": WORD}
    for _ in range(2):
        body_of(api.post("/v2.1/guests", json={"guestType": "customer", **twin}))
    job = body_of(api.post("/innkeeper/v1/identity/apply", json={}))
    shop.paths.append(f"/settings/identity-rules/{job['ref']}")


def _plant_events(api: Api) -> None:
    mail = {"identifiers": [{"provider": "email", "id": MAIL}]}
    visitor = Visitor(api, page=f"/hello/{MAIL}?name={WORD}&x=1#{WORD}")
    visitor.always |= {"referrer": f"https://example.com/?q={WORD}"}
    visitor.always |= {"utm_source": "news", "utm_content": MAIL}
    visitor("VIEW", session_data={"told": WORD}, favourite=WORD, ext={"nick": WORD})
    visitor("IDENTITY", email=MAIL, firstname=WORD, **mail)
    visitor("VIEW", email=MAIL)
    for pos, currency in (("nowhere", "EUR"), (WORD, "EUR"), ("default", WORD)):
        visitor("VIEW", pos=pos, currency=currency, firstname=WORD)
    visitor("IDENTITY", pos="default", phone=NUMBER, dob=WORD, **mail)
    visitor("ADD", product={"name": WORD})


def _plant_segments(api: Api, shop: Planted) -> None:
    def rule(name: str, value: str, **more: str) -> dict[str, Any]:
        return {"field": name, "comparator": "is equal to", "values": [value], **more}

    every = [rule(name, f"{WORD} x") for name in ("firstName", "lastName", "title", "postCode")]
    every += [rule(name, f"{WORD} x") for name in ("zipCode", "phone", "passportNumber", "street")]
    every += [rule(name, WORD) for name in ("email", "emails", "nationality", "phoneNumbers")]
    every += [rule("nick", WORD, location="ext"), rule("email", WORD, location="identifier")]
    day = {"comparator": "is on the day", "values": [BORN]}
    every.append({"field": "dateOfBirth", **day})
    pages = [rule("page", f"/x?{WORD}"), rule("favourite", WORD, location="custom")]
    groups = [{"entity": "guest", "ruleOperator": "OR", "rules": every}]
    groups.append({"entity": "event", "ruleOperator": "OR", "rules": pages})
    groups.append({"entity": "session", "rules": [rule("referer", f"/?{WORD}")]})
    sql = (
        f"SELECT guest_ref -- {WORD}\nFROM guests /* {WORD} /* in it */ {WORD} */\n"
        f"WHERE core_first_name = '{WORD}' OR core_post_code IN ('x''{WORD}', E'\\'{WORD}')\n"
        f"OR core_phone = '{NUMBER}' OR {NUMBER} = 1 OR core_last_name = $a${WORD}$a$\n"
        f'OR guest_ref IN (SELECT guest_ref AS "{WORD}" FROM orders)'
    )
    for name, definition in (
        ("Rules", {"operator": "OR", "filterGroups": groups}),
        ("S", {"sql": sql}),
    ):
        body = {"name": f"{name} {uuid4().hex[:6]}", "definition": definition}
        made_ = body_of(api.post("/innkeeper/v1/segments", json=body))
        shop.segments.append(made_["friendlyId"])
        api.post(f"/innkeeper/v1/segments/{made_['friendlyId']}/run")
        shop.paths.append(f"/segments/{made_['friendlyId']}/why/{shop.guest}")
    traits = {"lastPage": {"field": "page"}, "lastNick": {"field": "nick", "location": "ext"}}
    for name, read in traits.items():
        body = {"entity": "event", "function": "latest", **read}
        answer = api.put(f"/innkeeper/v1/traits/{name}", json=body)
        assert answer.status_code == 200 or name == "lastNick", answer.text
    name = f"L {uuid4().hex[:6]}"
    static_list = body_of(api.post("/innkeeper/v1/staticLists", json={"name": name}))["friendlyId"]
    body = {"selection": {"guests": [shop.guest]}}
    action = body_of(api.post(f"/innkeeper/v1/staticLists/{static_list}/guests", json=body))
    shop.paths += [f"/lists/{static_list}", f"/guests/bulk/{action['ref']}"]
    shape = {"format": "NDJSON", "template": {"hello": f"{WORD} {{{{firstName}}}}"}}
    shape |= {"filter": {"sql": sql}, "webhook": f"https://example.com/{MAIL}?token={WORD}"}
    body = {"name": f"E {uuid4().hex[:6]}", "segment": shop.segments[0], **shape}
    export = body_of(api.post("/innkeeper/v1/exports", json=body))
    api.post(f"/innkeeper/v1/exports/{export['friendlyId']}/run")


def _plant_import(owner: Person, shop: Planted) -> None:
    text = io.StringIO()
    rows = [["First name", "E-mail", "Country", "Born"], [WORD, MAIL, WORD, WORD]]
    csv.writer(text).writerows([*rows, ["x", WORD, "IE", BORN]])
    payload = {"csrf": owner.csrf, "entity": "guests"}
    file = {"file": ("people.csv", text.getvalue().encode())}
    answer = owner.http.post("/w/live/imports", data=payload, files=file)
    shop.paths.append(answer.headers["location"].removeprefix("/w/live"))
    form = {"c0": "firstName", "c1": "email", "c2": "country", "c3": "dateOfBirth"}
    file = {"file": ("done.csv", text.getvalue().encode())}
    answer = owner.http.post("/w/live/imports", data=payload, files=file)
    path = answer.headers["location"].removeprefix("/w/live")
    assert owner.post(path, action="start", **form).status_code == 303
    shop.paths += [path, f"{path}/rejects"]


def crawl(person: Person, starts: list[str]) -> Iterator[tuple[str, httpx.Response]]:
    """Every page and download that links lead to, and what pages ask for by themselves."""
    observed, left = set(starts), list(starts)
    while left:
        path = left.pop()
        answer = person.http.get(path, headers={"HX-Request": "true"})
        yield path, answer
        if not answer.headers.get("content-type", "").startswith("text/html"):
            continue
        names = "href|hx-get|data-suggests|data-fields|data-values|action"
        links = re.findall(rf'(?:{names})="([^"]+)"', answer.text)
        for link in map(unescape, links):
            parts = urlsplit(link)
            if not parts.netloc and link.startswith("/w/live") and link not in observed:
                # Pages of a list, periods of a report and the like: one of each is enough, and
                # every day one of a path.
                shape = re.sub(r"(?<==)[^&]*", "", link) if LONG else parts.path
                if shape not in observed or not parts.query:
                    observed |= {link, shape}
                    left.append(link)


def revealed(answer: httpx.Response) -> list[str]:
    """The planted values in an answer, its headers included."""
    text = unquote(unescape(answer.text + json.dumps(dict(answer.headers)))).lower()
    return [secret for secret in SECRETS if secret in text]


def matches(path: str) -> re.Pattern[str]:
    """The paths of a page."""
    return re.compile("/w/live" + re.sub(r"\{\w+\}", "[^/]+", path))


@pytest.mark.parametrize("role", each_day(Role, Role.DEVELOPER))
def test_s8_every_page_and_download(site: Site, owner: Person, shop: Planted, role: Role) -> None:
    site.run_worker()
    person = log_in(site, role)
    starts = ["/", "/guests?type=all", f"/guests?q={shop.guest}&type=all", "/ui/components"]
    starts += [f"/guests/{shop.guest}", f"/guests/{shop.guest}/json/file", *shop.paths]
    starts += [f"/find?q={shop.guest}"]
    starts += ["/segments/values?entity=guest&field=core:firstName:string", "/reports/pages"]
    starts += [f"/guests/{shop.guest}/merge?other={WORD}", f"/orders/{shop.order}/file"]
    visited, leaks, report, staff = set[str](), dict[str, list[str]](), 0, list[str]()
    for path, answer in crawl(person, [f"/w/live{start}" for start in starts]):
        assert answer.status_code < 500, path
        if answer.status_code != 403:
            visited.add(urlsplit(path).path)
        if result := revealed(answer):
            leaks[path] = result
            report += 1
        # Who changed something, for those who do not manage users.
        if not may(role, Right.USERS) and owner.email in unquote(answer.text):
            staff.append(path)
        if role not in MASKED and report > 10 and not LONG:
            break
    person.http.close()
    assert staff == []
    if role not in MASKED:
        # The values are there: the others' pages are not clean for want of any.
        assert report > 10
        return
    assert leaks == {}
    open_to_all = [page.path for page in PAGES if page.show and page.right is None]
    missed = [path for path in open_to_all if not any(map(matches(path).fullmatch, visited))]
    assert missed == []


@pytest.mark.parametrize("role", each_day(MASKED, Role.ANALYST))
def test_s8_every_error(site: Site, shop: Planted, role: Role) -> None:
    """Forms that are refused, with refs of what holds planted values."""
    person = log_in(site, role)
    ids = {"guest": shop.guest, "order": shop.order, "segment": shop.segments[0]}
    for page in PAGES:
        path = re.sub(r"\{(\w+)\}", lambda match: ids.get(match[1], str(uuid4())), page.path)
        answers = [person.get(f"{path}?q=%00&open=x&offset=x&reason=x")] if page.show else []
        if page.post is not None:
            for action in ("", "delete", "preview", "try", "create"):
                form = {"action": action, "do": "save", "name": "x", "confirm": "x"}
                form |= {"sql": "SELECT guest_ref FROM guests WHERE core_first_name > 5"}
                answers.append(person.post(path, **form))
        for answer in answers:
            assert answer.status_code < 500
            assert revealed(answer) == [], path
    person.http.close()


def test_s8_search_and_quarantine_are_no_way_around(site: Site, shop: Planted) -> None:
    person = log_in(site, "developer")
    for text in (MAIL, f"{WORD} last_name", f"CRM:{WORD}", str(NUMBER)):
        assert "data-row" not in person.get(f"/guests?q={text}&type=all").text
    for path in ("/exports/new", "/segments/values", f"/guests/{shop.guest}/edit"):
        assert person.get(path).status_code == 403
    assert person.get(f"/quarantine/{uuid4()}/message").status_code == 403
    assert person.post(f"/guests/{shop.guest}/access", confirm=shop.guest).status_code == 403
    person.http.close()


def test_s8_a_key_without_personal_data_reads_no_texts_of_pages(site: Site, shop: Planted) -> None:
    """The report of pages, and frequent values of pages, of free members and of traits."""
    from innkeeper.actions.admin import keys
    from innkeeper.rules.scopes import Scope

    scopes = frozenset({Scope.READ})
    key = site.control(lambda work: keys.create(work, "live", "open", scopes=scopes))
    with Api(site.url, key.client_key, key.api_token) as reader:
        report = reader.get("/innkeeper/v1/reports/pages")
        assert report.status_code == 200
        assert report.json()["rows"]
        assert revealed(report) == []
        assert revealed(reader.get("/innkeeper/v1/reports/pages?format=csv")) == []
        for query in ("entity=event&field=page", "entity=session&field=referer"):
            assert reader.get(f"/innkeeper/v1/segments/values?{query}").status_code == 403
        for query in (
            "entity=event&location=custom&field=favourite",
            "entity=guest&location=trait",
        ):
            path = f"/innkeeper/v1/segments/values?{query}&field=lastPage"
            assert reader.get(path).status_code == 403


# One function at a time


def test_s8_what_masking_leaves() -> None:
    assert masking.masked_addresses("/a?mail=jane@example.com&x=1") == "/a?mail=j•••@•••&x=1"
    assert masking.masked_page("/a/jane@example.com/b?x=1#y") == "/a/j•••@•••/b?•••"
    assert masking.masked_page("https://example.com/a#x") == "https://example.com/a#•••"
    assert masking.masked_page("/a?") == "/a?"
    assert masking.masked_line("Jane looked at /a?b=c today") == "Jane looked at /a?••• today"
    free = {"nick": "Jane", "age": 40, "vip": True, "none": None, "phone": NUMBER, "at": 53.3498053}
    expected = {"nick": "J•••", "age": 40, "vip": True, "none": None, "phone": "•••", "at": "•••"}
    assert masking.masked_free(free) == expected
    assert masking.masked_free([{"a@b.ie": ["x"]}, 12.5]) == [{"a•••@•••": ["x•••"]}, 12.5]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT a FROM b WHERE c = 'Jane'", "SELECT a FROM b WHERE c = 'J•••'"),
        ("a = 'x''Jane' AND b = ''", "a = 'x•••''J•••' AND b = ''"),
        ("a = 'never closed", "a = 'n•••'"),
        (r"a = E'\'Jane' AND b = 1", r"a = '\•••' AND b = 1"),
        (r"a = E'Jane\'' || 'Joe\' AND b", r"a = 'J•••' || 'J•••' AND b"),
        ("a = E'Jane\\", "a = 'J•••'"),
        ("a -- Jane\nb", "a -- •••\nb"),
        ("a /* Jane /* x */ Jane */ b", "a /* ••• */ b"),
        ("a /* Jane", "a /* ••• */"),
        ('SELECT "Jane" FROM b', 'SELECT "J•••" FROM b'),
        ("a = $x$Jane's$x$ b", "a = '•••' b"),
        ("a = $$Jane", "a = '•••'"),
        ("a > 12.5 AND b = 0861234567 AND c < 53.3498", "a > 12.5 AND b = ••• AND c < •••"),
    ],
)
def test_s8_sql(sql: str, expected: str) -> None:
    assert masking.masked_sql(sql) == expected
