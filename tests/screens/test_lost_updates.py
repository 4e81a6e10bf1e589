"""F21: a form that is saved over something newer writes nothing, shows both, and asks."""

import html
import re
from typing import Any

import httpx
import pytest
from calling import Api
from logging_in import invited
from sites import Site
from visiting import Person, field

from innkeeper.rules.access import Role

EVERYBODY = {"filterGroups": [{"entity": "guest"}]}


def assert_asked(answer: httpx.Response, *expected: str) -> str:
    """Both are on the page; the version that another save of it replaces."""
    assert answer.status_code == 412, answer.text
    text = html.unescape(answer.text)
    for each in ("Somebody else changed this in the meantime", *expected):
        assert each in text, each
    return field(answer.text, "version")


def test_f21_a_guest(owner: Person, api: Api) -> None:
    guest = api.guest(firstName="Ann", city="Cork")
    path, href = f"/guests/{guest['ref']}/edit", f"/v2.1/guests/{guest['ref']}"
    version = field(owner.get(path).text, "version")
    api.patch(href, json={"city": "Galway"})
    form = {"first_name": "Bea", "city": "Cork"}
    answer = owner.post(path, **form, version=version)
    newer = assert_asked(answer, "Cork", "Galway", "Use the stored values")
    assert api.get(href).json()["firstName"] == "Ann"
    assert re.search(r'name="first_name" value="Bea"', answer.text), "what was typed is kept"
    # What is wrong with the form does not make the version newer.
    again = owner.post(path, gender="x" * 300, version=version)
    assert again.status_code in (400, 412)
    assert owner.post(path, **form, version=newer).status_code == 303
    assert (api.get(href).json()["firstName"], api.get(href).json()["city"]) == ("Bea", "Cork")


def test_f21_a_data_extension(owner: Person, api: Api) -> None:
    guest = api.guest()
    extension = api.extension(guest, name="ext", tier="Gold", visits=3)
    path = f"/guests/{guest['ref']}/extensions/{extension['ref']}"
    version = field(owner.get(path).text, "version")
    href = f"/v2.1/guests/{guest['ref']}/extensions/ext"
    api.patch(href, json={"name": "ext", "tier": "Silver"})
    form = {"k0": "tier", "v0": "Bronze", "t0": "text"}
    newer = assert_asked(owner.post(path, **form, version=version), "Bronze", "Silver")
    late = owner.post(path, action="delete", version=version)
    assert late.status_code == 412, "removing it is a change too"
    assert api.get(href).json()["tier"] == "Silver"
    assert owner.post(path, **form, version=newer).status_code == 303
    assert api.get(href).json()["tier"] == "Bronze"


def test_f21_a_segment(owner: Person, api: Api) -> None:
    api.post("/innkeeper/v1/segments", json={"name": "Crew", "definition": EVERYBODY})
    path = "/segments/crew/edit"
    page = owner.get(path).text
    version = field(page, "version")
    theirs = {"filterGroups": [{"entity": "session"}]}
    changed = api.patch("/innkeeper/v1/segments/crew", json={"name": "X", "definition": theirs})
    assert changed.status_code == 200
    form = {"name": "Mine", "operator": "AND", "g0.entity": "guest", "g0.was": "guest"}
    # Looking at the count while typing does not take the newer version.
    counted = owner.post(path, **form, do="count", version=version)
    assert field(counted.text, "version") == version
    newer = assert_asked(owner.post(path, **form, do="save", version=version), "Stored now: X")
    assert api.get("/innkeeper/v1/segments/crew").json()["name"] == "X"
    assert owner.post(path, **form, do="save", version=newer).status_code == 303
    assert api.get("/innkeeper/v1/segments/crew").json()["name"] == "Mine"


def test_f21_an_export(owner: Person, api: Api) -> None:
    api.post("/innkeeper/v1/segments", json={"name": "Crew", "definition": EVERYBODY})
    api.post("/innkeeper/v1/exports", json={"name": "Letters", "segment": "crew"})
    path = "/exports/letters/edit"
    version = field(owner.get(path).text, "version")
    api.patch("/innkeeper/v1/exports/letters", json={"schedule": "DAILY"})
    form = {"name": "Mine", "segment": "crew", "kind": "FULL_SYNC", "format": "CSV"}
    form |= {"columns": "ref", "schedule": ""}
    newer = assert_asked(owner.post(path, **form, version=version), "Mine", "Letters", "Every day")
    assert api.get("/innkeeper/v1/exports/letters").json()["schedule"] == "DAILY"
    assert owner.post(path, **form, version=newer).status_code == 303
    assert "schedule" not in api.get("/innkeeper/v1/exports/letters").json()


