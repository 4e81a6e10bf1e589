"""How the tree is kept: unique class names, plain words, no circles, SQL where it belongs.

Where the tree does not hold a rule yet, a list or a count says how far: it only shrinks.
"""

import ast
import builtins
import re
from collections import Counter, defaultdict
from functools import cache
from pathlib import Path

import innkeeper
from innkeeper.cli.app import GROUPS
from innkeeper.store.queries import catalogue

ROOT = Path(innkeeper.__file__).parent
REFUSED = frozenset(
    {
        *("told", "asked", "met", "known", "gone", "kept", "wish", "found", "sent", "shown"),
        *("crowd", "till", "tally", "door", "spot", "slip", "news", "shop", "turns", "places"),
        *("served", "specials", "stopped", "remembered"),
    }
)
"""Participles used as nouns, and metaphors: a name says what a thing is."""
REFUSED_ALONE = frozenset({"given", "seen", "made", "here", "wanted", "taken", "meant"})
"""The same of whole names: `last_seen` says what it is."""
QUERIES_IN_WEB = frozenset({"health.ping", "quarantine.correct", "quarantine.discard"})
"""The readiness check, and names of audit rows."""


@cache
def trees() -> dict[str, ast.Module]:
    """Path below the package -> syntax tree."""
    return {
        str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted(ROOT.rglob("*.py"))
    }


def defined_names(tree: ast.Module) -> list[str]:
    """Every name that a module defines: functions, classes, parameters, variables, attributes."""
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(node.name)
        elif isinstance(node, ast.arg):
            names.append(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.append(node.id)
    return names


@cache
def words_of(name: str) -> set[str]:
    """`is_known` -> {is, known}; `NotFound` -> {not, found}, which HTTP says."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+", name)}


def constants(tree: ast.Module) -> list[str]:
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]


def test_names_say_what_a_thing_is() -> None:
    used = [
        f"{path}: {name}"
        for path, tree in trees().items()
        for name in defined_names(tree)
        if words_of(name) & REFUSED and name != "NotFound"
    ]
    assert used == []


def test_whole_names_say_what_a_thing_is() -> None:
    used = {
        f"{path}: {name}"
        for path, tree in trees().items()
        for name in defined_names(tree)
        if name.strip("_").lower() in REFUSED_ALONE
    }
    assert used == set()


def test_names_in_tests_say_what_a_thing_is() -> None:
    """Whole names of variables, parameters and functions; the demo is a shop."""
    used = {
        f"{path.name}: {name}"
        for path in (ROOT.parents[1] / "tests").rglob("*.py")
        for name in defined_names(ast.parse(path.read_text(encoding="utf-8")))
        if name.lower() in REFUSED - {"shop"}
    }
    assert used == set()


def test_names_in_sql_say_what_a_thing_is() -> None:
    """`sent` and `sent_at` state when a message or a file was sent."""
    used = set()
    for path in sorted((ROOT / "store").glob("[fq]*/*.sql")):
        code = re.sub(r"--.*|'[^']*'", "", path.read_text(encoding="utf-8"))
        names = {name for name in re.findall(r"[a-z_]+", code) if {*name.split("_")} & REFUSED}
        used |= {f"{path.name}: {name}" for name in names - {"sent", "sent_at"}}
    assert used == set()


def test_class_names_are_unique() -> None:
    counts = Counter(
        node.name
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )
    assert [name for name, count in counts.items() if count > 1] == []


def test_docstrings_name_errors_that_exist() -> None:
    defined = {
        node.name
        for tree in trees().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    }
    stale = [
        f"{path}: {name}"
        for path, tree in trees().items()
        for text in constants(tree)
        for sentence in re.findall(r"\b[Rr]aises? (`[^.;:]*)", text)
        for name in re.findall(r"`([A-Z][A-Za-z]+)`", sentence)
        if name not in defined and not hasattr(builtins, name)
    ]
    assert stale == []


def test_web_names_no_query() -> None:
    queries = set(catalogue())
    used = {
        text
        for path, tree in trees().items()
        if path.startswith("web/")
        for text in constants(tree)
        if text in queries
    }
    assert used == QUERIES_IN_WEB


def test_actions_know_no_wire_names() -> None:
    """Callers' spellings are in `resources` and `wire`; a declared name becomes one there."""
    camel = []
    for path, tree in trees().items():
        if not path.startswith("actions/") or "/demo" in path:
            continue
        docstrings = {
            id(node.value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        }
        camel += [
            f"{path}: {node.value}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
            and re.search(r"\b[a-z]+[A-Z][a-z]", node.value)
        ]
    assert camel == []


def imports_within(package: str) -> dict[str, set[str]]:
    """Module of a package -> modules of the same package that it imports."""
    start = f"innkeeper.{package}."
    imported = defaultdict(set)
    for path, tree in trees().items():
        if not path.startswith(f"{package}/"):
            continue
        module = Path(path).stem
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
                for name in names:
                    if name.startswith(start):
                        imported[module].add(name.removeprefix(start).split(".")[0])
        imported[module].discard(module)
    return imported


def test_modules_of_the_lake_import_without_circles() -> None:
    left = imports_within("lake")
    while lowest := [name for name, others in left.items() if not others & left.keys()]:
        for name in lowest:
            del left[name]
    assert {name: sorted(others & left.keys()) for name, others in left.items()} == {}


def test_the_help_of_all_commands_imports_no_group() -> None:
    groups = {path.partition(".")[0] for _, _, path, _ in GROUPS}
    imported = {
        f"{each.module}.{alias.name}"
        for name in ("cli/app.py", "cli/options.py")
        for each in ast.walk(trees()[name])
        if isinstance(each, ast.ImportFrom)
        for alias in each.names
    }
    assert len(groups) > 10
    assert {
        group for group in groups for name in imported if f"cli.{group}." in f"{name}."
    } == set()


def modules_with(*texts: str) -> set[str]:
    """The modules whose source contains one of some texts."""
    return {
        path
        for path in trees()
        if any(text in (ROOT / path).read_text(encoding="utf-8") for text in texts)
    }


def test_offset_and_limit_are_read_in_one_place() -> None:
    """`wire/pagination.py` declares both; the others name them only."""
    assert modules_with('"offset"') <= {
        "actions/events/quarantine.py",
        "wire/openapi.py",
        "wire/pagination.py",
        "wire/payloads.py",
        "wire/schemas.py",
        "wire/unknown.py",
    }


def test_configuration_is_cached_in_one_place() -> None:
    """The other caches of a process hold data of people, figures, and keys of a file."""
    caching = {
        path
        for path, tree in trees().items()
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and re.search(r"\b_?cached?\b", ast.unparse(node).partition("=")[0].partition(":")[0])
    }
    assert caching <= {
        "actions/console/figures.py",
        "actions/events/browsers.py",
        "actions/events/event_attributes.py",
        "store/encryption.py",
    }


def test_files_elsewhere_are_reached_in_one_place() -> None:
    assert modules_with("import fsspec") == {"store/files.py"}


def test_requests_are_counted_and_logged_by_the_two_shells() -> None:
    assert modules_with("record_request(", "log_request(") == {
        "web/observability.py",
        "web/page_shell.py",
        "web/request_shell.py",
    }
