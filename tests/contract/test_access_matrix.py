"""S7: every route of the application, who may call it, and what another workspace gets of it.

`access.txt` lists them: a route that is new, or that needs something else, is reviewed there.
Written again by `INNKEEPER_WRITE_ACCESS=1 pytest tests/contract/test_access_matrix.py`.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
from batching import declared, packed, upsert
from calling import Api, body_of
from sites import Site
from starlette.routing import Route
from streams import Page

from innkeeper.actions.admin import keys, oauth
from innkeeper.rules.scopes import EVERY_SCOPE, Scope
from innkeeper.store.database import Database
from innkeeper.store.files import Files
from innkeeper.web import health
from innkeeper.web.exports import ExportApp
from innkeeper.web.ui import routes as screens
from innkeeper.web.uploads import Uploads
from innkeeper.wire.endpoint import Endpoint
from innkeeper.wire.registry import DIALECTS
from innkeeper.wire.routes import routes
from innkeeper.wire.scopes import needed_scopes
from innkeeper.wire.stream.routes import STREAM_ROUTES

LIST = Path(__file__).with_name("access.txt")
PLANTED = "Plantagenet"
NAMED = frozenset({"name", "trait", "report", "email"})
"""Parameters that are names, which every workspace may have."""


def lines(site: Site) -> Iterator[str]:
    """A line for each route: method, path, and what its caller needs."""
    for route in routes(DIALECTS):
        scopes = " ".join(sorted(needed_scopes(route)))
        bearer = "bearer: " if isinstance(route, Endpoint) and route.bearer else ""
        yield f"{route.method} {route.path} | {bearer}{scopes}"
    for route in STREAM_ROUTES:
        yield f"{route.method} {route.path} | client key: write"
    for page in screens.PAGES:
        for each, method, right in (
            (page.show, "GET", page.right),
            (page.post, "POST", page.post_right or page.right),
        ):
            if each is not None:
                yield f"{method} /w/{{workspace}}{page.path} | user: {right or 'every role'}"
    database = Database(site.dsn, pool_size=1)
    rest = [
        *health.routes(database, site.settings),
        *Uploads(database, site.settings, Files.of(site.settings)).routes(),
        *ExportApp(database, Files.of(site.settings)).routes(),
        *screens.routes(database, site.settings),
    ]
    for route in rest:
        assert isinstance(route, Route)
        if not route.path.startswith("/w/{workspace}"):
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield f"{method} {route.path} | its own check"


def test_s7_every_route_is_listed_with_what_it_needs(site: Site) -> None:
    """S7: a new route, or one that needs less than it did, fails until the list says so."""
    result = sorted(lines(site))
    if os.environ.get("INNKEEPER_WRITE_ACCESS"):
        LIST.write_text("\n".join(result) + "\n")
    listed = LIST.read_text().splitlines()
    assert [line for line in result if line not in listed] == []
    assert [line for line in listed if line not in result] == []


def own_refs(api: Api) -> dict[str, str]:
    """Something of every kind that a path names, by the name of its parameter."""
    guest, other = (api.guest(lastName=PLANTED)["ref"] for _ in range(2))
    extension = {"name": "ext", "note": PLANTED}
    data_extension = body_of(api.post(f"/v2.1/guests/{guest}/extensions", json=extension))["ref"]
    order = {"referenceId": uuid4().hex, "orderedAt": "2026-10-02T10:00:00.000Z", "price": 1}
    order |= {"currencyCode": "EUR", "status": "PURCHASED", "channel": "WEB"}
    order_ref = body_of(api.post("/v2.1/orders", json=order))["ref"]
    item = {"name": PLANTED, "type": "X", "price": 1, "currencyCode": "EUR", "status": "OK"}
    person = {"firstName": "A", "lastName": PLANTED}
    parts = {
        name: body_of(api.post(f"/v2.1/orders/{order_ref}/{path}", json=body))["ref"]
        for name, path, body in (
            ("order_item", "orderItems", item),
            ("order_contact", "contacts", person),
            ("order_consumer", "consumers", person),
        )
    }
    batch = str(uuid4())
    assert api.put(f"/v2/batches/{batch}", json=declared(packed([upsert("a@x.ie")]))).is_success
    merge = body_of(api.post("/innkeeper/v1/merges", json={"survivor": guest, "absorbed": other}))
    rule = {"field": "country", "comparator": "is equal to", "values": [PLANTED]}
    definition = {"filterGroups": [{"entity": "guest", "rules": [rule]}]}
    body = {"name": PLANTED, "definition": definition}
    segment = body_of(api.post("/innkeeper/v1/segments", json=body))["ref"]
    body = {"name": PLANTED, "segment": segment, "format": "NDJSON"}
    export = body_of(api.post("/innkeeper/v1/exports", json=body))["ref"]
    static_list = body_of(api.post("/innkeeper/v1/staticLists", json={"name": PLANTED}))["ref"]
    body = {"name": PLANTED, "definition": definition}
    view = body_of(api.post("/innkeeper/v1/guestViews", json=body))["ref"]
    body = {"selection": {"guests": [guest]}}
    action = body_of(api.post(f"/innkeeper/v1/staticLists/{static_list}/guests", json=body))["ref"]
    run = body_of(api.post(f"/innkeeper/v1/exports/{export}/run"))
    Page(api)("VIEW", pos="nowhere", note=PLANTED)
    quarantined = api.get("/innkeeper/v1/quarantine").json()["items"][0]["ref"]
    job = body_of(api.post("/innkeeper/v1/identity/apply", json={}))["ref"]
    trait = {"entity": "order", "function": "greatest", "field": "price", "currency": "EUR"}
    assert api.put("/innkeeper/v1/traits/dearest", json=trait).is_success
    files = body_of(api.post("/innkeeper/v1/fileExports", json={"entity": "guests"}))
    upload = body_of(api.post("/innkeeper/v1/imports", json={"entity": "guests"}))
    body = {"name": PLANTED, "address": "people.csv", "entity": "guests"}
    source = body_of(api.post("/innkeeper/v1/importSources", json=body))
    return {
        **parts,
        **{"guest": guest, "data_extension": data_extension, "order": order_ref, "batch": batch},
        **{
            "merge": merge["ref"],
            "segment": segment,
            "other": segment,
            "revision": "1",
            "static_list": static_list,
            "action": action,
            "view": view,
            "export": export,
            "job": job,
        },
        **{"execution": run["executionRef"], "quarantined": quarantined, "trait": "dearest"},
        **{"file_export": files["ref"], "import": upload["ref"], "client_key": api.client_key},
        **{"name": "ext", "report": "pages", "email": "a@example.com", "source": source["ref"]},
    }


WIDTHS = [
    EVERY_SCOPE,
    frozenset({Scope.READ}),
    *(pytest.param(frozenset({scope}), marks=pytest.mark.long) for scope in Scope),
    *(pytest.param(EVERY_SCOPE - {scope}, marks=pytest.mark.long) for scope in Scope),
]


@pytest.mark.parametrize("scopes", WIDTHS, ids=lambda scopes: "+".join(sorted(scopes)))
def test_s7_every_route_with_refs_of_another_workspace(
    api: Api, stranger: Api, site: Site, scopes: frozenset[Scope]
) -> None:
    """S7: a key of another workspace, with every scope, one, and all but one, and an OAuth client:
    nothing is shown or changed."""
    refs = own_refs(api)
    key = site.control(lambda work: keys.create(work, "other", scopes=scopes))
    before = {path: api.get(path).text for path in own_paths(refs)}
    with (
        Api(site.url, key.client_key, key.api_token) as foreign_key,
        Api(site.url, headers=bearer_of("other", site)) as foreign_bearer,
    ):
        for route in routes(DIALECTS):
            is_bearer = isinstance(route, Endpoint) and route.bearer
            foreign = foreign_bearer if is_bearer else foreign_key
            parameters = set(re.findall(r"\{(\w+)\}", route.path))
            # KeyError: a new kind of thing needs one in `own_refs`.
            path = re.sub(r"\{(\w+)\}", lambda match: refs[match[1]], route.path)
            body: Any = {} if route.method in ("POST", "PUT", "PATCH") else None
            answer = foreign.request(route.method, path, json=body)
            assert answer.status_code < 500, (route.method, path, answer.text)
            assert PLANTED not in answer.text, (route.method, path)
            if parameters - NAMED:
                refused = (400, 404) if scopes == EVERY_SCOPE or is_bearer else (400, 403, 404)
                assert answer.status_code in refused, (route.method, path, answer.text)
    assert {path: api.get(path).text for path in own_paths(refs)} == before


def bearer_of(workspace: str, site: Site) -> dict[str, str]:
    """The header with a token of a new OAuth client of a workspace (AU-6)."""
    client = site.control(lambda work: oauth.create(work, workspace, "test"))
    form = {"client_id": client.client_id, "client_secret": client.client_secret}
    form |= {"grant_type": "client_credentials", "audience": "https://api.sitecorecloud.io"}
    token = httpx.post(f"{site.url}/oauth/token", data=form).json()["access_token"]
    return {"Authorization": f"Bearer {token}"}


def own_paths(refs: dict[str, str]) -> list[str]:
    """What shows whether something of the workspace was changed."""
    order = f"/v2.1/orders/{refs['order']}"
    return [
        *(f"/v2.1/guests/{refs['guest']}", f"/v2.1/guests/{refs['guest']}/extensions/ext"),
        *(order, f"{order}/orderItems", f"{order}/contacts", f"{order}/consumers"),
        *(f"/innkeeper/v1/segments/{refs['segment']}", f"/innkeeper/v1/merges/{refs['merge']}"),
        *("/innkeeper/v1/traits/dearest", "/innkeeper/v1/quarantine"),
        f"/innkeeper/v1/exports/{refs['export']}",
    ]
