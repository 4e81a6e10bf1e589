"""F18: the API description tells the truth, of every operation.

`Api` checks each answer of the whole suite against the description (`described.py`); the tour
below calls every operation once at least, and reads what only a good answer shows.
"""

import gzip
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import psycopg
import pytest
from calling import Api
from described import STATUSES, document
from logging_in import invited
from ordering import ITEM, ORDER, PERSON, V2_ITEM, WHOLE_ORDER
from sites import Site
from streams import JANE, product, work_on

from innkeeper.actions.admin import keys, oauth
from innkeeper.jobs.privacy import search_files
from innkeeper.rules.access import Role
from innkeeper.rules.scopes import EVERY_SCOPE


def owner(name: str) -> dict[str, Any]:
    """What identifies one guest of the tour, whom identity rules must not join to others."""
    return {"identifiers": [{"provider": "email", "id": f"{name}@example.com"}]}


DEFINITION = {
    "operator": "AND",
    "filterGroups": [
        {
            "entity": "guest",
            "rules": [{"field": "city", "comparator": "is not null", "values": []}],
        },
        {"entity": "event", "count": {"comparator": "is less than", "values": [5]}},
        {
            "entity": "order",
            "filterGroupType": "EXCLUDE",
            "sum": {
                "field": "price",
                "currency": "EUR",
                "comparator": "is greater than",
                "values": [10**6],
            },
        },
        {
            "filterGroupType": "EXCLUDE",
            "sequence": [
                {"entity": "event", "type": "VIEW"},
                {"entity": "order", "absent": True, "withinDays": 7},
            ],
        },
    ],
}


