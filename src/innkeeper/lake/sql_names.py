"""What a table of a user's SQL names: a documented view, or a query that WITH names in scope."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlglot import exp


def resolved_cte(table: "exp.Table") -> "exp.CTE | None":
    """The query of a WITH that a table names, as SQL resolves it: the innermost in scope."""
    return next((cte for cte in _ctes_in_scope(table) if _key(cte.alias) == _key(table.name)), None)


def rename_ctes(tree: "exp.Query") -> None:
    """Give every query of a WITH a name that the engine has nothing else for.

    The engine resolves names by rules of its own: where those differ from ours, a name finds
    nothing instead of what the engine knows by it. A table keeps its name as an alias.
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


def _ctes_in_scope(table: "exp.Table") -> Iterator["exp.CTE"]:
    """Queries of WITH that a table can name, the innermost first.

    A query of a WITH sees those before it, and itself where the WITH is recursive; never those
    after it.
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
    """How names compare: as the engine does, which folds the letters of ASCII alone."""
    return name.translate(_ASCII_LOWER)


_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
