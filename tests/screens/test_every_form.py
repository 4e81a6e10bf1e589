"""F21: every form of the screens that edits what is stored carries its version, and one that comes
too late shows both and asks."""

import html
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any
from uuid import UUID

import httpx
import pytest
from calling import Api
from logging_in import invited
from sites import Site
from visiting import Person, field
from waiting import until

from innkeeper.rules.access import Role
from innkeeper.web.ui.routes import PAGES

EVERYBODY = {"filterGroups": [{"entity": "guest"}]}
CHANGED_NOTE = "Somebody else changed this in the meantime"

CREATES = "it creates; what exists already is refused (409)"
ONE_SHOT = "it does something once, and replaces nothing that somebody typed"
DELETES = "it deletes after a confirmation"
UNVERSIONED = {
    # (page, what its form sends as `action`)
    ("/guests/{guest}/access", ""): ONE_SHOT,
    ("/guests/{guest}/erase", ""): DELETES,
    ("/segments/new", ""): CREATES,
    ("/segments/{segment}", "start"): ONE_SHOT,
    ("/segments/{segment}", "pause"): ONE_SHOT,
    ("/segments/{segment}", "run"): ONE_SHOT,
    ("/segments/{segment}", "duplicate"): CREATES,
    ("/segments/{segment}", "delete"): DELETES + ", which lists what uses it as it is then",
    ("/lists", ""): CREATES,
    ("/lists/{static_list}", "add"): "it adds guests, and replaces nothing that somebody typed",
    ("/lists/{static_list}", "delete"): DELETES + ", refused while anything uses it",
    ("/guests/views", ""): "it replaces the visitor's own view of that name",
    ("/guests/views", "delete"): DELETES,
    ("/guests/bulk", ""): "the number of guests that was shown confirms it",
    ("/traits/new", ""): CREATES,
    ("/traits/of/{trait}", "delete"): DELETES + ", refused while anything asks for it",
    ("/exports/new", ""): CREATES,
    ("/exports/{export}", "run"): ONE_SHOT,
    ("/exports/{export}", "delete"): DELETES,
    ("/imports", ""): CREATES,
    ("/imports/{import}/undo", ""): "what would be undone is checked again before it is",
    ("/settings/identity-rules/{job}", ""): "refused if it is undone already; later changes stay",
    ("/import-sources", "create"): CREATES,
    ("/import-sources", "run"): ONE_SHOT,
    ("/import-sources", "delete"): DELETES,
    ("/quarantine", ""): ONE_SHOT,
    ("/quarantine", "discard"): ONE_SHOT,
    ("/settings", "create"): CREATES,
    ("/settings", "revoke"): DELETES,
    ("/settings/oauth", "create"): CREATES,
    ("/settings/oauth", "revoke"): DELETES,
    ("/account", "password"): "it asks for the present password",
    ("/account", "time_zone"): "one person's own choice",
    ("/dashboard", "pin"): "one person's own choice",
    ("/dashboard", "earlier"): "one person's own choice",
    ("/dashboard", "later"): "one person's own choice",
    ("/dashboard", "remove"): "one person's own choice",
    ("/settings/aliases", "create"): CREATES,
    ("/settings/aliases", "remove"): DELETES,
    ("/settings/points-of-sale", ""): CREATES,
    ("/settings/points-of-sale", "delete"): DELETES + ", which lists what uses it as it is then",
    ("/settings/users", "invite"): CREATES,
    ("/settings/webhooks", "again"): ONE_SHOT,
    ("/settings/webhooks", "test"): ONE_SHOT,
    ("/settings/workspace", ""): DELETES,
    ("/settings/workspace", "demo"): ONE_SHOT,
}
"""Forms without a version, and why."""


@dataclass
class Form:
    """A form of a page."""

    action: str
    fields: dict[str, str]
    buttons: list[str]
    """What its buttons send as `action` or `do`."""