def test_f21_a_trait(owner: Person, api: Api) -> None:
    href = "/innkeeper/v1/traits/bought"
    api.put(href, json={"entity": "order", "function": "count"})
    path = "/traits/of/bought/edit"
    version = field(owner.get(path).text, "version")
    api.put(href, json={"entity": "session", "function": "count"})
    form = {"name": "Bought", "entity": "event", "function": "count", "operator": "AND"}
    newer = assert_asked(owner.post(path, **form, do="save", version=version), "Meaning")
    assert api.get(href).json()["definition"]["entity"] == "session"
    assert owner.post(path, **form, do="save", version=newer).status_code == 303
    # A new one takes no name that there is.
    assert owner.post("/traits/new", **form, do="save").status_code == 409


def test_f21_identity_rules_and_guards(owner: Person, api: Api) -> None:
    path = "/settings/identity-rules"
    version = field(owner.get(path).text, "version")
    rules = [{"identityRule": "email", "providers": ["email"]}]
    rules.append({"identityRule": "crm", "providers": ["CRM"]})
    api.put("/innkeeper/v1/identity/rules", json={"rules": rules})
    mine = {"r0.name": "loyalty", "r0.c0": "provider:", "r0.p0": "LOYALTY", "do": "save"}
    assert_asked(owner.post(path, **mine, version=version), "loyalty", "crm")
    guards = {"action": "guards", "group_limit": "50", "region": "", "never": "x"}
    assert owner.post(path, **guards, version=version).status_code == 412
    stored = api.get("/innkeeper/v1/identity/rules").json()["rules"]
    assert [rule["identityRule"] for rule in stored] == ["email", "crm"]
    api.put("/innkeeper/v1/identity/rules", json={"rules": rules[:1]})


def test_f21_a_webhook(owner: Person, api: Api) -> None:
    api.post("/innkeeper/v1/segments", json={"name": "Crew", "definition": EVERYBODY})
    path = "/settings/webhooks"
    version = field(owner.get(path).text, "version")
    hook = "https://example.com/theirs"
    assert api.patch("/innkeeper/v1/segments/crew", json={"webhook": hook}).is_success
    form = {"action": "create", "what": "segment:crew", "url": "https://example.com/mine"}
    assert_asked(owner.post(path, **form, version=version), hook)
    body = {"action": "delete", "what": "segment:crew", "version": version}
    assert owner.post(path, **body).status_code == 412
    assert api.get("/innkeeper/v1/segments/crew").json()["webhook"] == hook


def test_f21_the_role_of_a_user(owner: Person, site: Site) -> None:
    email = "changed-twice@example.com"
    invited(site, email, Role.ANALYST)
    path = "/settings/users"
    page = owner.get(path).text
    forms = re.findall(r"<dialog id=\"user-\d+\".*?</dialog>", page, re.DOTALL)
    (form,) = [each for each in forms if email in each]
    payload: dict[str, Any] = {name: field(form, name) for name in ("user", "version")}
    change = {**payload, "action": "change", "every": "yes"}
    assert owner.post(path, **change, role="developer").status_code == 303
    late = owner.post(path, **change, role="admin")
    assert late.status_code == 412
    assert "Nothing was saved" in late.text


def test_f21_the_compatibility_of_a_key(owner: Person, site: Site) -> None:
    key = site.key()
    page = owner.get("/settings").text
    forms = re.findall(r"<dialog id=\"compat-\d+\".*?</dialog>", page, re.DOTALL)
    (form,) = [each for each in forms if key.client_key in each]
    payload = {name: field(form, name) for name in ("version", "client_key", "compatibility")}
    assert owner.post("/settings", action="compatibility", **payload).status_code == 303
    assert owner.post("/settings", action="compatibility", **payload).status_code == 412


@pytest.mark.parametrize("path", ["/guests/{}/edit"])
def test_f21_a_form_without_version_is_saved_as_ever(owner: Person, api: Api, path: str) -> None:
    guest = api.guest(city="Cork")
    answer = owner.post(path.format(guest["ref"]), city="Sligo")
    assert answer.status_code == 303
