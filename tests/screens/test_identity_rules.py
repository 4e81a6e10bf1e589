"""Identity rules by menus: the buttons of the form, its preview, a rule change and its undo."""

from collections.abc import Iterator
from html import unescape

import pytest
from calling import Api
from sites import Site
from visiting import Person

from innkeeper.actions.identity import rule_changes

PATH = "/settings/identity-rules"
RULES = "/innkeeper/v1/identity/rules"
EMAIL = {"identityRule": "email", "providers": ["email"]}
BY_EMAIL = {"r0.name": "email", "r0.c0": "provider:email"}
BY_PHONE = {"r1.name": "", "r1.c0": "field:phone", "r1.c1": "field:lastName"}


@pytest.fixture(autouse=True)
def as_before(api: Api) -> Iterator[None]:
    yield
    api.put(RULES, json={"rules": [EMAIL]})


def menus(page: str) -> list[str]:
    """The chosen options of the form."""
    return [part.split('value="')[-1].split('"')[0] for part in page.split(" selected>")[:-1]]


def test_the_buttons_of_the_form_work_without_a_script(owner: Person) -> None:
    text = owner.post(PATH, **BY_EMAIL, do="add:phone").text
    assert menus(text)[:3] == ["provider:email", "field:phone", "field:lastName"]
    assert 'placeholder="Phone + Last name"' in text
    form = {**BY_EMAIL, **BY_PHONE}
    assert menus(owner.post(PATH, **form, do="up:1").text)[:3] == [
        *("field:phone", "field:lastName", "provider:email")
    ]
    assert menus(owner.post(PATH, **form, do="drop-condition:1:1").text)[1] == "field:phone"
    assert 'name="r1.c2"' in owner.post(PATH, **form, do="and:1").text
    assert 'name="r1.name"' not in owner.post(PATH, **form, do="drop:0").text
    typed = owner.post(PATH, **{**BY_EMAIL, "r0.c0": "provider:"}, do="").text
    assert 'name="r0.p0"' in typed
    # Nothing was stored, and what is incomplete or ambiguous is refused in words.
    unchanged = owner.get(PATH).text
    assert 'name="r1.name"' not in unchanged
    refused = owner.post(PATH, **BY_EMAIL, **{"r1.name": "x", "r1.c0": ""}, do="save")
    assert (refused.status_code, "x: choose what must be equal" in refused.text) == (400, True)
    refused = owner.post(PATH, **form | {"r1.name": "email"}, do="save")
    assert "The name of a rule must be unique" in refused.text


def test_a_preview_names_who_joins_and_who_parts_and_a_change_is_undone(
    owner: Person, developer: Person, api: Api, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two groups, each on a page of its own: what a plan reads, it reads page by page."""
    monkeypatch.setattr(rule_changes, "PAGE", 1)
    for name in ("Maud", "Maude"):
        api.guest(firstName=name, phoneNumbers=["+353861230078"], lastName="Quilty")
    number = {"phoneNumbers": ["+353861230077"], "lastName": "Quirke"}
    one, other = api.guest(firstName="Nuala", **number), api.guest(firstName="Noola", **number)
    preview = unescape(owner.post(PATH, **BY_EMAIL, **BY_PHONE, do="").text)
    assert "guests would join others, in 2 groups." in preview
    for guest, name in ((one, "Nuala Quirke"), (other, "Noola Quirke")):
        assert f'/guests/{guest["ref"]}">{name}</a>' in preview
    assert "joins by Phone + Last name (Last name: Quirke, Phone: +353861230077)" in preview

    applied = owner.post(PATH, **BY_EMAIL, **BY_PHONE, do="apply")
    site.run_worker()
    change = applied.headers["location"].removeprefix("/w/live")
    text = unescape(owner.get(change).text)
    assert "2 guests part from their survivors, each" in text
    assert "The rules from before are in force again." in text
    assert f'/guests/{other["ref"]}">Noola Quirke</a>' in text
    masked = developer.get(change).text
    assert "Quirke" not in masked
    assert "353861230077" not in masked
    assert developer.post(change).status_code == 403

    parting = unescape(owner.post(PATH, **BY_EMAIL, do="").text)
    assert "No longer joined by these rules: 2" in parting
    assert "No longer joined" not in owner.post(PATH, **BY_EMAIL, **BY_PHONE, do="").text

    undone = owner.post(change)
    site.run_worker()
    progress = owner.get(undone.headers["location"].removeprefix("/w/live")).text
    assert "2 of 2" in progress
    assert api.get(f"/v2.1/guests/{other['ref']}").json() == other
    assert api.get(RULES).json()["rules"] == [EMAIL]
    assert "Undo all of it" not in owner.get(change).text
    assert owner.post(change).status_code == 409
