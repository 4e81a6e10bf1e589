"""S9: an export for spreadsheets, and back again by one command."""

import csv
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from calling import Api
from idle import Command, api, command, server

__all__ = ["api", "command", "server"]

PEOPLE = (
    {"firstName": '=HYPERLINK("http://a.example")', "lastName": "'quoted", "city": "-5"},
    {"firstName": "@x", "lastName": "+1+1", "city": "plain"},
)


@pytest.mark.long
def test_s9_marks_are_recorded_beside_the_file_and_taken_off_by_import(
    api: Api, command: Command, tmp_path: Path
) -> None:
    for number, person in enumerate(PEOPLE):
        email = f"{number}@example.com"
        guest = api.guest(**person, identifiers=[{"provider": "email", "id": email}])
        api.extension(guest, name="ext", note=person["firstName"], points=-3)
    file, plain = tmp_path / "people.csv", tmp_path / "plain.csv"
    command("export", "guests", file, "--guarded")
    command("export", "guests", plain)
    beside = Path(f"{file}.mapping.toml")
    assert tomllib.loads(beside.read_text()) == {"entity": "guests", "guarded": True}
    assert not Path(f"{plain}.mapping.toml").exists()

    def column(path: Path, name: str) -> list[str]:
        with path.open(newline="") as lines:
            return sorted(row[name] for row in csv.DictReader(lines))

    for name, key in (("firstName", "firstName"), ("extensions.ext.note", "firstName")):
        assert column(plain, name) == sorted(person[key] for person in PEOPLE)
        assert column(file, name) == sorted("'" + person[key] for person in PEOPLE)
    assert column(file, "city") == ["-5", "plain"]
    assert column(file, "lastName") == ["''quoted", "'+1+1"]
    assert column(file, "extensions.ext.points:number") == ["-3", "-3"]

    command("import", "guests", file, "--workspace", "live_sandbox")
    back = tmp_path / "back.ndjson"
    command("export", "guests", back, "--workspace", "live_sandbox")
    record: list[dict[str, Any]] = [json.loads(line) for line in back.read_text().splitlines()]
    assert sorted(one["firstName"] for one in record) == sorted(p["firstName"] for p in PEOPLE)
    assert sorted(one["lastName"] for one in record) == sorted(p["lastName"] for p in PEOPLE)

    # Without marks the record of them goes, and a mapping of somebody's own is left alone.
    command("export", "guests", file)
    assert not beside.exists()
    beside.write_text('[columns]\nfirstName = "firstName"\n')
    command("export", "guests", file)
    assert beside.exists()
