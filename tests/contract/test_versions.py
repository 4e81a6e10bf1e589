"""F21: a write that names the version it read does not replace a newer one."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest
from calling import Api, problem
from test_errors import is_error
from waiting import PATIENCE_SECONDS

from innkeeper.wire.etags import expected_in

EVERYBODY = {"filterGroups": [{"entity": "guest"}]}
TRAIT = {"entity": "order", "function": "count"}
ORDER = {"referenceId": "R-1", "orderedAt": "2026-11-20T10:00:00Z", "currencyCode": "EUR"}
ORDER |= {"price": 10, "status": "PURCHASED", "channel": "WEB"}
OUTDATED = "The resource was changed since it was read."


@dataclass
class Kind:
    """One kind of resource with versions: how it is made, where it is, a write to it."""

    make: Callable[[Api], str]
    """Makes one; its path."""
    method: str
    body: dict[str, Any]
    other: dict[str, Any]
    """What somebody else writes meanwhile."""
    is_deleted: bool = True


def _guest(api: Api) -> str:
    return f"/v2.1/guests/{api.guest(firstName='Ann')['ref']}"


def _order(api: Api) -> str:
    return f"/v2.1/orders/{api.post('/v2.1/orders', json=ORDER).json()['ref']}"


def _legacy_guest(api: Api) -> str:
    return f"/v2/guests/{api.guest(firstName='Ann')['ref']}"


def _segment(api: Api) -> str:
    segment = api.post("/innkeeper/v1/segments", json={"name": "All", "definition": EVERYBODY})
    return f"/innkeeper/v1/segments/{segment.json()['ref']}"


def _export(api: Api) -> str:
    _segment(api)
    response = api.post("/innkeeper/v1/exports", json={"name": "Out", "segment": "all"})
    return f"/innkeeper/v1/exports/{response.json()['ref']}"


def _trait(api: Api) -> str:
    api.put("/innkeeper/v1/traits/bought", json=TRAIT)
    return "/innkeeper/v1/traits/bought"


RULES = {"rules": [{"identityRule": "email", "providers": ["email"]}]}
KINDS = {
    "guest, PATCH": Kind(_guest, "PATCH", {"firstName": "Bea"}, {"city": "Cork"}),
    "guest, PUT": Kind(
        _guest,
        "PUT",
        {"guestType": "customer", "firstName": "Bea"},
        {"guestType": "customer", "city": "Cork"},
    ),
    "guest, v2": Kind(
        *(_legacy_guest, "POST", {"firstName": "Bea"}, {"city": "Cork"}), is_deleted=False
    ),
    "order, PATCH": Kind(_order, "PATCH", {"price": 11}, {"price": 12}),
    "order, PUT": Kind(_order, "PUT", {**ORDER, "price": 11}, {**ORDER, "price": 12}),
    "segment": Kind(_segment, "PATCH", {"name": "Mine"}, {"name": "Theirs"}),
    "export": Kind(_export, "PATCH", {"name": "Mine"}, {"name": "Theirs"}),
    "trait": Kind(_trait, "PUT", TRAIT, {**TRAIT, "entity": "session"}),
    "rules": Kind(lambda _: "/innkeeper/v1/identity/rules", "PUT", RULES, RULES, is_deleted=False),
    "guards": Kind(
        *(lambda _: "/innkeeper/v1/identity/guards", "PATCH", {"groupLimit": 90}),
        {"groupLimit": 80},
        is_deleted=False,
    ),
}


@pytest.fixture(autouse=True)
def guards_as_before(api: Api) -> Any:
    yield
    api.patch("/innkeeper/v1/identity/guards", json={"groupLimit": None})
    api.put("/innkeeper/v1/identity/rules", json=RULES)


def send(api: Api, kind: Kind, path: str, body: dict[str, Any], match: str | None) -> Any:
    headers = {} if match is None else {"If-Match": match}
    return api.request(kind.method, path, json=body, headers=headers)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_f21_a_version_that_is_no_more_is_412(api: Api, kind: Kind) -> None:
    path = kind.make(api)
    read = api.get(path)
    version = read.headers["etag"]
    assert api.get(path).headers["etag"] == version, "reading changes nothing"
    # Somebody else writes, without the header, as ever.
    other = send(api, kind, path, kind.other, None)
    assert other.status_code == 200, other.text
    assert other.headers["etag"] != version
    assert api.get(path).headers["etag"] == other.headers["etag"]
    before = api.get(path).json()
    late = send(api, kind, path, kind.body, version)
    assert late.status_code == 412
    assert late.headers["etag"] == other.headers["etag"]
    body = late.json()
    if path.startswith("/v2/"):
        assert body.pop("moreInfo") == body["moreInfoUrl"], "as the dialect has it (ER-2)"
    assert is_error(body, 412), late.text
    assert body["message"] == OUTDATED
    assert api.get(path).json() == before
    again = send(api, kind, path, kind.body, late.headers["etag"])
    assert again.status_code == 200, again.text
    assert again.headers["etag"] == api.get(path).headers["etag"]
    assert again.headers["etag"] != late.headers["etag"]


@pytest.mark.parametrize(
    "kind", [kind for kind in KINDS.values() if kind.is_deleted], ids=lambda kind: kind.method
)
def test_f21_a_delete_heeds_the_version_too(api: Api, kind: Kind) -> None:
    path = kind.make(api)
    version = api.get(path).headers["etag"]
    send(api, kind, path, kind.other, None)
    late = api.delete(path, headers={"If-Match": version})
    assert late.status_code == 412, late.text
    assert api.get(path).status_code == 200
    headers = {"If-Match": api.get(path).headers["etag"]}
    assert api.delete(path, headers=headers).is_success
    assert api.get(path).status_code == 404


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_f21_any_version_several_and_weak_ones_match(api: Api, kind: Kind) -> None:
    path = kind.make(api)
    for form in ("*", '"0", {}', "W/{}", '"0",{},W/"1"'):
        version = api.get(path).headers["etag"]
        answer = send(api, kind, path, kind.body, form.format(version))
        assert answer.status_code == 200, (form, answer.text)


def test_f21_the_answer_to_a_create_has_the_version(api: Api) -> None:
    for path, body in (
        ("/v2.1/guests", {"guestType": "visitor"}),
        ("/v2.1/orders", ORDER),
        ("/innkeeper/v1/segments", {"name": "All", "definition": EVERYBODY}),
        ("/innkeeper/v1/exports", {"name": "Out", "segment": "all"}),
    ):
        response = api.post(path, json=body)
        assert response.status_code == 201, response.text
        answer = api.get(response.headers["location"])
        assert response.headers["etag"] == answer.headers["etag"], path
    # The same order again changes it, even to the same.
    first = response = api.post("/v2.1/orders", json=ORDER)
    response = api.post("/v2.1/orders", json=ORDER)
    assert response.headers["etag"] != first.headers["etag"]
    assert (
        api.get(f"/v2.1/orders/{response.json()['ref']}").headers["etag"]
        == response.headers["etag"]
    )


def test_f21_whatever_changes_a_guest_changes_its_version(api: Api) -> None:
    """An order's contact, an event, a merge and its undo: not the REST writes alone."""
    email = "ann@example.com"
    event = {"email": email, "identifiers": [{"provider": "email", "id": email}]}
    guest = api.guest(**event)
    path = f"/v2.1/guests/{guest['ref']}"
    response = [api.get(path).headers["etag"]]

    def changed(why: str) -> None:
        response.append(api.get(path).headers["etag"])
        assert len(set(response)) == len(response), why

    order = api.post("/v2.1/orders", json=ORDER).json()["ref"]
    contact = {"firstName": "Ann", "lastName": "Byrne", **event}
    assert api.post(f"/v2.1/orders/{order}/contacts", json=contact).is_success
    changed("a contact fills what is empty")
    other = api.guest(lastName="Other", city="Cork")
    merged = api.post(
        "/innkeeper/v1/merges", json={"survivor": guest["ref"], "absorbed": other["ref"]}
    )
    assert merged.status_code == 201, merged.text
    changed("a merge")
    assert api.patch(path, json={"city": "Galway"}).is_success
    changed("a patch of a guest that stands for others")
    undo = api.post(f"/innkeeper/v1/merges/{merged.json()['ref']}/undo")
    assert undo.status_code == 200, undo.text
    changed("an undo")


