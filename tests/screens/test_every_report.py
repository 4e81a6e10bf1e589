"""Every report is in the API, on a page, in the command line and in the documentation."""

import json
import re
from pathlib import Path

from calling import Api
from sites import Site
from typer.testing import CliRunner
from visiting import Person

from innkeeper.cli.app import app
from innkeeper.lake.reports import EVERY
from innkeeper.web.ui.report_titles import TITLES

PAGE = Path(__file__).parents[2] / "docs" / "reports.md"


def test_every_report_has_http_a_command_a_page_and_documentation(
    api: Api, owner: Person, site: Site
) -> None:
    items = api.get("/innkeeper/v1/reports").json()["items"]
    printed = CliRunner().invoke(app, ["report", "--json", "--database", site.dsn])
    documented = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    pages = [name for name in EVERY if owner.get(f"/reports/{name}").status_code == 200]
    assert [item["name"] for item in items] == list(EVERY)
    assert [report["name"] for report in json.loads(printed.stdout)] == list(EVERY)
    assert pages == list(EVERY)
    assert sorted(documented) == sorted(TITLES) == sorted(EVERY)
