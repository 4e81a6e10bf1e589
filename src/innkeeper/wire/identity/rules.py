"""Identity rules over HTTP: in the vendor's form, and in our own under `/innkeeper/v1/identity`."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Final
from urllib.parse import quote

import msgspec

from innkeeper.actions.identity import rule_changes, rule_settings
from innkeeper.actions.paging import Page
from innkeeper.errors import Invalid, Problem, missing
from innkeeper.resources.base import Changes, Record
from innkeeper.resources.kinds import COUNTRY, Count, ListOf, Text
from innkeeper.resources.naming import camel
from innkeeper.resources.payload_kinds import Label, NotBlank, one_of
from innkeeper.resources.payloads import ABSENT, Absent, Payload, present
from innkeeper.rules import placeholders
from innkeeper.rules.identity_rules import FIELDS, Condition, IdentityRule, IdentityRules
from innkeeper.rules.scopes import CHANGE_RULES, READ_PERSONAL, Scope
from innkeeper.store.work import Work
from innkeeper.wire.endpoint import EndpointFamily, EndpointRequest, EndpointResponse
from innkeeper.wire.etags import etag
from innkeeper.wire.identity.merges import PATH, TAG, EvidenceItem, Merge
from innkeeper.wire.payloads import (
    Actor,
    Confirmation,
    GuestLink,
    PageOf,
    Paging,
    confirm,
    decode_strictly,
)

RULES: Final = "/v2/tenants/identity-rules"
MAX_NAME: Final = 100
TENANT_RULES: Final = EndpointFamily("Configuration (v2)", RULES)
IDENTITY: Final = EndpointFamily(TAG, PATH + "/identity")

_FIELDS: Final = {camel(name): name for name in FIELDS}
FIELD_NAMES: Final = tuple(_FIELDS)
"""Guest fields that a rule may name, in the spelling of `fields`."""
_Fields = list[Annotated[str, one_of(*FIELD_NAMES)]]


class IdentityRuleRequest(Payload):
    """A rule: every provider and field must match, and it names at least one."""

    identity_rule: Annotated[str, Label(MAX_NAME)]
    providers: list[Annotated[str, NotBlank()]] = msgspec.field(default_factory=list)
    fields: _Fields = msgspec.field(default_factory=list)

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Iterator[Problem]:
        if not (values.get("providers", True) or values.get("fields", True)):
            yield missing("providers")

    def rule(self) -> IdentityRule:
        """Return the rule for actions."""
        providers = [Condition(provider=each) for each in dict.fromkeys(self.providers)]
        fields = [Condition(field=_FIELDS[each]) for each in dict.fromkeys(self.fields)]
        return IdentityRule(self.identity_rule.strip(), (*providers, *fields))


class PreviewIdentityRulesRequest(Payload):
    """Rules in order of evaluation; without them, those in force."""

    rules: list[IdentityRuleRequest] | None = None

    @classmethod
    def check(cls, values: Mapping[str, Any]) -> Iterator[Problem]:
        names = [rule.identity_rule.strip() for rule in values.get("rules") or ()]
        if len(set(names)) < len(names):
            yield Problem("identityRule", "must be unique")

    def identity_rules(self) -> list[IdentityRule] | None:
        """Return the rules for actions, or None."""
        return None if self.rules is None else [rule.rule() for rule in self.rules]


class ReplaceIdentityRulesRequest(PreviewIdentityRulesRequest):
    """Rules in order of evaluation."""

    rules: list[IdentityRuleRequest]


class IdentityRuleResponse(Payload):
    """A rule in the vendor's form; `fields` only if it has some."""

    schema_name = "IdentityRule"

    identity_rule: str
    providers: list[str]
    fields: _Fields | Absent


class _RulesResponse(Payload):
    rules: list[IdentityRuleResponse]


def read_rule(name: str, providers: Sequence[str], fields: Sequence[str]) -> IdentityRule:
    """Read a rule; raises `Invalid` with every problem."""
    body = {"identityRule": name, "providers": [*providers], "fields": [*fields]}
    request: IdentityRuleRequest = decode_strictly(IdentityRuleRequest, body)
    return request.rule()


