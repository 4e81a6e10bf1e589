"""Screens of segments: the list, one segment and its history, the builder with its live count."""

from collections.abc import Collection, Iterable
from typing import Any, Final
from uuid import UUID

from starlette.datastructures import FormData
from starlette.responses import Response

from innkeeper.actions.admin import audit
from innkeeper.actions.audiences import (
    segment_catalogue,
    segment_questions,
    segment_runs,
    segments,
    sql_queries,
    traits,
    usage,
)
from innkeeper.actions.console import search
from innkeeper.errors import ApiError, BadRequest, Invalid, Problem, Unavailable
from innkeeper.resources.base import Record
from innkeeper.resources.definitions import SetTagsRequest
from innkeeper.resources.guests import Guest
from innkeeper.resources.segments import EDITABLE
from innkeeper.rules.access import Right
from innkeeper.rules.masking import masked_rule, masked_sql
from innkeeper.rules.versions import version_of
from innkeeper.web.ui import builder, draft_form, sql_editor
from innkeeper.web.ui.draft import COUNTS, TOTALS, UNITS, WORDS, Draft, GroupRow, RuleRow
from innkeeper.web.ui.formatting import moment
from innkeeper.web.ui.segment_examples import EXAMPLES
from innkeeper.web.ui.shell import PageRoute, Visit, ref_of
from innkeeper.wire.payloads import decode_strictly

EXAMPLE_SQL: Final = "SELECT guest_ref\nFROM orders\nGROUP BY guest_ref\nHAVING count(*) >= 2"
ACTIONS: Final = ("start", "pause", "run", "duplicate", "tag", "delete")


async def show_all(visit: Visit) -> Response:
    """List the segments whose name, id or tag contains the search, or that have the tag."""
    every = await segments.list_all(visit.work)
    q, tag = visit.query_text("q").strip(), visit.query_text("tag")
    tags = sorted({each for row in every for each in row["tags"]}, key=str.lower)

    def is_listed(row: Record) -> bool:
        texts = (row["name"], row["friendly_id"], *row["tags"])
        return (not tag or tag in row["tags"]) and any(q.lower() in each.lower() for each in texts)

    return visit.show(
        "segments.html",
        rows=[row for row in every if is_listed(row)],
        number=len(every),
        tags=tags,
        search=q,
        tag=tag,
        uses=await usage.last_of_segments(visit.work),
        examples=EXAMPLES,
    )


def frame(row: Record) -> dict[str, Any]:
    """Return the template context of every page of one segment."""
    return {"row": row, "path": f"/segments/{row['friendly_id']}"}


async def show_one(visit: Visit) -> Response:
    """Show a segment: its size over time, a sample of its guests, its definition."""
    row = await segments.fetch(visit.work, visit.request.path_params["segment"])
    runs = await segment_runs.runs(visit.work, row["ref"])
    sizes = [(run["started_at"], run["rows"]) for run in reversed(runs) if run["rows"] is not None]
    current_traits = await traits.list_current(visit.work)
    return visit.show(
        "segment.html",
        **frame(row),
        runs=runs[:10],
        labels=[moment(at) for at, _ in sizes],
        times=[at.timestamp() for at, _ in sizes],
        sizes=[float(size) for _, size in sizes],
        sample=await guest_rows(visit, row["sample"] or []),
        draft=veil_draft(visit, builder.draft_of(row["name"], row["definition"], current_traits)),
        words=WORDS,
        counts=dict(COUNTS),
        totals=dict(TOTALS),
        is_editable=row["status"] in EDITABLE,
        fits=builder.fits(row["definition"], current_traits),
        uses=(uses := await usage.of_segment(visit.work, row)),
        uses_token=usage.token_of(uses),
        version=version_of(row),
    )


def veil_draft(visit: Visit, draft: Draft) -> Draft:
    """Mask a definition for a visitor who may not see the personal values that it compares."""
    if visit.personal:
        return draft
    if draft.sql is not None:
        draft.sql = masked_sql(draft.sql)
    veil_rules(visit, draft.rules)
    return draft


def veil_rules(visit: Visit, rules: Iterable[RuleRow]) -> None:
    """Mask the values that rules compare with personal fields, unless the visitor may see them."""
    if visit.personal:
        return
    for rule in rules:
        rule_field = rule.location, rule.name, rule.type
        rule.first = masked_rule(*rule_field, rule.first)
        rule.second = rule.second if rule.has_unit else masked_rule(*rule_field, rule.second)


