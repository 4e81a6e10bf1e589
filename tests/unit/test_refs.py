"""Refs that are made fast are UUIDs like any other."""

import pickle
from itertools import islice, pairwise
from uuid import UUID, uuid4

from innkeeper.refs import neighbouring_refs, new_ref, ref_of
from innkeeper.rules.identity_keys import lock_of


def test_a_ref_of_a_number_is_the_uuid_of_that_number() -> None:
    for number in (0, 1, 2**127, 2**128 - 1, uuid4().int):
        created, existing = ref_of(number), UUID(int=number)
        assert (created, hash(created), str(created), repr(created)) == (
            existing,
            hash(existing),
            str(existing),
            repr(existing),
        )
        assert pickle.loads(pickle.dumps(created)) == existing  # noqa: S301 - our own


def test_new_refs_are_random_uuids_of_version_4() -> None:
    created = {new_ref() for _ in range(1000)}
    assert len(created) == 1000
    assert {(ref.version, ref.variant) for ref in created} == {(4, "specified in RFC 4122")}


def test_neighbouring_refs_are_ascending_random_uuids_of_version_4() -> None:
    created = [UUID(bytes=each) for each in islice(neighbouring_refs(), 70_000)]
    assert len({*created}) == 70_000
    assert {(ref.version, ref.variant) for ref in created} == {(4, "specified in RFC 4122")}
    falls = [n for n, (one, other) in enumerate(pairwise(created), 1) if one > other]
    assert falls == [65_536]
    assert {ref.int >> 96 for ref in created} == {created[0].int >> 96}


def test_the_lock_of_a_key_is_its_first_eight_bytes_as_postgresql_counts() -> None:
    assert lock_of(UUID("ffffffff-ffff-ffff-0000-000000000000")) == -1
    assert lock_of(UUID("7fffffff-ffff-ffff-0000-000000000000")) == 2**63 - 1
    assert lock_of(UUID("80000000-0000-0000-0000-000000000000")) == -(2**63)
