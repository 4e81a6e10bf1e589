"""Screens of computed traits: the list, one trait with its values and users, its form."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from innkeeper.actions.audiences import segment_catalogue, trait_values, traits, usage
from innkeeper.errors import ApiError, BadRequest, Conflict, Invalid, Outdated, Problem, Unavailable
from innkeeper.resources.base import Record
from innkeeper.resources.segments import STRING
from innkeeper.rules.access import Right
from innkeeper.rules.traits import IN_CURRENCY
from innkeeper.rules.versions import version_of
from innkeeper.web.ui import builder, trait_form
from innkeeper.web.ui.draft import UNITS, WORDS
from innkeeper.web.ui.segments import guest_rows, read_catalogue, veil_rules
from innkeeper.web.ui.shell import PageRoute, Visit
from innkeeper.web.ui.trait_form import TraitDraft

POSITIONS: Final = ("name", "entity", "function", "field", "currency")
"""Fields of the form that display their own problems."""


async def show_all(visit: Visit) -> Response:
    """List the traits defined here, then the built-in ones."""
    users = await usage.of_traits(visit.work)
    own, built = [], []
    for row in await traits.list_all(visit.work):
        if row["builtin"]:
            built.append(row)
        else:
            own.append({**row, "draft": trait_form.draft_of(row["name"], row["definition"])})
    for row in built:
        base = row["name"].partition(".")[0]
        row["users"] = [
            each
            for name, users_of_name in users.items()
            if name.partition(".")[0] == base
            for each in users_of_name
        ]
    return visit.show("traits.html", own=own, built=built, users=users)


async def show_one(visit: Visit) -> Response:
    """Show a trait: its definition and users; the page requests its values afterwards."""
    name = visit.request.path_params["trait"]
    row = await traits.fetch(visit.work, name)
    draft = None if row["builtin"] else trait_form.draft_of(name, row["definition"])
    if draft is not None:
        veil_rules(visit, draft.rules)
    look = await trait_values.describe(visit.work, name) if visit.is_part else None
    return visit.show(
        "trait.html",
        row=row,
        draft=draft,
        fits=draft is not None and trait_form.fits(row["definition"]),
        users=await usage.of_trait(visit.work, name),
        is_in_currency=name.partition(".")[0] in IN_CURRENCY,
        **await _values_context(visit, look),
    )


async def run_action(visit: Visit) -> Response:
    """Delete a trait; raises `Conflict` while a segment or export uses it."""
    name = visit.request.path_params["trait"]
    if visit.form_text("action") != "delete":
        raise BadRequest("Unknown action.")
    await traits.delete(visit.work, name)
    return visit.go("/traits", f"{name} was deleted.")


async def new(visit: Visit) -> Response:
    """Show an empty form; the page requests its values afterwards."""
    return await _page_of(visit, TraitDraft(), None, is_first=True)


async def edit(visit: Visit) -> Response:
    """Show the form with a trait; go to the trait's page when the form cannot show all of it."""
    row = await _own(visit)
    if not trait_form.fits(row["definition"]):
        return visit.go(f"/traits/of/{row['name']}")
    draft = trait_form.draft_of(row["name"], row["definition"])
    return await _page_of(visit, draft, row, is_first=True)


async def save(visit: Visit) -> Response:
    """Apply a button of the form, or store the trait."""
    row = await _own(visit) if "trait" in visit.request.path_params else None
    draft = trait_form.read_form(visit.form)
    definition = trait_form.definition_of(draft)
    if visit.form_text("do") != "save":
        try:
            return await _page_of(
                visit, draft, row, look=await trait_values.preview(visit.work, definition)
            )
        except Invalid as invalid:
            return await _page_of(visit, draft, row, problems=invalid.problems)
        except Unavailable as busy:
            return await _page_of(
                visit, draft, row, problems=[Problem("", busy.message)], is_busy=True
            )
    name = row["name"] if row else trait_form.code_name(draft.name)
    try:
        if row:
            changed = trait_form.definition_to_save(definition, row["definition"])
            await traits.put(visit.work, name, changed, visit.expected)
        elif name in await traits.list_current(visit.work):
            raise Conflict(f"There is a trait {name} already.")
        else:
            await traits.put(visit.work, name, definition, only_new=True)
    except Outdated as outdated:
        visit.fault = outdated
        response = await _page_of(visit, draft, await _own(visit), is_first=True)
        response.status_code = outdated.status
        return response
    except (Invalid, Conflict) as refused:
        return await _refused(visit, draft, row, refused)
    return visit.go(f"/traits/of/{name}", f"{name} was saved.")


