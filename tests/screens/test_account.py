"""The account of a user: password, other logins, time zone; the role marketer; the audit log."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any
from uuid import uuid4

import pytest
from logging_in import Visitor, invited
from sites import Site
from typer.testing import CliRunner

from innkeeper.actions.admin import audit
from innkeeper.cli.app import app
from innkeeper.rules.access import Role

NEW = "another long password"


@pytest.fixture
def email() -> str:
    return f"{uuid4().hex}@example.com"


@pytest.fixture
def visit(site: Site) -> Iterator[Callable[[], Visitor]]:
    """Makes browsers, which are closed at the end."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(Visitor(site.url))


@pytest.fixture
def user(site: Site, email: str, visit: Callable[[], Visitor]) -> Callable[[Role], Visitor]:
    """Makes a logged-in user with that role."""

    def log_in(role: Role) -> Visitor:
        visitor = visit()
        visitor.follow(invited(site, email, role))
        return visitor

    return log_in


def post(visitor: Visitor, path: str, **fields: str) -> Any:
    return visitor.post(f"/w/live{path}", data={**visitor.form("/w/live/account"), **fields})


def test_a_user_changes_the_password_and_ends_other_logins(
    user: Any, visit: Any, email: str
) -> None:
    one = user(Role.READ_ONLY)
    other = visit()
    other.log_in(email)
    page = one.get("/w/live/account")
    assert page.text.count("<time") == 2
    wrong = post(one, "/account", action="password", current="no", password=NEW)
    assert (wrong.status_code, "is not your password" in wrong.text) == (400, True)
    short = post(one, "/account", action="password", current="no", password="short")  # noqa: S106
    assert (short.status_code, "at least 10 characters" in short.text) == (400, True)
    assert other.get("/w/live/account").status_code == 200
    fields = {"current": "correct horse battery", "password": NEW}
    assert post(one, "/account", action="password", **fields).status_code == 303
    assert other.get("/w/live/account").status_code == 303, "its login has ended"
    assert one.get("/w/live/account").status_code == 200
    assert other.log_in(email).status_code == 403
    assert other.log_in(email, NEW).status_code == 303
    assert post(one, "/account", action="log_out").status_code == 303
    assert other.get("/w/live/account").status_code == 303


def test_a_refused_form_holds_no_password(user: Any) -> None:
    right = "correct horse battery"
    answer = post(user(Role.READ_ONLY), "/account", action="password", current=right, password="x")  # noqa: S106
    assert answer.status_code == 400
    assert right not in answer.text


@pytest.mark.long
def test_s3_the_current_password_cannot_be_guessed(user: Any) -> None:
    """The fifth wrong one locks, as for log-ins; then the right one is refused as well."""
    one = user(Role.READ_ONLY)
    for _ in range(5):
        wrong = post(one, "/account", action="password", current="no", password=NEW)
        assert wrong.status_code == 400
    right = {"current": "correct horse battery", "password": NEW}
    locked = post(one, "/account", action="password", **right)
    assert (locked.status_code, "Too many attempts" in locked.text) == (429, True)


def test_times_are_shown_in_the_zone_of_the_user(user: Any, visit: Any, email: str) -> None:
    """By hand: Kathmandu is 5:45 ahead of UTC, all year."""
    visitor = user(Role.OWNER)
    bad = post(visitor, "/account", action="time_zone", time_zone="Nowhere/Atlantis")
    assert (bad.status_code, "must be the name of a time zone" in bad.text) == (400, True)
    saved = post(visitor, "/account", action="time_zone", time_zone="Asia/Kathmandu")
    assert saved.status_code == 303
    assert 'title="' in (page := visitor.get("/w/live/account").text)
    assert "Asia/Kathmandu" in page
    assert "Days in Asia/Kathmandu" in visitor.get("/w/live/reports/revenue").text


def test_a_marketer_imports_and_exports_but_edits_nothing_else(
    user: Any, visit: Any, email: str
) -> None:
    marketer = user(Role.MARKETER)
    assert marketer.get("/w/live/exports/new").status_code == 200
    assert marketer.get("/w/live/settings/users").status_code == 403
    form = {**marketer.form("/w/live/account"), "holds": "guests"}
    files = {"file": ("a.csv", b"E-mail,Town\na@example.com,Cork\n")}
    assert marketer.post("/w/live/imports", data=form, files=files).status_code == 303
    assert post(marketer, "/settings/points-of-sale", name="till").status_code == 403


def test_the_audit_log_is_filtered_by_day_and_read_as_csv(
    user: Any, visit: Any, email: str
) -> None:
    owner = user(Role.OWNER)
    post(owner, "/settings/points-of-sale", name=f"till-{email[:8]}")
    log = "/w/live/settings/audit-log"
    today = {"actor": email, "from": "2020-01-01", "to": "2040-01-01"}
    assert f"till-{email[:8]}" in owner.get(log, params=today).text
    past = {"actor": email, "from": "2020-01-01", "to": "2020-01-02"}
    assert "No matching change was recorded yet" in owner.get(log, params=past).text
    file = owner.get(f"{log}/csv", params=today)
    assert file.headers["cache-control"] == "no-store"
    lines = file.text.splitlines()
    assert lines[0] == "at,actor,action,about,field,before,after"
    assert any(f"till-{email[:8]}" in line and "point_of_sale" in line for line in lines)
    assert owner.get(log, params={"from": "soon"}).status_code == 400


def test_a_file_of_the_log_has_all_rows_newest_first(
    user: Any, site: Site, email: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner = user(Role.OWNER)
    names = [f"{number}-{email[:8]}" for number in range(5)]
    for name in names:
        post(owner, "/settings/points-of-sale", name=name)
    monkeypatch.setattr(audit, "READ_AT_ONCE", 2)
    log = owner.get("/w/live/settings/audit-log/csv", params={"actor": email}).text
    created = [line.split(",")[6] for line in log.splitlines() if ",name," in line]
    assert created == names[::-1]
    words = ["audit-log", "list", "--csv", "--actor", email, "--database", site.dsn]
    assert CliRunner().invoke(app, words).stdout.splitlines() == log.splitlines()
    few = CliRunner().invoke(app, [*words, "--limit", "3"]).stdout.splitlines()
    assert few == log.splitlines()[: len(few)]
    assert 4 <= len(few) < len(log.splitlines())
