"""The generated pages of docs/ say what the code says now."""

import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from docs.generate import pages  # noqa: E402


@pytest.mark.parametrize("name", sorted(pages()))
def test_generated_page_is_up_to_date(name: str) -> None:
    written = ROOT.joinpath("docs", name).read_text(encoding="utf-8")
    assert written == pages()[name], "run `make docs`"


def test_links_between_pages_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/*.md")]:
        for target in re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_nothing_in_the_repository_names_this_machine() -> None:
    files = [*ROOT.glob("docs/*.md"), ROOT / "README.md", ROOT / "Makefile"]
    for path in files:
        assert "/work/" not in path.read_text(encoding="utf-8"), path.name
