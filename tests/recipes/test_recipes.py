"""The recipes of CONTRIBUTING.md, carried out: a copy of the package with the lines of a recipe is
run on a database of this version, and shows that nothing else is needed.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import innkeeper

_GUIDE = Path(__file__).parents[2].joinpath("CONTRIBUTING.md").read_text(encoding="utf-8")
_ENDPOINT = _GUIDE.partition("## Recipe: an endpoint\n")[2].partition("\n## ")[0]
_SEGMENTS = "wire/audiences/segments.py"
_FLAGS = "personal=True, identifies=True, searchable=True"
RECIPES = (
    # A guest field
    (
        "resources/guests.py",
        f'    first_name = Field(Text(), "First name.", {_FLAGS})',
        f'    loyalty_tier = Field(Text(longest=32), "Tier of the programme.", {_FLAGS})',
    ),
    # A part of orders
    (
        "resources/orders.py",
        '    ref = ref_of("order consumer")',
        """\n\nclass OrderNote(PlainChild):
    text = Field(Text(longest=2000), "What is noted.", required=True, personal=True)
    author = Field(Text(), "Who notes it.")""",
    ),
    (
        "store/migrations/workspace/0099_order_notes.sql",
        "",
        "CREATE TABLE {ws}.order_notes ("
        "ref uuid PRIMARY KEY, order_ref uuid NOT NULL REFERENCES {ws}.orders ON DELETE CASCADE, "
        "body jsonb NOT NULL, created_at timestamptz NOT NULL, modified_at timestamptz NOT NULL, "
        "UNIQUE (order_ref, created_at, ref));",
    ),
    ("wire/dialects/official.py", "    OrderItemExtension,", "    OrderNote,"),
    (
        "wire/dialects/official.py",
        '        "contacts": ONE_ORDER + "/contacts",',
        '        "notes": ONE_ORDER + "/notes",',
    ),
    (
        "wire/dialects/official.py",
        '    linked={"orderItems": ("order_items", ONE_ITEM)},\n)',
        "\nORDER_NOTE = part_of(ORDER, OrderNote)",
    ),
    (
        "wire/dialects/official.py",
        "    *(ORDER, ORDER_ITEM, CONSUMER_ITEM, ORDER_CONTACT, ORDER_CONSUMER),",
        "    ORDER_NOTE,",
    ),
    (
        "wire/dialects/legacy.py",
        "ORDER_EXTENSION = keyed(official.ORDER_EXTENSION, ORDER.item)",
        "ORDER_NOTE = legacy(official.ORDER_NOTE, verbs=UPDATES | {Verb.DELETE})",
    ),
    ("wire/dialects/legacy.py", "    ORDER_EXTENSION,", "    ORDER_NOTE,"),
    # An endpoint: what it imports, and the blocks of the recipe word for word
    (
        _SEGMENTS,
        "from datetime import datetime",
        "from collections.abc import Iterator, Mapping\nfrom innkeeper.errors import Problem\n"
        "from innkeeper.resources.payload_kinds import Label",
    ),
    (
        _SEGMENTS,
        '    return {"member": verdict.member, "groups": groups}',
        "\n\n".join(map(dedent, re.findall("```python\n(.*?)```", _ENDPOINT, re.DOTALL))),
    ),
)
"""(file, the line that is there, the lines of the recipe that follow it)."""


def copy_package(folder: Path) -> None:
    """Write a copy of the package that has the lines of the recipes."""
    package = folder / "innkeeper"
    shutil.copytree(Path(innkeeper.__file__).parent, package)
    for name, before, lines in RECIPES:
        file = package / name
        text = file.read_text(encoding="utf-8") if before else ""
        assert not before or text.count(f"\n{before}\n") == 1, (name, before)
        file.write_text(text.replace(f"\n{before}\n", f"\n{before}\n{lines}\n") or lines)


def test_recipes_need_no_other_line(tmp_path: Path, dsn: str) -> None:
    """A guest field is one line. A part of orders is one declaration, one line of migration, four
    lines in the official dialect and two in v2. An endpoint is its declaration and its function.
    All is seen everywhere, by what these lines say."""
    copy_package(tmp_path)
    here = Path(__file__).parent
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, (tmp_path, here.parent)))}
    done = subprocess.run(
        [sys.executable, here / "declared.py", dsn, tmp_path / "data"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
