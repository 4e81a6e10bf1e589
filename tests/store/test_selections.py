"""Guests selected by identifiers: each may be an id of any provider, so that is bounded."""

import pytest
from in_process import Site, running

from innkeeper.actions.audiences.selections import select_identifiers
from innkeeper.errors import Invalid


def test_identifiers_are_refused_where_they_may_be_ids_of_too_many_providers(dsn: str) -> None:
    with running(dsn):
        Site.rows(
            "INSERT INTO ws_live.identifier_providers "
            "SELECT 'P' || number FROM generate_series(1, 400) AS number RETURNING true"
        )
        identifiers = [{"provider": "P7", "id": "n1"}]
        guest = {"guestType": "customer", "identifiers": identifiers}
        ref = Site.body_of("POST", "/v2.1/guests", guest)["ref"]
        texts = [f"n{number}" for number in range(2600)]
        with pytest.raises(Invalid) as refused:
            Site.do(select_identifiers, texts)
        (problem,) = refused.value.problems
        assert "2,500 at a time, or write provider:id" in problem.reason
        for some in (texts[:3], [f"P7:{text}" for text in texts]):
            selected = Site.do(select_identifiers, some)
            assert [str(one) for one in selected.refs] == [ref]
            assert len(selected.unmatched) == len(some) - 1


def test_a_urn_of_a_uuid_is_a_ref_and_the_id_of_any_provider(dsn: str) -> None:
    """Also where a provider is called `urn`: the text names none."""
    ref, named = "0b5a7e9c-6d3f-4c1e-9a77-3f2f0c9d1e11", []
    with running(dsn):
        for provider, each in (("urn", f"uuid:{ref}"), ("LINK", f"urn:uuid:{ref}")):
            identifiers = [{"provider": provider, "id": each}]
            guest = {"guestType": "customer", "identifiers": identifiers}
            named.append(Site.body_of("POST", "/v2.1/guests", guest)["ref"])
        selected = Site.do(select_identifiers, [f"urn:uuid:{ref}", f"URN:UUID:{named[0]}"])
        assert sorted(str(one) for one in selected.refs) == sorted(named)
        assert selected.unmatched == ()