def test_f21_writes_in_one_millisecond_have_versions_of_their_own(
    api: Api, connection: psycopg.Connection
) -> None:
    """The time that is shown has milliseconds; two writes of one are still two versions."""
    for make, write in ((_guest, {"city": "Cork"}), (_segment, {"name": "B"})):
        path = make(api)
        table = "guests" if make is _guest else "segments"
        ahead = f"UPDATE ws_live.{table} SET modified_at = now() + interval '1 hour'"
        connection.execute(ahead)
        versions = {api.get(path).headers["etag"]}
        for _ in range(5):
            assert api.patch(path, json=write).is_success
            versions.add(api.get(path).headers["etag"])
        assert len(versions) == 6, path


def test_f21_of_many_writers_with_one_version_one_writes(api: Api) -> None:
    """The version is compared under the lock of the write."""
    path = _guest(api)
    version = api.get(path).headers["etag"]
    ready = threading.Barrier(8)

    def write(number: int) -> int:
        with api.another() as own:
            ready.wait(PATIENCE_SECONDS)
            body = {"city": f"City {number}"}
            return own.patch(path, json=body, headers={"If-Match": version}).status_code

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(write, range(8)))
    assert answers == [200] + [412] * 7


def test_f21_a_resource_without_versions_has_none_that_match(api: Api) -> None:
    guest = api.guest()
    api.extension(guest, name="ext", tier="Gold")
    path = f"/v2.1/guests/{guest['ref']}/extensions/ext"
    assert "etag" not in api.get(path).headers
    body = {"name": "ext", "tier": "Silver"}
    assert api.put(path, json=body, headers={"If-Match": '"1"'}).status_code == 412
    assert api.put(path, json=body, headers={"If-Match": "*"}).status_code == 200
    assert api.put(path, json=body).status_code == 200


