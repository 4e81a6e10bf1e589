"""Identity over HTTP: rules, merges and their undo, explanations, guards, previews, jobs."""

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
from calling import NOBODY, Api, invalid, no_guest, problem
from ordering import refs_in

from innkeeper.jobs.worker import work_jobs

RULES = "/v2/tenants/identity-rules"
OWN = "/innkeeper/v1"
EMAIL = {"identityRule": "email", "providers": ["email"]}
NAME_AND_BIRTH = {
    "identityRule": "Name and birth",
    "providers": [],
    "fields": ["firstName", "lastName", "dateOfBirth"],
}


@pytest.fixture
def ruled(api: Api) -> Iterator[Api]:
    """The API, with the rules put back after the test."""
    yield api
    api.put(f"{OWN}/identity/rules", json={"rules": [EMAIL]})
    api.patch(f"{OWN}/identity/guards", json=dict.fromkeys(("groupLimit", "region", "never")))


def merged(api: Api, survivor: dict[str, Any], absorbed: dict[str, Any]) -> dict[str, Any]:
    payload = {"survivor": survivor["ref"], "absorbed": absorbed["ref"]}
    answer = api.post(f"{OWN}/merges", json=payload)
    assert answer.status_code == 201, answer.text
    return answer.json()


def order_of(api: Api, **contact: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A new order, and its contact."""
    order = api.post(
        "/v2.1/orders",
        json={
            "referenceId": str(uuid4()),
            "orderedAt": "2026-11-20T10:00:00Z",
            "currencyCode": "EUR",
            "price": 12,
        },
    ).json()
    answer = api.post(f"/v2.1/orders/{order['ref']}/contacts", json=contact)
    assert answer.status_code == 201, answer.text
    return order, answer.json()


def test_rules_are_listed_as_the_vendors_clients_read_them(ruled: Api) -> None:
    """identity.md 2: GET /v2/tenants/identity-rules is [{identityRule, providers[]}]."""
    assert ruled.get(RULES).json() == [EMAIL]


def test_a_rule_is_added_last_and_deleted_by_name(ruled: Api) -> None:
    added = {"identityRule": "CRM and loyalty", "providers": ["CRM", "loyalty"]}
    answer = ruled.post(RULES, json=added)
    assert answer.status_code == 201
    assert answer.json().items() >= added.items()
    path = f"{RULES}/{quote('CRM and loyalty')}"
    assert answer.headers["location"] == ruled.url + path
    assert ruled.get(RULES).json() == [EMAIL, added]
    assert ruled.post(RULES, json=added).status_code == 409
    assert ruled.delete(path).status_code == 200
    assert ruled.delete(path).status_code == 404
    assert ruled.get(RULES).json() == [EMAIL]


def test_more_than_five_rules_are_allowed(ruled: Api) -> None:
    names = [f"rule {number}" for number in range(7)]
    for name in names:
        ruled.post(RULES, json={"identityRule": name, "providers": [name]})
    listed = [rule["identityRule"] for rule in ruled.get(RULES).json()]
    assert listed == ["email", *names]


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({"identityRule": 1, "providers": ["a"]}, "identityRule", "must be a string"),
        (
            {"identityRule": "n" * 101, "providers": ["a"]},
            "identityRule",
            "size must be between 0 and 100",
        ),
        ({"identityRule": "n", "providers": [""]}, "providers[0]", "not a valid value"),
        ({"identityRule": "n", "providers": "a"}, "providers", "must be an array"),
        ({"identityRule": "a\tb", "providers": ["a"]}, "identityRule", "not a valid value"),
    ],
)
def test_a_bad_rule_is_refused(ruled: Api, body: Any, field: str, reason: str) -> None:
    answer = ruled.post(RULES, json=body)
    expected = invalid(field, reason)
    assert answer.status_code == 400
    assert answer.json() == {**expected, "moreInfo": expected["moreInfoUrl"]}


def test_a_rule_needs_a_condition_it_knows(ruled: Api) -> None:
    for body in ({"identityRule": "n"}, {"identityRule": "n", "fields": ["shoeSize"]}, {}):
        assert ruled.post(RULES, json=body).status_code == 400


def test_rules_are_reordered(ruled: Api) -> None:
    crm = {"identityRule": "crm", "providers": ["crm"]}
    ruled.post(RULES, json=crm)
    answer = ruled.post(f"{OWN}/identity/reorder", json={"identityRules": ["crm", "email"]})
    assert answer.json() == {"rules": [crm, EMAIL]}
    assert ruled.get(f"{OWN}/identity/rules").json() == {"rules": [crm, EMAIL]}
    bad = ruled.post(f"{OWN}/identity/reorder", json={"identityRules": ["crm"]})
    assert bad.status_code == 400


def test_a_rule_decides_at_once(ruled: Api) -> None:
    """identity.md 9, rule cache delay: effective at once."""
    payload = {
        "identifiers": [{"provider": "crm", "id": "7"}],
        "firstName": "Ann",
        "lastName": "Lee",
    }
    _, first = order_of(ruled, **payload)
    _, second = order_of(ruled, **payload)
    assert first["guest"] != second["guest"]
    ruled.put(
        f"{OWN}/identity/rules", json={"rules": [{"identityRule": "c", "providers": ["crm"]}]}
    )
    _, third = order_of(ruled, **payload)
    assert third["guest"] in (first["guest"], second["guest"])


def test_personal_fields_identify_where_a_rule_says_so(ruled: Api) -> None:
    """ID-2: nobody is found by an e-mail address or names alone until a rule of the kind that the
    vendor's data model 2.0 has is there; the provider's rule before it still goes first."""
    person = {"firstName": "Ann", "lastName": "Lee", "emails": ["ann@example.com"]}
    existing = ruled.guest(**person)
    other = ruled.guest(identifiers=[{"provider": "email", "id": "ann@example.com"}])

    def guest_of(**contact: Any) -> str:
        return order_of(ruled, **contact)[1]["guest"]["href"].rpartition("/")[2]

    stranger = guest_of(**person)
    assert stranger not in (existing["ref"], other["ref"])
    assert ruled.delete(f"/v2.1/guests/{stranger}").status_code == 204
    by_mail = {"identityRule": "mail", "providers": [], "fields": ["email"]}
    assert ruled.post(RULES, json=by_mail).status_code == 201
    assert guest_of(**person) == existing["ref"]
    assert guest_of(**person, identifiers=other["identifiers"]) == other["ref"]


def test_a_retired_guest_is_404_and_names_its_survivor(api: Api) -> None:
    """identity.md 9, ref of a retired guest; G-14."""
    survivor, absorbed = api.guest(firstName="A"), api.guest(firstName="B")
    api.extension(absorbed, name="ext", level=1)
    merged(api, survivor, absorbed)
    path = f"/v2.1/guests/{absorbed['ref']}"
    message = (
        f"Guest with ref {absorbed['ref']} for client key {api.client_key} was not found: "
        f"it was merged into guest {survivor['ref']}"
    )
    expected = problem(404, "The specified resource does not exist.", message)
    for answer in (
        api.get(path),
        api.put(path, json={}),
        api.patch(path, json={"city": "Cork"}),
        api.delete(path),
        api.get(path + "/extensions"),
        api.post(path + "/extensions", json={"name": "ext1", "level": 1}),
        api.get(f"{OWN}/guests/{absorbed['ref']}/identity"),
    ):
        assert (answer.status_code, answer.json()) == (404, expected)
    assert api.get(path + "/extensions/ext").status_code == 404
    listed = api.get("/v2.1/guests").json()
    assert [guest["ref"] for guest in listed["items"]] == [survivor["ref"]]
    assert listed["totalCount"] == 1


def test_a_merge_moves_no_field_and_its_undo_restores_both(api: Api) -> None:
    """identity.md 4: no field of the target changes; extensions of the absorbed stay with it."""
    survivor = api.guest(firstName="A")
    absorbed = api.guest(firstName="B", city="Cork", identifiers=[{"provider": "email", "id": "b"}])
    extension = api.extension(absorbed, name="ext", level=1)
    merge = merged(api, survivor, absorbed)
    assert api.get(f"/v2.1/guests/{survivor['ref']}").json() == survivor
    _, contact = order_of(api, identifiers=[{"provider": "email", "id": "B"}], country="IE")
    assert contact["guest"]["href"].endswith(survivor["ref"])
    reached = api.get(f"/v2.1/guests/{survivor['ref']}").json()
    assert (reached["country"], reached["guestType"]) == ("IE", "customer")
    answer = api.post(f"{OWN}/merges/{merge['ref']}/undo")
    assert answer.status_code == 200
    assert answer.json()["undoneBy"] == api.client_key
    assert api.get(f"/v2.1/guests/{survivor['ref']}").json() == survivor
    restored = api.get(f"/v2.1/guests/{absorbed['ref']}").json()
    assert restored.pop("modifiedAt") > absorbed.pop("modifiedAt")
    assert restored == {**absorbed, "country": "IE", "guestType": "customer"}
    path = f"/v2.1/guests/{absorbed['ref']}/extensions/ext"
    assert api.get(path).json() == extension
    contact = api.get(contact["href"]).json()
    assert contact["guest"]["href"].endswith(absorbed["ref"])
    again = api.post(f"{OWN}/merges/{merge['ref']}/undo")
    assert again.status_code == 409


def test_orders_of_a_survivor_are_those_of_the_absorbed_as_well(api: Api) -> None:
    """identity.md 4: orders move, in what is read."""
    survivor, absorbed = api.guest(firstName="A"), api.guest(firstName="B")
    order, _ = order_of(api, guest={"href": absorbed["href"]})
    merge = merged(api, survivor, absorbed)

    def orders(guest: dict[str, Any]) -> list[str]:
        answer = api.get("/v2.1/orders", params={"guestRef": guest["ref"]})
        return [item["ref"] for item in answer.json()["items"]]

    assert orders(survivor) == [order["ref"]]
    api.post(f"{OWN}/merges/{merge['ref']}/undo")
    assert (orders(survivor), orders(absorbed)) == ([], [order["ref"]])


def test_an_order_given_to_a_survivor_stays_with_it_after_undo(api: Api) -> None:
    """N-21, O-10: a contact who was merged into the guest is not the guest."""
    survivor, absorbed = api.guest(firstName="A"), api.guest(firstName="B")
    order, contact = order_of(api, guest={"href": absorbed["href"]})
    merge = merged(api, survivor, absorbed)
    body = {name: order[name] for name in ("referenceId", "orderedAt")}
    for _ in range(2):
        again = api.post(f"/v2.1/guests/{survivor['ref']}/orders", json=body)
        assert (again.status_code, again.json()["ref"]) == (201, order["ref"])

    def contacts() -> list[str]:
        people = api.get(f"{order['href']}/contacts?expand=true").json()["items"]
        return [person["guest"]["href"].rpartition("/")[2] for person in people]

    assert contacts() == [survivor["ref"], survivor["ref"]]
    assert api.post(f"{OWN}/merges/{merge['ref']}/undo").status_code == 200
    assert contacts() == [absorbed["ref"], survivor["ref"]]
    assert api.get(contact["href"]).json()["guest"] == {"href": absorbed["href"]}
    for guest in (survivor, absorbed):
        answer = api.get("/v2.1/orders", params={"guestRef": guest["ref"]})
        assert [item["ref"] for item in answer.json()["items"]] == [order["ref"]]


@pytest.mark.parametrize(
    "params",
    [
        {"email": "B@x.com"},
        {"email.untouched": "b@X.com"},
        {"identifiers.provider": "CRM", "identifiers.id": "7"},
    ],
)
def test_what_an_absorbed_guest_is_found_by_leads_to_its_survivor(
    api: Api, params: dict[str, str]
) -> None:
    """G-9, G-14, VG-2; identity.md 9: until the merge is undone."""
    survivor = api.guest(firstName="A")
    crm = {"provider": "CRM", "id": "7"}
    middle = api.guest(firstName="C")
    absorbed = api.guest(firstName="B", email="b@X.com", identifiers=[crm])

    def find() -> list[str]:
        page = api.get("/v2.1/guests", params=params).json()
        assert page["totalCount"] == len(page["items"])
        refs = [item["ref"] for item in page["items"]]
        assert refs_in(api.get("/v2/guests", params=params)) == refs
        return refs

    assert find() == [absorbed["ref"]]
    merge = merged(api, middle, absorbed)
    merged(api, survivor, middle)
    assert find() == [survivor["ref"]]
    assert api.post(f"{OWN}/merges/{merge['ref']}/undo").status_code == 200
    assert find() == [absorbed["ref"]]


def test_deleting_a_survivor_deletes_its_group(api: Api) -> None:
    """G-6: everything tied to the guest goes, records merged into it included."""
    survivor, absorbed = api.guest(), api.guest()
    merge = merged(api, survivor, absorbed)
    assert api.delete(f"/v2.1/guests/{survivor['ref']}").status_code == 204
    for ref in (survivor["ref"], absorbed["ref"]):
        answer = api.get(f"/v2.1/guests/{ref}")
        assert (answer.status_code, answer.json()) == (404, no_guest(api, ref))
    assert api.get(f"{OWN}/merges/{merge['ref']}").status_code == 404
    assert api.get("/v2.1/guests").json()["totalCount"] == 0


def test_only_two_live_guests_can_be_merged(api: Api) -> None:
    one, other = api.guest(), api.guest()
    merged(api, one, other)
    for each in (
        {"survivor": one["ref"], "absorbed": other["ref"]},
        {"survivor": one["ref"], "absorbed": one["ref"]},
        {"survivor": one["ref"], "absorbed": NOBODY},
        {"survivor": one["ref"], "absorbed": "x"},
        {"survivor": one["ref"]},
    ):
        answer = api.post(f"{OWN}/merges", json=each)
        assert answer.status_code == 400
        assert answer.json()["message"].startswith("absorbed: ")
    assert api.post(f"{OWN}/merges/{NOBODY}/undo").status_code == 404


def test_an_explanation_lists_every_joined_record(api: Api) -> None:
    survivor = api.guest(identifiers=[{"provider": "email", "id": "a@x.com"}])
    absorbed = api.guest()
    merge = merged(api, survivor, absorbed)
    order, _ = order_of(api, identifiers=[{"provider": "email", "id": " A@x.com "}])
    body = api.get(f"{OWN}/guests/{survivor['ref']}/identity").json()
    guest = {"ref": survivor["ref"], "href": survivor["href"]}
    assert body["guest"] == guest
    assert {one["ref"] for one in body["guests"]} == {survivor["ref"], absorbed["ref"]}
    assert body["merges"] == [merge]
    joined, *created = body["joined"]
    assert joined.pop("joinedAt").endswith("Z")
    # The guests were posted themselves, she by her address, the other by nothing (F5).
    assert [(one["guest"]["ref"], one.get("rule"), one["source"]) for one in created] == [
        (absorbed["ref"], None, "guest"),
        (survivor["ref"], "email", "guest"),
    ]
    assert {one["actor"] for one in created} == {api.client_key}
    assert joined == {
        "guest": guest,
        "rule": "email",
        "evidence": [{"provider": "email", "value": " A@x.com "}],
        "source": "order contact",
        "sourceRef": order["ref"],
        "actor": api.client_key,
    }


def test_history_lists_merges_and_undos(api: Api) -> None:
    survivor, absorbed = api.guest(), api.guest()
    merge = merged(api, survivor, absorbed)
    api.post(f"{OWN}/merges/{merge['ref']}/undo")
    for guest in (survivor, absorbed):
        events = api.get(f"{OWN}/guests/{guest['ref']}/identity/history").json()
        assert [(event["event"], event["by"]) for event in events] == [
            ("merged", api.client_key),
            ("undone", api.client_key),
        ]
        assert events[0]["merge"]["ref"] == merge["ref"]


def test_merges_are_listed_newest_first(api: Api) -> None:
    one, two, three = api.guest(), api.guest(), api.guest()
    first, second = merged(api, one, two), merged(api, one, three)
    page = api.get(f"{OWN}/merges").json()
    assert (page["items"], page["totalCount"]) == ([second, first], 2)
    of_two = api.get(f"{OWN}/merges", params={"guestRef": two["ref"]}).json()
    assert of_two["items"] == [first]
    wrong = api.get(f"{OWN}/merges", params={"guestRef": "x", "limit": 0})
    assert wrong.json()["errors"] == [
        "limit: must be greater than or equal to 1",
        "guestRef: not a valid value",
    ]


def test_values_that_never_identify_are_listed(ruled: Api) -> None:
    _, first = order_of(ruled, identifiers=[{"provider": "email", "id": "TEST@test.com"}])
    _, second = order_of(ruled, identifiers=[{"provider": "email", "id": "TEST@test.com"}])
    assert first["guest"] != second["guest"]
    page = ruled.get(f"{OWN}/identity/guarded").json()
    assert page["totalCount"] == 2
    entry = page["items"][0]
    assert entry["reason"] == "value never identifies"
    assert entry["evidence"] == [{"provider": "email", "value": "TEST@test.com"}]
    assert entry["guests"][0]["href"] == second["guest"]["href"]
    ruled.delete(second["guest"]["href"].removeprefix(ruled.url))
    assert ruled.get(f"{OWN}/identity/guarded").json()["totalCount"] == 1


def test_a_value_that_too_many_share_identifies_nobody(ruled: Api) -> None:
    shared = {"identifiers": [{"provider": "email", "id": "desk@hotel.com"}]}
    ruled.patch(f"{OWN}/identity/guards", json={"groupLimit": 2})
    guests = [ruled.guest(**shared) for _ in range(3)]
    _, contact = order_of(ruled, **shared)
    assert all(not contact["guest"]["href"].endswith(guest["ref"]) for guest in guests)
    (entry,) = ruled.get(f"{OWN}/identity/guarded").json()["items"]
    assert entry["reason"] == "too many guests share the value"


def test_guards_are_changed_and_restored(ruled: Api) -> None:
    path = f"{OWN}/identity/guards"
    before = ruled.get(path).json()
    assert (before["groupLimit"], "region" in before) == (100, False)
    assert "test@test.com" in before["never"]
    changed = ruled.patch(path, json={"groupLimit": 5, "region": "IE", "never": [" X "]}).json()
    assert changed == {"groupLimit": 5, "region": "IE", "never": ["x"]}
    restored = ruled.patch(path, json={"groupLimit": None, "region": None, "never": None})
    assert restored.json() == before
    for bad in ({"groupLimit": 0}, {"groupLimit": True}, {"region": "XX"}, {"never": [1]}):
        assert ruled.patch(path, json=bad).status_code == 400


def test_what_is_applied_is_what_was_previewed(ruled: Api, site: Any) -> None:
    """Nothing changes before `apply`, then exactly what the preview said; undone, nothing is left
    but what was written since."""
    rules = ruled.get(f"{OWN}/identity/rules").json()["rules"]
    person = {"firstName": "Seán", "lastName": "O'Neill", "dateOfBirth": "1980-02-01"}
    oldest = ruled.guest(**person)
    customer = ruled.guest(**{**person, "firstName": "SEAN", "guestType": "customer"})
    ruled.guest(**{**person, "dateOfBirth": "1980-02-02"})
    preview = ruled.post(f"{OWN}/identity/preview", json={"rules": [EMAIL, NAME_AND_BIRTH]}).json()
    assert (preview["guests"], preview["merging"], preview["groups"]) == (3, 1, 1)
    (group,) = preview["largest"]
    assert (group["survivor"]["ref"], group["size"]) == (customer["ref"], 2)
    (absorbed,) = group["absorbed"]
    assert absorbed["guest"]["ref"] == oldest["ref"]
    assert absorbed["rule"] == "Name and birth"
    assert {"field": "firstName", "value": "Seán"} in absorbed["evidence"]
    assert ruled.get(f"{OWN}/merges").json()["totalCount"] == 0

    answer = ruled.post(f"{OWN}/identity/apply", json={"rules": [EMAIL, NAME_AND_BIRTH]})
    assert answer.status_code == 202
    asyncio.run(work_jobs(site.settings, once=True))
    job = ruled.get(answer.headers["location"]).json()
    assert (job["state"], job["merged"]) == ("done", 1)
    (merge,) = ruled.get(f"{OWN}/merges").json()["items"]
    assert merge["survivor"]["ref"] == customer["ref"]
    assert merge["absorbed"]["ref"] == oldest["ref"]
    assert (merge["rule"], merge["source"], merge["actor"]) == (
        "Name and birth",
        "rule change",
        ruled.client_key,
    )
    assert ruled.post(f"{OWN}/identity/preview", json={}).json()["merging"] == 0
    _, contact = order_of(ruled, **{**person, "lastName": "ONEILL"})
    assert contact["guest"]["href"].endswith(customer["ref"])
    assert ruled.get(f"{OWN}/identity/jobs").json()["items"][0] == job

    before = ruled.get(f"{OWN}/identity/rules").json()
    assert ruled.patch(f"/v2.1/guests/{customer['ref']}", json={"city": "Cork"}).is_success
    undo = f"{OWN}/identity/jobs/{job['ref']}/undo"
    described = ruled.get(undo).json()
    assert (described["merges"], described["undone"], described["erased"]) == (1, 0, 0)
    assert (described["rules"], "blocked" in described) == ("restored", False)
    assert described["examples"] == [merge]
    assert [one["ref"] for one in described["changed"]] == [customer["ref"]]
    answer = ruled.post(undo)
    assert (answer.status_code, answer.json()["undoes"]) == (202, job["ref"])
    assert ruled.post(undo).status_code == 409  # It is being undone.
    asyncio.run(work_jobs(site.settings, once=True))
    undone = ruled.get(answer.headers["location"]).json()
    assert (undone["state"], undone["done"], undone["total"]) == ("done", 1, 1)
    assert ruled.get(f"/v2.1/guests/{oldest['ref']}").json() == oldest
    preview = ruled.get(f"/v2.1/guests/{customer['ref']}").json()
    assert {**preview, "modifiedAt": None} == {**customer, "city": "Cork", "modifiedAt": None}
    assert [one["identityRule"] for one in before["rules"]] == ["email", "Name and birth"]
    assert ruled.get(f"{OWN}/identity/rules").json()["rules"] == rules
    assert ruled.get(undo).json()["blocked"] == "No merge of this rule change is in force."
    assert ruled.post(undo).status_code == 409


def test_unknown_things_are_404(api: Api) -> None:
    for path in (
        f"{OWN}/guests/{NOBODY}/identity",
        f"{OWN}/guests/{NOBODY}/identity/history",
        f"{OWN}/merges/{NOBODY}",
        f"{OWN}/identity/jobs/{NOBODY}",
        f"{OWN}/identity/jobs/{NOBODY}/undo",
        f"{OWN}/nothing",
    ):
        assert api.get(path).status_code == 404