async def run_action(visit: Visit) -> Response:
    """Start, pause, run or delete a segment."""
    name = visit.request.path_params["segment"]
    action = visit.form_text("action")
    if action not in ACTIONS:
        raise BadRequest("Unknown action.")
    row = await segments.fetch(visit.work, name)
    if action == "run":
        run = await segment_runs.run(visit.work, row["ref"])
        about = audit.AuditSubject("segment", row["friendly_id"])
        await audit.note(visit.work, "segment.run", about=about)
        note = run["error"] or f"{run['rows']:,} guests are in the segment."
        return visit.go(f"/segments/{name}", note)
    if action == "tag":
        typed = {"tags": visit.form_text("tags").split(",")}
        tags = decode_strictly(SetTagsRequest, typed).tags
        await segments.set_tags(visit.work, row["ref"], tags, visit.expected)
        return visit.go(f"/segments/{name}", "The tags were saved.")
    if action == "duplicate":
        copy = await segments.duplicate(visit.work, row["ref"])
        return visit.go(f"/segments/{copy['friendly_id']}/edit", f"{copy['name']} is a Draft.")
    if action == "delete":
        await segments.delete(visit.work, row["ref"], accepted=visit.form_text("uses"))
        return visit.go("/segments", f"{row['name']} was deleted.")
    if action == "start":
        await segments.start(visit.work, row["ref"])
        return visit.go(
            f"/segments/{name}", "The segment is being published and will be Live within seconds."
        )
    await segments.pause(visit.work, row["ref"])
    return visit.go(f"/segments/{name}", "The segment is paused.")


async def show_why(visit: Visit) -> Response:
    """Show why a guest is or is not in a segment."""
    row = await segments.fetch(visit.work, visit.request.path_params["segment"])
    guest = ref_of(visit.request.path_params["guest"])
    verdict = await segments.explain(visit.work, row["ref"], guest)
    rows = await guest_rows(visit, [str(guest)])
    current_traits = await traits.list_current(visit.work)
    return visit.show(
        "segment_why.html",
        row=row,
        guest=guest,
        people=rows,
        verdict=verdict,
        draft=veil_draft(visit, builder.draft_of(row["name"], row["definition"], current_traits)),
        words=WORDS,
        counts=dict(COUNTS),
    )


async def new(visit: Visit) -> Response:
    """Show the builder, empty or with an example; the page requests its count afterwards."""
    draft = Draft(groups=[GroupRow()])
    if visit.query_text("mode") == "sql":
        query = visit.query_text("query")
        saved = await sql_queries.fetch_saved(visit.work, query) if query else None
        draft = Draft(sql=saved["sql"] if saved else EXAMPLE_SQL)
    elif "g0.entity" in visit.request.query_params:
        # Filters of the list of guests.
        draft = draft_form.read_form(visit.request.query_params)
    elif visit.query_text("from") in EXAMPLES:
        example = EXAMPLES[visit.query_text("from")]
        draft = builder.draft_of(
            example.name, example.definition, await traits.list_current(visit.work)
        )
    return await _uncounted_page(visit, draft, None, is_first=True)


async def edit(visit: Visit) -> Response:
    """Show the builder with a segment; go to the segment's page when the form cannot show all of
    it."""
    row = await segments.fetch(visit.work, visit.request.path_params["segment"])
    current_traits = await traits.list_current(visit.work)
    if not builder.fits(row["definition"], current_traits):
        return visit.go(f"/segments/{row['friendly_id']}")
    draft = builder.draft_of(row["name"], row["definition"], current_traits)
    return await _uncounted_page(visit, draft, row, is_first=True)


async def check_early(form: FormData) -> None:
    """Check the builder's SQL before the request takes a connection."""
    if "sql" in form:
        await segment_questions.check_sql_early({"sql": draft_form.form_text(form, "sql")})


async def save(visit: Visit) -> Response:
    """Apply a button of the builder, or store the segment and run it."""
    draft = draft_form.read_form(visit.form)
    friendly = visit.request.path_params.get("segment")
    row = await segments.fetch(visit.work, friendly) if friendly else None
    button = visit.form_text("do").partition(":")[0]
    if draft.sql is not None and button in sql_editor.BUTTONS:
        return await _uncounted_page(visit, draft, row, is_first=False)
    if button != "save":
        return await _builder(visit, draft, row=row)
    body: dict[str, Any] = {"name": draft.name, "definition": builder.definition_of(draft)}
    try:
        if row is None:
            stored = await segments.create(visit.work, body)
        else:
            current_traits = await traits.list_current(visit.work)
            body["definition"] = builder.definition_to_save(
                body["definition"], row["definition"], current_traits
            )
            stored = await segments.change(visit.work, row["ref"], body, visit.expected)
    except ApiError as error:
        if error.status not in (400, 409, 412):
            raise
        visit.fault = error if error.status == 412 else None
        return await _builder(visit, draft, row=row, refused=error)
    await segment_runs.run(visit.work, stored["ref"])
    return visit.go(f"/segments/{stored['friendly_id']}", f"{stored['name']} was saved.")


