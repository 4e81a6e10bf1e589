"""The editor of segments in SQL: views with samples, steps with times, saved queries."""

from typing import Any, Final

from starlette.responses import Response

from innkeeper.actions.audiences import sql_queries
from innkeeper.errors import ApiError
from innkeeper.resources.base import Record
from innkeeper.rules.access import Right
from innkeeper.web.ui.shell import PageRoute, Visit


async def show_views(visit: Visit) -> Response:
    """Show the views with sample values, masked for visitors who may not see personal data."""
    views = await sql_queries.list_sampled_views(visit.work)
    for view in views:
        for column in view["columns"]:
            column["samples"] = visit.veil_value(column["samples"])
    return visit.show("sql_views.html", sql_views=views)


BUTTONS: Final = ("explain", "save-query", "rename-query", "delete-query")
"""Buttons that leave the count as it is: an explanation runs the query by itself."""


async def read(visit: Visit, sql: str | None) -> Record:
    """Return what the page shows beside a text, after the button that was pressed; empty without
    a text."""
    if sql is None:
        return {}
    context: dict[str, Any] = {"explained": None, "sql_note": "", "sql_fault": "", "problems": []}
    word, _, name = visit.form_text("do").partition(":")
    try:
        if word == "explain":
            context["explained"] = await sql_queries.explain(visit.work, sql)
        elif word == "save-query":
            row = await sql_queries.save(visit.work, visit.form_text("query_name"), sql)
            context["sql_note"] = f"{row['name']} is saved."
        elif word == "rename-query":
            row = await sql_queries.rename(visit.work, name, visit.form_text(f"rename:{name}"))
            context["sql_note"] = f"{name} is named {row['name']}."
        elif word == "delete-query":
            await sql_queries.delete(visit.work, name)
            context["sql_note"] = f"{name} is deleted."
    except ApiError as error:
        context["problems"] = problems = list(getattr(error, "problems", ()))
        context["sql_fault"] = "; ".join(each.reason for each in problems) or error.message
    return {
        **context,
        "sql_views": sql_queries.list_views(),
        "sql_functions": sql_queries.list_functions(),
        "saved_queries": await sql_queries.list_saved(visit.work),
    }


PAGES: Final = (PageRoute("/segments/sql-views", show_views, right=Right.SEGMENTS),)
