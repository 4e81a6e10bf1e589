"""S2: every regular expression takes time linear in the text, whoever wrote the text."""

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from regexes import ambiguity

import innkeeper
from innkeeper.lake import spark_dialect
from innkeeper.resources.kinds import EMAIL, Kind, ListOf, ObjectOf, Pattern
from innkeeper.rules import date_formats
from innkeeper.wire.stream.routes import STREAM_ROUTES, _pattern

SOURCE: Final = Path(innkeeper.__file__).parent
ANCHORED: Final = {"match", "fullmatch"}
SEARCHING: Final = {"search", "sub", "subn", "split", "findall", "finditer"}


@dataclass(frozen=True)
class Use:
    """One expression, and where and how it is used."""

    module: str
    line: int
    expression: ast.expr
    flags: int
    methods: frozenset[str]


def _flags(call: ast.Call) -> int:
    values = [each.value for each in call.keywords if each.arg == "flags"] + call.args[1:]
    flags = 0
    for node in values:
        for each in ast.walk(node):
            if isinstance(each, ast.Attribute):
                flags |= getattr(re, each.attr, 0) if each.attr.isupper() else 0
    return flags


def _uses() -> Iterator[Use]:
    trees = {path: ast.parse(path.read_text()) for path in SOURCE.rglob("*.py")}
    called: dict[str, set[str]] = {}
    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                called.setdefault(node.value.id, set()).add(node.attr)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Attribute):
                called.setdefault(node.value.attr, set()).add(node.attr)
    for path, tree in trees.items():
        names = {
            id(node.value): target.id
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            function = node.func if isinstance(node, ast.Call) else None
            if not (
                isinstance(node, ast.Call)
                and isinstance(function, ast.Attribute)
                and isinstance(function.value, ast.Name)
                and function.value.id == "re"
                and function.attr in {"compile", *ANCHORED, *SEARCHING}
            ):
                continue
            methods = {function.attr}
            if function.attr == "compile":
                methods = called.get(names.get(id(node), ""), set()) & (ANCHORED | SEARCHING)
            flags = _flags(node) if function.attr == "compile" else 0
            module = str(path.relative_to(SOURCE))
            yield Use(module, node.lineno, node.args[0], flags, frozenset(methods))


COMPUTED: Final = {
    "resources/kinds.py": "Pattern.expression, see test_s2_patterns_of_fields",
    "lake/spark_dialect.py": "a choice of fixed words, see test_s2_computed_expressions",
    "rules/date_formats.py": "a format of dates, see test_s2_computed_expressions",
    "wire/stream/routes.py": "a path of the API, see test_s2_computed_expressions",
}
"""Modules with an expression that is no literal, and what checks it."""


def _literal(node: ast.expr) -> str | bytes | None:
    """A literal; None for what is computed."""
    if isinstance(node, ast.Constant):
        return node.value  # type: ignore[return-value]
    try:
        return ast.literal_eval(node)  # type: ignore[no-any-return]
    except ValueError:
        return None


def _expression(use: Use) -> str | bytes | None:
    """A literal, or what constants of the module make of an f-string or a name."""
    result = _literal(use.expression)
    if result is None and isinstance(use.expression, ast.JoinedStr | ast.Name):
        module = importlib.import_module(
            "innkeeper." + use.module.removesuffix(".py").replace("/", ".")
        )
        return str(eval(compile(ast.Expression(use.expression), "", "eval"), vars(module)))  # noqa: S307
    return result


def _ambiguity(use: Use) -> str:
    expression = _expression(use)
    if expression is None:
        return "" if use.module in COMPUTED else "a computed expression that no test checks"
    # One that is used under another name counts as one that searches.
    anchored = bool(use.methods) and use.methods <= ANCHORED
    return ambiguity(re.compile(expression, use.flags), anchored=anchored)


def test_s2_every_expression_is_linear() -> None:
    uses = list(_uses())
    assert len(uses) > 100
    assert {f"{use.module}:{use.line}": why for use in uses if (why := _ambiguity(use))} == {}


def _kinds() -> Iterator[tuple[str, Kind]]:
    from innkeeper.resources.base import Resource

    for each in pkgutil.iter_modules([str(SOURCE / "resources")]):
        importlib.import_module(f"innkeeper.resources.{each.name}")
    left: list[tuple[str, Any]] = [("EMAIL", EMAIL)]
    for resource in Resource.__subclasses__():
        left += [(f"{resource.__name__}.{n}", f.kind) for n, f in resource.fields.items()]
    while left:
        name, kind = left.pop()
        yield name, kind
        if isinstance(kind, ListOf):
            left.append((name, kind.element))
        if isinstance(kind, ObjectOf):
            left += [(f"{name}.{member}", each) for member, each in kind.members.items()]


def test_s2_patterns_of_fields() -> None:
    patterns = {kind.expression for _, kind in _kinds() if isinstance(kind, Pattern)}
    assert EMAIL.expression in patterns
    for expression in patterns:
        assert ambiguity(re.compile(expression), anchored=True) == "", expression


def test_s2_computed_expressions() -> None:
    for form in ("DD/MM/YYYY hh:mm:ss A Z", "MMMM DD, YY", "YYYYMMDDHHmmss", "DD MMM YYYY, HH:MM"):
        assert ambiguity(date_formats._pattern(form), anchored=True) == "", form
    assert ambiguity(spark_dialect._TIME_PART, anchored=False) == ""
    for route in STREAM_ROUTES:
        pattern = _pattern(route.path)
        assert ambiguity(pattern, anchored=True) == "", route.path


# The analysis itself


@pytest.mark.parametrize(
    ("expression", "anchored"),
    [
        ("(a*)*b", True),
        ("(a+)+b", True),
        ("(a|ab|b)*c", True),
        ("a*a*b", True),
        (r"\s*,\s*\s*x", True),
        (r"[^\s@]+@[^\s@]+\.[^\s@]+", True),
        (r"[^\s@]+@[^\s@]+", False),
        (r"\d+x", False),
        ('".*"x', False),
        (r"(\w+,?)*;", True),
        (r"(.*?,){11}P", True),
        ("x{1,200}x{1,200}y", True),
    ],
)
def test_s2_the_analysis_finds_what_is_not_linear(expression: str, anchored: bool) -> None:
    assert ambiguity(re.compile(expression), anchored=anchored)


@pytest.mark.parametrize(
    ("expression", "anchored"),
    [
        (r"\d+", False),
        (r"a*b", True),
        (r"(?:a|b)*c", True),
        (r"(?:ab)*a", True),
        (r"[a-z]+_[a-z]+", True),
        (r"x[^x]*x", True),
        (r'"[^"]*"', True),
        (r"\{\{\s*\w{1,9}\s*\}\}", True),
        (r"[^@]+@[^@]+", True),
    ],
)
def test_s2_the_analysis_leaves_what_is_linear(expression: str, anchored: bool) -> None:
    assert ambiguity(re.compile(expression), anchored=anchored) == ""
