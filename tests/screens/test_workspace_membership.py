"""S7: which workspaces a user may open, and the matrix of pages by role and workspace."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from calling import NOBODY, Api
from profiles import each_day
from sites import Site
from visiting import Person, log_in

from innkeeper.actions.admin import users
from innkeeper.rules.access import RIGHTS, Right, Role
from innkeeper.web.ui.routes import PAGES

Enter = Callable[[str], Person]


@pytest.fixture
def enter(site: Site) -> Iterator[Callable[[str], Person]]:
    """Log somebody of a role in."""
    entered: list[Person] = []

    def as_role(role: str) -> Person:
        entered.append(log_in(site, role))
        return entered[-1]

    yield as_role
    for person in entered:
        person.http.close()


def path_of(page: object) -> str:
    path = page.path  # type: ignore[attr-defined]
    while "{" in path:
        before, _, rest = path.partition("{")
        path = before + NOBODY + rest.partition("}")[2]
    return path


def limited(site: Site, person: Person, *workspaces: str) -> None:
    """Let somebody open these workspaces only."""

    async def change(work: object) -> None:
        rows = await users.list_all(work)  # type: ignore[arg-type]
        row = next(row for row in rows if row["email"] == person.email)
        await users.change(
            work,  # type: ignore[arg-type]
            row["ref"],
            role=Role(row["role"]),
            disabled=False,
            memberships=list(workspaces),
        )

    site.control(change)


OTHERS = [role for role in Role if role is not Role.OWNER]


@pytest.mark.parametrize("role", each_day(Role, Role.DEVELOPER, Role.READ_ONLY))
def test_s7_every_page_by_role(enter: Enter, api: Api, role: Role) -> None:
    """A page is refused exactly where the role lacks the right that it declares."""
    person = enter(role)
    for page in PAGES:
        if page.show is not None:
            answer = person.get(path_of(page))
            refused = page.right is not None and page.right not in RIGHTS[role]
            assert (answer.status_code == 403) == refused, (role, page.path, answer.status_code)
        if page.post is not None:
            needed = {page.right, page.post_right} - {None}
            if needed - RIGHTS[role]:
                answer = person.post(path_of(page))
                assert answer.status_code == 403, (role, page.path, answer.status_code)


@pytest.mark.parametrize(
    "role", each_day([role for role in Role if role is not Role.OWNER], Role.ADMIN)
)
def test_s7_every_page_of_a_foreign_workspace(
    site: Site, enter: Enter, api: Api, stranger: Api, role: Role
) -> None:
    """Who may open `other` alone finds nothing of `live`, neither by page nor by form."""
    person = enter(role)
    limited(site, person, "other")
    for page in PAGES:
        if page.show is not None:
            assert person.get(path_of(page)).status_code == 404, page.path
        if page.post is not None:
            assert person.post(path_of(page)).status_code == 404, page.path
    own = person.http.get("/w/other/")
    assert own.status_code == 200
    assert "/w/live/" not in own.text
    # The sandbox comes with the workspace.
    assert person.http.get("/w/other_sandbox/").status_code == 200
    assert person.http.get("/w/live_sandbox/").status_code == 404
    # What opens after logging in is one of theirs.
    home = person.http.get("/")
    assert isinstance(home, httpx.Response)
    assert home.headers["location"].startswith("/w/other")


def test_s7_nobody_gives_access_beyond_their_own(
    site: Site, enter: Enter, api: Api, stranger: Api
) -> None:
    admin = enter("admin")
    limited(site, admin, "live")
    form = {"action": "invite", "name": "New", "role": "analyst"}
    for wider in ({"every": "yes"}, {"workspaces": ["other"]}, {"workspaces": ["live", "other"]}):
        refused = admin.post("/settings/users", **form, email="wide@example.com", **wider)
        assert refused.status_code == 403, wider
    own = admin.post("/settings/users", **form, email="own@example.com", workspaces=["live"])
    assert own.status_code == 200, own.text
    # Nor do they change somebody who may open more.
    other = enter("analyst")
    rows = site.control(users.list_all)
    ref = next(row["ref"] for row in rows if row["email"] == other.email)
    change = {"action": "change", "user": str(ref), "role": "read-only", "workspaces": ["live"]}
    assert admin.post("/settings/users", **change).status_code == 403
    assert admin.post("/settings/users", action="link", user=str(ref)).status_code == 403


def test_s7_an_owner_opens_every_workspace(enter: Enter, api: Api) -> None:
    owner = enter("owner")
    form = {"action": "invite", "name": "New", "role": "owner", "email": "second@example.com"}
    answer = owner.post("/settings/users", **form, workspaces=["live"])
    assert answer.status_code == 400
    assert "every workspace" in answer.text
    missing = owner.post("/settings/users", **{**form, "role": "analyst"}, workspaces=["nowhere"])
    assert missing.status_code == 400


def test_s7_rights_that_give_access_are_few() -> None:
    """Who may manage keys without personal data is the developer alone."""
    holders = {role for role in Role if Right.KEYS in RIGHTS[role]}
    assert holders == {Role.OWNER, Role.ADMIN, Role.DEVELOPER}
    assert Right.PERSONAL not in RIGHTS[Role.DEVELOPER]
