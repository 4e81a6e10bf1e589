"""Lists: what page a query asks for, and the envelope's links."""

from typing import Any

import pytest

from innkeeper.actions.paging import PageRequest
from innkeeper.errors import Invalid
from innkeeper.wire.dialects.official import GUEST, GUEST_EXTENSION
from innkeeper.wire.pagination import NoHit, envelope, expansion, parse_page, parse_query

URL = "https://host/v2.1/guests"


@pytest.mark.parametrize(
    ("raw", "query"),
    [
        (b"", {}),
        (b"a=1&a=2", {"a": "2"}),
        (b"a=&b", {"a": "", "b": ""}),
        (b"a=x+y%20z%2B", {"a": "x y z+"}),
        (b"expand=a&expand=b,c", {"expand": "a,b,c"}),
        (b"name=a&x=1&name=b", {"name": "a,b", "x": "1"}),
        (b"a=%FF", {"a": "\ufffd"}),
    ],
)
def test_a_query_is_read(raw: bytes, query: dict[str, str]) -> None:
    """L-9, X-14: the last of several counts, but lists of words add up."""
    assert parse_query(raw) == query


@pytest.mark.parametrize(
    ("text", "record"),
    [
        *(("true", True), ("false", False), ("", False), ("a,true", True)),
        *(("a,b", frozenset("ab")), ("a,false", frozenset("a")), (",,", False)),
    ],
)
def test_expand_is_truth_or_names(text: str, record: Any) -> None:
    """L-9."""
    assert expansion({"expand": text}) == record


def test_parameters_of_a_list() -> None:
    """L-3, L-5, L-11, G-8."""
    query = {
        "offset": "20",
        "limit": "500",
        "sort": "lastName::DESC|createdAt",
        "expand": "dataExtensions",
        "email": "a@b.co",
        "identifiers.provider": "p",
        "identifiers.id": "i",
        "shoeSize": "44",
    }
    assert parse_page(GUEST, query) == PageRequest(
        20,
        100,
        {"email": "a@b.co", "identifier": ("p", "i")},
        (("last_name", True), ("created_at", False)),
        frozenset({"dataExtensions"}),
    )


def test_without_parameters_it_is_the_first_ten() -> None:
    """L-3, L-4, L-10."""
    assert parse_page(GUEST, {}) == PageRequest(0, 10, {}, (), False)


def test_a_list_without_an_order_of_its_own_ignores_sort() -> None:
    """G-11: an unknown parameter."""
    assert parse_page(GUEST_EXTENSION, {"sort": "x::y"}).sort == ()


def test_every_problem_of_a_query_is_named() -> None:
    """L-3, L-6, L-11, G-10."""
    with pytest.raises(Invalid) as invalid:
        parse_page(GUEST, {"offset": "-1", "limit": "x", "sort": "x", "identifiers.id": "i"})
    fields = [problem.field for problem in invalid.value.problems]
    assert fields == ["offset", "limit", "sort", "identifiers.provider"]


def test_a_filter_that_cannot_be_stored_finds_nothing() -> None:
    """CT-8: and only a filter."""
    with pytest.raises(NoHit) as none:
        parse_page(GUEST, {"email": "\x00", "limit": "3"})
    assert none.value.page_request.limit == 3
    assert parse_page(GUEST, {"shoe": "\x00"}) == PageRequest()


@pytest.mark.parametrize(
    ("offset", "limit", "total", "expected", "links"),
    [
        (0, 10, 0, 0, {"href": 0, "first": 0, "last": 0}),
        (0, 10, 10, 10, {"href": 0, "first": 0, "last": 0}),
        (0, 10, 11, 10, {"href": 0, "first": 0, "last": 10, "next": 10}),
        (10, 10, 11, 1, {"href": 10, "first": 0, "last": 10, "prev": 0}),
        (5, 10, 30, 10, {"href": 5, "first": 0, "last": 20, "next": 15, "prev": 0}),
        (20, 10, 20, 0, {"href": 20, "first": 0, "last": 10, "prev": 10}),
        (500, 1, 3, 0, {"href": 500, "first": 0, "last": 2, "prev": 499}),
    ],
)
def test_links_of_a_page(
    offset: int, limit: int, total: int, expected: int, links: dict[str, int]
) -> None:
    """L-1, L-2, L-7: worked out by hand."""
    items = [{}] * expected
    page = envelope(GUEST, URL, {}, PageRequest(offset, limit), total, items)
    params = {
        name: value if name == "href" else value["href"]
        for name, value in page.items()
        if name in ("href", "first", "last", "next", "prev")
    }
    assert params == {name: f"{URL}?offset={at}&limit={limit}" for name, at in links.items()}
    assert (page["offset"], page["limit"], page["totalCount"]) == (offset, limit, total)


def test_a_link_repeats_what_narrows_the_list() -> None:
    """L-7: filters, then sort and expand, then the window; the old dialect begins with it."""
    query = {"limit": "1", "x": "y", "email": "a+b@c.de", "sort": "email::ASC", "expand": "true"}
    rest = "email=a%2Bb%40c.de&sort=email%3A%3AASC&expand=true"
    page = envelope(GUEST, URL, query, PageRequest(0, 1), 1, [{}])
    assert page["href"] == f"{URL}?{rest}&offset=0&limit=1"
    page = envelope(GUEST, URL, query, PageRequest(0, 1), 1, [{}], page_first=True)
    assert page["href"] == f"{URL}?offset=0&limit=1&{rest}"


def test_f1_a_sort_key_counts_once() -> None:
    """F1: 64 KB of one key are one column of a statement, and one problem."""
    many = "|".join(["createdAt::DESC", *["createdAt"] * 5000])
    assert parse_page(GUEST, {"sort": many}).sort == (("created_at", True),)
    with pytest.raises(Invalid) as refused:
        parse_page(GUEST, {"sort": "|".join(["x", "y", "createdAt::UP"] * 5000)})
    assert len(refused.value.problems) == 2