async def _uncounted_page(
    visit: Visit, draft: Draft, row: Record | None, *, is_first: bool
) -> Response:
    """Show the builder without data of the lake: the page requests it next if it is the first, and
    else keeps its count."""
    catalogue = await segment_catalogue.list_declared_fields(visit.work)
    sql = await sql_editor.read(visit, draft.sql)
    flags = {"is_first": is_first, "is_uncounted": not is_first}
    return _page_of(visit, draft, catalogue, row=row, **flags, **sql)


async def _builder(
    visit: Visit, draft: Draft, row: Record | None = None, refused: ApiError | None = None
) -> Response:
    """Show the builder with its preview: count, sample, problems, and why a guest matches."""
    catalogue, is_busy = await read_catalogue(visit, ())
    definition = builder.definition_of(draft)
    preview, problems, verdict = None, [], None
    word, _, guest = visit.form_text("do").partition(":")
    try:
        problems = builder.missing_values(draft)
        if problems:
            raise Invalid(*problems)
        preview = await segment_questions.preview(visit.work, definition)
        if word == "why":
            verdict = await segment_questions.explain_definition(
                visit.work, definition, ref_of(guest)
            )
    except Invalid as invalid:
        problems = list(invalid.problems)
    except ApiError as error:
        problems = [Problem("", error.message)]
        is_busy = is_busy or isinstance(error, Unavailable)
    return _page_of(
        *(visit, draft, catalogue),
        row=row,
        is_busy=is_busy,
        refused=refused,
        preview=preview,
        sample=await guest_rows(visit, (preview or {}).get("sample", [])),
        why=guest if verdict else "",
        verdict=verdict,
        **await sql_editor.read(visit, draft.sql) | {"problems": problems},
    )


async def read_catalogue(visit: Visit, of: Collection[str]) -> tuple[dict[str, Any], bool]:
    """Return the fields for a form, and whether the lake was too busy to list the undeclared ones.
    Then the form has the declared fields only, as when it opens, and its script sends it again."""
    try:
        return await segment_catalogue.list_fields(visit.work, of), False
    except Unavailable:
        return await segment_catalogue.list_declared_fields(visit.work), True


def _page_of(visit: Visit, draft: Draft, catalogue: dict[str, Any], **more: Any) -> Response:
    row = more.get("row")
    stored = None
    if row is not None and visit.is_outdated:
        stored = veil_draft(visit, builder.draft_of(row["name"], row["definition"], {}))
    context = {"refused": None, "problems": [], "sample": [], "preview": None, "why": "", **more}
    return visit.show(
        "segment_form.html",
        context["refused"].status if context["refused"] else 200,
        draft=draft,
        stored=stored,
        version=version_of(row) if row else "",
        labels=dict(COUNTS),
        total_labels=dict(TOTALS),
        entities={each["name"]: each for each in catalogue["entities"]},
        problem_in_form=builder.problem_in_form,
        field_prefix=builder.field_prefix,
        wrong=builder.problems_by_prefix(draft, context["problems"]),
        words=WORDS,
        counts=COUNTS,
        totals=TOTALS,
        units=UNITS,
        examples=EXAMPLES,
        **context,
    )


async def guest_rows(visit: Visit, refs: list[Any]) -> list[Record]:
    """Fetch the rows of guests for a list, masked for this visitor."""
    uuids = [UUID(str(ref)) for ref in refs]
    return [visit.veil(each, Guest) for each in await search.list_rows(visit.work, uuids)]


PAGES: Final = (
    PageRoute("/segments", show_all),
    PageRoute("/segments/new", new, save, right=Right.SEGMENTS, whole=False, before=check_early),
    PageRoute(
        *("/segments/{segment}/edit", edit, save),
        right=Right.SEGMENTS,
        whole=False,
        before=check_early,
    ),
    PageRoute("/segments/{segment}/why/{guest}", show_why),
    PageRoute("/segments/{segment}", show_one, run_action, post_right=Right.SEGMENTS, whole=False),
)
