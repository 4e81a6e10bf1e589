"""Forms with a live count while the lake is busy: what was entered comes back, to be sent again."""

import pytest
from visiting import Person

from innkeeper.errors import Unavailable
from innkeeper.store.limiter import Limiter


@pytest.fixture
def busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every slot for queries of the lake is taken, and so is the queue."""
    acquire = Limiter.acquire

    async def refuse_queries(slots: Limiter) -> None:
        if slots._what == "questions to the lake":
            raise Unavailable("Too many questions to the lake at once. Try again.", 5)
        await acquire(slots)

    monkeypatch.setattr(Limiter, "acquire", refuse_queries)


FORMS = {
    "/segments/new": {"name": "Early", "g0.entity": "guest", "g0.was": "guest", "do": ""},
    "/traits/new": {"name": "Early", "entity": "order", "was": "order", "function": "count"},
}


@pytest.mark.parametrize("path", FORMS)
def test_a_busy_lake_returns_the_form_without_a_count(owner: Person, busy: None, path: str) -> None:
    answer = owner.post(path, **FORMS[path])
    assert answer.status_code == 200
    assert 'id="live" aria-live="polite" data-busy>' in answer.text
    assert "Too many questions to the lake at once." in answer.text
    assert 'value="Early"' in answer.text


@pytest.mark.parametrize("path", FORMS)
def test_a_form_with_a_count_is_not_marked_busy(owner: Person, path: str) -> None:
    answer = owner.post(path, **FORMS[path])
    assert answer.status_code == 200
    assert "data-busy" not in answer.text
