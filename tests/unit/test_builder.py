"""The form of the segment builder: what it can hold comes back as it was, the rest is told."""

from typing import Any

import pytest

from innkeeper.errors import Invalid, Problem
from innkeeper.resources.segments import COMPARATORS
from innkeeper.rules.traits import Traits, read
from innkeeper.web.ui import builder, trait_form
from innkeeper.web.ui.segment_examples import EXAMPLES

VALUES = {"string": "a", "number": 2, "timestamp": "2026-10-01"}


def rule(comparator: str, kind: str) -> dict[str, Any]:
    existing = COMPARATORS[comparator]
    days = existing.test in ("past", "next", "plus", "minus")
    values = [3, "weeks"] if days else [VALUES[kind]] * existing.least if existing.least else []
    place = {"location": "ext", "field": "x", "comparatorDataType": kind}
    return {**place, "comparator": comparator, "values": values}


RULES = [rule(name, kind) for name, comparator in COMPARATORS.items() for kind in comparator.types]
GROUPS = [
    {"entity": "event", "type": ["VIEW", "ADD"], "ruleOperator": "OR", "rules": RULES[:50]},
    {"entity": "Order Item", "filterGroupType": "EXCLUDE"},
    {"entity": "order", "count": {"comparator": "is greater than", "value": 2}},
    {"sequence": [{"entity": "event", "rules": RULES[50:]}, {"entity": "order", "absent": True}]},
    {"entity": "guest", "rules": [rule("is null", "string") | {"location": "my ext"}]},
]
TOO_MUCH = [
    {"entity": "order", "count": {"comparator": "is between", "values": [2, 4]}},
    {"entity": "event", "rules": [rule("includes any of", "string") | {"values": ["a, b"]}]},
    {"entity": "guest", "rules": [rule("is null", "string") | {"location": "a:b"}]},
]


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_what_the_form_can_hold_comes_back(group: dict[str, Any]) -> None:
    assert builder.fits({"filterGroups": [group]}, Traits())


@pytest.mark.parametrize("group", TOO_MUCH, ids=str)
def test_what_the_form_cannot_hold_is_known(group: dict[str, Any]) -> None:
    assert not builder.fits({"filterGroups": [group]}, Traits())
    assert not builder.fits({"filterGroups": GROUPS[:1], "retired": True}, Traits())


def test_examples_fit_and_saved_definitions_are_unchanged() -> None:
    for item in (each.definition for each in EXAMPLES.values()):
        assert builder.fits(item, Traits())
        same = builder.definition_of(builder.draft_of("", item, Traits()))
        assert same != item
        assert builder.definition_to_save(same, item, Traits()) is item
        assert builder.definition_to_save({"sql": "SELECT 1"}, item, Traits()) == {
            "sql": "SELECT 1"
        }


def test_problems_use_the_words_of_the_form() -> None:
    at = "definition.filterGroups[0].sequence[1].rules[2].values"
    assert builder.problem_in_form(Problem(at, "must be a number")) == (
        "Group 1, step 2, rule 3: values must be a number"
    )
    assert builder.problem_in_form(Problem("", "too slow")) == "Too slow"


def test_names_of_traits_become_those_of_the_api() -> None:
    payload = {"Spent on shoes": "spentOnShoes", "rfmScore": "rfmScore", "Été 2026!": "ete2026"}
    assert {text: trait_form.code_name(text) for text in payload} == payload


def test_a_trait_without_numbers_is_refused() -> None:
    """Events have no numbers of their own to add up: the form says that a field is missing."""
    draft = trait_form.read_form({"entity": "event", "was": "event", "function": "sum"})
    assert (draft.function, draft.field) == ("sum", "")
    with pytest.raises(Invalid) as refused:
        read("clicks", trait_form.definition_of(draft))
    assert [problem.field for problem in refused.value.problems] == ["field"]