class _Forms(HTMLParser):
    """The forms of a page that are posted."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Form] = []
        self._open: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        options = dict(attrs)
        if tag == "form" and options.get("method") == "post":
            self._open = Form(options.get("action") or "", {}, [])
            self.found.append(self._open)
        if self._open is None:
            return
        name, value = options.get("name"), options.get("value") or ""
        if tag == "button" and name in ("action", "do"):
            self._open.buttons.append(value)
        elif tag == "input" and name and options.get("type") not in ("checkbox", "radio"):
            self._open.fields[name] = value

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None


def forms(text: str) -> list[Form]:
    parser = _Forms()
    parser.feed(text)
    return parser.found


def page_of(path: str) -> str:
    """The declared page that a path of a workspace leads to; a fixed one before a pattern."""
    every = sorted((page.path for page in PAGES if page.post), key=lambda each: each.count("{"))
    for pattern in every:
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path):
            return pattern
    raise AssertionError(path)


@pytest.fixture
def examples(owner: Person, api: Api, site: Site) -> dict[str, str]:
    """A page with its forms for every declared page that takes one."""
    one, other = api.guest(firstName="Ann"), api.guest(firstName="Bea")
    third = api.guest(firstName="Cleo")
    merged = {"survivor": one["ref"], "absorbed": third["ref"]}
    merge = api.post("/innkeeper/v1/merges", json=merged).json()["ref"]
    extension = api.extension(one, name="ext", tier="Gold")["ref"]
    for name, webhook in (("Crew", None), ("Told", "https://example.com/hook")):
        body = {"name": name, "definition": EVERYBODY, "webhook": webhook}
        assert api.post("/innkeeper/v1/segments", json=body).is_success
    assert api.patch("/innkeeper/v1/segments/crew", json={"tags": ["second"]}).is_success
    api.post("/innkeeper/v1/exports", json={"name": "Letters", "segment": "crew"})
    assert api.post("/innkeeper/v1/staticLists", json={"name": "Forms"}).is_success
    api.put("/innkeeper/v1/traits/bought", json={"entity": "order", "function": "count"})
    upload = owner.http.post(
        "/w/live/imports",
        data={"csrf": owner.csrf, "entity": "guests"},
        files={"file": ("a.csv", b"E-mail,Town\na@example.com,Cork\n")},
    )
    layout = {"entity": "guests", "compressed": False}
    imported = api.post("/innkeeper/v1/imports", json=layout).json()
    line = {"identifiers": [{"provider": "email", "id": f"undo-{one['ref']}@example.com"}]}
    httpx.put(imported["location"]["href"], content=json.dumps(line).encode()).raise_for_status()
    site.run_worker()
    # A worker of another test may have taken it.
    at = f"/innkeeper/v1/imports/{imported['ref']}"
    until("the import", lambda: api.get(at).json()["status"] == "success")
    elsewhere = {"name": "forms", "address": "a.csv", "entity": "guests"}
    assert api.post("/innkeeper/v1/importSources", json=elsewhere).is_success
    invited(site, f"somebody-{one['ref']}@example.com", Role.ANALYST)
    site.key()
    owner.post("/settings/oauth", action="create", name="x")
    key = re.search(r'"client_key" value="(\w+)"', owner.get("/settings").text)
    assert key is not None
    owner.post("/settings/aliases", action="create", alias="ctx-forms", client_key=key[1])
    owner.post("/settings/points-of-sale", name="till-1")
    owner.post("/dashboard", action="pin", report="revenue")
    job = api.post("/innkeeper/v1/identity/apply", json={}).json()["ref"]
    guest = f"/guests/{one['ref']}"
    return {
        "/guests/{guest}/access": guest,
        "/guests/{guest}/erase": guest,
        "/guests/{guest}/edit": f"{guest}/edit",
        "/guests/{guest}/extensions/{extension}": f"{guest}/extensions/{extension}",
        "/guests/{guest}/merge": f"{guest}/merge?other={other['ref']}",
        "/merges/{merge}/undo": f"/merges/{merge}/undo",
        "/segments/new": "/segments/new",
        "/segments/{segment}/edit": "/segments/crew/edit",
        "/segments/{segment}/history": "/segments/crew/history",
        "/segments/{segment}": "/segments/crew",
        "/lists": "/lists",
        "/lists/{static_list}": "/lists/forms",
        "/guests/views": "/guests?type=all",
        "/guests/bulk": f"/guests/bulk?do=erase&guests={one['ref']}",
        "/traits/new": "/traits/new",
        "/traits/of/{trait}/edit": "/traits/of/bought/edit",
        "/traits/of/{trait}": "/traits/of/bought",
        "/account": "/account",
        "/reports/{report}/segment": "/reports/funnel",
        "/dashboard": "/dashboard",
        "/exports/new": "/exports/new",
        "/exports/consent": "/exports/consent",
        "/exports/{export}/edit": "/exports/letters/edit",
        "/exports/{export}": "/exports/letters",
        "/imports": "/imports",
        "/imports/preview": "/imports",
        "/import-sources": "/import-sources",
        "/imports/{import}": upload.headers["location"].removeprefix("/w/live"),
        "/imports/{import}/undo": f"/imports/{imported['ref']}/undo",
        "/quarantine": "/quarantine",
        "/settings": "/settings",
        "/settings/oauth": "/settings",
        "/settings/aliases": "/settings",
        "/settings/points-of-sale": "/settings/points-of-sale",
        "/settings/users": "/settings/users",
        "/settings/workspace": "/settings/workspace",
        "/settings/webhooks": "/settings/webhooks",
        "/settings/identity-rules": "/settings/identity-rules",
        "/settings/identity-rules/{job}": f"/settings/identity-rules/{job}",
    }


def test_f21_every_form_has_a_version_or_a_reason_to_have_none(
    owner: Person, examples: dict[str, str]
) -> None:
    assert examples.keys() == {page.path for page in PAGES if page.post}, "each has an example"
    versioned, bare = set(), set()
    for path in dict.fromkeys(examples.values()):
        answer = owner.get(path)
        assert answer.status_code == 200, path
        here = path.partition("?")[0]
        for form in forms(answer.text):
            if form.action in ("/logout", "/theme"):
                continue
            page = page_of((form.action or here).partition("?")[0].removeprefix("/w/live"))
            # A form with several buttons sends one of them; its version goes with each.
            words = [form.fields["action"]] if "action" in form.fields else form.buttons
            if form.fields.get("version"):
                versioned.add(page)
                continue
            for word in words if "/edit" not in page and "/new" not in page and words else [""]:
                bare.add((page, word))
    unexplained = bare - UNVERSIONED.keys()
    assert not unexplained
    assert versioned >= {
        "/guests/{guest}/edit",
        "/guests/{guest}/extensions/{extension}",
        "/guests/{guest}/merge",
        "/merges/{merge}/undo",
        "/segments/{segment}/edit",
        "/segments/{segment}/history",
        "/lists/{static_list}",
        "/traits/of/{trait}/edit",
        "/exports/{export}/edit",
        "/exports/consent",
        "/imports/{import}",
        "/settings",
        "/settings/users",
        "/settings/webhooks",
        "/settings/identity-rules",
    }


def test_f21_every_outdated_form_with_a_version_shows_both_versions(
    owner: Person, examples: dict[str, str]
) -> None:
    requests = set()
    for path in dict.fromkeys(examples.values()):
        for form in forms(owner.get(path).text):
            if not form.fields.get("version"):
                continue
            target = (form.action or f"/w/live{path}").removeprefix("/w/live")
            payload = {"action": "change", "do": "save", **form.fields, "version": "another"}
            if "/imports/" in path:
                payload["action"] = "start"
            if "identity-rules" in path:
                # The first rule's menu is no input.
                payload |= (
                    {"action": "guards"} if "group_limit" in payload else {"r0.c0": "field:email"}
                )
            if "/extensions/" in path:
                payload |= {
                    "action": payload["action"] if payload["action"] == "delete" else "save"
                }
            page = page_of(target.partition("?")[0])
            payload |= _chosen(page, payload)
            payload.pop("csrf")
            answer = owner.post(target, **payload)
            assert answer.status_code == 412, (path, payload, answer.text[-2000:])
            text = html.unescape(answer.text)
            assert CHANGED_NOTE in text, path
            assert "Use the stored values" in text, (path, "both, and a choice")
            requests.add(page)
    assert len(requests) == 18


EXPORT = {"segment": "crew", "kind": "FULL_SYNC", "format": "CSV", "columns": "ref"}
RULES = {"operator": "AND", "g0.entity": "guest", "g0.was": "guest"}
CHOSEN: dict[str, dict[str, str]] = {
    "/guests/{guest}/edit": {"city": "Sligo"},
    "/exports/consent": {"field.EMAIL": "ext.newsletter"},
    "/segments/{segment}/edit": RULES,
    "/traits/of/{trait}/edit": {**RULES, "entity": "order", "function": "count"},
    "/exports/{export}/edit": EXPORT,
    "/settings/users": {"role": "developer", "every": "yes"},
}
"""What a person would choose in the form of a page, where it needs that."""


def _chosen(page: str, payload: dict[str, str]) -> dict[str, str]:
    if page == "/guests/{guest}/merge":
        return {"survivor": payload["one"]}
    if page == "/settings/webhooks" and payload["action"] == "create":
        return {"what": "segment:crew", "url": "https://example.com/mine"}
    if page == "/settings" and payload["action"] == "scopes":
        return {"scopes": "read"}
    return CHOSEN.get(page, {})


def resend(answer: httpx.Response) -> dict[str, Any]:
    """What the button that keeps one's own sends: as the page has it."""
    text = html.unescape(answer.text)
    section = re.search(r'<section class="card changed-meanwhile".*?</section>', text, re.DOTALL)
    assert section is not None
    (form,) = forms(section[0])
    assert "Save what I typed" in section[0]
    return {name: value for name, value in form.fields.items() if name != "csrf"}


