"""I12: import sources on the screens."""

import re

from calling import Api
from visiting import Person

PAGE = "/w/live/import-sources"


def test_i12_a_source_is_created_read_and_deleted(owner: Person, analyst: Person, api: Api) -> None:
    """Its columns are those of an earlier import; who may not import files only sees it."""
    mapping = {"columns": {"Mail": ["identifiers.email"]}}
    body = {"entity": "guests", "format": "csv", "mapping": mapping}
    model = api.post("/innkeeper/v1/imports", json=body).json()["ref"]
    assert f'value="{model}"' in owner.http.get(PAGE).text
    form = {
        **{"csrf": owner.csrf, "action": "create", "name": "Shop", "address": "shop.csv"},
        **{"entity": "guests", "model": model, "mark_column": "n", "schedule": "cron"},
        "cron": "*/15 * * * *",
    }
    refused = owner.http.post(PAGE, data={**form, "address": "/etc/passwd"})
    assert refused.status_code == 400
    assert "must be inside the folder of imports" in refused.text
    assert owner.http.post(PAGE, data=form).status_code == 303
    (source,) = [
        each
        for each in api.get("/innkeeper/v1/importSources").json()["items"]
        if each["name"] == "Shop"
    ]
    assert (source["markColumn"], source["schedule"]) == ("n", "*/15 * * * *")
    page = " ".join(owner.http.get(PAGE).text.split())
    assert re.search(r"<strong>Shop</strong>.*shop\.csv.*not read yet", page)
    form = {"csrf": owner.csrf, "source": source["ref"]}
    version = re.search(r'name="version" value="([^"]+)"', page)
    assert version is not None
    edited = {**form, "action": "change", "name": "Shop", "address": "new.csv", "mark_column": "n"}
    edited |= {"schedule": "* * 1", "time": "04:30", "version": version[1]}
    assert owner.http.post(PAGE, data=edited).status_code == 303
    source = api.get(f"/innkeeper/v1/importSources/{source['ref']}").json()
    assert (source["address"], source["schedule"]) == ("new.csv", "30 4 * * 1")
    assert source["markColumn"] == "n"
    # Somebody else saved meanwhile.
    late = owner.http.post(PAGE, data={**edited, "address": "old.csv", "schedule": ""})
    assert late.status_code == 412
    matches = re.findall(r'data-label="(?:You typed|Stored now)">([^<]*)<', late.text)
    assert matches == ["old.csv", "new.csv", "", "Every Monday at 04:30 UTC"]
    assert owner.http.post(PAGE, data={**form, "action": "run"}).status_code == 303
    assert "being read" in owner.http.get(PAGE).text
    text = analyst.http.get(PAGE).text
    assert "Shop" in text
    assert "Read now" not in text
    refused = analyst.http.post(PAGE, data={**form, "csrf": analyst.csrf, "action": "delete"})
    assert refused.status_code == 403
    assert owner.http.post(PAGE, data={**form, "action": "delete"}).status_code == 303
    assert "Shop" not in owner.http.get(PAGE).text.partition("page-head")[2]
