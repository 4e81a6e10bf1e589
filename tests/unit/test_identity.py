"""Evidence and decision, row by row of identity.md 2, 3, 5, 9 and rest-v2.1.md 8."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from innkeeper.rules import normalize
from innkeeper.rules.attachment import contradicts, decide_companion, names_match
from innkeeper.rules.guests import guest_fields
from innkeeper.rules.identity import (
    NEVER_IDENTIFIES,
    TOO_MANY,
    Decision,
    evidence,
    evidence_without_rules,
    resolve,
    resolve_without_rules,
)
from innkeeper.rules.identity_keys import guest_keys
from innkeeper.rules.identity_rules import Condition, IdentityRule, IdentityRules, rule_keys
from innkeeper.rules.placeholders import PLACEHOLDERS
from innkeeper.rules.plain_evidence import compile_evidence

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
CRM = IdentityRule("crm", (Condition(provider="CRM"),))
EMAIL = IdentityRule("email", (Condition(provider="email"),))
MAIL_FIELD = IdentityRule("mail", (Condition(field="email"),))
PHONE_NAME = IdentityRule(
    "phone and name", (Condition(field="phone"), Condition(field="last_name"))
)
PERSON = IdentityRule(
    "person", tuple(Condition(field=one) for one in ("first_name", "last_name", "date_of_birth"))
)
BOTH = IdentityRule("both", (Condition(provider="a"), Condition(provider="b")))


def book(*rules: IdentityRule, **more: Any) -> IdentityRules:
    return IdentityRules(UUID(int=0), rules, **more)


def ids(**pairs: str) -> list[dict[str, str]]:
    return [{"provider": provider, "id": value} for provider, value in pairs.items()]


def guest(number: int, days: int = 0, **fields: Any) -> dict[str, Any]:
    """A guest last seen `days` ago."""
    at = NOW - timedelta(days=days)
    return {**fields, "ref": UUID(int=number), "last_seen": at, "created_at": at}


def decided(person: dict[str, Any], guests: list[dict[str, Any]], rules: IdentityRules) -> Decision:
    result = evidence(person, rules, NOW)
    keys = set(result.keys())
    rows = [
        {**one, "key": key}
        for one in guests
        for rule in rules.rules
        for key, _ in rule_keys(one, rule, rules.region, None)
        if key in keys
    ]
    return resolve(result, rows, rules, NOW)


def match_of(person: dict[str, Any], *rules: IdentityRule) -> list[str]:
    return [one.rule.name for one in evidence(person, book(*rules), NOW).rule_matches]


def test_the_provider_must_equal_the_rules_exactly() -> None:
    """identity.md 2: `provider` must equal the rule's string exactly."""
    assert match_of({"identifiers": ids(CRM="1")}, CRM) == ["crm"]
    assert match_of({"identifiers": ids(crm="1")}, CRM) == []


def test_ids_compare_exactly_except_those_of_the_provider_email() -> None:
    """identity.md 9: case and whitespace of ids."""
    holder = guest(1, identifiers=ids(CRM="Ab", email="ann@x.com"))
    assert decided({"identifiers": ids(CRM="ab")}, [holder], book(CRM, EMAIL)).guest is None
    assert decided({"identifiers": ids(CRM="Ab")}, [holder], book(CRM, EMAIL)).rule == "crm"
    result = decided({"identifiers": ids(email=" ANN@x.com")}, [holder], book(CRM, EMAIL))
    assert (result.guest, result.rule) == (UUID(int=1), "email")
    assert result.evidence == [{"provider": "email", "value": " ANN@x.com"}]


def test_an_empty_id_meets_no_rule() -> None:
    """ID-1: a non-empty id."""
    assert match_of({"identifiers": ids(CRM="")}, CRM) == []


def test_an_expired_identifier_is_ignored_on_both_sides() -> None:
    """identity.md 5 and 9: ignored for matching, still listed."""
    late = [{**ids(CRM="1")[0], "expiryDate": "2026-11-21T08:59:59.000Z"}]
    good = [{**ids(CRM="1")[0], "expiryDate": "2026-11-21T09:00:01.000Z"}]
    assert match_of({"identifiers": late}, CRM) == []
    assert match_of({"identifiers": good}, CRM) == ["crm"]
    person = {"identifiers": ids(CRM="1")}
    assert decided(person, [guest(1, identifiers=late)], book(CRM)).guest is None
    assert decided(person, [guest(1, identifiers=good)], book(CRM)).guest == UUID(int=1)


