"""P6: how many statements a request runs, counted where they are sent."""

from contextlib import closing

from calling import Api
from counting import counted
from sites import Site
from streams import JANE, Page
from visiting import log_in


def test_p6_an_identity_event(api: Api) -> None:
    """An IDENTITY that changes nothing, after one that read the configuration."""
    page = Page(api)
    page("VIEW", page="/")
    page("IDENTITY", **JANE)
    with counted() as statements:
        page("IDENTITY", **JANE)
    assert len(statements) == 5, statements


def test_p6_the_page_of_a_guest(site: Site, api: Api) -> None:
    """The overview of a guest: eight statements, one of which reads all rows that traits need."""
    page = Page(api)
    page("IDENTITY", **JANE)
    guest, owner = page.guest, log_in(site)
    with closing(owner.http):
        owner.get(f"/guests/{guest}")
        with counted() as client:
            answer = owner.get(f"/guests/{guest}")
    assert answer.status_code == 200
    assert len(client) <= 8, client