def read_rules(body: Mapping[str, Any]) -> list[IdentityRule] | None:
    """Read the member `rules`, if there is one; raises `Invalid` with every problem."""
    request: PreviewIdentityRulesRequest = decode_strictly(PreviewIdentityRulesRequest, body)
    return request.identity_rules()


def represent_rule(rule: IdentityRule) -> IdentityRuleResponse:
    """Return a rule in the vendor's form."""
    return IdentityRuleResponse(
        identity_rule=rule.name,
        providers=[one.provider for one in rule.conditions if one.provider is not None],
        fields=[camel(one.field) for one in rule.conditions if one.field is not None] or ABSENT,
    )


@TENANT_RULES.endpoint("GET", "", "List identity rules", response=list[IdentityRuleResponse])
async def list_identity_rules(work: Work, _: EndpointRequest) -> list[IdentityRuleResponse]:
    """Return the rules in order of evaluation, as a bare array."""
    return [represent_rule(rule) for rule in await rule_settings.list_rules(work)]


class _CreatedRule(Confirmation):
    identity_rule: str
    providers: list[str]
    fields: _Fields | Absent


@TENANT_RULES.endpoint(
    "POST",
    "",
    "Create an identity rule",
    request=IdentityRuleRequest,
    response=_CreatedRule,
    status=201,
    scopes=CHANGE_RULES,
    failures=frozenset({409}),
)
async def create_identity_rule(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Add a rule at the end."""
    new: IdentityRuleRequest = request.payload
    rule = await rule_settings.add_rule(work, new.rule())
    location = f"{request.base}{RULES}/{quote(rule.name, safe='')}"
    record = msgspec.structs.asdict(represent_rule(rule))
    return EndpointResponse({**confirm(rule.name, 201), **record}, location=location)


@TENANT_RULES.endpoint(
    "DELETE",
    "/{name}",
    "Delete an identity rule",
    response=Confirmation,
    scopes=frozenset({Scope.DELETE, Scope.ADMINISTRATION}),
)
async def delete_identity_rule(work: Work, request: EndpointRequest) -> Record:
    """Delete a rule. The response has a body, which a typed client parses."""
    await rule_settings.delete_rule(work, request.refs()["name"])
    return confirm(request.path["name"])


def _rules(book: IdentityRules) -> EndpointResponse:
    rules = [represent_rule(rule) for rule in book.rules]
    return EndpointResponse({"rules": rules}, etag=etag(str(book.version)))


@IDENTITY.endpoint(
    "GET", "/rules", "Fetch the identity rules in order", response=_RulesResponse, has_etag=True
)
async def fetch_identity_rules(work: Work, _: EndpointRequest) -> EndpointResponse:
    """Return the rules in order."""
    return _rules(await rule_settings.read_rules(work))


@IDENTITY.endpoint(
    "PUT",
    "/rules",
    "Replace the identity rules",
    request=ReplaceIdentityRulesRequest,
    response=_RulesResponse,
    scopes=CHANGE_RULES,
    has_etag=True,
    takes_version=True,
)
async def replace_identity_rules(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Replace the rules in force."""
    new: ReplaceIdentityRulesRequest = request.payload
    async with work.transaction():
        await rule_settings.replace_rules(work, new.identity_rules() or [], request.expected)
        return _rules(await rule_settings.read_rules(work))


class ReorderIdentityRulesRequest(Payload):
    """The names of all rules in a new order."""

    identity_rules: list[str]


@IDENTITY.endpoint(
    "POST",
    "/reorder",
    "Reorder the identity rules",
    request=ReorderIdentityRulesRequest,
    raises_later=True,
    response=_RulesResponse,
    scopes=CHANGE_RULES,
    has_etag=True,
    takes_version=True,
)
async def reorder_identity_rules(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Change the order of the rules."""
    values, problems = request.read_members(ReorderIdentityRulesRequest)
    if "identity_rules" not in values:
        raise Invalid(*problems)
    names = values["identity_rules"]
    async with work.transaction():
        await rule_settings.reorder_rules(work, names, request.expected, problems)
        return _rules(await rule_settings.read_rules(work))


class Guarded(Payload):
    """Evidence that a guard blocked."""

    reason: str
    rule: str | Absent
    evidence: list[EvidenceItem]
    guests: list[GuestLink]
    size: int | Absent
    source: str | Absent
    source_ref: str | Absent
    actor: Annotated[str, Actor()] | Absent
    guarded_at: datetime | Absent


class _PreviewedGuest(Payload):
    guest: GuestLink
    rule: str | Absent
    evidence: list[EvidenceItem] | Absent


class PreviewedGroup(Payload):
    """A group of guests that rules would merge."""

    survivor: GuestLink
    size: int
    absorbed: list[_PreviewedGuest]


class _Preview(Payload):
    guests: int
    merging: int
    groups: int
    largest: list[PreviewedGroup]
    samples: list[PreviewedGroup]
    guarded: list[Guarded]
    unsupported: int
    unsupported_merges: list[Merge]


@IDENTITY.endpoint(
    "POST",
    "/preview",
    "Preview what rules would merge",
    request=PreviewIdentityRulesRequest,
    response=_Preview,
    scopes=READ_PERSONAL,
    own_transactions=True,
)
async def preview_identity_rules(work: Work, request: EndpointRequest) -> Record:
    """Return what the rules in the request, or those in force, would merge; changes nothing."""
    new: PreviewIdentityRulesRequest = request.payload
    return await rule_changes.preview(work, new.identity_rules())


_Value = Annotated[str, Text(placeholders.LONGEST)]


class _Guards(Payload):
    group_limit: Annotated[int | Absent, Count()]
    region: str | Absent
    never: Annotated[list[str] | Absent, ListOf(Text(), placeholders.MOST)]


class ChangeIdentityGuardsRequest(Payload):
    """Settings of the guards; null restores a default."""

    group_limit: Annotated[int | Absent | None, Count()] = ABSENT
    region: Annotated[str | Absent | None, COUNTRY] = ABSENT
    never: Annotated[
        list[str] | Absent | None, ListOf(Text(placeholders.LONGEST), placeholders.MOST)
    ] = ABSENT
    add_never: Annotated[list[_Value] | Absent | None, "Values to add to `never`."] = ABSENT
    remove_never: Annotated[list[_Value] | Absent | None, "Values to remove from `never`."] = ABSENT


def read_guards(body: Mapping[str, Any]) -> Changes:
    """Read changes of the guards' settings; raises `Invalid` with every problem."""
    request: ChangeIdentityGuardsRequest = decode_strictly(ChangeIdentityGuardsRequest, body)
    return present(msgspec.structs.asdict(request))


def _guards(book: IdentityRules) -> EndpointResponse:
    return EndpointResponse(rule_settings.represent_guards(book), etag=etag(str(book.version)))


@IDENTITY.endpoint(
    "GET", "/guards", "Fetch the settings of identity guards", response=_Guards, has_etag=True
)
async def fetch_identity_guards(work: Work, _: EndpointRequest) -> EndpointResponse:
    """Return the settings of the guards."""
    return _guards(await rule_settings.read_rules(work))


@IDENTITY.change(
    "/guards",
    "Change the settings of identity guards",
    request=ChangeIdentityGuardsRequest,
    response=_Guards,
    scopes=CHANGE_RULES,
)
async def change_identity_guards(work: Work, request: EndpointRequest) -> EndpointResponse:
    """Change some settings of the guards."""
    values, problems = request.read_members(ChangeIdentityGuardsRequest)
    async with work.transaction():
        await rule_settings.set_guards(work, present(values), request.expected, problems)
        return _guards(await rule_settings.read_rules(work))


@IDENTITY.endpoint(
    "GET",
    "/guarded",
    "List evidence that guards blocked",
    parameters=Paging,
    response=PageOf[Guarded],
    scopes=READ_PERSONAL,
)
async def list_identity_guarded(work: Work, request: EndpointRequest) -> Page:
    """Return the evidence that guards blocked, newest first."""
    return await rule_settings.list_guarded(work, request.parameters.page())
