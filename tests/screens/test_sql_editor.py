"""The editor of segments in SQL: views, steps with times, saved queries, names that are like it."""

from html import unescape

from calling import Api
from visiting import Person

NEW = "/segments/new"


def test_the_page_lists_views_explains_and_saves_queries(owner: Person, api: Api) -> None:
    api.guest(city="Ballyvaughan", email="sean@example.com")
    page = unescape(owner.get(f"{NEW}?mode=sql").text)
    assert 'data-view="order_items"' in page
    assert "<code data-column>core_city</code>" in page
    assert " count_if " in page.split('data-functions="')[1].split('"')[0]
    views = unescape(owner.get("/segments/sql-views").text)
    assert "Ballyvaughan" in views

    sql = "SELECT guest_ref FROM guests WHERE core_city = 'Ballyvaughan'"
    explained = owner.post(NEW, name="", sql=sql, do="explain").text
    assert "ms of processor time" in explained
    assert "Hash join</td>" in explained
    # The query ran once, for its steps: nothing is counted, as it is when the form comes back.
    assert 'class="count"' not in explained
    assert 'class="count"' in owner.post(NEW, name="", sql=sql, do="").text

    saved = owner.post(NEW, name="", sql=sql, query_name="By the sea", do="save-query").text
    assert "By the sea is saved." in saved
    loaded = unescape(owner.get(f"{NEW}?mode=sql&query=By the sea").text)
    assert f">{sql}</textarea>" in loaded
    again = {"rename:By the sea": "Coast", "do": "rename-query:By the sea"}
    assert "By the sea is named Coast." in owner.post(NEW, name="", sql=sql, **again).text
    assert owner.get(f"{NEW}?mode=sql&query=By the sea").status_code == 404
    deleted = owner.post(NEW, name="", sql=sql, do="delete-query:Coast").text
    assert "Coast is deleted." in deleted
    assert owner.get(f"{NEW}?mode=sql&query=Coast").status_code == 404
    for name in ("", "a/b", "x" * 101):
        refused = owner.post(NEW, name="", sql=sql, query_name=name, do="save-query")
        assert refused.status_code == 200
        assert "is saved" not in refused.text

    wrong = unescape(owner.post(NEW, name="", sql=sql.replace("city", "ctiy"), do="explain").text)
    assert "; did you mean core_city" in wrong


def test_a_query_is_renamed_and_has_the_owner_who_saved_it_first(owner: Person, api: Api) -> None:
    queries = "/innkeeper/v1/sql/queries"
    for name in ("Coast", "Hills"):
        owner.post(NEW, name="", sql="SELECT 1", query_name=name, do="save-query")
    before = api.get(f"{queries}/Coast").json()
    assert before["owner"] == before["modifiedBy"]
    written = api.put(f"{queries}/Coast", json={"sql": "SELECT 2"}).json()
    assert written["owner"] == before["owner"] != written["modifiedBy"]
    renamed = api.patch(f"{queries}/Coast", json={"name": " Shore "}).json()
    assert (renamed["name"], renamed["sql"]) == ("Shore", "SELECT 2")
    assert renamed["owner"] == before["owner"]
    assert renamed["href"].endswith(f"{queries}/Shore")
    assert api.get(f"{queries}/Coast").status_code == 404
    # A name that another query has, no name, a path; the query stays as it is.
    for name, status in (("Hills", 409), ("", 400), ("a/b", 400)):
        assert api.patch(f"{queries}/Shore", json={"name": name}).status_code == status
    assert api.patch(f"{queries}/Coast", json={"name": "x"}).status_code == 404
    assert [each["name"] for each in api.get(queries).json()["items"]] == ["Hills", "Shore"]


def test_an_explanation_runs_outside_of_a_transaction(api: Api) -> None:
    """A key of idempotency would hold one, and a connection, for as long as the SQL runs."""
    for sql in ("SELECT guest_ref FROM guests", "SELECT guest_ref FROM orders"):
        headers = {"Idempotency-Key": "explained"}
        answer = api.post("/innkeeper/v1/sql/explain", json={"sql": sql}, headers=headers)
        assert answer.status_code == 200, answer.text