def dialog(page: str, what: str, holds: str) -> dict[str, str]:
    """The fields of the dialog of a kind that holds a text."""
    matches = re.findall(rf'<dialog id="{what}-[^"]*".*?</dialog>', page, re.DOTALL)
    (text,) = [each for each in matches if holds in each]
    (form,) = forms(text)
    return {name: value for name, value in form.fields.items() if name != "csrf"}


def test_f21_a_role_changed_twice_shows_both_and_can_be_saved_again(
    owner: Person, site: Site
) -> None:
    email = "saved-twice@example.com"
    invited(site, email, Role.ANALYST)
    path = "/settings/users"
    form = dialog(owner.get(path).text, "user", email) | {"action": "change", "every": "yes"}
    assert owner.post(path, **form, role="developer").status_code == 303
    late = owner.post(path, **form, role="admin", disabled="yes")
    assert late.status_code == 412
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", late.text)).split())
    assert "Role admin developer" in text
    assert "Access no access may log in" in text
    again = resend(late)
    assert (again["role"], again["disabled"], again["every"]) == ("admin", "yes", "yes")
    assert owner.post(path, **again).status_code == 303
    stored = dialog(owner.get(path).text, "user", email)
    late = owner.post(path, **{**stored, "version": "another"}, action="change", role="owner")
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", late.text)).split())
    assert "Role owner admin" in text, "one's own was saved"
    assert "Access may log in no access" in text


