"""F7: the values that never identify, on the settings page of identity rules."""

from html import unescape
from re import DOTALL, search

import pytest
from calling import Api
from visiting import Person

from innkeeper.rules.placeholders import PLACEHOLDERS

PATH = "/settings/identity-rules"
GUARDS = "/innkeeper/v1/identity/guards"


@pytest.fixture(autouse=True)
def as_before(api: Api) -> None:
    api.patch(GUARDS, json=dict.fromkeys(("groupLimit", "region", "never")))


def lines(page: str) -> list[str]:
    """What the text area holds."""
    match = search(r'<textarea[^>]* name="never"[^>]*>(.*?)</textarea>', page, DOTALL)
    assert match is not None, page
    return unescape(match[1]).splitlines()


def test_f7_the_whole_list_is_shown_and_saved(owner: Person, api: Api) -> None:
    text = lines(owner.get(PATH).text)
    assert text == sorted(PLACEHOLDERS)
    text.remove("test")
    form = {"action": "guards", "group_limit": "50", "region": "ie"}
    saved = owner.post(PATH, **form, never="\r\n".join([*text, "", " Walk-IN "]))
    assert saved.status_code == 303, saved.text
    guards = api.get(GUARDS).json()
    assert {*guards["never"]} == {*PLACEHOLDERS, "walk-in"} - {"test"}
    assert (guards["groupLimit"], guards["region"]) == (50, "IE")
    assert "walk-in" in lines(owner.get(PATH).text)
    assert "identity_guards.save" in owner.get("/settings/audit-log").text


def test_f7_a_refused_form_is_shown_as_it_was_typed(owner: Person, api: Api) -> None:
    form = {"action": "guards", "group_limit": "none", "region": "", "never": "walk-in"}
    refused = owner.post(PATH, **form)
    assert refused.status_code == 400
    assert lines(refused.text) == ["walk-in"]
    assert "must be an integer" in refused.text
    refused = owner.post(PATH, **{**form, "group_limit": "5", "region": "Ireland"})
    assert refused.status_code == 400
    assert "not a valid value" in refused.text
    assert api.get(GUARDS).json()["groupLimit"] == 100


def test_f7_who_may_not_change_rules_may_not_change_guards(developer: Person) -> None:
    form = {"action": "guards", "group_limit": "5", "region": "", "never": ""}
    assert developer.post(PATH, **form).status_code == 403
    assert len(lines(developer.get(PATH).text)) == len(PLACEHOLDERS)
    assert "Save the guards" not in developer.get(PATH).text


def test_f7_the_rules_of_a_refused_form_stay(owner: Person) -> None:
    """The page has two forms: neither loses what the other shows."""
    form = {"action": "guards", "group_limit": "0", "region": "", "never": ""}
    assert 'value="email"' in owner.post(PATH, **form).text
