"""Identity over HTTP: rules as the vendor's clients read them, and our `/innkeeper/v1/…`."""

from collections.abc import Callable, Sequence
from typing import Any, Final
from urllib.parse import quote

from innkeeper.actions.identity import merges, rule_changes, rule_settings
from innkeeper.errors import Invalid, Problem, missing
from innkeeper.resources.base import Record, Resource
from innkeeper.resources.definitions import IDENTITY_RULES
from innkeeper.resources.kinds import ListOf, ObjectOf, Text
from innkeeper.resources.values import NOT_VALID, ValueRefused, iso, ref_in
from innkeeper.rules.identity_rules import FIELDS, Condition, IdentityRule, IdentityRules
from innkeeper.rules.members import unknown_members
from innkeeper.store.work import Work
from innkeeper.wire import pagination
from innkeeper.wire.endpoint import EndpointRequest, EndpointResponse
from innkeeper.wire.etags import etag
from innkeeper.wire.naming import camel
from innkeeper.wire.scopes import masked_actor
from innkeeper.wire.views import View

RULES: Final = "/v2/tenants/identity-rules"
OWN: Final = "/innkeeper/v1"
TAG: Final = "Identity (innkeeper)"
MAX_NAME: Final = 100
MOST_PROBLEMS: Final = 100
"""Problems that are named of one list of rules."""

_FIELDS: Final = {camel(name): name for name in FIELDS}
FIELD_NAMES: Final = tuple(_FIELDS)
"""Guest fields that a rule may name, as they are spelt in `fields`."""
_ACTORS: Final = frozenset({"actor", "by", "undone_by"})
"""Members that say who did something: an address of a user, a client key or a job."""
_TEXTS: Final = ListOf(Text())
_RULE: Final = ObjectOf({"identityRule": Text(MAX_NAME), "providers": _TEXTS, "fields": _TEXTS})


class Merge(Resource):
    """A row of the ledger: served by operations of its own, paged like any list."""


_MERGES: Final = View(
    resource=Merge,
    path=f"{OWN}/merges",
    item=f"{OWN}/merges/{{merge}}",
    verbs=frozenset(),
    filters={"guestRef": "guest"},
    ref_filters=frozenset({"guest"}),
)
_LIST: Final = View(resource=Merge, path="", item="{merge}", verbs=frozenset())


def read_rule(body: dict[str, Any], at: str = "") -> IdentityRule:
    """A rule as it is sent: `{identityRule, providers[], fields[]}`; raises `Invalid` with every
    problem.

    Every provider and field must match; one at least must be named.
    """
    if not isinstance(body, dict):
        raise Invalid(Problem(at.removesuffix("."), "must be an object"))
    members: dict[str, Any] = {}
    problems: list[Problem] = []
    for member, kind in _RULE.members.items():
        if body.get(member) is not None:
            try:
                members[member] = kind.read(body[member])
            except ValueRefused as refused:
                problems.append(Problem(f"{at}{member}{refused.at}", refused.reason))
    wrong = {problem.field.removeprefix(at).partition("[")[0] for problem in problems}
    name = members.get("identityRule", "").strip()
    if not name and "identityRule" not in wrong:
        problems.append(missing(f"{at}identityRule"))
    if not all(character.isprintable() for character in name):
        problems.append(Problem(f"{at}identityRule", NOT_VALID))
    providers = dict.fromkeys(members.get("providers", ()))
    fields = dict.fromkeys(members.get("fields", ()))
    if not (providers or fields or wrong & {"providers", "fields"}):
        problems.append(missing(f"{at}providers"))
    if any(not provider.strip() for provider in providers):
        problems.append(Problem(f"{at}providers", NOT_VALID))
    if not fields.keys() <= _FIELDS.keys():
        names = ",".join(_FIELDS)
        problems.append(Problem(f"{at}fields", f"value must be one of {names}"))
    if problems:
        raise Invalid(*problems)
    named = [Condition(provider=provider) for provider in providers]
    return IdentityRule(name, (*named, *(Condition(field=_FIELDS[one]) for one in fields)))


