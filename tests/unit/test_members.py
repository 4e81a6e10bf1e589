"""F15: the nearest known name, and members that a definition does not have."""

import pytest

from innkeeper.errors import Invalid, OperatorError
from innkeeper.resources.definitions import SegmentDefinition
from innkeeper.resources.payloads import PayloadOf
from innkeeper.rules.members import nearest, suggestion, unknown_members
from innkeeper.wire.bulk.mapping import mapping_of
from innkeeper.wire.identity.rules import read_rules


@pytest.mark.parametrize(
    ("name", "near"),
    [("rule", "rules"), ("RULES", "rules"), ("opertor", "operator"), ("x", None), ("", None)],
)
def test_f15_nearest(name: str, near: str | None) -> None:
    assert nearest(name, ("rules", "operator", "filterGroups")) == near


def test_f15_a_long_name_is_compared_by_its_beginning() -> None:
    """However long it is, 100 characters of it are looked at."""
    assert nearest("rules" + "x" * 10**6, ("rules",)) is None
    assert nearest("n" * 10**6, ("n" * 100,)) == "n" * 100


def test_f15_without_a_near_name_a_few_known_ones_are_listed() -> None:
    assert suggestion("zzz", ("a", "b")) == "; known are a, b"
    assert suggestion("zzz", [f"name{number}" for number in range(13)]) == ""


def test_f15_members_at_every_level_with_their_paths() -> None:
    step = {"entity": "event", "rules": [{"field": "page", "valeus": []}]}
    payload = {
        "opertor": "AND",
        "filterGroups": [{"sequence": [step, {"absnt": True}]}, "no object"],
    }
    assert [
        problem.field for problem in unknown_members(payload, PayloadOf(SegmentDefinition).schema())
    ] == [
        "opertor",
        "filterGroups[0].sequence[0].rules[0].valeus",
        "filterGroups[0].sequence[1].absnt",
    ]


@pytest.mark.parametrize(
    ("holds", "mapping", "message"),
    [
        ("guests", {"colums": {}}, "colums: is not a known member; did you mean columns?"),
        (
            "guests",
            {"columns": {"Mail": "emial"}},
            "columns.Mail: emial is not a field of guests; did you mean email?",
        ),
        (
            "orders",
            {"columns": {"Mail": "contact.emial"}},
            "columns.Mail: contact.emial is not a field of orders; did you mean contact.email?",
        ),
        ("orders", {"constants": {"zzzz": 1}}, "constants: zzzz is not a field of orders."),
    ],
)
def test_f15_a_mapping_names_what_it_does_not_know(
    holds: str, mapping: dict[str, object], message: str
) -> None:
    """As TOML of the command and as JSON alike."""
    with pytest.raises(OperatorError) as raised:
        mapping_of(holds, mapping)
    assert str(raised.value) == message


def test_f15_a_file_of_identity_rules_names_what_it_does_not_know() -> None:
    with pytest.raises(Invalid) as raised:
        read_rules(
            {"rules": [{"identityRule": "R", "providers": ["email"], "feilds": ["lastName"]}]}
        )
    assert raised.value.errors == ["rules[0].feilds: is not a known member; did you mean fields?"]