def test_f21_a_trait_that_is_not_there_has_no_version(api: Api) -> None:
    answer = api.put("/innkeeper/v1/traits/fresh", json=TRAIT, headers={"If-Match": '"1"'})
    assert answer.status_code == 412
    answer = api.put("/innkeeper/v1/traits/fresh", json=TRAIT, headers={"If-Match": "*"})
    assert answer.status_code == 412
    assert api.get("/innkeeper/v1/traits/fresh").status_code == 404
    built = api.get("/innkeeper/v1/traits/orderCount")
    assert (built.status_code, built.json()["builtin"]) == (200, True)
    assert "etag" not in built.headers


@pytest.mark.parametrize(
    "header", ["", "1", '"a', 'a"', '"a" "b"', '"a",,"b"', "*,*", '"é"x', '"' + "a" * 2000 + '"']
)
def test_f21_a_header_that_is_no_list_of_versions_is_400(api: Api, header: str) -> None:
    path = _guest(api)
    payload = {"If-Match": header.encode("latin-1")}
    answer = api.patch(path, json={"city": "Cork"}, headers=payload)
    message = "If-Match must be * or a list of ETags."
    assert (answer.status_code, answer.json()) == (400, problem(400, message))


def test_f21_pages_may_read_the_version_and_send_it_back(api: Api) -> None:
    origin = {"Origin": "https://shop.example"}
    answer = api.get(_guest(api), headers=origin)
    assert "ETag" in answer.headers["access-control-expose-headers"].split(", ")
    payload = {**origin, "Access-Control-Request-Method": "PATCH"}
    payload["Access-Control-Request-Headers"] = "if-match"
    preflight = httpx.options(f"{api.url}/v2.1/guests", headers=payload)
    assert "If-Match" in preflight.headers["access-control-allow-headers"].split(", ")


def test_f21_it_is_described(api: Api) -> None:
    paths = api.get("/openapi.json").json()["paths"]
    of_guest = paths["/v2.1/guests/{guestRef}"]
    assert "ETag" in of_guest["get"]["responses"]["200"]["headers"]
    for method in ("put", "patch", "delete"):
        names = [each["name"] for each in of_guest[method]["parameters"]]
        assert "If-Match" in names
        assert "412" in of_guest[method]["responses"]
    of_items = paths["/v2.1/orderItems/{orderItemRef}"]["patch"]
    assert "If-Match" not in [each["name"] for each in of_items["parameters"]]


def test_f21_a_header_is_read_as_rfc_9110_has_it() -> None:
    assert expected_in(None) is None
    assert expected_in(b"*").versions is None  # type: ignore[union-attr]
    assert expected_in(b'"a" , W/"b"').versions == {"a", "b"}  # type: ignore[union-attr]
