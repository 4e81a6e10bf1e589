"""The bell and the page of jobs: what runs, ended or failed, as the API lists it."""

from calling import Api
from sites import Site
from visiting import Person

EVERYBODY = {"filterGroups": [{"entity": "guest", "rules": []}]}


def test_the_bell_polls_while_something_runs(api: Api, owner: Person, site: Site) -> None:
    assert "No imports, exports or other long jobs yet." in owner.part("/jobs/bell").text
    api.post("/innkeeper/v1/segments", json={"name": "All", "definition": EVERYBODY})
    api.post("/innkeeper/v1/exports", json={"name": "Weekly mail", "segment": "all"})
    api.post("/innkeeper/v1/exports/weekly_mail/run")
    listed = api.get("/innkeeper/v1/jobs").json()
    (job,) = listed["items"]
    assert (listed["unfinished"], job["kind"], job["state"]) == (1, "export", "waiting")
    assert job["href"] == f"{api.url}/innkeeper/v1/exports/weekly_mail"
    bell = owner.part("/jobs/bell").text
    assert 'hx-trigger="every 3s"' in bell
    assert 'href="/w/live/exports/weekly_mail"' in bell
    assert "1<span" in bell

    site.run_worker()
    (job,) = api.get("/innkeeper/v1/jobs").json()["items"]
    assert (job["state"], "finishedAt" in job) == ("done", True)
    bell = owner.part("/jobs/bell").text
    assert "every 3s" not in bell
    assert "Weekly mail" in owner.get("/jobs").text


def test_a_failure_is_counted_until_the_bell_is_opened(api: Api, owner: Person, site: Site) -> None:
    upload = api.post("/innkeeper/v1/imports", json={"entity": "guests", "compressed": True}).json()
    owner.http.put(upload["location"]["href"], content=b"\x1f\x8bno gzip").raise_for_status()
    site.run_worker()
    (job,) = api.get("/innkeeper/v1/jobs").json()["items"]
    assert (job["kind"], job["state"]) == ("import", "failed")
    assert job["error"] in owner.get("/jobs").text
    assert "1<span" in owner.part("/jobs/bell").text
    owner.part("/jobs/bell?seen=1")
    assert "1<span" not in owner.part("/jobs/bell").text


def test_an_import_with_refused_records_is_partly_done(api: Api, owner: Person, site: Site) -> None:
    bad, good = "customer,nobody", "customer,ann@partly.example"
    for rows, state, error in (
        ([good, bad], "partly_done", "1 record was refused."),
        ([bad, bad], "failed", "All records were refused."),
    ):
        upload = api.post("/innkeeper/v1/imports", json={"entity": "guests", "format": "csv"})
        content = "\n".join(["guestType,email", *rows])
        href = upload.json()["location"]["href"]
        owner.http.put(href, content=content.encode()).raise_for_status()
        site.run_worker()
        jobs = {job["ref"]: job for job in api.get("/innkeeper/v1/jobs").json()["items"]}
        job = jobs[upload.json()["ref"]]
        assert (job["state"], job["error"]) == (state, error)
    assert '<span class="badge warn">Partly done</span>' in owner.get("/jobs").text