def test_the_first_rule_with_a_match_wins() -> None:
    """identity.md 2 and 9: A by rule 1 and B by rule 2 is A only."""
    one, two = guest(1, identifiers=ids(CRM="1")), guest(2, identifiers=ids(email="a@x"))
    person = {"identifiers": ids(CRM="1", email="a@x")}
    assert decided(person, [one, two], book(CRM, EMAIL)).guest == one["ref"]
    assert decided(person, [one, two], book(EMAIL, CRM)).guest == two["ref"]


def test_a_met_rule_without_a_match_leaves_it_to_the_next() -> None:
    """rest-v2.1.md 8, step 2."""
    two = guest(2, identifiers=ids(email="a@x"))
    result = decided({"identifiers": ids(CRM="1", email="a@x")}, [two], book(CRM, EMAIL))
    assert (result.guest, result.rule) == (two["ref"], "email")


def test_of_several_owners_the_most_recently_seen_is_meant() -> None:
    """identity.md 9."""
    shared = {"identifiers": ids(CRM="1")}
    owners = [guest(1, 5, **shared), guest(2, 1, **shared), guest(3, 9, **shared)]
    assert decided(shared, owners, book(CRM)).guest == UUID(int=2)
    twins = [guest(5, 1, **shared), guest(4, 1, **shared)]
    assert decided(shared, twins, book(CRM)).guest == UUID(int=4)


def test_every_condition_of_a_rule_must_match() -> None:
    """identity.md 2: `providers` is a list that must all match."""
    holder = guest(1, identifiers=ids(a="1", b="2"))
    assert decided({"identifiers": ids(a="1", b="2")}, [holder], book(BOTH)).guest is not None
    assert decided({"identifiers": ids(a="1", b="3")}, [holder], book(BOTH)).guest is None
    assert decided({"identifiers": ids(a="1")}, [holder], book(BOTH)).guest is None


def test_rules_over_guest_fields() -> None:
    """identity.md 2, 2.0 tenants: e-mail; phone and last name; first, last name and birth."""
    holder = guest(
        1,
        emails=["Ann@X.com"],
        phone_numbers=["+353 86 123 4567"],
        first_name="Áine",
        last_name="Ó Néill",
        date_of_birth="1980-02-01",
    )
    rules = book(MAIL_FIELD, PHONE_NAME, PERSON, region="IE")
    assert decided({"email": "ann@x.com"}, [holder], rules).rule == "mail"
    by_phone = {"phone_numbers": ["086 1234567"], "last_name": "O'NEILL"}
    assert decided(by_phone, [holder], rules).rule == "phone and name"
    person = {"first_name": "aine", "last_name": "o neill", "date_of_birth": "1980-02-01"}
    assert decided(person, [holder], rules).rule == "person"
    other = {**person, "date_of_birth": "1980-02-02"}
    assert decided(other, [holder], rules).guest is None


def test_the_order_of_conditions_does_not_change_a_key() -> None:
    turned = IdentityRule("turned", PHONE_NAME.conditions[::-1])
    person = {"phone_numbers": ["+353861234567"], "last_name": "Lee"}
    keys = [[key for key, _ in rule_keys(person, rule, None, NOW)] for rule in (PHONE_NAME, turned)]
    assert keys[0] == keys[1]


def test_long_lists_of_values_do_not_multiply() -> None:
    mails = [f"{number}@x.com" for number in range(300)]
    phones = [f"+35386{number:07}" for number in range(300)]
    rule = IdentityRule("r", (Condition(field="email"), Condition(field="phone")))
    person = {"emails": mails, "phone_numbers": phones}
    assert len(list(rule_keys(person, rule, None, None))) == 100


@pytest.mark.parametrize(
    "value", ["Unknown", " NULL ", "test@test.com", "0", "000-000", "00000000", "  ", "n/a"]
)
def test_some_values_never_identify(value: str) -> None:
    result = evidence({"identifiers": ids(CRM=value)}, book(CRM), NOW)
    assert result.rule_matches == []
    (blocked,) = result.blocked
    assert (blocked.rule, blocked.reason) == ("crm", NEVER_IDENTIFIES)
    assert blocked.evidence == [{"provider": "CRM", "value": value}]


def test_the_list_of_such_values_can_be_changed() -> None:
    mine = book(CRM, never=frozenset({"walk-in"}))
    assert evidence({"identifiers": ids(CRM="Walk-In")}, mine, NOW).rule_matches == []
    assert evidence({"identifiers": ids(CRM="unknown")}, mine, NOW).rule_matches != []