async def _refused(
    visit: Visit, draft: TraitDraft, row: Record | None, error: ApiError
) -> Response:
    """Show the form again, with each problem at its field."""
    if isinstance(error, Invalid):
        problems = list(error.problems)
    else:
        problems = [Problem("" if row else "name", error.message)]
    response = await _page_of(visit, draft, row, problems=problems, is_first=True)
    response.status_code = error.status
    return response


async def _own(visit: Visit) -> Record:
    row = await traits.fetch(visit.work, visit.request.path_params["trait"])
    if row["builtin"]:
        raise BadRequest("A built-in trait cannot be changed.")
    return row


async def _page_of(
    visit: Visit,
    draft: TraitDraft,
    row: Record | None,
    *,
    look: Record | None = None,
    problems: Sequence[Problem] = (),
    is_first: bool = False,
    is_busy: bool = False,
) -> Response:
    if is_first:
        catalogue = await segment_catalogue.list_declared_fields(visit.work)
    else:
        of = {draft.entity} if draft.rules else set()
        catalogue, has_declared_only = await read_catalogue(visit, of)
        is_busy = is_busy or has_declared_only
    wrong = {
        each.field: f"{each.reason[:1].upper()}{each.reason[1:]}"
        for each in problems
        if each.field in POSITIONS
    }
    return visit.show(
        "trait_form.html",
        row=row,
        version=version_of(row) if row else "",
        differing=_differing(draft, row) if visit.is_outdated and row else [],
        draft=draft,
        entities={each["name"]: each for each in catalogue["entities"]},
        words={name: text for name, text in WORDS.items() if name != "guest"},
        functions=trait_form.FUNCTIONS,
        units=UNITS,
        code_name=trait_form.code_name(draft.name),
        wrong=wrong,
        # After a refusal the page shows the problems, and does not request values yet.
        others=[_problem_in_form(each) for each in problems if each.field not in POSITIONS],
        is_first=is_first and not problems,
        refused=is_first and bool(problems),
        is_busy=is_busy,
        **await _values_context(visit, look),
    )


def _differing(draft: TraitDraft, row: Record) -> list[tuple[str, str, str]]:
    stored = trait_form.draft_of(row["name"], row["definition"])
    rules = (f"{len(draft.rules)} rules", f"{len(stored.rules)} rules")
    rows = [("Meaning", draft.sentence, stored.sentence), ("Rules", *rules)]
    return [each for each in rows if each[1] != each[2]]


def _problem_in_form(problem: Problem) -> str:
    """Describe a problem of the rules, which are parsed as those of a segment with one group."""
    words = builder.problem_in_form(problem).removeprefix("Group 1, ").removeprefix("Group 1: ")
    return words[:1].upper() + words[1:]


async def _values_context(visit: Visit, look: Record | None) -> dict[str, Any]:
    """Return the template context of a trait's values; no texts for visitors who may not see
    personal data."""
    if look is None:
        return {"look": None, "sample": []}
    if not visit.personal and look["type"] == STRING:
        look |= {"values": [], "sample": []}
    guests = {each["ref"]: each for each in await guest_rows(visit, [r for r, _ in look["sample"]])}
    sample = [(guests[UUID(ref)], value) for ref, value in look["sample"] if UUID(ref) in guests]
    return {"look": look, "sample": sample}


PAGES: Final = (
    PageRoute("/traits", show_all),
    PageRoute("/traits/new", new, save, right=Right.SEGMENTS, whole=False),
    PageRoute("/traits/of/{trait}/edit", edit, save, right=Right.SEGMENTS, whole=False),
    PageRoute("/traits/of/{trait}", show_one, run_action, post_right=Right.SEGMENTS),
)
