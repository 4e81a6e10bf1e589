"""Definitions of segments and traits: their declarations name every problem, and what they mean."""

from collections.abc import Mapping
from typing import Any

import pytest

from innkeeper.errors import Invalid
from innkeeper.resources.definitions import SegmentDefinition, TraitDefinition
from innkeeper.resources.payloads import PayloadOf
from innkeeper.rules import segment_reading, traits
from innkeeper.rules.members import unknown_members


def _problems(definition: Mapping[str, Any]) -> list[str]:
    with pytest.raises(Invalid) as invalid:
        segment_reading.read(definition)
    return [each.message.removeprefix("definition.filterGroups") for each in invalid.value.problems]


def test_every_problem_is_named_at_every_level() -> None:
    """EU-3: also what is no object, and beside a part that was refused; none is named twice."""
    groups = [
        {"entity": "guest", "rules": [7, {"field": 5, "comparator": "is null"}, {"field": "city"}]},
        {},
        {"sequence": [1]},
        {"sequence": [{"entity": "event"}, {"entity": "nobody", "withinDays": 0}]},
        {
            "entity": "order",
            "ruleOperator": "xor",
            "rules": None,
            "count": {"comparator": "is between", "values": ["1", "many"]},
            "sum": {"field": "price", "comparator": "is equal to", "values": [1, 2]},
        },
    ]
    entities = "value must be one of guest,session,event,order,order_item"
    assert _problems({"filterGroups": groups, "retired": "no"}) == [
        "definition.retired: must be true or false",
        "[0].rules[0]: must be an object",
        "[0].rules[1].field: must be a string",
        "[0].rules[2].comparator: may not be null.",
        f"[1].entity: {entities}",
        "[2].sequence: size must be between 2 and 10",
        f"[3].sequence[1].entity: {entities}",
        "[3].sequence[1].withinDays: must be above 0 and at most 10000",
        "[4].ruleOperator: value must be one of AND,OR",
        "[4].rules: may not be null.",
        "[4].count.values[1]: must be a number",
        "[4].sum.values: must hold 1 values",
        "[4].sum.currency: may not be null.",
    ]


def test_words_have_any_case_and_null_is_as_absent() -> None:
    """Definitions of 0.1.0 have such, and segment builders send them."""
    group = {"entity": "Order Item", "type": "FLIGHT", "count": None, "sum": None, "sequence": None}
    group |= {"ruleOperator": "or", "filterGroupType": "exclude"}
    rule = {"location": None, "field": "name", "comparator": " Is Null ", "values": None}
    read = segment_reading.read({"filterGroups": [group | {"rules": [rule]}], "operator": "Or"})
    assert read.operator == "OR"
    (one,) = read.groups
    assert (one.entity.name, one.types, one.operator, one.exclude) == (
        *("order_item", ("FLIGHT",), "OR", True),
    )
    assert [each.field for each in one.rules] == ["name"]


def test_a_trait_is_declared_as_a_group_is() -> None:
    with pytest.raises(Invalid) as invalid:
        traits.read("mine", {"entity": "guest", "function": "mean", "rules": [{}], "field": 5})
    assert [each.message for each in invalid.value.problems] == [
        "function: value must be one of count,sum,average,least,greatest,latest,most_common",
        "field: must be a string",
        "rules[0].field: may not be null.",
        "rules[0].comparator: may not be null.",
        "entity: must be something that guests have",
    ]


@pytest.mark.parametrize("payload", [SegmentDefinition, TraitDefinition])
def test_f15_unknown_members_follow_from_the_declaration(payload: type) -> None:
    """F15: at every level, with the nearest name."""
    group = {"entity": "order", "rule": [], "rules": [{"feld": "x"}]}
    body = group if payload is TraitDefinition else {"filterGroups": [group]}
    at = "" if payload is TraitDefinition else "filterGroups[0]."
    assert [each.message for each in unknown_members(body, PayloadOf(payload).schema())] == [
        f"{at}rule: is not a known member; did you mean rules?",
        f"{at}rules[0].feld: is not a known member; did you mean field?",
    ]
