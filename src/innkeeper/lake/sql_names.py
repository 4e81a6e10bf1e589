"""Resolve the tables in a user's SQL: documented views, and queries that WITH defines in scope."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from sqlglot import exp


LONGEST_NAME: Final = 100
"""Characters of a name that are compared with others."""


def resolved_cte(table: "exp.Table") -> "exp.CTE | None":
    """Return the WITH query that a table names, by SQL's rules: the innermost in scope."""
    return next((cte for cte in _ctes_in_scope(table) if _key(cte.alias) == _key(table.name)), None)


def rename_ctes(tree: "exp.Query") -> None:
    """Rename every WITH query so that no name can mean anything else to the engine.

    The engine has its own rules for resolving names. Where these differ from ours, a name now
    resolves to nothing instead of to an object of the engine. A table keeps its name as an alias.
    """
    from sqlglot import exp  # noqa: PLC0415

    named = [(table, resolved_cte(table)) for table in tree.find_all(exp.Table)]
    ctes = {id(cte): f"with_{number}" for number, cte in enumerate(tree.find_all(exp.CTE), 1)}
    for table, cte in named:
        if cte is not None:
            if not table.alias:
                table.set("alias", exp.TableAlias(this=table.this.copy()))
            table.set("this", exp.to_identifier(ctes[id(cte)]))
    for cte in tree.find_all(exp.CTE):
        cte.args["alias"].set("this", exp.to_identifier(ctes[id(cte)]))


def suggestion(word: str, names: Iterable[str]) -> str:
    """Return the names most like a word, as the end of a message; empty if none is.

    The prefix of columns may be missing in the word.
    """
    named = {each: each for each in names}
    named |= {each.removeprefix("core_"): each for each in named}
    like = get_close_matches(_key(word[:LONGEST_NAME]), named, n=3, cutoff=0.7)
    close = dict.fromkeys(named[each] for each in like)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _ctes_in_scope(table: "exp.Table") -> Iterator["exp.CTE"]:
    """Yield the WITH queries that a table can name, innermost first.

    A WITH query sees those before it, and itself if the WITH is recursive; never those after it.
    """
    from sqlglot import exp  # noqa: PLC0415

    below: exp.Expr = table
    around = table.parent
    while around is not None:
        if isinstance(around, exp.With):
            every = around.expressions
            own = next(number for number, cte in enumerate(every) if cte is below)
            yield from reversed(every[: own + 1 if around.recursive else own])
        elif isinstance(around, exp.Query) and not isinstance(below, exp.With):
            yield from reversed(around.ctes)
        below, around = around, around.parent


def _key(name: str) -> str:
    """Fold a name for comparison as the engine does: only letters of ASCII."""
    return name.translate(_ASCII_LOWER)


_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
