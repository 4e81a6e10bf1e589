"""Templates of the screens: short lines, nothing inline, no macro or template that nobody uses."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import nodes

from innkeeper.web.health import REFERENCE_SCRIPTS
from innkeeper.web.ui import rendering
from innkeeper.web.ui.assets import read_files
from innkeeper.web.ui.line_breaks import join_lines

SCREENS = Path(rendering.__file__).parent
SOURCES = {path.name: path.read_text() for path in sorted((SCREENS / "templates").iterdir())}
TREES = {name: rendering._environment().parse(source) for name, source in SOURCES.items()}
LINE = 160
OF_CONTEXT = {"asset", "caller", "camel", "dict", "field_prefix", "loop", "problem_in_form"}
OF_CONTEXT |= {"range", "super"}
"""Functions that templates call and that are no macros: of Jinja, and what pages hand over."""


def calls(name: str) -> set[str]:
    """The functions that a template calls by name."""
    called = {call.node for call in TREES[name].find_all(nodes.Call)}
    return {node.name for node in called if isinstance(node, nodes.Name)}


def imports(name: str) -> Iterator[tuple[str, str]]:
    """(template, macro) that a template imports."""
    for node in TREES[name].find_all(nodes.FromImport):
        assert isinstance(node.template, nodes.Const)
        for macro in node.names:
            assert isinstance(macro, str), "a macro has one name"
            yield str(node.template.value), macro


def macros(name: str) -> set[str]:
    return {macro.name for macro in TREES[name].find_all(nodes.Macro)}


@pytest.mark.parametrize("name", SOURCES)
def test_lines_are_short_and_indented_by_spaces(name: str) -> None:
    long = [number for number, line in enumerate(SOURCES[name].splitlines(), 1) if len(line) > LINE]
    assert long == []
    assert "\t" not in SOURCES[name]


@pytest.mark.parametrize("name", SOURCES)
def test_no_script_or_style_is_inline(name: str) -> None:
    """The Content-Security-Policy refuses them."""
    source = SOURCES[name]
    assert re.findall(r"<style|\sstyle=|javascript:|\son[a-z]+=", source) == []
    scripts = re.findall(r"<script[^>]*>(?!</script>)", source)
    assert scripts == []
    assert all(" defer" in tag for tag in re.findall(r"<script.*?>(?=</script>)", source))


@pytest.mark.parametrize("name", SOURCES)
def test_macros_that_are_called_exist(name: str) -> None:
    imported = list(imports(name))
    assert [(file, macro) for file, macro in imported if macro not in macros(file)] == []
    existing = macros(name) | {macro for _, macro in imported} | OF_CONTEXT
    assert calls(name) - existing == set()
    unused = {macro for _, macro in imported} - calls(name)
    assert unused == set(), "imported and not called"


def test_every_macro_is_used() -> None:
    used = {(file, macro) for name in SOURCES for file, macro in imports(name)}
    used |= {(name, macro) for name in SOURCES for macro in calls(name)}
    text = "\n".join(SOURCES.values())
    unused = [
        (name, macro)
        for name in SOURCES
        for macro in macros(name)
        if (name, macro) not in used and f"{Path(name).stem}.{macro}(" not in text
    ]
    assert unused == []


def test_every_shared_macro_is_shown_on_the_page_of_components() -> None:
    """By name, or within another that is. Macros of one page alone belong to that page."""
    page = "components.html"
    shared = {(file, macro) for name in SOURCES if name != page for file, macro in imports(name)}
    shared |= {("charts.html", macro) for macro in macros("charts.html")}
    record = {(file, macro) for file, macro in imports(page) if macro in calls(page)}
    named = {"ui": "ui.html", "charts": "charts.html"}
    for file, macro in re.findall(r"\b(ui|charts)\.(\w+)\(", SOURCES[page]):
        record.add((named[file], macro))
    pending = list(record)
    while pending:
        file, macro = pending.pop()
        [body] = [each for each in TREES[file].find_all(nodes.Macro) if each.name == macro]
        within = {
            call.node.name
            for call in body.find_all(nodes.Call)
            if isinstance(call.node, nodes.Name)
        }
        used = {(file, name) for name in within & macros(file)} | {
            each for each in imports(file) if each[1] in within
        }
        pending += used - record
        record |= used
    assert shared - record == set()


def test_every_template_is_reachable() -> None:
    code = "\n".join(path.read_text() for path in SCREENS.glob("*.py"))
    reached = {name for name in SOURCES if f'"{name}"' in code}
    waiting = list(reached)
    while waiting:
        named = re.findall(r'{% (?:extends|include|from|import) "([^"]+)"', SOURCES[waiting.pop()])
        waiting += set(named) - reached
        reached |= set(named)
    assert set(SOURCES) - reached == set()


def test_every_script_is_loaded() -> None:
    scripts = {name.removesuffix(".js") for name in read_files() if name.endswith(".js")}
    loaded = {name.removesuffix(".js") for name in REFERENCE_SCRIPTS}
    for source in SOURCES.values():
        for names in re.findall(r"{% for name in \(([^)]*)\) %}\s*<script", source):
            loaded |= set(re.findall(r'"([^"]+)"', names))
    assert loaded == scripts


def test_the_palette_is_declared_once() -> None:
    """Colours of both themes stand side by side: nothing outside of `:root` names a colour."""
    sheet = read_files()["app.css"].decode()
    palette, rest = re.split(r"(?<=\n)}\n", sheet, maxsplit=1)
    assert "light-dark(" in palette
    assert re.findall(r"#[0-9a-f]{3,8}\b(?=[^{}]*})|rgb\(", rest) == []
    assert "prefers-color-scheme" not in sheet


@pytest.mark.parametrize(
    ("lines", "printed"),
    [
        ("<p>\n  <b>one</b>\n  <b>two</b>\n</p>", "<p><b>one</b><b>two</b></p>"),
        ("<p>\n  some\n  words\n</p>", "<p>some words</p>"),
        ("<p>\n  some\n  <b>words</b>\n  here\n</p>", "<p>some <b>words</b> here</p>"),
        ("<a>one</a> <a>two</a>", "<a>one</a> <a>two</a>"),
        ("\n  <b>", "<b>"),
        ("\n  words\n", " words "),
        ("\n", ""),
        ('"\n    class="x">\n  words', '" class="x">words'),
        ("<input\n    name='x'>", "<input name='x'>"),
    ],
)
def test_line_breaks_that_nobody_sees_are_not_printed(lines: str, printed: str) -> None:
    """What begins or ends with a line break stands at a statement or an expression."""
    assert join_lines(lines) == printed