def test_a_value_that_too_many_share_is_passed_over() -> None:
    shared = {"identifiers": ids(CRM="desk", email="a@x")}
    people = [guest(number, identifiers=ids(CRM="desk")) for number in range(1, 4)]
    own = guest(9, identifiers=ids(email="a@x"))
    result = decided(shared, [*people, own], book(CRM, EMAIL, group_limit=2))
    assert (result.guest, result.rule) == (own["ref"], "email")
    assert [(one.rule, one.reason) for one in result.blocked] == [("crm", TOO_MANY)]
    assert decided(shared, [*people, own], book(CRM, EMAIL, group_limit=3)).rule == "crm"


def test_without_rules_every_identifier_must_be_held() -> None:
    """rest-v2.1.md 8, step 3; identity.md 9, identity with zero rules."""
    person = {"identifiers": ids(CRM="1", email="A@x")}
    rules = book()
    result = evidence_without_rules(person, rules, NOW)
    half = guest(1, identifiers=ids(CRM="1"))
    whole = guest(2, 5, identifiers=ids(email="a@X", CRM="1", more="2"))
    assert resolve_without_rules(result, [half], NOW).guest is None
    assert resolve_without_rules(result, [half, whole], NOW).guest == whole["ref"]
    nothing = evidence_without_rules({}, rules, NOW)
    assert resolve_without_rules(nothing, [half, whole], NOW).guest is None


def test_nothing_known_creates_a_guest() -> None:
    assert decided({}, [], book(CRM)) == Decision(None)


def test_other_ids_under_one_rule_are_another_person() -> None:
    """identity.md 3: a second person on the same browser."""

    def decide(person: dict[str, Any]) -> Any:
        return evidence(person, book(CRM, EMAIL), NOW).rule_matches

    ann = decide({"identifiers": ids(CRM="1")})
    assert contradicts(ann, decide({"identifiers": ids(CRM="2")}))
    assert not contradicts(ann, decide({"identifiers": ids(CRM="1", email="a@x")}))
    assert not contradicts(ann, decide({"identifiers": ids(email="a@x")}))
    assert not contradicts([], decide({"identifiers": ids(CRM="2")}))


def test_a_namesake_among_the_contacts() -> None:
    """ID-7: first and last name equal."""
    contacts = [{"first_name": "Ann", "last_name": "Lee", "guest_ref": UUID(int=1)}]
    assert names_match({"first_name": "ann", "last_name": "LEE"}, contacts, PLACEHOLDERS) == UUID(
        int=1
    )
    assert names_match({"first_name": "Ann"}, contacts, PLACEHOLDERS) is None
    assert names_match({"first_name": "Ann", "last_name": "Li"}, contacts, PLACEHOLDERS) is None
    unlinked = [{**contacts[0], "guest_ref": None}]
    assert names_match({"first_name": "Ann", "last_name": "Lee"}, unlinked, PLACEHOLDERS) is None


@pytest.mark.parametrize(
    ("number", "region", "compared"),
    [
        ("+353 (0)86 123 4567", None, "+353861234567"),
        ("00353861234567", None, "+353861234567"),
        ("086-123 4567", "IE", "+353861234567"),
        ("086-123 4567", "ie", "+353861234567"),
        ("(212) 555-0100", "US", "+12125550100"),
        ("086-123 4567", None, "0861234567"),
        ("12", "IE", ""),
        ("call me", None, ""),
    ],
)
def test_phone_numbers_compare_as_e164(number: str, region: str | None, compared: str) -> None:
    assert normalize.phone(number, region) == compared


@pytest.mark.parametrize(
    ("name", "folded"),
    [
        ("Ó Néill-Smith", "oneillsmith"),
        ("O'Brien", "obrien"),
        ("MÜLLER", "muller"),
        ("Straße", "strasse"),
        ("Łukasz Øst", "lukaszost"),
        ("Ægir", "aegir"),
        ("Ⅷ", "viii"),
        ("ガ", "ガ"),
        ("हिन्दी", "हिन्दी"),
        ("Ёлкин", "елкин"),
        ("--", ""),
    ],
)
def test_names_are_folded(name: str, folded: str) -> None:
    assert normalize.folded(name) == folded


# Consumers of events (stream-api.md 4.2)

JANE = {"first_name": "Jane", "last_name": "Doe"}
JIM = {"first_name": "Jim", "last_name": "Poe"}


