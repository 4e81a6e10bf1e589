"""I9: a dry run of the screens names causes, cells and whom records would change."""

import re

from calling import Api
from visiting import Person

FILE = (
    b"Email,First name,Birthday\n"
    b"ann@example.com,Ann,1980-02-01\n"
    b"ANN@example.com,Anna,\n"
    b"bob@example.com,Bob,1981-02-01\n"
    b"not-an-address,Cy,1982-02-01\n"
)


def test_i9_a_dry_run_is_the_first_step_and_says_what_would_happen(owner: Person, api: Api) -> None:
    """Created, merged with whom and by which rule, refused by cause with count, line and cell."""
    rules = [{"identityRule": "email", "providers": ["email"]}]
    assert api.put("/innkeeper/v1/identity/rules", json={"rules": rules}).is_success
    answer = owner.http.post(
        "/w/live/imports",
        data={"csrf": owner.csrf, "holds": "guests"},
        files={"file": ("people.csv", FILE)},
    )
    path = str(answer.headers["location"])
    assert "Import without a dry run" in owner.http.get(path).text
    form = {"csrf": owner.csrf, "action": "try"}
    columns = {"c0": "email,identifiers.email", "c1": "firstName", "c2": "dateOfBirth"}
    page = " ".join(owner.http.post(path, data={**form, **columns}).text.split())
    assert "Import without a dry run" not in page
    cells = re.findall(r"<td[^>]*>(.*?)</td>", page.replace("> ", ">").replace(" <", "<"))
    reason = next(cell for cell in cells if "not a well-formed email address" in cell)
    at = cells.index(reason)
    assert cells[at + 1 : at + 4] == ["1", "5", "not-an-address"]
    at = cells.index("a guest of this file")
    assert cells[at - 1 : at + 3] == ["3", "a guest of this file", "email", "ANN@example.com"]


def test_i6_the_page_asks_for_a_currency_that_the_file_lacks(owner: Person) -> None:
    """Nothing is tried or imported before it is chosen; a preset of the header is taken."""
    answer = owner.http.post(
        "/w/live/imports",
        data={"csrf": owner.csrf, "holds": "orders"},
        files={
            "file": ("o.csv", b"Order,Date,Email,Total\n1,2026-03-01,a@example.com,50\n"),
        },
    )
    path = str(answer.headers["location"])
    assert "Currency of the amounts" in owner.http.get(path).text
    columns = ("referenceId", "orderedAt", "contact.email,contact.identifiers.email", "price")
    form = {"csrf": owner.csrf, "action": "try"} | {f"c{n}": at for n, at in enumerate(columns)}
    refused = owner.http.post(path, data=form)
    assert refused.status_code == 400
    assert "currency of its amounts" in refused.text
    tried = owner.http.post(path, data={**form, "currency": "EUR"})
    assert tried.status_code == 200
    assert "Created" in tried.text