def schemas_in(value: Any, at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema that says what type its values have, and where it stands."""
    if isinstance(value, dict):
        if "type" in value and not isinstance(value["type"], dict):
            yield at, value
        for name, each in value.items():
            yield from schemas_in(each, f"{at}/{name}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from schemas_in(each, f"{at}/{index}")


@pytest.mark.parametrize("compatibility", ["open", "official"])
def test_f18_every_array_says_what_is_in_it(compatibility: str) -> None:
    """Generators of clients drop an operation with an array of they know not what."""
    types = schemas_in(document(compatibility).body)
    bare = [at for at, each in types if "array" in _types(each) and "items" not in each]
    assert bare == []


@pytest.mark.parametrize("compatibility", ["open", "official"])
def test_f18_every_object_says_what_is_in_it(compatibility: str) -> None:
    """Its members, or of what kind they are where only their sender knows their names."""
    types = schemas_in(document(compatibility).body)
    says = {"properties", "additionalProperties", "patternProperties"}
    bare = [at for at, each in types if "object" in _types(each) and not says & each.keys()]
    assert bare == []


def test_f18_operations_have_names_of_their_own() -> None:
    """An operationId stands once; clients name their functions after it."""
    for compatibility in ("open", "official"):
        names = [name for name, _, _ in _operations(compatibility)]
        assert len(names) == len(set(names)) > 180


def _types(schema: dict[str, Any]) -> list[str]:
    result = schema["type"]
    return [result] if isinstance(result, str) else result


def _operations(compatibility: str) -> list[tuple[str, str, str]]:
    """(operationId, method, path) of all."""
    return [
        (operation["operationId"], method.upper(), path)
        for path, item in document(compatibility).body["paths"].items()
        for method, operation in item.items()
    ]


class Tour:
    """Calls operations by their ids."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.where = {name: rest for name, *rest in _operations(api.compatibility)}

    def __call__(self, name: str, *values: str, api: Api | None = None, **more: Any) -> Any:
        """The body of a good answer; `values` stand for the parameters of the path, in order."""
        method, path = self.where[name]
        for value in values:
            before, _, rest = path.partition("{")
            path = before + quote(value, safe="") + rest.partition("}")[2]
        answer = (api or self.api).request(method, path, **more)
        assert answer.is_success, f"{name}: {answer.status_code} {answer.text}"
        is_json = answer.headers.get("content-type") == "application/json"
        return answer.json() if answer.content and is_json else answer.text


@pytest.mark.parametrize("compatibility", ["open", "official"])
def test_f18_every_operation_answers_as_described(
    site: Site, api: Api, official: Api, compatibility: str
) -> None:
    """Every operation is called; `Api.send` checks status, headers and every member."""
    chosen = official if compatibility == "official" else api
    STATUSES.clear()
    tour = Tour(chosen)
    visit_guests(tour)
    visit_orders(tour)
    visit_nested_orders(tour)
    if compatibility == "open":
        # The rest is the same for both.
        visit_v2(tour)
        visit_configuration(tour)
        visit_identity(tour, site)
        visit_segments(tour, site)
        visit_static_lists(tour)
        visit_exports(tour, site)
        visit_files(tour, site)
        visit_streams(tour, site)
        visit_keys(tour, site)
        visit_privacy(tour)
        visit_sandbox(tour, site)
        every = {name for name, _, _ in _operations("open")}
    else:
        every = {name for name, _, path in _operations("official") if path.startswith("/v2.1/")}
    good = {name for name, statuses in STATUSES.items() if any(status < 300 for status in statuses)}
    assert every - good == set()


def visit_guests(tour: Tour) -> None:
    body = {"guestType": "customer", "city": "Cork", "gender": "Female", **PERSON}
    ref = tour("createGuest", json={**body, "dateOfBirth": "1990-02-03", "language": "en-IE"})[
        "ref"
    ]
    tour("createGuestExtension", ref, json={"name": "ext", "tier": "gold"})
    tour("listGuest", params={"expand": "true", "email": PERSON["emails"][0]})
    tour("fetchGuest", ref, params={"expand": "dataExtensions"})
    tour("replaceGuest", ref, json=body)
    tour("patchGuest", ref, json={"city": "Dublin"})
    tour("listGuestExtension", ref)
    tour("listGuestExtension", ref, params={"limit": 1})
    tour("fetchGuestExtension", ref, "ext")
    tour("replaceGuestExtension", ref, "ext", json={"tier": "silver", "points": 2.5})
    tour("patchGuestExtension", ref, "ext", json={"isVip": True})
    tour("clearGuestExtension", ref, "ext", params={"name": "tier"})
    tour("deleteGuestExtension", ref, "ext")
    tour("deleteGuest", ref)


def visit_orders(tour: Tour) -> None:
    order = tour("createOrder", json=WHOLE_ORDER)["ref"]
    item = tour("createOrderItem", order, json={**ITEM, "quantity": 2})["ref"]
    contact = tour("createOrderContact", order, json=PERSON)["ref"]
    uses = {"items": [{"href": f"{tour.api.url}/v2.1/orderItems/{item}"}]}
    consumer = tour("createOrderConsumer", order, json={**PERSON, "orderItems": uses})["ref"]
    for name, parent in (("OrderExtension", order), ("OrderItemExtension", item)):
        tour(f"create{name}", parent, "ext", json={"tier": "gold"})
        for query in ({}, {"expand": "true"}):
            tour(f"list{name}", parent, params=query)
        tour(f"fetch{name}", parent, "ext")
        tour(f"replace{name}", parent, "ext", json={"tier": "silver"})
        tour(f"patch{name}", parent, "ext", json={"points": 3})
        tour(f"clear{name}", parent, "ext", params={"name": "tier"})
    for query in ({}, {"expand": "true"}, {"expand": "contacts,orderItems"}):
        tour("listOrder", params=query)
        tour("fetchOrder", order, params=query)
        for part in ("OrderItem", "OrderContact", "OrderConsumer"):
            tour(f"list{part}", order, params=query)
        tour("listConsumerOrderItem", consumer, params=query)
    tour("createOrder", json=WHOLE_ORDER)
    tour("replaceOrder", order, json=WHOLE_ORDER)
    tour("patchOrder", order, json={"status": "CONFIRMED"})
    people = {"OrderContact": contact, "OrderConsumer": consumer}
    for part, ref, body in [
        ("OrderItem", item, ITEM),
        *((a, b, PERSON) for a, b in people.items()),
    ]:
        tour(f"fetch{part}", ref, params={"expand": "true"})
        tour(f"replace{part}", ref, json=body)
        tour(
            f"patch{part}",
            ref,
            json={"language": "EN"} if part == "OrderItem" else {"city": "Cork"},
        )
    tour("deleteOrderItemExtension", item, "ext")
    tour("deleteOrderExtension", order, "ext")
    for part, ref in {"OrderItem": item, **people}.items():
        tour(f"delete{part}", ref)
    tour("deleteOrder", order)


def visit_nested_orders(tour: Tour) -> None:
    guest = tour("createGuest", json={"guestType": "customer", **owner("nested_orders")})["ref"]
    body = {key: ORDER[key] for key in ("referenceId", "orderedAt")}
    body |= {"totalPrice": 12.5, "currencyCode": "EUR", "status": "SHIPPED"}
    order = tour("createNestedOrder", guest, json=body)["ref"]
    tour("createNestedOrderItem", guest, order, json={"sku": "S-1", "quantity": 2, "price": 1.5})
    for query in ({}, {"expand": "true"}, {"limit": 1}):
        tour("listNestedOrder", guest, params=query)
        tour("fetchNestedOrder", guest, order, params=query)
        tour("listNestedOrderItem", guest, order, params=query)
    # What another dialect wrote.
    tour("createOrderItem", order, json={**ITEM, "productId": "S-2"})
    tour("listOrderItem", order, params={"expand": "true"})
    tour("fetchNestedOrder", guest, order)
    tour("replaceNestedOrder", guest, order, json=body)
    tour("deleteNestedOrder", guest, order)


def visit_v2(tour: Tour) -> None:
    guest = tour("createV2Guest", json={"guestType": "customer", "city": "Cork", **owner("v2")})[
        "ref"
    ]
    tour("replaceV2Guest", guest, json={"guestType": "customer", "firstName": "Jo", **owner("v2")})
    order = tour("createV2Order", json={**WHOLE_ORDER, "referenceId": "V2-1"})["ref"]
    tour("replaceV2Order", order, json={**WHOLE_ORDER, "referenceId": "V2-1"})
    for what, parent in (("V2GuestExtension", guest), ("V2OrderExtension", order)):
        ref = tour(f"create{what}", parent, "Loyalty", json={"key": "a", "tier": "gold"})["ref"]
        tour(f"list{what}", parent, "Loyalty")
        tour(f"list{what}", parent, "Loyalty", params={"expand": "true"})
        tour(f"fetch{what}", parent, "Loyalty", ref)
        tour(f"replace{what}", parent, "Loyalty", ref, json={"key": "a", "tier": "silver"})
    more = {"flightSegments": [SEGMENT], "seatMap": {"row": 4}}
    item = tour("createV2OrderItem", order, json={**V2_ITEM, **more})["ref"]
    tour("replaceV2OrderItem", item, json={**V2_ITEM, **more})
    link = {"href": f"{tour.api.url}/v2/guests/{guest}"}
    contact = tour("createV2OrderContact", order, json={**PERSON, "guest": link})["ref"]
    consumer = tour("createV2OrderConsumer", order, json=PERSON)["ref"]
    tour("replaceV2OrderContact", contact, json=PERSON)
    tour("replaceV2OrderConsumer", consumer, json=PERSON)
    for query in ({}, {"expand": "true"}):
        tour("listV2Guest", params=query)
        tour("fetchV2Guest", guest, params=query)
        tour("listV2Order", params={"referenceId": "V2-1", **query})
        tour("fetchV2Order", order, params=query)
        tour("listV2OrderItem", order, params=query)
        tour("fetchV2OrderItem", item, params=query)
        tour("listV2OrderContact", order, params=query)
        tour("fetchV2OrderContact", contact, params=query)
        tour("listV2OrderConsumer", order, params=query)
        tour("fetchV2OrderConsumer", consumer, params=query)
    context = tour("fetchGuestContext", guest)
    assert len(context["orders"]) == len(context["dataExtensions"]) == 1
    for what, parent in (("V2GuestExtension", guest), ("V2OrderExtension", order)):
        ref = tour(f"list{what}", parent, "Loyalty")["items"][0]["href"].rpartition("/")[2]
        tour(f"delete{what}", parent, "Loyalty", ref)
        tour(f"create{what}", parent, "Loyalty", json={"key": "b", "tier": "gold"})
        tour(f"deleteEvery{what}", parent, "Loyalty")
    tour("deleteV2OrderItem", item)
    tour("deleteV2OrderContact", contact)


SEGMENT = {
    "id": "1",
    "origin": "DUB",
    "destination": "LHR",
    "departureDateTime": "2025-12-24T09:30:00.000Z",
    "arrivalDateTime": "2025-12-24T10:50:00.000Z",
    "flightNumber": "EI154",
    "fareClass": "Y",
    "carrier": "EI",
    "seatRow": {"number": 12},
}


def visit_configuration(tour: Tour) -> None:
    tour("listLongJobs")
    tour("fetchConfiguration")
    place = {"name": f"tour/{uuid4().hex}", "market": "France", "brand": "Spin", "language": "FR"}
    tour("createPointOfSale", json={**place, "timeout": 30, "test": True})
    tour("listPointsOfSale")
    tour("deletePointOfSale", place["name"])
    rule = {"identityRule": f"Tour {uuid4().hex}", "providers": ["CRM"], "fields": ["lastName"]}
    tour("createIdentityRule", json=rule)
    tour("listIdentityRules")
    tour("deleteIdentityRule", rule["identityRule"])


def visit_identity(tour: Tour, site: Site) -> None:
    first, second = (
        tour("createGuest", json={"guestType": "customer", "firstName": "Jo"})["ref"]
        for _ in range(2)
    )
    ref = tour("createMerge", json={"survivor": first, "absorbed": second})["ref"]
    tour("fetchMerge", ref)
    tour("listMerges", params={"guestRef": first, "limit": 1})
    tour("explainGuest", first)
    tour("undoMerge", ref)
    tour("fetchMerge", ref)
    assert [one["event"] for one in tour("listGuestHistory", first)]
    tour("createOrderContact", tour("createOrder", json=ORDER)["ref"], json=PERSON)
    jane = tour("createGuest", json={"guestType": "customer", **PERSON})["ref"]
    tour("createOrderContact", tour("createOrder", json=ORDER)["ref"], json=PERSON)
    tour("explainGuest", jane)
    rules = tour("fetchIdentityRules")
    tour("replaceIdentityRules", json=rules)
    tour(
        "reorderIdentityRules",
        json={"identityRules": [one["identityRule"] for one in rules["rules"]]},
    )
    tour("previewIdentityRules", json=rules)
    job = tour("applyIdentityRules", json=rules)["ref"]
    tour("fetchIdentityJob", job)
    tour("listIdentityJobs", params={"offset": 0})
    tour("fetchIdentityGuards")
    tour("changeIdentityGuards", json={"groupLimit": 1})
    tour("createOrderContact", tour("createOrder", json=ORDER)["ref"], json=PERSON)
    tour("previewIdentityRules", json=rules)
    tour("changeIdentityGuards", json={"groupLimit": None})
    tour("listIdentityGuarded")
    site.run_worker()
    pair = {"guestType": "visitor", "identifiers": [{"provider": "tour", "id": "rule change"}]}
    for _ in range(2):
        tour("createGuest", json=pair)
    added = {"identityRule": "Tour of undos", "providers": ["tour"], "fields": []}
    job = tour("applyIdentityRules", json={"rules": [*rules["rules"], added]})["ref"]
    site.run_worker()
    assert tour("previewIdentityUndo", job)["merges"] == 1
    tour("undoIdentityJob", job)


def visit_segments(tour: Tour, site: Site) -> None:
    guest = tour(
        "createGuest", json={"guestType": "customer", "city": "Cork", **owner("segments")}
    )["ref"]
    body = {"name": "Tour", "definition": DEFINITION, "webhook": "https://example.com/x"}
    body["tags"] = ["a"]
    segment = tour("createSegment", json=body)["ref"]
    tour("changeSegment", segment, json={"name": "Tour 2", "archived": False})
    assert tour("previewSegment", json={"definition": DEFINITION})["size"] >= 1
    tour("previewSegment", json={"definition": {"sql": "SELECT guest_ref FROM guests"}})
    tour("listSegmentFields")
    assert tour("explainSql", json={"sql": "SELECT guest_ref FROM guests"})["steps"]
    tour("saveQuery", "Tour", json={"sql": "SELECT guest_ref FROM guests"})
    tour("fetchSavedQuery", "Tour")
    assert len(tour("listSavedQueries")["items"]) == 1
    tour("renameQuery", "Tour", json={"name": "Round"})
    tour("deleteSavedQuery", "Round")
    views = {view["name"]: view["columns"] for view in tour("listSqlViews")["items"]}
    samples = {each["name"]: each["samples"] for each in views["guests"]}
    assert "Cork" in samples["core_city"]
    query = {"entity": "guest", "field": "city", "contains": "o"}
    assert tour("listSegmentValues", params=query)["values"]
    assert tour("runSegment", segment)["state"] == "SUCCESS"
    tour("runSegment", segment)
    for listed in ("listSegments", "listSegmentDefinitions"):
        tour(listed)
    for fetched in ("fetchSegment", "fetchSegmentDefinition"):
        tour(fetched, segment)
    tour("setSegmentTags", segment, json={"tags": ["b"]})
    tour("listSegmentRevisions", segment)
    tour("restoreSegment", segment, "1")
    copy = tour("duplicateSegment", segment)["ref"]
    assert tour("fetchSegmentOverlap", segment, copy)["both"] >= 1
    tour("deleteSegment", copy)
    assert tour("listSegmentTable", segment, params={"columns": "city", "sort": "-lastSeen"})[
        "rows"
    ]
    assert tour("listSegmentTable", segment, params={"format": "csv"})
    assert tour("listGuestTable", json={"definition": DEFINITION, "columns": ["city"]})["rows"]
    tour("listSegmentRuns", segment)
    assert guest in tour("listSegmentGuests", segment, params={"limit": 10})["items"]
    assert tour("explainSegmentGuest", segment, guest)["member"]
    tour("startSegment", segment)
    site.run_worker()
    tour("putTrait", "tourCount", json={"entity": "order", "function": "count"})
    tour("listTraits")
    assert tour("fetchTrait", "tourCount")["builtin"] is False
    assert tour("fetchGuestTraits", guest)["segments"]
    tour("deleteTrait", "tourCount")
    tour("pauseSegment", segment)
    tour("changeSegment", segment, json={"webhook": None})
    tour("deleteSegment", segment)
    for report in tour("listReports")["items"]:
        tour("fetchReport", report["name"], params={"steps": "VIEW,ADD"})
        assert tour("fetchReport", report["name"], params={"format": "csv"})


def visit_static_lists(tour: Tour) -> None:
    guest = tour("createGuest", json={"guestType": "customer", "city": "Cork", **owner("lists")})[
        "ref"
    ]
    ref = tour("createStaticList", json={"name": "Tour", "description": "By hand"})["ref"]
    tour("changeStaticList", ref, json={"name": "Tour 2"})
    selection = {"selection": {"guests": [guest]}}
    assert tour("previewBulkAction", json=selection)["total"] == 1
    action = tour("addStaticListGuests", ref, json={**selection, "expected": 1})["ref"]
    assert tour("fetchBulkAction", action)["changed"] == 1
    assert tour("listStaticListGuests", ref, params={"limit": 10})["items"] == [guest]
    table = tour("listStaticListTable", ref, params={"columns": "city"})
    assert [row["ref"] for row in table["rows"]] == [guest]
    tour("removeStaticListGuests", ref, json=selection)
    tour("fetchStaticList", ref)
    tour("listStaticLists")
    tour("eraseGuests", json={**selection, "expected": 1})
    tour("listBulkActions")
    tour("deleteStaticList", ref)
    body = {"name": "Tour", "definition": DEFINITION, "columns": ["city"], "sort": "-lastSeen"}
    view = tour("createGuestView", json=body)["ref"]
    tour("changeGuestView", view, json={"sort": None, "shared": True})
    tour("fetchGuestView", view)
    tour("searchGuests", params={"q": "a"})
    tour("listGuestViewTable", view)
    tour("listGuestViews")
    tour("deleteGuestView", view)


def visit_exports(tour: Tour, site: Site) -> None:
    segment = tour("createSegment", json={"name": "Out", "definition": DEFINITION})["ref"]
    body = {"name": "Out", "segment": segment, "definitionType": "DELTA", "schedule": "DAILY"}
    folder = {"type": "FOLDER", "url": "tour"}
    body |= {"columns": ["ref", "city", "trait.orderCount"], "destination": folder}
    export = tour("createExport", json={**body, "webhook": "https://127.0.0.1:1/x"})["ref"]
    email = "dashboard@example.com"
    invited(site, email, Role.ANALYST)
    pinned = {"items": [{"report": "revenue", "days": 30, "parameters": {"currency": "EUR"}}]}
    assert tour("replaceDashboard", email, json=pinned) == tour("fetchDashboard", email)
    consent = {"items": [{"channel": "EMAIL", "field": "ext.mail"}]}
    assert tour("replaceConsent", json=consent) == tour("fetchConsent")
    assert tour("listWebhooks")["items"][0]["friendlyId"] == "out"
    assert "error" in tour("testWebhook", json={"kind": "export", "friendlyId": "out"})
    tour("changeExport", export, json={"schedule": None, "webhook": None, "filter": DEFINITION})
    tour("fetchExport", export)
    tour("listExports")
    tour("listExportExecutions", export)
    execution = tour("runExport", export)["executionRef"]
    tour("listExportExecutions", export)
    site.run_worker()
    assert tour("listExportExecutions", export)["items"][0]["status"] == "SUCCESS"
    assert tour("listExportFiles", execution)["exports"]
    client = site.control(lambda work: oauth.create(work, "live", "tour"))
    form = {"client_id": client.client_id, "client_secret": client.client_secret}
    form["grant_type"] = "client_credentials"
    token = httpx.post(f"{tour.api.url}/oauth/token", data=form).json()["access_token"]
    with Api(tour.api.url, headers={"Authorization": f"Bearer {token}"}) as vendor:
        assert tour("fetchLatestExport", export, api=vendor)["exports"]
        assert tour("listExportReports", export, api=vendor)
        assert tour("fetchExecutionExport", execution, api=vendor)["exports"]
    tour("deleteExport", export)


def visit_files(tour: Tour, site: Site) -> None:
    # The search for who was erased before, due every five seconds, removes all exports.
    work_on(site.dsn, search_files, data=site.settings.data)
    lines = (
        b'{"firstName": "Jo"}\n{"identifiers": [{"provider": "email", "id": "u@example.com"}]}\n'
    )
    created = tour("createImport", json={"entity": "guests", "format": "ndjson", "dryRun": False})
    assert httpx.put(created["location"]["href"], content=gzip.compress(lines)).status_code == 200
    written = tour("createFileExport", json={"entity": "guests"})["ref"]
    batch = str(uuid4())
    about = {"checksum": "0" * 32, "size": 20}
    tour("allocateBatch", batch, json=about)
    tour("fetchBatch", batch)
    site.run_worker()
    done = tour("fetchImport", created["ref"])
    assert (done["failed"], "log" in done) == (1, True)
    tour("previewImportUndo", created["ref"])
    assert tour("undoImport", created["ref"], json={})["status"] == "waiting"
    assert tour("fetchFileExport", written)["location"]
    for listed in ("listImports", "listFileExports", "inspectBatches"):
        tour(listed, params={"limit": 1})
    tour("inspectBatch", batch)
    elsewhere = {"name": f"tour-{batch}", "address": "none.csv", "entity": "guests"}
    source = tour("createImportSource", json={**elsewhere, "schedule": "DAILY"})["ref"]
    tour("changeImportSource", source, json={"schedule": None})
    tour("runImportSource", source)
    site.run_worker()
    assert tour("fetchImportSource", source)["error"] == "It is not there."
    assert tour("listImportSources")["items"]
    tour("deleteImportSource", source)


def visit_streams(tour: Tour, site: Site) -> None:
    api, key = tour.api, tour.api.client_key
    context = f"tour-{uuid4().hex}"
    site.control(lambda work: keys.set_alias(work, context, key))
    with Api(api.url) as web:

        def page(name: str, *values: str, **more: Any) -> Any:
            return tour(name, *values, api=web, **more)

        for suffix, query in (
            ("", {"client_key": key}),
            ("AtEdge", {"sitecoreContextId": context}),
        ):
            browser = page(f"createBrowser{suffix}", params=query)["ref"]
            page(f"createBrowser{suffix}", params={**query, "callback": "call"})
            page(f"showBrowser{suffix}", browser, params=query)
            event = {"client_key": key, "browser_id": browser, "type": "VIEW", "channel": "WEB"}
            event |= {"pos": "default", "ext": {"a": 1}}
            for name in ("createEvent", "sendEvent"):
                payload = {**query, "message": json.dumps(event)}
                page(f"{name}ByGet{suffix}", params=payload)
                page(f"{name}ByGet{suffix}", params={**payload, "callback": "call"})
                page(f"{name}{suffix}", params=query, json=event)
        shop = {**event, "currency": "EUR", "language": "EN"}
        page("sendEvent", json={**shop, **JANE, "type": "IDENTITY"})
        page("sendEvent", json={**shop, "type": "ADD", "product": product("1")})
        page(
            "sendEvent",
            json={**shop, "type": "CHECKOUT", "reference_id": "T1", "status": "PURCHASED"},
        )
        guest = page("showBrowser", browser, params={"client_key": key})["customer"]["ref"]
        sessions = tour("fetchGuestContext", guest)["sessions"]
        assert sessions[0]["events"]
        page("sendEvent", json={**event, "pos": "nowhere"})
        page("sendEvent", json={**event, "pos": "nowhere"})
        flow = {"clientKey": key, "friendlyId": "f", "channel": "WEB", "pointOfSale": "default"}
        page("callFlows", json=flow)
        page("callFlowsByGet", params={"message": json.dumps(flow)})
        page("callFlowsByGet", params={"message": json.dumps(flow), "callback": "call"})
        page("personalizeAtEdge", params={"sitecoreContextId": context}, json=flow)
        page("findWebFlowScript", params={"sitecoreContextId": context})
        page("fetchWebFlowScript", key)
    tour("findGuestContext", params={"browserRef": browser})
    tour("findGuestContext", params={"browserRef": str(uuid4())})
    waiting = tour("listQuarantine", params={"limit": 1})["items"]
    corrected = {"message": waiting[0]["message"]}
    tour("correctQuarantined", waiting[0]["ref"], json=corrected)
    tour("discardQuarantined", waiting[0]["ref"])
    assert tour("replayQuarantine", json={})["waiting"] == 1


def visit_keys(tour: Tour, site: Site) -> None:
    created = site.control(lambda work: keys.create(work, "live", scopes=EVERY_SCOPE))
    with Api(site.url, created.client_key, created.api_token) as owner_of_keys:
        key = tour("createKey", api=owner_of_keys, json={"name": "Tour"})["clientKey"]
        tour("rotateKey", key, api=owner_of_keys)
        tour("createSandboxToken", api=owner_of_keys)
        tour("listAuditLog", api=owner_of_keys)
        tour("listKeys", api=owner_of_keys)
        tour("revokeKey", key, api=owner_of_keys)
        tour("listKeys", api=owner_of_keys)


def visit_privacy(tour: Tour) -> None:
    guest = tour("createGuest", json={"guestType": "customer", **owner("privacy")})["ref"]
    tour("fetchSubject", guest)
    tour("eraseGuest", json={"guestRef": guest, "suppress": True})
    tour("suppressIdentifiers", json={**owner("privacy"), "reason": "tour"})
    tour("fetchSuppressions")
    tour("releaseIdentifiers", json=owner("privacy"))


def visit_sandbox(tour: Tour, site: Site) -> None:
    with site.api("live_sandbox") as sandbox:
        assert tour("loadDemo", api=sandbox, json={"guests": 1})["state"] == "waiting"
    with psycopg.connect(site.dsn) as connection:
        # No test waits for it.
        connection.execute("DELETE FROM jobs.procrastinate_jobs WHERE task_name = 'demo.load'")
        connection.execute("DELETE FROM ws_live_sandbox.demo_loads")
