"""S7: what an API key may do: its scopes, and the matrix of all routes."""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg
import pytest
from calling import NOBODY, Api
from profiles import each_day
from sites import Site
from visiting import Person, log_in

from innkeeper.actions.admin import keys
from innkeeper.rules.scopes import DEFAULT_SCOPES, EVERY_SCOPE, Scope
from innkeeper.wire.endpoint import Endpoint
from innkeeper.wire.registry import DIALECTS
from innkeeper.wire.routes import Operation, routes

KEYS = "/innkeeper/v1/keys"
SEGMENTS = "/innkeeper/v1/segments"
OF_METHOD = {"GET": "read", "POST": "write", "PUT": "write", "PATCH": "write", "DELETE": "delete"}
# Operations that show, or hand on, personal data in another form than a resource's fields.
PERSONAL = {
    *("fetchGuestContext", "findGuestContext", "fetchSubject", "previewIdentityRules"),
    *("listIdentityGuarded", "explainGuest", "listGuestHistory", "listMerges", "fetchMerge"),
    *("previewIdentityUndo", "listAuditLog"),
    *("listSqlViews", "explainSql"),
    *(
        "undoMerge",
        "listQuarantine",
        "replayQuarantine",
        "correctQuarantined",
        "explainSegmentGuest",
    ),
    *("fetchGuestTraits", "createExport", "changeExport", "runExport", "listExportFiles"),
    *("createFileExport", "listFileExports", "fetchFileExport"),
    *(
        "listGuestTable",
        "listSegmentTable",
        "listGuestViewTable",
        "searchGuests",
        "listStaticListTable",
    ),
}
READ_BY_POST = {
    *("previewIdentityRules", "previewSegment", "createFileExport", "listGuestTable"),
    "explainSql",
    "previewBulkAction",
}
ADMINISTRATION = {"listKeys", "createKey", "rotateKey", "revokeKey", "createSandboxToken"}
ADMINISTERED = {"fetchDashboard", "listAuditLog", "replaceDashboard", "loadDemo"}
"""What users chose for themselves, and demo data: administration besides the method's scope."""
# What decides who is whom: a role without the right to edit rules makes no key that may.
RULES = {
    *("createIdentityRule", "deleteIdentityRule", "replaceIdentityRules"),
    *("reorderIdentityRules", "applyIdentityRules", "changeIdentityGuards"),
    "undoIdentityJob",
}


def expected(route: Any) -> set[str]:
    """What a key must allow, from the lists above."""
    if isinstance(route, Operation):
        whole_pairs = route.verb.name == "REPLACE" and route.views["open"].resource.pairs
        return {OF_METHOD[route.method]} | ({"personal_data"} if whole_pairs else set())
    if route.name in ADMINISTRATION:
        return {"administration"}
    if route.name in ("eraseGuest", "eraseGuests"):
        return {"delete"}
    if route.name == "undoImport":
        return {"write", "delete"}
    own = "read" if route.name in READ_BY_POST else OF_METHOD[route.method]
    more = {"personal_data"} if route.name in PERSONAL else set()
    return {own} | more | ({"administration"} if route.name in RULES | ADMINISTERED else set())


@contextmanager
def keyed(site: Site, *scopes: Scope, workspace: str = "live") -> Iterator[Api]:
    """The API with a key of these scopes."""
    key = site.control(lambda work: keys.create(work, workspace, scopes=frozenset(scopes)))
    with Api(site.url, key.client_key, key.api_token) as api:
        yield api


def call(api: Api, route: Any) -> Any:
    path = route.path
    while "{" in path:
        before, _, rest = path.partition("{")
        name, _, after = rest.partition("}")
        path = before + ("x" if name in ("name", "trait", "report", "email") else NOBODY) + after
    body = {} if route.method in ("POST", "PUT", "PATCH") else None
    return api.request(route.method, path, json=body)


