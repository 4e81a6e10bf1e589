"""Numbers in forms that a page sends, with what anybody may send instead: no answer is 500."""

import pytest
from visiting import Person

NOT_POSITIONS = ("²", "9" * 5000, "-1", "x")
"""A digit that is no decimal one, and more digits than Python converts."""


@pytest.mark.parametrize("text", NOT_POSITIONS)
def test_a_position_that_is_no_number_changes_nothing(owner: Person, text: str) -> None:
    rule = {"field": "core:city:string", "comparator": "is equal to", "first": "Cork"}
    group = {f"g0.r0.{name}": value for name, value in rule.items()}
    group |= {"g0.entity": "guest", "g0.was": "guest", "do": f"drop-rule:0:{text}"}
    answer = owner.post("/segments/new", **group)
    assert (answer.status_code, 'value="Cork"' in answer.text) == (200, True)
    trait = {"entity": "order", "was": "order", "function": "count", "do": f"drop-rule:{text}"}
    assert owner.post("/traits/new", **trait).status_code == 200
    assert owner.post("/reports/rfm_groups/segment", row=text).status_code == 400
    assert owner.post("/settings/points-of-sale", name="till", timeout_minutes=text).is_client_error
    if len(text) < 9:
        filters = "r0.field=core:city:string&r0.comparator=is equal to&r0.first=Cork"
        removed = owner.get(f"/guests?{filters}&do=drop-rule:{text}")
        assert removed.status_code == 303
        assert "r0.first=Cork" in removed.headers["location"]


@pytest.mark.parametrize("field", ["x:y:z", ".", "core::"])
@pytest.mark.parametrize("path", ["/guests", "/guests/csv"])
def test_a_filter_by_a_field_of_an_unknown_type_is_refused(
    owner: Person, path: str, field: str
) -> None:
    answer = owner.get(f"{path}?r0.field={field}&r0.comparator=is&r0.first=1")
    assert answer.status_code in (200, 400)