def test_f21_a_key_changed_twice_shows_both_and_can_be_saved_again(
    owner: Person, site: Site
) -> None:
    key = site.key().client_key
    form = dialog(owner.get("/settings").text, "scopes", key)
    assert owner.post("/settings", **form, scopes=["read", "write"]).status_code == 303
    late = owner.post("/settings", **form, scopes=["read", "delete"])
    assert late.status_code == 412
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", late.text)).split())
    assert "Scopes read, delete read, write" in text
    pattern = r'<section class="card changed-meanwhile".*?</section>'
    section = re.search(pattern, late.text, re.DOTALL)
    assert section is not None
    boxes = re.findall(r'name="scopes" value="(\w+)"', section[0])
    assert boxes == ["read", "delete"], "every box that was chosen"
    again = {**resend(late), "scopes": boxes}
    assert owner.post("/settings", **again).status_code == 303
    assert "read, delete" in owner.get("/settings").text


def test_f21_a_token_is_not_made_twice_from_one_page(owner: Person, site: Site) -> None:
    """The second one would end the first, which its maker has just given to a program."""
    key = site.key().client_key
    form = dialog(owner.get("/settings").text, "rotate", key)
    assert owner.post("/settings", **form).status_code == 200
    late = owner.post("/settings", **form)
    assert late.status_code == 412
    assert "Another one" in late.text
    assert owner.post("/settings", **resend(late)).status_code == 200