def test_s7_literals_of_saved_sql_and_errors_of_jobs_are_masked(
    api: Api, site: Site, connection: psycopg.Connection
) -> None:
    sql = "SELECT guest_ref FROM guests WHERE core_email = 'jane@example.com'"
    path = "/innkeeper/v1/sql/queries"
    assert api.put(f"{path}/jane", json={"sql": sql}).json()["sql"] == sql
    error = "Line 3: jane@example.com is not a number."
    connection.execute(
        "INSERT INTO ws_live.demo_loads (ref, state, total, error, actor, created_at, finished_at) "
        "VALUES (gen_random_uuid(), 'failed', 1, %s, 'x', now(), now())",
        [error],
    )
    assert error in [each.get("error") for each in api.get("/innkeeper/v1/jobs").json()["items"]]
    with keyed(site, Scope.READ) as other:
        assert "jane@" not in other.get("/innkeeper/v1/jobs").text
        one, (listed,) = other.get(f"{path}/jane").json(), other.get(path).json()["items"]
    assert one["sql"] == listed["sql"] == sql.replace("jane@example.com", "j•••@•••")
    assert api.delete(f"{path}/jane").status_code == 204


def test_reads_by_post_hold_no_transaction() -> None:
    """An Idempotency-Key would hold one, and a connection, while they wait and compute."""
    endpoints = [route for route in routes(DIALECTS) if isinstance(route, Endpoint)]
    reads = {route.name: route for route in endpoints if route.name in READ_BY_POST}
    assert reads.keys() == READ_BY_POST
    assert {name for name, route in reads.items() if route.takes_key} == {"createFileExport"}


@pytest.mark.parametrize("scope", each_day(Scope, Scope.PERSONAL_DATA, Scope.ADMINISTRATION))
def test_s7_every_route_without_one_scope(api: Api, site: Site, scope: Scope) -> None:
    """Every route, with a key that lacks one scope: 403 where the route needs it, else not."""
    with keyed(site, *(EVERY_SCOPE - {scope})) as lacking:
        for route in routes(DIALECTS):
            if isinstance(route, Endpoint) and route.bearer:
                continue
            answer = call(lacking, route)
            needed = str(scope) in expected(route)
            assert (answer.status_code == 403) == needed, (route.method, route.path, answer.text)
            if needed:
                body = answer.json()
                assert (body["status"], body["code"]) == (403, 403)
                assert str(scope) in body["message"]


def test_s7_every_route_of_a_foreign_workspace(api: Api, stranger: Api, site: Site) -> None:
    """A key with every scope reaches nothing of another workspace."""
    guest = api.guest(email="own@example.com")
    with keyed(site, *EVERY_SCOPE, workspace="other") as foreign:
        for route in routes(DIALECTS):
            if "{guest}" not in route.path or (isinstance(route, Endpoint) and route.bearer):
                continue
            path = route.path.replace("{guest}", guest["ref"])
            if "{" in path:
                continue
            body = {} if route.method in ("POST", "PUT", "PATCH") else None
            answer = foreign.request(route.method, path, json=body)
            assert answer.status_code in (400, 404), (route.method, path, answer.text)
            assert "own@example.com" not in answer.text
    assert api.get(f"/v2.1/guests/{guest['ref']}").json()["email"] == "own@example.com"


def test_s7_keys_hold_all_but_administration_unless_chosen(site: Site, api: Api) -> None:
    key = site.key()
    assert key.scopes == DEFAULT_SCOPES == frozenset(Scope) - {Scope.ADMINISTRATION}
    with Api(site.url, key.client_key, key.api_token) as plain:
        for refused in (plain.get(KEYS), plain.put("/innkeeper/v1/identity/rules", json={})):
            assert refused.status_code == 403
            assert refused.json()["message"] == "The API key lacks the scope administration."
        # Not who is whom, and the vendor's clients do it.
        shop = {"name": "branch", "timeout": 30}
        assert plain.post("/v2/tenants/points-of-sale", json=shop).status_code != 403


def test_s7_a_key_makes_none_wider_than_itself(api: Api, site: Site) -> None:
    with keyed(site, Scope.READ, Scope.ADMINISTRATION) as maker:
        wider = maker.post(KEYS, json={"scopes": ["read", "write"]})
        assert wider.status_code == 403
        assert "write" in wider.json()["message"]
        response = maker.post(KEYS, json={"name": "reports", "scopes": ["read"]})
        assert response.status_code == 201, response.text
        key = response.json()
        assert key["scopes"] == ["read"]
        with Api(site.url, key["clientKey"], key["apiToken"]) as reader:
            assert reader.get("/v2.1/guests").status_code == 200
            refused = reader.post("/v2.1/guests", json={"guestType": "visitor"})
            assert refused.status_code == 403
            # Nor does it get the token of a wider one.
            assert maker.post(f"{KEYS}/{api.client_key}/rotate").status_code == 403
            rotated = maker.post(f"{KEYS}/{key['clientKey']}/rotate").json()
            assert reader.get("/v2.1/guests").status_code == 401
            reader.auth = (key["clientKey"], rotated["apiToken"])
            assert reader.get("/v2.1/guests").status_code == 200
            assert maker.delete(f"{KEYS}/{key['clientKey']}").status_code == 204
            assert reader.get("/v2.1/guests").status_code == 401
        listed = {item["clientKey"]: item for item in maker.get(KEYS).json()["items"]}
        assert "revokedAt" in listed[key["clientKey"]]
        assert "apiToken" not in listed[key["clientKey"]]


