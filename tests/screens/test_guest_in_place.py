"""Fields of a guest, edited one by one in their place on its page."""

from calling import Api
from visiting import Person, field


def test_a_field_is_edited_in_place_with_its_control(
    owner: Person, developer: Person, api: Api
) -> None:
    guest = api.guest(firstName="Ann", country="IE", emails=["a@example.com", "b@example.com"])
    path = f"/guests/{guest['ref']}"
    page = owner.get(f"{path}/properties").text
    # Without a script, the link opens the form of all fields.
    assert f'href="/w/live{path}/edit#f-country" hx-get="/w/live{path}/edit/country"' in page
    part = owner.get(f"{path}/edit/country").text
    assert '<option value="IE" selected>Ireland (IE)</option>' in part
    assert 'type="date"' in owner.get(f"{path}/edit/date_of_birth").text
    assert owner.get(f"{path}/edit/emails").text.count('<input name="emails"') == 3
    version = field(part, "version")
    saved = owner.post(f"{path}/edit", country="FR", version=version)
    assert saved.headers["location"].endswith("/properties")
    stored = api.get(f"/v2.1/guests/{guest['ref']}").json()
    assert {**stored, "modifiedAt": None} == {**guest, "country": "FR", "modifiedAt": None}

    # What is refused comes back with the stored values of the other fields.
    now = field(owner.get(f"{path}/edit/country").text, "version")
    refused = owner.post(f"{path}/edit", date_of_birth="yesterday", version=now)
    assert refused.status_code == 400
    assert 'value="yesterday"' in refused.text
    assert 'name="first_name" value="Ann"' in refused.text
    outdated = owner.post(f"{path}/edit", country="DE", version=version)
    assert outdated.status_code == 412
    assert "Somebody else changed this meanwhile" in outdated.text
    assert "First name" not in outdated.text.split("Stored now")[1].split("</table>")[0]

    assert owner.get(f"{path}/edit/ref").status_code == 404
    assert developer.get(f"{path}/edit/country").status_code == 403
    assert "hx-get" not in developer.get(f"{path}/properties").text.split("<dl")[-1]