def test_f21_a_context_id_is_not_taken_from_another_key(owner: Person, site: Site) -> None:
    mine, theirs = site.key().client_key, site.key().client_key
    form = {"action": "create", "alias": "ctx-two"}
    assert owner.post("/settings/aliases", **form, client_key=theirs).status_code == 303
    answer = owner.post("/settings/aliases", **form, client_key=mine)
    assert answer.status_code == 409
    assert f"ctx-two is an alias of {theirs}" in html.unescape(answer.text)


@pytest.fixture
def merging(owner: Person, api: Api) -> Callable[[], tuple[str, dict[str, str]]]:
    """Two guests, the page that merges them, and what it would send."""

    def make() -> tuple[str, dict[str, str]]:
        one, other = api.guest(firstName="Ann"), api.guest(firstName="Bea")
        path = f"/guests/{one['ref']}/merge?other={other['ref']}"
        (form,) = [each for each in forms(owner.get(path).text) if "one" in each.fields]
        payload = {name: value for name, value in form.fields.items() if name != "csrf"}
        return path, {**payload, "survivor": other["ref"]}

    return make


def test_f21_two_people_merge_the_same_guests(
    owner: Person, api: Api, merging: Callable[[], tuple[str, dict[str, str]]]
) -> None:
    path, payload = merging()
    api.patch(f"/v2.1/guests/{payload['one']}", json={"city": "Galway"})
    late = owner.post(path, **payload)
    assert late.status_code == 412
    assert CHANGED_NOTE in late.text
    assert "Keep Bea, as shown before" in html.unescape(late.text)
    assert "Galway" in late.text, "what is stored is shown"
    version = field(late.text, "version")
    assert version != payload["version"]
    chosen = re.findall(r'name="survivor" value="([^"]+)"\s+checked', late.text)
    assert chosen == [payload["survivor"]], "the choice remains"
    assert owner.post(path, **{**payload, "version": version}).status_code == 303
    # Somebody else was asked the same, and would keep the other one.
    third = owner.post(path, **{**payload, "version": version, "survivor": payload["one"]})
    assert third.status_code == 412
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", third.text)).split())
    assert "Merged into Bea" in text
    assert f"/guests/{payload['survivor']}/identity" in third.text
    merges = api.get("/innkeeper/v1/merges", params={"guestRef": payload["survivor"]}).json()
    assert len([row for row in merges["items"] if "undoneAt" not in row]) == 1


def test_f21_two_people_undo_the_same_merge(
    owner: Person, api: Api, merging: Callable[[], tuple[str, dict[str, str]]]
) -> None:
    _, pair = merging()
    body = {"survivor": pair["survivor"], "absorbed": pair["one"]}
    if body["survivor"] == body["absorbed"]:
        body["absorbed"] = pair["other"]
    path = f"/merges/{api.post('/innkeeper/v1/merges', json=body).json()['ref']}/undo"
    version = field(owner.get(path).text, "version")
    api.patch(f"/v2.1/guests/{body['survivor']}", json={"city": "Galway"})
    late = owner.post(path, version=version)
    assert late.status_code == 412
    assert CHANGED_NOTE in late.text
    newer = field(late.text, "version")
    assert owner.post(path, version=newer).status_code == 303
    third = owner.post(path, version=newer)
    assert third.status_code == 412
    assert f"by {owner.email}" in html.unescape(third.text)


def test_f21_two_people_map_the_columns_of_one_import(owner: Person) -> None:
    upload = owner.http.post(
        "/w/live/imports",
        data={"csrf": owner.csrf, "entity": "guests"},
        files={"file": ("b.csv", b"E-mail,Town\na@example.com,Cork\n")},
    )
    path = upload.headers["location"].removeprefix("/w/live")
    (form,) = [each for each in forms(owner.get(path).text) if "version" in each.fields]
    payload = {name: value for name, value in form.fields.items() if name != "csrf"}
    theirs = {**payload, "action": "start", "c0": "email", "c1": "city"}
    assert owner.post(path, **theirs).status_code == 303
    late = owner.post(path, **{**theirs, "c1": "state"})
    assert late.status_code == 412
    text = " ".join(html.unescape(re.sub(r"<[^>]+>", " ", late.text)).split())
    assert "Town State City" in text
    assert "upload it again" in text
    response = owner.post(path, **{**payload, "action": "discard"})
    assert response.status_code == 412, "what is being imported is not thrown away"
    UUID(path.rpartition("/")[2])
