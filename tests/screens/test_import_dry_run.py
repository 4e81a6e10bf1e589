"""I9: a dry run of the screens names causes, cells and whom records would change."""

import html
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from calling import Api
from sites import Site
from visiting import Person

from innkeeper import clock
from innkeeper.store import spreadsheets

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
        data={"csrf": owner.csrf, "entity": "guests"},
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
    refused = owner.http.post(path, data={"csrf": owner.csrf, "action": "refused", **columns})
    assert refused.headers["content-disposition"].startswith("attachment; ")
    assert refused.text.splitlines() == [
        "Email,First name,Birthday,innkeeper:reason",
        "not-an-address,Cy,1982-02-01,email: not a well-formed email address",
    ]
    at = cells.index("a guest of this file")
    assert cells[at - 1 : at + 3] == ["3", "a guest of this file", "email", "ANN@example.com"]


def test_i6_the_page_requires_a_currency_that_the_file_lacks(owner: Person) -> None:
    """Nothing is tried or imported before it is chosen; a preset of the header is taken."""
    answer = owner.http.post(
        "/w/live/imports",
        data={"csrf": owner.csrf, "entity": "orders"},
        files={"file": ("o.csv", b"Order,Date,Email,Total\n1,2026-03-01,a@example.com,50\n")},
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


QUESTIONS = (
    b"Customer ID,Name,E-mail,Phone,Born,Joined,Gender,Points\n"
    b'\'007,Ann Lee,ann@example.com,(212) 555-0100,02/03/61,2024-03-01 10:30,m,"1,234"\n'
    b'\'008,Bob Roe,bob@example.com,(212) 555-0101,04/05/62,2024-03-02 10:30,f,"2,345"\n'
    b"'009,Cyd Poe,not an address,(212) 555-0102,06/07/63,2024-03-03 10:30,f,NULL\n"
)


def uploaded(owner: Person, name: str, file: bytes, holds: str = "") -> str:
    """The path of an upload that waits for its mapping, within the workspace."""
    payload = {"csrf": owner.csrf, "entity": holds}
    answer = owner.http.post("/w/live/imports", data=payload, files={"file": (name, file)})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"]).removeprefix("/w/live")


def sent_form(page: str) -> dict[str, Any]:
    """The fields of the form of a page, as a browser sends them."""
    fields: dict[str, Any] = {}
    for tag in re.findall(r"<input [^>]*>", page):
        name, value = re.search(r'name="([^"]*)"', tag), re.search(r'value="([^"]*)"', tag)
        is_box = 'type="radio"' in tag or 'type="checkbox"' in tag
        if name and (not is_box or "checked" in tag):
            text = html.unescape(value[1]) if value else ""
            fields[name[1]] = [*fields.get(name[1], []), text] if is_box else text
    for name, body in re.findall(r'<select[^>]* name="([^"]*)"[^>]*>(.*?)</select>', page, re.S):
        chosen = re.search(r'<option value="([^"]*)" selected', body)
        first = re.search(r'<option value="([^"]*)"', body)
        fields[name] = html.unescape((chosen or first or [""] * 2)[1])
    return fields


def test_i11_the_page_has_the_open_questions_of_the_file(
    owner: Person, api: Api, site: Site
) -> None:
    """I3, I4, I11: each question has a control; answered, the file goes in as it is meant."""
    path = uploaded(owner, "people.csv", QUESTIONS)
    page = owner.get(path).text
    assert "<strong>2</strong> questions to answer" in page
    assert "02/03/61 is 1961-03-02" in page
    assert "02/03/61 is 1961-02-03" in page
    assert "1,234 is 1234" in page
    assert "1,234 is 1.234" in page
    assert "Country of phone numbers without a country code" in page
    assert "Time zone of the file" in page
    assert "first year that two digits mean" in page
    form = sent_form(page) | {"action": "start"}
    refused = owner.post(path, **form)
    assert refused.status_code == 400
    assert (
        "Choose how dates are written in Born. Choose the decimal mark of Points." in refused.text
    )
    answers = {"f4": "MM/DD/YY", "decimal": ".", "region": "US", "timezone": "Europe/Berlin"}
    tried = owner.post(path, **(form | answers | {"action": "preview"})).text
    assert "<strong>2</strong> of 3 sample records pass" in tried
    assert "Rows will be recognised by " in tried
    assert 'class="refused" title="not a well-formed email address">not an address</td>' in tried
    assert "1 of 3 refused" in tried
    form = sent_form(tried) | {"w6-0": "unknown", "action": "start"}
    assert owner.post(path, **form).status_code == 303
    site.run_worker()
    report = owner.get(path).text
    assert "3 records in" in report
    assert "email: not a well-formed email address" in report
    response = api.get("/v2.1/guests", params={"email": "ann@example.com", "expand": "true"})
    guest = response.json()["items"][0]
    assert guest["phoneNumbers"] == ["+12125550100"]
    assert guest["dateOfBirth"].startswith("1961-02-03")
    assert guest["gender"] == "Male"
    assert guest["firstSeen"] == "2024-03-01T09:30:00.000Z"
    assert {"provider": "CRM", "id": "007"} in [
        {name: each[name] for name in ("provider", "id")} for each in guest["identifiers"]
    ]


def test_i11_words_of_a_column_are_counted_and_replaced(owner: Person) -> None:
    """I11: the distinct values of a column with their counts; what is typed is what is imported."""
    rows = "".join(f"a{n}@example.com,{'XY' if n % 3 else 'paid'}\n" for n in range(9))
    path = uploaded(owner, "o.csv", f"E-mail,Gender\n{rows}".encode(), "guests")
    page = owner.get(path).text
    words = re.findall(r'<label class="ellipsis" for="w1-(\d)">\s*(\w+)\s*</label>\s*', page)
    counts = re.findall(r'</label>\s*<span class="soft small">(\d+)</span>', page)
    assert (words, counts) == ([("0", "XY"), ("1", "paid")], ["6", "3"])
    form = sent_form(page) | {"w1-0": "female", "w1-1": "male", "action": "preview"}
    again = sent_form(owner.post(path, **form).text)
    assert (again["w1-0"], again["w1-1"]) == ("female", "male")


def test_i11_an_upload_says_when_it_is_deleted(owner: Person) -> None:
    path = uploaded(owner, "people.csv", b"E-mail\na@example.com\n")
    day = (clock.now() + timedelta(days=30)).strftime("%Y-%m-%d")
    assert f"the file is deleted on {day}" in owner.get(path).text
    assert f"deleted {day}" in owner.get("/imports").text


def test_i1_a_workbook_is_read_once_for_its_page(
    owner: Person, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I11: header and rows in one pass, however often the page is shown."""
    book = openpyxl.Workbook()
    for row in (["E-mail", "Town"], ["a@example.com", "Cork"]):
        book.active.append(row)
    book.save(tmp_path / "people.xlsx")
    path = uploaded(owner, "people.xlsx", (tmp_path / "people.xlsx").read_bytes())
    read: list[Path] = []
    plain = spreadsheets._read_sheet
    monkeypatch.setattr(
        spreadsheets, "_read_sheet", lambda file, sheet: read.append(file) or plain(file, sheet)
    )
    page = owner.get(path).text
    assert ">Cork</td>" in page
    again = owner.post(path, **sent_form(page), action="preview").text
    assert "1</strong> of 1 sample records pass" in again
    assert len(read) == 1
