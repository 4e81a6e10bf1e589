"""The recipes of CONTRIBUTING.md, carried out: a copy of the package with the lines of a recipe is
run on a database of this version, and shows that nothing else is needed.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import innkeeper

_FLAGS = "personal=True, identifies=True, searchable=True"
GUEST_FIELD = {
    "resources/guests.py": (
        f'    first_name = Field(Text(), "First name.", {_FLAGS})',
        f'    loyalty_tier = Field(Text(longest=32), "Tier of the programme.", {_FLAGS})',
    )
}
"""File -> (line that is there, lines of the recipe after it)."""


def run_recipe(folder: Path, dsn: str, script: str, recipe: Mapping[str, tuple[str, str]]) -> None:
    """Run a script of this folder with a copy of the package that has the lines of a recipe."""
    package = folder / "innkeeper"
    shutil.copytree(Path(innkeeper.__file__).parent, package)
    for name, (before, lines) in recipe.items():
        file = package / name
        text = file.read_text(encoding="utf-8") if before else ""
        assert text.count(f"{before}\n") == 1 or not before, (name, before)
        changed = text.replace(f"{before}\n", f"{before}\n{lines}\n") if before else f"{lines}\n"
        file.write_text(changed, encoding="utf-8")
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (folder, here.parent)))}
    done = subprocess.run(
        [sys.executable, here / script, dsn, folder / "data"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_a_guest_field_is_one_line(tmp_path: Path, dsn: str) -> None:
    """The field is seen everywhere, by the one line that declares it."""
    run_recipe(tmp_path, dsn, "guest_field.py", GUEST_FIELD)