def read_rules(body: dict[str, Any], *, is_needed: bool = False) -> list[IdentityRule] | None:
    """The member `rules`, a list of rules in order; None when it is not sent, unless it is needed.

    Raises `Invalid` with every problem.
    """
    problems = unknown_members(body, IDENTITY_RULES)
    sequence = body.get("rules")
    rules: list[IdentityRule] = []
    if sequence is None and is_needed:
        problems.append(missing("rules"))
    if sequence is not None and not isinstance(sequence, list):
        problems.append(Problem("rules", "must be an array"))
    for index, one in enumerate(sequence if isinstance(sequence, list) else ()):
        try:
            rules.append(read_rule(one, f"rules[{index}]."))
        except Invalid as invalid:
            problems += invalid.problems
    names = [rule.name for rule in rules]
    if len(set(names)) < len(names):
        problems.append(Problem("identityRule", "must be unique"))
    if problems:
        raise Invalid(*problems[:MOST_PROBLEMS])
    return None if sequence is None else rules


def represent_rule(rule: IdentityRule) -> dict[str, Any]:
    """A rule as clients read it; `fields` only where it has some."""
    providers = [one.provider for one in rule.conditions if one.provider is not None]
    fields = [camel(one.field) for one in rule.conditions if one.field is not None]
    return {"identityRule": rule.name, "providers": providers} | (
        {"fields": fields} if fields else {}
    )


def represent(record: Record, request: EndpointRequest) -> dict[str, Any]:
    """A record of ours: camelCase, guests as links, instants as text, nothing that is null; who did
    something as the caller may see it."""
    out: dict[str, Any] = {}
    for name, value in record.items():
        # Lists carry the number of all on each row; a job's total is its own.
        counted = name == "total_jobs" or (name == "total" and "state" not in record)
        if value is None or counted:
            continue
        if name.endswith("_ref") and name != "source_ref":
            out[camel(name.removesuffix("_ref"))] = _guest(value, request.base)
        elif name in ("guest", "survivor") and not isinstance(value, dict):
            out[name] = _guest(value, request.base)
        elif name == "guests" and isinstance(value, list):
            out[name] = [_guest(guest, request.base) for guest in value]
        elif name == "evidence":
            out[name] = [_evidence(part) for part in value]
        elif name in _ACTORS:
            out[camel(name)] = masked_actor(value, request.scopes)
        else:
            out[camel(name)] = _plain(value, request)
    return out


def _plain(value: Any, request: EndpointRequest) -> Any:
    if isinstance(value, dict):
        return represent(value, request)
    if isinstance(value, list):
        return [_plain(one, request) for one in value]
    return iso(value) if hasattr(value, "isoformat") else value


def _evidence(part: dict[str, str]) -> dict[str, str]:
    return {**part, "field": camel(part["field"])} if "field" in part else part


def _guest(ref: Any, base: str) -> dict[str, str]:
    return {"ref": str(ref), "href": f"{base}/v2.1/guests/{ref}"}


def _merge(row: Record, request: EndpointRequest) -> dict[str, Any]:
    return {"href": f"{request.base}{OWN}/merges/{row['ref']}", **represent(row, request)}


def _body(request: EndpointRequest) -> dict[str, Any]:
    return request.body or {}


def _page(
    view: View, request: EndpointRequest, path: str, total: int, items: Sequence[Any]
) -> EndpointResponse:
    url = request.base + path
    wanted = pagination.wanted(view, request.query)
    return EndpointResponse(pagination.envelope(view, url, request.query, wanted, total, items))


async def list_rules(work: Work, _: EndpointRequest) -> EndpointResponse:
    """The rules in the order in which they are tried, as a bare array."""
    return EndpointResponse([represent_rule(rule) for rule in await rule_settings.list_rules(work)])


