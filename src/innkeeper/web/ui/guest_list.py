"""The list of guests: search, filters by any field, columns, sort, CSV; the URL holds all of it."""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from starlette.responses import Response

from innkeeper.actions.audiences import segment_catalogue
from innkeeper.actions.console import search
from innkeeper.actions.paging import PageRequest
from innkeeper.errors import Invalid
from innkeeper.resources.guests import CUSTOMER, TRAVELLER, VISITOR, Guest
from innkeeper.resources.values import whole_in
from innkeeper.rules.access import Right
from innkeeper.rules.personal import is_personal
from innkeeper.web.ui import builder, draft_form, guest_tables
from innkeeper.web.ui.draft import UNITS, Draft, GroupRow, RuleRow
from innkeeper.web.ui.shell import PageRoute, Visit

ALL: Final = "all"
TYPES: Final = (CUSTOMER, VISITOR, TRAVELLER)
_ALL_HITS: Final = PageRequest(limit=search.MOST)
_RULE_MEMBERS: Final = ("field", "comparator", "first", "second")


@dataclass(frozen=True, slots=True)
class ListRequest:
    """What the URL of the list selects."""

    q: str
    guest_type: str
    """One of `TYPES`, or `ALL`."""
    operator: str
    rules: list[RuleRow]

    @property
    def definition(self) -> dict[str, Any]:
        """The type and the filters as the definition of a segment."""
        return builder.definition_of(Draft(groups=[self.group]))

    @property
    def group(self) -> GroupRow:
        kind = "" if self.guest_type == ALL else self.guest_type.upper()
        return GroupRow(type=kind, operator=self.operator, rules=self.complete_rules)

    @property
    def has_search(self) -> bool:
        return bool(self.q.strip())

    @property
    def complete_rules(self) -> list[RuleRow]:
        """The rules with a field and, where they need one, a value."""
        return [rule for rule in self.rules if rule.field and (rule.first or not rule.inputs)]

    @property
    def query(self) -> dict[str, str]:
        """The query of the URL that selects the same, without columns and sort."""
        return {"q": self.q, "type": self.guest_type} | self.rule_fields(self.rules, "")

    def rule_fields(self, rules: list[RuleRow], prefix: str) -> dict[str, str]:
        """The fields of a form that hold the filters; their names begin with `prefix`.

        A rule without a field yet has a space as its field: URLs leave empty values out.
        """
        fields = {f"{prefix}operator": "OR"} if self.operator == "OR" and len(rules) > 1 else {}
        for index, rule in enumerate(rules):
            for name in _RULE_MEMBERS:
                empty = " " if name == "field" else ""
                fields[f"{prefix}r{index}.{name}"] = getattr(rule, name) or empty
        return fields

    @property
    def builder_query(self) -> dict[str, str]:
        """The query with which the segment builder opens with these filters."""
        kind = {"g0.entity": "guest", "g0.was": "guest", "g0.type": self.group.type}
        return kind | self.rule_fields(self.complete_rules, "g0.")


def read_request(visit: Visit) -> ListRequest:
    """Read the URL, and apply the button of the filters that was pressed.

    Visitors who may not see personal data may not filter by it.
    """
    query = visit.request.query_params
    guest_type = visit.query_text("type", CUSTOMER).lower()
    rules = draft_form.read_rules(query, "")
    if not visit.personal:
        rules = [rule for rule in rules if not is_personal(rule.name, rule.location, rule.type)]
    word, _, number = visit.query_text("do").partition(":")
    if word == "add-rule":
        rules.append(RuleRow())
    elif word == "drop-rule":
        rules = [rule for index, rule in enumerate(rules) if index != whole_in(number)]
    return ListRequest(
        visit.query_text("q"),
        guest_type if guest_type in TYPES else ALL,
        visit.query_text("operator") or "AND",
        rules,
    )


async def find_guests(visit: Visit) -> Response:
    """Show the list; its filter is Customer by default, as in the vendor's product.

    Without filters, columns and sort of its own it reads the store alone, which takes milliseconds
    for any number of guests; with them, the lake.
    """
    wanted = read_request(visit)
    if visit.query_text("do"):
        # Without the button that was pressed, which a reload must not press again.
        return visit.go("/guests", **wanted.query, **_view_query(visit))
    page = visit.page_request
    is_table = bool(wanted.complete_rules) or any(map(visit.query_text, ("columns", "sort")))
    has_all_hits = is_table and wanted.has_search
    hits = await _search(visit, wanted, _ALL_HITS if has_all_hits else page)
    context: dict[str, Any] = {"table": None, "rows": [], "query": {}}
    problems: tuple[str, ...] = ()
    if is_table:
        try:
            only = _refs(wanted, hits)
            context = await guest_tables.read_table(visit, wanted.definition, only)
        except Invalid as invalid:
            problems = tuple(problem.reason for problem in invalid.problems)
    if context["table"] is None:
        start = page.offset if has_all_hits else 0
        items = hits.items[start : start + page.limit]
        context["rows"] = [visit.veil(item, Guest) for item in items]
    entity = None
    if wanted.rules:
        catalogue = await segment_catalogue.list_fields(visit.work, {segment_catalogue.GUEST})
        entity = _visible_fields(visit, catalogue["entities"][0])
    return visit.show(
        "guests.html",
        **{**context, "query": wanted.query | context["query"]},
        q=wanted.q,
        wanted=wanted,
        hits=hits,
        everyone=sum(hits.counts.values()),
        is_new=not wanted.q and not hits.counts,
        entity=entity,
        units=UNITS,
        filter_problems=problems,
    )


def _view_query(visit: Visit) -> dict[str, Any]:
    columns = visit.request.query_params.getlist("columns")
    return {"columns": columns, "sort": visit.query_text("sort")}


def _visible_fields(visit: Visit, entity: dict[str, Any]) -> dict[str, Any]:
    if visit.personal:
        return entity
    fields = [
        each
        for each in entity["fields"]
        if not is_personal(each["field"], each["location"], each["type"])
    ]
    return {**entity, "fields": fields}


async def _search(visit: Visit, wanted: ListRequest, page: PageRequest) -> search.Hits:
    kind = None if wanted.guest_type == ALL else wanted.guest_type
    return await search.find_guests(
        visit.work, wanted.q, page, guest_type=kind, personal=visit.personal
    )


def _refs(wanted: ListRequest, hits: search.Hits) -> list[UUID] | None:
    """Return the guests that the search found, or None without a search."""
    return [item["ref"] for item in hits.items] if wanted.has_search else None


async def download(visit: Visit) -> Response:
    """Return the list as CSV."""
    definition, only = await read_selected(visit)
    return await guest_tables.download(visit, "guests", definition, None, only)


async def read_selected(visit: Visit) -> tuple[dict[str, Any], list[UUID] | None]:
    """Return the guests of the list that the URL selects: a definition, and with a search the refs
    to choose among."""
    wanted = read_request(visit)
    if not wanted.has_search:
        return wanted.definition, None
    return wanted.definition, _refs(wanted, await _search(visit, wanted, _ALL_HITS))


PAGES: Final = (
    PageRoute("/guests", find_guests),
    PageRoute("/guests/csv", download, right=Right.EXPORTS),
)