def test_s7_a_key_that_administers_alone_makes_others_of_its_kind(site: Site, api: Api) -> None:
    with keyed(site, Scope.ADMINISTRATION) as maker:
        response = maker.post(KEYS, json={"name": "more"})
        assert (response.status_code, response.json()["scopes"]) == (201, ["administration"])


def test_s7_a_sandbox_token_sees_no_more_than_the_key_that_makes_it(site: Site, api: Api) -> None:
    with keyed(site, Scope.ADMINISTRATION, Scope.READ) as maker:
        response = maker.post(f"{KEYS}/sandboxTokens")
        assert (response.status_code, response.json()["scopes"]) == (201, ["read"])
        with Api(site.url, response.json()["clientKey"], response.json()["apiToken"]) as sandbox:
            assert sandbox.get("/innkeeper/v1/jobs").status_code == 200
            assert sandbox.post("/v2.1/guests", json={"guestType": "visitor"}).status_code == 403
        with psycopg.connect(site.dsn) as connection:
            logged = connection.execute(
                "SELECT action FROM innkeeper.audit_log WHERE subject = %s",
                [response.json()["clientKey"]],
            ).fetchall()
        assert logged == [("key.create",)]
    with keyed(site, Scope.ADMINISTRATION) as maker:
        assert maker.post(f"{KEYS}/sandboxTokens").status_code == 403


def test_s7_every_problem_of_a_new_key_is_named(site: Site, api: Api) -> None:
    with keyed(site, *EVERY_SCOPE) as maker:
        body = {"name": 5, "compatibility": "other", "scopes": ["read", "everything"]}
        answer = maker.post(KEYS, json=body)
        assert answer.status_code == 400
        assert [each.partition(":")[0] for each in answer.json()["errors"]] == [
            *("name", "compatibility", "scopes[1]")
        ]
        assert maker.post(KEYS, json={"scopes": []}).status_code == 400


def test_s7_another_workspaces_keys_are_unknown(site: Site, api: Api, stranger: Api) -> None:
    with keyed(site, *EVERY_SCOPE) as maker:
        assert maker.delete(f"{KEYS}/{stranger.client_key}").status_code == 404
        assert stranger.client_key not in maker.get(KEYS).text
    assert stranger.get("/v2.1/guests").status_code == 200


PERSON = {
    "guestType": "customer",
    "firstName": "Wilhelmina",
    "lastName": "Planted",
    "email": "planted@example.com",
    "phoneNumbers": ["+353161123345"],
    "city": "Planted Cork",
    "state": "Planted Munster",
    "country": "IE",
    "street": ["Planted Street 1"],
    "postCode": "T12 PLANTED",
    "identifiers": [{"provider": "email", "id": "planted@example.com"}],
}


