"""Resolving and grouping: idempotent, independent of order, equal to an oracle."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from innkeeper.rules.identity import evidence, resolve
from innkeeper.rules.identity_rules import Condition, IdentityRule, IdentityRules, rule_keys
from innkeeper.rules.merging import groups_of, intent, survivor_first, written

NOW = datetime(2026, 11, 21, tzinfo=UTC)
RULES = (
    IdentityRule("crm", (Condition(provider="crm"),)),
    IdentityRule("email", (Condition(field="email"),)),
    IdentityRule(
        "name and birth", (Condition(field="last_name"), Condition(field="date_of_birth"))
    ),
    IdentityRule("both ids", (Condition(provider="a"), Condition(provider="b"))),
)
BOOK = IdentityRules(UUID(int=1), RULES)

few = st.sampled_from(["x1", "x2", "x3"])
identifiers = st.lists(
    st.fixed_dictionaries(
        {"provider": st.sampled_from(["crm", "a", "b", "other"]), "id": few},
        optional={"expiryDate": st.sampled_from(["2020-01-01T00:00:00.000Z", "2030-01-01"])},
    ),
    max_size=4,
)
people = st.fixed_dictionaries(
    {},
    optional={
        "identifiers": identifiers,
        "emails": st.lists(st.sampled_from(["a@x.com", " A@X.com", "b@x.com"]), max_size=2),
        "last_name": st.sampled_from(["Ó Néill", "oneill", "Smith"]),
        "date_of_birth": st.sampled_from(["1980-01-01", "1990-01-01"]),
        "city": st.sampled_from(["Cork", "Dublin"]),
    },
)


def guest(number: int, person: dict[str, Any], days: int = 0) -> dict[str, Any]:
    at = NOW - timedelta(days=days)
    return {
        **person,
        "ref": UUID(int=number + 1),
        "guest_type": "customer" if number % 3 == 0 else "visitor",
        **dict.fromkeys(("first_seen", "last_seen", "created_at", "modified_at"), at),
    }


def candidates(person: dict[str, Any], guests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the index gives: a row for each key of the evidence that a guest has."""
    result = evidence(person, BOOK, NOW).keys()
    return [
        {**one, "key": key}
        for one in guests
        for rule in RULES
        for key, _ in rule_keys(one, rule, None, None)
        if key in result
    ]


several = st.lists(st.tuples(people, st.integers(0, 3)), max_size=6).map(
    lambda drawn: [guest(number, *each) for number, each in enumerate(drawn)]
)


@given(people, several, st.randoms())
def test_a_decision_does_not_depend_on_the_order_of_candidates(
    person: dict[str, Any], guests: list[dict[str, Any]], random: Any
) -> None:
    result = evidence(person, BOOK, NOW)
    rows = candidates(person, guests)
    shuffled = random.sample(rows, len(rows))
    assert resolve(result, rows, BOOK, NOW) == resolve(result, shuffled, BOOK, NOW)


@given(people, several)
def test_resolution_is_idempotent(person: dict[str, Any], guests: list[dict[str, Any]]) -> None:
    """The same record again belongs to the same guest, whether it was found or created."""
    result = evidence(person, BOOK, NOW)
    first = resolve(result, candidates(person, guests), BOOK, NOW)
    if first.guest is None:
        if not result.rule_matches:
            return
        after = [*guests, guest(90, person)]
        expected = after[-1]["ref"]
    else:
        decision = intent("join", NOW, person=person, customer=True)
        after = [written(one, decision) if one["ref"] == first.guest else one for one in guests]
        expected = first.guest
    again = resolve(result, candidates(person, after), BOOK, NOW)
    assert again.guest == expected
    if first.guest is not None:
        # What the guest was given by the first rule may meet an earlier one now, never a later.
        names = [rule.name for rule in BOOK.rules]
        assert names.index(again.rule or "") <= names.index(first.rule or "")


@given(people, several)
def test_the_first_met_rule_wins(person: dict[str, Any], guests: list[dict[str, Any]]) -> None:
    """An oracle that compares values one by one, knowing nothing of keys (identity.md 2, 9)."""

    def ids(record: dict[str, Any], provider: str) -> set[str]:
        return {
            one["id"]
            for one in record.get("identifiers", ())
            if one["provider"] == provider and one.get("expiryDate", "9") > "2026-11-21"
        }

    def email(record: dict[str, Any]) -> set[str]:
        return {address.strip().lower() for address in record.get("emails", ())}

    def named(record: dict[str, Any]) -> set[tuple[str, str]]:
        if "last_name" not in record or "date_of_birth" not in record:
            return set()
        return {(record["last_name"].replace("Ó Néill", "oneill").lower(), record["date_of_birth"])}

    tests = [
        lambda one: ids(one, "crm") & ids(person, "crm"),
        lambda one: email(one) & email(person),
        lambda one: named(one) & named(person),
        lambda one: ids(one, "a") & ids(person, "a") and ids(one, "b") & ids(person, "b"),
    ]
    expected = None
    for test in tests:
        owners = [one for one in guests if test(one)]
        if owners:
            latest = max(one["last_seen"] for one in owners)
            expected = min(one["ref"] for one in owners if one["last_seen"] == latest)
            break
    decided = resolve(evidence(person, BOOK, NOW), candidates(person, guests), BOOK, NOW)
    assert decided.guest == expected


def oracle(count: int, shared: list[list[int]]) -> set[frozenset[int]]:
    """Groups by spreading marks until nothing changes: slow, and not a union-find."""
    mark = list(range(count))
    changed = True
    while changed:
        changed = False
        for owners in shared:
            for one, other in combinations(owners, 2):
                lowest = min(mark[one], mark[other])
                changed |= mark[one] != lowest or mark[other] != lowest
                mark[one] = mark[other] = lowest
    groups = defaultdict(set)
    for number, marked in enumerate(mark):
        groups[marked].add(number)
    return {frozenset(group) for group in groups.values() if len(group) > 1}


@given(
    st.lists(st.lists(st.integers(0, 11), min_size=2, max_size=4, unique=True), max_size=12),
    st.randoms(),
)
def test_groups_equal_an_oracle_in_whatever_order(shared: list[list[int]], random: Any) -> None:
    shuffled = [random.sample(owners, len(owners)) for owners in shared]
    random.shuffle(shuffled)
    expected = oracle(12, shared)
    assert {frozenset(group) for group in groups_of(shared)} == expected
    assert {frozenset(group) for group in groups_of(shuffled)} == expected


@given(several, st.randoms())
def test_the_survivor_is_a_customer_then_the_oldest_then_the_lowest_ref(
    guests: list[dict[str, Any]], random: Any
) -> None:
    shuffled = random.sample(guests, len(guests))
    ordered = survivor_first(shuffled)
    assert ordered == survivor_first(guests)
    for one in guests:
        first = ordered[0]
        assert (first["guest_type"] == "customer") >= (one["guest_type"] == "customer")
        if first["guest_type"] == one["guest_type"]:
            assert (first["created_at"], first["ref"]) <= (one["created_at"], one["ref"])