async def create_rule(work: Work, request: EndpointRequest) -> EndpointResponse:
    """201 with the rule, tried last."""
    rule = await rule_settings.add_rule(work, read_rule(_body(request)))
    location = f"{request.base}{RULES}/{quote(rule.name, safe='')}"
    return EndpointResponse(_done(rule.name, 201) | represent_rule(rule), 201, location)


async def delete_rule(work: Work, request: EndpointRequest) -> EndpointResponse:
    """200 with a body: a typed client parses one after this DELETE."""
    await rule_settings.delete_rule(work, request.refs()["name"])
    return EndpointResponse(_done(request.path["name"]))


def _done(name: str, status: int = 200) -> dict[str, Any]:
    """What the vendor's tenant calls answer beside the record, and a typed client reads."""
    return {"name": name, "result": "OK", "message": "Done.", "status": status, "code": status}


async def own_rules(work: Work, _: EndpointRequest) -> EndpointResponse:
    """The rules in order."""
    return _rules(await rule_settings.read_rules(work))


def _rules(book: IdentityRules) -> EndpointResponse:
    rules = [represent_rule(rule) for rule in book.rules]
    return EndpointResponse({"rules": rules}, etag=etag(str(book.version)))


def _guards(book: IdentityRules, request: EndpointRequest) -> EndpointResponse:
    guards = represent(rule_settings.represent_guards(book), request)
    return EndpointResponse(guards, etag=etag(str(book.version)))