@pytest.mark.parametrize(
    ("consumer", "expected"),
    [
        ({**JIM, "identifiers": ids(email="JANE@x.com")}, 1),
        (JANE, 1),
        (JIM, None),
        ({**JANE, "identifiers": ids(email="other@x.com")}, None),
        ({**JANE, "identifiers": ids(loyalty="other")}, 1),
        ({"first_name": "Sam", "last_name": "Lee"}, None),
        ({"first_name": "Jane"}, None),
    ],
)
def test_a_consumer_may_be_a_contact(consumer: dict[str, Any], expected: int | None) -> None:
    """4.2 row ADD_CONSUMERS: one value of a rule, or the names of a contact whom a rule knows."""
    contacts = [
        {**JANE, "identifiers": ids(email="jane@x.com"), "guest_ref": UUID(int=1)},
        {"first_name": "Sam", "last_name": "Lee", "guest_ref": UUID(int=2)},
    ]
    result = decide_companion(consumer, contacts, book(EMAIL), NOW).guest
    assert result == (None if expected is None else UUID(int=expected))


def test_without_rules_a_consumer_may_share_an_identifier() -> None:
    """identity.md 9, identity with zero rules."""
    contact = {**JANE, "identifiers": ids(crm="7"), "guest_ref": UUID(int=1)}
    assert decide_companion({"identifiers": ids(crm="7")}, [contact], book(), NOW).guest == UUID(
        int=1
    )
    assert decide_companion({"identifiers": ids(crm="8")}, [contact], book(), NOW).guest is None


def test_the_evidence_of_a_companion_is_the_first_value_that_both_have() -> None:
    """In the order of the consumer's identifiers, whatever their keys (stream-api.md 4.2)."""
    for first, second in (("7", "8"), ("8", "7")):
        shared = [{"provider": "CRM", "id": value} for value in (first, second)]
        contact = {"identifiers": shared[::-1], "guest_ref": UUID(int=1)}
        decision = decide_companion({"identifiers": shared}, [contact], book(CRM), NOW)
        assert decision.evidence == [{"provider": "CRM", "value": first}]


VALUES = (
    *("a@b.ie", "A@b.IE", " a@b.ie", "a b", "é@b.ie", "007", "42", "4-2", "0", "-", "a.", "1E5"),
    *(
        "1.5E+11",
        "3E+11",
        "#N/A",
        "null",
        "Null",
        "(null)",
        "'x'",
        "\u200bx",
        "",
        "Test",
        "a" * 300,
    ),
    *("f81d4fae-7dec-11d0-a765-00a0c91e6bf6", "1" * 300, "C_1", "c_1", "4_2", "0000", "x\n", "x y"),
)


@pytest.mark.parametrize("rules", [(EMAIL,), (MAIL_FIELD,), (CRM, EMAIL), (EMAIL, MAIL_FIELD, CRM)])
def test_plain_evidence_is_the_evidence_of_usual_values(rules: tuple[IdentityRule, ...]) -> None:
    those = book(*rules)
    read = compile_evidence(those)
    assert read is not None
    plain = 0
    expiring = {"provider": "CRM", "id": "x", "expiryDate": "2999-01-01T00:00:00.000Z"}
    for value in VALUES:
        for person in (
            {"email": value},
            {"emails": ["z@z.ie", value, "Z@z.ie"]},
            {"email": value, "emails": ["z@z.ie", value]},
            {"email": "z@z.ie", "identifiers": ids(CRM=value, email="z@z.ie", other=value)},
            {"identifiers": [*ids(CRM=value), *ids(CRM="C-1"), *ids(email=value), *ids(CRM="c-1")]},
            {"identifiers": [*ids(email="z@z.ie"), *ids(email=value)]},
            {"identifiers": [*ids(CRM=value), expiring]},
            {"first_name": value},
        ):
            fields = guest_fields(person)
            own = read(fields)
            if own is None:
                continue
            plain += 1
            matches = evidence(person, those, NOW).rule_matches
            assert not evidence(person, those, NOW).blocked
            assert {*own.lookup} == {key.bytes for match in matches for key in match.keys}
            assert own.keys == [key.bytes for key in guest_keys(fields)]
            first = [(one.rule.name, next(iter(one.keys.values()))) for one in matches[:1]]
            assert [(own.rule, own.evidence)] == (first or [(None, [])])
    assert plain > 50


def test_rules_of_several_conditions_have_no_plain_evidence() -> None:
    assert compile_evidence(book()) is None
    assert compile_evidence(book(EMAIL, BOTH)) is None