def test_s7_personal_fields_are_left_out(api: Api, official: Api, site: Site) -> None:
    guest = api.guest(**PERSON)
    api.extension(guest, name="ext", tier="planted gold", points=7, vip=True)
    order = {
        "referenceId": "R-1",
        "orderedAt": "2026-03-01T12:00:00.000Z",
        "status": "PURCHASED",
        "currencyCode": "EUR",
        "price": 12,
        "channel": "WEB",
        "pointOfSale": "default",
        "paymentType": "Card",
    }
    ref = api.post("/v2.1/orders", json=order).json()["ref"]
    names = {name: PERSON[name] for name in ("firstName", "lastName", "identifiers")}
    assert api.post(f"/v2.1/orders/{ref}/contacts", json=names).status_code == 201
    with keyed(site, Scope.READ, Scope.WRITE) as plain:
        for path in (
            f"/v2.1/guests/{guest['ref']}?expand=true",
            "/v2.1/guests?expand=true",
            f"/v2/guests/{guest['ref']}?expand=true",
            f"/v2.1/guests/{guest['ref']}/extensions/ext",
            f"/v2.1/orders/{ref}?expand=true",
            f"/v2.1/orders/{ref}/contacts?expand=true",
            f"/v2/orders/{ref}?expand=true",
        ):
            answer = plain.get(path)
            assert answer.status_code == 200, (path, answer.text)
            assert "lanted" not in answer.text, path
            assert "Wilhelmina" not in answer.text, path
            assert "+353" not in answer.text, path
        record = plain.get(f"/v2.1/guests/{guest['ref']}").json()
        assert (record["country"], record["guestType"]) == ("IE", "customer")
        pairs = plain.get(f"/v2.1/guests/{guest['ref']}/extensions/ext").json()
        assert (pairs["points"], pairs["vip"]) == (7, True)
        # What it writes, it may write; the answer leaves it out all the same.
        changed = plain.patch(f"/v2.1/guests/{guest['ref']}", json={"lastName": "Replanted"})
        assert changed.status_code == 200
        assert "lanted" not in changed.text
        # Who reads and then replaces loses nothing that they could not see.
        replaced = plain.put(
            f"/v2.1/guests/{guest['ref']}", json={"guestType": "customer", "country": "GB"}
        )
        assert replaced.status_code == 200, replaced.text
    after = api.get(f"/v2.1/guests/{guest['ref']}").json()
    assert (after["lastName"], after["country"]) == ("Replanted", "GB")
    assert after["city"] == "Planted Cork"
    assert after["email"] == "planted@example.com"


@pytest.mark.parametrize(
    "query",
    [
        "email=planted@example.com",
        "identifiers.provider=email&identifiers.id=planted@example.com",
        "lastName=Planted",
        "phoneNumber=%2B353161123345",
        "postCode=T12",
        "city=Cork",
        "state=Munster",
        "sort=lastName::ASC",
    ],
)
def test_s7_filters_by_personal_fields_are_403(api: Api, site: Site, query: str) -> None:
    with keyed(site, Scope.READ) as plain:
        answer = plain.get(f"/v2.1/guests?{query}")
        assert answer.status_code == 403
        assert "personal_data" in answer.json()["message"]
        assert plain.get("/v2.1/guests?country=IE&sort=createdAt::ASC").status_code == 200


def definition(rule: dict[str, Any]) -> dict[str, Any]:
    group = {"entity": "guest", "ruleOperator": "AND", "rules": [rule]}
    return {"operator": "AND", "filterGroups": [group]}


NAMES = {"field": "lastName", "comparator": "is equal to", "values": ["Planted"]}
TIER_RULE = {"location": "ext", "field": "tier", "comparator": "is equal to", "values": ["gold"]}
POINTS = {
    "location": "ext",
    "field": "points",
    "comparatorDataType": "number",
    "comparator": "is greater than",
    "values": [5],
}
CITY = {"field": "city", "comparator": "is equal to", "values": ["Cork"]}
COUNTRY = {"field": "country", "comparator": "is equal to", "values": ["IE"]}


@pytest.mark.parametrize(
    ("params", "status"),
    [
        (definition(NAMES), 403),
        (definition(TIER_RULE), 403),
        ({"sql": "SELECT guest_ref FROM guests WHERE core_last_name = 'Planted'"}, 403),
        (definition(CITY), 403),  # S8: it locates a person
        (definition(COUNTRY), 200),
        (definition(POINTS), 200),
    ],
)
def test_s7_rules_on_personal_fields_are_403(
    api: Api, site: Site, params: dict[str, Any], status: int
) -> None:
    with keyed(site, Scope.READ, Scope.WRITE) as plain:
        answer = plain.post(f"{SEGMENTS}/preview", json={"definition": params})
        assert answer.status_code == status, answer.text
        created = plain.post(SEGMENTS, json={"name": "Some", "definition": params})
        assert created.status_code == (201 if status == 200 else 403), created.text


def test_s7_a_segment_is_shown_without_what_it_compares_persons_with(api: Api, site: Site) -> None:
    body = {"name": "Named", "definition": definition(NAMES)}
    segment = api.post(SEGMENTS, json=body).json()
    with keyed(site, Scope.READ) as plain:
        for path in (f"{SEGMENTS}/{segment['ref']}", SEGMENTS, "/v4/segmentDefinitions"):
            answer = plain.get(path)
            assert answer.status_code == 200
            assert "Planted" not in answer.text
            assert "lastName" in answer.text
        assert plain.get(f"{SEGMENTS}/values?entity=guest&field=lastName").status_code == 403
        assert plain.get(f"{SEGMENTS}/values?entity=guest&field=country").status_code == 200


