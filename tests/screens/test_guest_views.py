"""Saved views of the list of guests on its page."""

import html
import re

from calling import Api
from visiting import Person

CORK = (
    "type=all&r0.field=core:city:string&r0.comparator=is+equal+to&r0.first=Cork"
    "&columns=city&sort=-lastSeen"
)


def links(person: Person) -> list[str]:
    """The paths of the views in the menu."""
    matches = re.findall(r'href="/w/live(/guests\?view=[^"]+)"', person.get("/guests").text)
    return [*dict.fromkeys(map(html.unescape, matches))]


def test_a_view_restores_filters_columns_and_sort(
    owner: Person, developer: Person, api: Api
) -> None:
    api.guest(firstName="Ann", city="Cork", email="ann@x.example")
    api.guest(firstName="Bea", city="Bray")
    assert owner.post(f"/guests/views?{CORK}", name="Cork").status_code == 303
    (link,) = links(owner)
    assert links(developer) == []
    location = owner.get(link).headers["location"]
    assert location.endswith("columns=city&sort=-lastSeen")
    page = owner.http.get(location)
    assert "Ann" in page.text
    assert "Bea" not in page.text
    assert "Delete Cork" in page.text
    # The same name replaces it; a shared view is without what the visitor may not see.
    mail = CORK.replace("city:string", "email:string").replace("=Cork", "=ann@x.example")
    owner.post(f"/guests/views?{mail}", name="Cork", shared="yes")
    assert links(owner) == links(developer) == [link]
    assert "ann@x.example" in owner.get(link).headers["location"].replace("%40", "@")
    assert "ann" not in developer.get(link).headers["location"]
    assert developer.post(f"/guests/views?{CORK}", name="Own", shared="yes").status_code == 403
    ref = link.partition("view=")[2]
    assert developer.post("/guests/views", action="delete", view=ref).status_code == 403
    assert owner.post("/guests/views", action="delete", view=ref).status_code == 303
    assert links(owner) == []
    assert owner.get(link).status_code == 404


def test_the_picker_lists_fields_with_their_meaning_and_shares(
    owner: Person, developer: Person, api: Api
) -> None:
    """By hand: two of three guests are of Cork."""
    for name, city in (("Ann", "Cork"), ("Bea", "Cork"), ("Cal", "Bray")):
        api.guest(firstName=name, city=city)
    page = owner.part("/segments/fields?entity=guest").text
    assert 'data-value="core:city:string"' in page
    assert "Form of address" in page
    assert "core:email:string" not in developer.part("/segments/fields?entity=guest").text
    address = html.unescape(re.findall(r'data-values="/w/live([^"]*core%3Acity[^"]*)"', page)[0])
    shares = owner.part(address).text
    assert re.findall(r"(\w+)</span>\s*<span[^>]*>([\d.]+) %", shares)[0] == ("Cork", "66.7")
    assert owner.part("/segments/fields?entity=nope").status_code == 400
