"""The page that declares the fields of consent."""

from calling import Api
from visiting import Person, field

from innkeeper.web.ui.consent import DEFAULT_VALUES


def test_a_field_is_chosen_and_refused_beside_it(api: Api, owner: Person) -> None:
    api.extension(api.guest(), name="ext", newsletter=False)
    page = owner.get("/exports/consent").text
    assert 'value="ext.newsletter"' in page
    version = field(page, "version")
    chosen = {"field.EMAIL": "ext.newsletter", "values.EMAIL": "no, off", "version": version}
    assert owner.post("/exports/consent", **chosen).status_code == 303
    items = api.get("/innkeeper/v1/consent").json()["items"]
    assert items == [{"channel": "EMAIL", "field": "ext.newsletter", "values": ["no", "off"]}]
    assert "no, off" in owner.get("/exports/consent").text
    assert DEFAULT_VALUES in owner.get("/exports/consent").text, "of the other channels"
    assert owner.post("/exports/consent", **chosen).status_code == 412
    chosen = {"field.EMAIL": "nothing", "version": ""}
    refused = owner.post("/exports/consent", **chosen)
    assert refused.status_code == 400
    assert "must be a text field of guests" in refused.text
    assert "Decided by ext.newsletter." in owner.get("/exports/new").text