def test_s7_events_need_the_scope_write(api: Api, site: Site) -> None:
    query = "/v1.2/browser/create.json?message={}&client_key="
    with keyed(site, Scope.READ) as reader, keyed(site, Scope.WRITE) as writer:
        assert api.get(query + reader.client_key, auth=None).status_code == 403
        assert api.get(query + writer.client_key, auth=None).status_code in (200, 201)


def test_s7_a_developer_makes_no_key_that_sees_more_than_they_do(site: Site, api: Api) -> None:
    api.guest(**PERSON)
    developer = log_in(site, "developer")
    with closing(developer.http):
        _cannot_widen(developer, site, api)


def _cannot_widen(developer: Person, site: Site, api: Api) -> None:
    page = developer.get("/settings").text
    assert 'value="personal_data"' not in page
    form = {"action": "create", "name": "mine", "compatibility": "open"}
    refused = developer.post("/settings", **form, scopes=["read", "personal_data"])
    assert refused.status_code == 403
    response = developer.post("/settings", **form, scopes=["read"])
    assert response.status_code == 200, response.text
    client_key, token = (
        response.text.partition(f'id="fresh-{name}">')[2].partition("<")[0]
        for name in ("key", "token")
    )
    with Api(site.url, client_key, token) as own:
        listed = own.get("/v2.1/guests?expand=true")
        assert listed.status_code == 200
        assert "lanted" not in listed.text
    # A wider key's token is not to be had by rotating it, nor by widening one's own.
    rotate = developer.post("/settings", action="rotate", client_key=api.client_key)
    assert rotate.status_code == 403
    widen = developer.post(
        "/settings", action="scopes", client_key=client_key, scopes=["read", "personal_data"]
    )
    assert widen.status_code == 403
    assert developer.post("/settings/oauth", action="create", name="x").status_code == 403
    assert api.get("/v2.1/guests").status_code == 200


def test_s8_addresses_of_users_are_masked_for_keys_without_personal_data(
    api: Api, site: Site
) -> None:
    """Who merged, applied rules or changed a segment; a key with either scope sees it."""
    person = log_in(site, "owner")
    one, other = (api.guest(firstName=name)["ref"] for name in ("Ann", "Bea"))
    page = person.get(f"/guests/{one}/merge?other={other}").text
    version = re.search(r'name="version" value="([^"]+)"', page)
    assert version is not None
    form = {"one": one, "other": other, "survivor": one, "version": version[1]}
    assert person.post(f"/guests/{one}/merge?other={other}", **form).status_code == 303
    segment = api.post(SEGMENTS, json={"name": "Mine", "definition": definition(COUNTRY)}).json()[
        "ref"
    ]

    api.post("/innkeeper/v1/identity/apply", json={})
    with psycopg.connect(site.dsn, autocommit=True) as connection:
        # As the screens and the command of a user do.
        for table, column in (
            *(("segments", "modified_by"), ("segment_revisions", "modified_by")),
            ("identity_jobs", "actor"),
        ):
            connection.execute(f"UPDATE ws_live.{table} SET {column} = %s", [person.email])
    paths = (
        "/innkeeper/v1/merges",
        f"/innkeeper/v1/guests/{one}/identity/history",
        f"/innkeeper/v1/guests/{one}/identity",
    )
    open_paths = (
        "/innkeeper/v1/identity/jobs",
        f"{SEGMENTS}/{segment}",
        f"{SEGMENTS}/{segment}/revisions",
    )
    for path in (*paths, *open_paths):
        answer = api.get(path)
        assert person.email in answer.text, (path, answer.text)
    with keyed(site, Scope.READ, Scope.WRITE, Scope.DELETE) as plain:
        for path in open_paths:
            answer = plain.get(path)
            assert answer.status_code == 200
            assert person.email not in answer.text, path
            assert "o•••@•••" in answer.text, path
    with keyed(site, Scope.READ, Scope.ADMINISTRATION) as administrator:
        for path in open_paths:
            assert person.email in administrator.get(path).text, path
    person.http.close()
