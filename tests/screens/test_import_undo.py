"""I10: the undo of an import by its page: preview, confirm, how far it is."""

import json
from uuid import uuid4

import httpx
from batching import Batches, packed, record, upsert
from calling import Api
from sites import Site
from visiting import Person
from waiting import until


def test_i10_an_import_is_undone_by_its_page(owner: Person, api: Api, site: Site) -> None:
    layout = {"entity": "guests", "compressed": False}
    batch = api.post("/innkeeper/v1/imports", json=layout).json()
    people = [{"identifiers": [{"provider": "email", "id": f"{uuid4()}@x.com"}]} for _ in range(3)]
    file = "\n".join(map(json.dumps, people)).encode()
    httpx.put(batch["location"]["href"], content=file).raise_for_status()
    site.run_worker()
    path = f"/imports/{batch['ref']}"
    assert f"{path}/undo" in owner.get(path).text
    items = api.get("/v2.1/guests", params=_identifier(people[0])).json()["items"]
    api.patch(items[0]["href"], json={"firstName": "Ann"}).raise_for_status()
    page = owner.get(f"{path}/undo").text
    assert "Undo this import?" in page
    assert "Undo the rest" in page
    assert f"/guests/{items[0]['ref']}" in page
    assert owner.post(f"{path}/undo").status_code == 409
    assert owner.post(f"{path}/undo", skip_changed="yes").is_redirect
    assert "Being undone" in owner.get(f"{path}/undo").text
    site.run_worker()
    # A worker of the server may have taken it.
    until("the undo", lambda: "Left as they are" in owner.get(f"{path}/undo").text)
    assert "Undone" in owner.get(path).text
    left = [
        bool(api.get("/v2.1/guests", params=_identifier(one)).json()["items"]) for one in people
    ]
    assert left == [True, False, False]


def test_i10_a_batch_is_undone_over_http_and_its_page_shows_it(
    owner: Person, api: Api, site: Site
) -> None:
    """By its ref; what it deleted stays, and is counted. The list of jobs has the undo."""
    batches, ref = Batches(api, site.settings), str(uuid4())
    deleted = record("guest", "delete", {"identifiers": [{"provider": "email", "id": "a@x.com"}]})
    file = packed([upsert("a@x.com"), upsert("b@x.com"), deleted])
    href = batches.allocate(file, ref).json()["location"]["href"]
    assert batches.upload(href, file).status_code == 200
    batches.work_at_once()
    path = f"/imports/{ref}/undo"
    page = owner.get(path).text
    assert "Undo this batch?" in page
    assert "records that deleted guests or orders (1)" in " ".join(page.split())
    preview = api.get(f"/innkeeper/v1{path}").json()
    assert (preview["removed"], preview["notUndone"]) == ({"guests": 1}, {"deleted": 1})
    assert owner.post(path).is_redirect
    assert f"/w/live{path}" in owner.get("/jobs").text

    def is_undone() -> bool:
        # The job of the upload may have locked the batch: the undo is put off.
        site.pass_time()
        site.run_worker()
        return bool(api.get(f"/innkeeper/v1{path}").json()["status"] == "done")

    until("the undo", is_undone)
    assert "Undone" in owner.get(path).text
    assert api.get("/v2.1/guests", params=_identifier(person("b@x.com"))).json()["items"] == []
    assert owner.get(f"/imports/{ref}").status_code == 404


def person(email: str) -> dict:
    return {"identifiers": [{"provider": "email", "id": email}]}


def _identifier(person: dict) -> dict[str, str]:
    (one,) = person["identifiers"]
    return {"identifiers.provider": one["provider"], "identifiers.id": one["id"]}
