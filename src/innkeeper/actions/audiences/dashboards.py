"""The dashboard of a user: reports with their parameters, in an order of choice."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

from innkeeper import clock
from innkeeper.actions.audiences import reports
from innkeeper.errors import Conflict, Invalid, Problem, Unknown
from innkeeper.resources.base import Record
from innkeeper.resources.naming import camel
from innkeeper.resources.payloads import members_of
from innkeeper.resources.segments import snake
from innkeeper.rules.access import is_member
from innkeeper.rules.report_parameters import ReportParameters, read_parameters
from innkeeper.store.work import Json, Work

MOST_REPORTS: Final = 12
LONGEST_TITLE: Final = 100
MOST_DAYS: Final = 3660
FIRST_REPORTS: Final = tuple(
    {"report": name, "title": "", "days": 90, "parameters": parameters}
    for name, parameters in (
        ("revenue", {"interval": "week"}),
        ("funnel", {}),
        ("campaigns", {"limit": "10"}),
        ("retention", {}),
    )
)
"""The dashboard of a user who has not changed it."""
_NAMES: Final = frozenset(member.wire_name for member in members_of(ReportParameters))
_Change = Callable[[list[Record]], list[Record]]


async def list_reports(work: Work, email: str) -> list[Record]:
    """List the pinned reports of a user, before the first change `FIRST_REPORTS`: report, title,
    days, parameters. Raises `Unknown`."""
    return list((await _fetch(work, email, "dashboards.fetch"))["reports"])


async def put_reports(work: Work, email: str, items: Sequence[Mapping[str, Any]]) -> list[Record]:
    """Replace the pinned reports of a user; raises `Unknown`, `Invalid`."""
    pinned = _checked(items)
    return await _change(work, email, lambda _: pinned)


async def pin(work: Work, email: str, report: str, parameters: Mapping[str, str]) -> None:
    """Pin a report at the end. A period that ends today is pinned as its number of days, if it has
    at most `MOST_DAYS`.

    Raises `Unknown`, `Invalid`, and `Conflict` if there are too many.
    """
    values = {name: value for name, value in parameters.items() if value and name in _NAMES}
    pinned = _checked([{"report": report, "parameters": values}])
    today = clock.now().date()
    if values.get("to") == today.isoformat() and "from" in values:
        days = (today - date.fromisoformat(values["from"])).days + 1
        if days <= MOST_DAYS:
            rest = {name: each for name, each in values.items() if name not in ("from", "to")}
            pinned[0] |= {"days": days, "parameters": rest}

    def add(stored: list[Record]) -> list[Record]:
        if len(stored) >= MOST_REPORTS:
            raise Conflict(f"A dashboard has at most {MOST_REPORTS} reports: remove one first.")
        return [*stored, *pinned]

    await _change(work, email, add)


async def move(work: Work, email: str, position: int, by: int) -> None:
    """Move a report by one place; nothing at the ends."""

    def moved(stored: list[Record]) -> list[Record]:
        target = position + by
        if 0 <= position < len(stored) and 0 <= target < len(stored):
            stored.insert(target, stored.pop(position))
        return stored

    await _change(work, email, moved)


async def remove(work: Work, email: str, position: int) -> None:
    """Remove a report; nothing if there is none at the position."""
    await _change(work, email, lambda stored: [*stored[:position], *stored[position + 1 :]])


def parameters_of(item: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of a pinned report for today."""
    parameters = dict(item["parameters"])
    if item["days"]:
        today = clock.now().date()
        parameters["from"] = (today - timedelta(days=item["days"] - 1)).isoformat()
        parameters["to"] = today.isoformat()
    return parameters


def _checked(items: Sequence[Mapping[str, Any]]) -> list[Record]:
    """Return reports as they are stored; raises `Invalid` with every problem."""
    problems: list[Problem] = []
    if len(items) > MOST_REPORTS:
        problems.append(Problem("items", f"must be at most {MOST_REPORTS}"))
    stored = []
    for index, item in enumerate(items[:MOST_REPORTS]):
        parameters = {str(name): str(value) for name, value in item["parameters"].items()}
        at = f"items[{index}]"
        problems += (
            Problem(f"{at}.parameters.{name}", "is not a parameter of reports")
            for name in parameters
            if name not in _NAMES
        )
        try:
            read = read_parameters({snake(name): value for name, value in parameters.items()})
            reports.describe(item["report"], read)
        except Unknown:
            problems.append(Problem(f"{at}.report", "there is no such report"))
        except Invalid as invalid:
            problems += (
                Problem(f"{at}.parameters.{camel(each.field)}", each.reason)
                for each in invalid.problems
            )
        title = (item.get("title") or "").strip()
        days = item.get("days") or None
        stored.append(
            {"report": item["report"], "title": title, "days": days, "parameters": parameters}
        )
    if problems:
        raise Invalid(*problems)
    return stored


async def _fetch(work: Work, email: str, query: str) -> Record:
    row = await work.one(query, email=email, workspace=work.workspace)
    if row is None or not is_member(row["workspaces"], work.workspace):
        raise Unknown("User", email)
    stored = row["reports"]
    return {**row, "reports": [*(FIRST_REPORTS if stored is None else stored)]}


async def _change(work: Work, email: str, change: _Change) -> list[Record]:
    async with work.transaction():
        row = await _fetch(work, email, "dashboards.lock")
        changed = change(row["reports"])
        await work.run(
            "dashboards.put", user=row["user_ref"], workspace=work.workspace, reports=Json(changed)
        )
    return changed