async def replace_rules(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Put another list of rules in force."""
    wanted = _requested_rules(request, is_needed=True) or []
    async with work.transaction():
        await rule_settings.replace_rules(work, wanted, request.expected)
        return _rules(await rule_settings.read_rules(work))


def _requested_rules(
    request: EndpointRequest, *, is_needed: bool = False
) -> list[IdentityRule] | None:
    """The rules of a body, whose unknown members `read_rules` names too, and of a query none."""
    try:
        rules = read_rules(_body(request), is_needed=is_needed)
    except Invalid as invalid:
        raise Invalid(*dict.fromkeys((*request.problems, *invalid.problems))) from None
    if request.problems:
        raise Invalid(*request.problems)
    return rules


async def reorder_rules(work: Work, request: EndpointRequest) -> EndpointResponse:
    """The same rules in another order."""
    names = _body(request).get("identityRules")
    problems = [*request.problems]
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        problems.append(Problem("identityRules", "must be an array of names"))
        raise Invalid(*problems)
    async with work.transaction():
        await rule_settings.reorder_rules(work, names, request.expected, problems)
        return _rules(await rule_settings.read_rules(work))


async def preview(work: Work, request: EndpointRequest) -> EndpointResponse:
    """What the rules sent, or those in force, would merge; changes nothing."""
    result = await rule_changes.preview(work, _requested_rules(request))
    guests = result.pop("guests")
    out = {"guests": guests, **represent(result, request)}
    return EndpointResponse(out)


async def apply(work: Work, request: EndpointRequest) -> EndpointResponse:
    """202 with the job that indexes and merges existing guests."""
    job = await rule_settings.apply_rules(work, _requested_rules(request), request.expected)
    location = f"{request.base}{OWN}/identity/jobs/{job['ref']}"
    return EndpointResponse({"href": location, **represent(job, request)}, 202, location)


async def list_jobs(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Rule changes, newest first."""
    page = await rule_settings.list_jobs(work, pagination.wanted(_LIST, request.query))
    items = [represent(row, request) for row in page.items]
    return _page(_LIST, request, f"{OWN}/identity/jobs", page.total, items)


async def fetch_job(work: Work, request: EndpointRequest) -> EndpointResponse:
    """How far a rule change is."""
    ref = request.refs()["job"]
    job = await rule_settings.fetch_job(work, ref)
    href = f"{request.base}{OWN}/identity/jobs/{ref}"
    return EndpointResponse({"href": href, **represent(job, request)})


async def fetch_guards(work: Work, request: EndpointRequest) -> EndpointResponse:
    """What guards go by."""
    return _guards(await rule_settings.read_rules(work), request)


def _is_texts(value: Any) -> bool:
    try:
        _TEXTS.read(value)
    except ValueRefused:
        return False
    return True


_GUARD_MEMBERS: Final[dict[str, tuple[str, Callable[[Any], bool]]]] = {
    "groupLimit": ("group_limit", lambda value: type(value) is int and 0 < value < 2**31),
    "region": ("region", lambda value: isinstance(value, str)),
    "never": ("never", _is_texts),
    "addNever": ("add_never", _is_texts),
    "removeNever": ("remove_never", _is_texts),
}
"""Member -> (what it changes, whether a value will do)."""


async def change_guards(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Change some of what guards go by; null restores a default."""
    body, problems = _body(request), [*request.problems]
    changes: dict[str, Any] = {}
    for spelt, (name, is_right) in _GUARD_MEMBERS.items():
        if spelt in body:
            if body[spelt] is None or is_right(body[spelt]):
                changes[name] = body[spelt]
            else:
                problems.append(Problem(spelt, NOT_VALID))
    async with work.transaction():
        await rule_settings.set_guards(work, changes, request.expected, problems)
        return _guards(await rule_settings.read_rules(work), request)


async def list_guarded(work: Work, request: EndpointRequest) -> EndpointResponse:
    """What guards kept from identifying, newest first."""
    page = await rule_settings.list_guarded(work, pagination.wanted(_LIST, request.query))
    items = [represent(row, request) for row in page.items]
    return _page(_LIST, request, f"{OWN}/identity/guarded", page.total, items)


async def why(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Why a guest is who it is: merges in force, and every record that joined it."""
    explanation = await merges.explain(work, **request.refs())
    rows = {"merges": [_merge(row, request) for row in explanation.pop("merges")]}
    return EndpointResponse(represent(explanation, request) | rows)


async def history(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Every merge and undo that touched a guest, oldest first."""
    events = await merges.history(work, **request.refs())
    return EndpointResponse(
        [
            represent({**event, "merge": None}, request)
            | {"merge": _merge(event["merge"], request)}
            for event in events
        ]
    )


async def create_merge(work: Work, request: EndpointRequest) -> EndpointResponse:
    """201 with the merge."""
    body = _body(request)
    refs, problems = {}, [*request.problems]
    for name in ("survivor", "absorbed"):
        value = body.get(name)
        value = value.get("ref") if isinstance(value, dict) else value
        ref = ref_in(value) if isinstance(value, str) else None
        if value is None:
            problems.append(missing(name))
        elif ref is None:
            problems.append(Problem(name, NOT_VALID))
        else:
            refs[name] = ref
    if problems:
        raise Invalid(*problems)
    merge = _merge(await merges.create(work, refs["survivor"], refs["absorbed"]), request)
    return EndpointResponse(merge, 201, merge["href"])


async def list_merges(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Merges, undone ones too, newest first."""
    try:
        wanted = pagination.wanted(_MERGES, request.query)
    except pagination.NoHit:
        return _page(_LIST, request, f"{OWN}/merges", 0, [])
    page = await merges.list_(work, wanted, wanted.filters.get("guest"))
    items = [_merge(row, request) for row in page.items]
    return _page(_MERGES, request, f"{OWN}/merges", page.total, items)


async def fetch_merge(work: Work, request: EndpointRequest) -> EndpointResponse:
    """One merge."""
    return EndpointResponse(_merge(await merges.fetch(work, **request.refs()), request))


async def undo_merge(work: Work, request: EndpointRequest) -> EndpointResponse:
    """The merge, undone."""
    return EndpointResponse(_merge(await merges.undo(work, **request.refs()), request))
