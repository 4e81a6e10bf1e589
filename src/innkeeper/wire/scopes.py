"""The scopes of API keys that operations need, and views without personal data.

The scope of an operation follows from its method, unless its declaration names others: for reads by
POST, and for operations that return or deliver personal data in another form than a resource's
fields.
"""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any, Final

from innkeeper.errors import Forbidden
from innkeeper.rules.masking import masked_addresses
from innkeeper.rules.personal import is_personal, personal_fields_in
from innkeeper.rules.scopes import WRITE_PERSONAL, Scope, in_order
from innkeeper.wire.routes import OPEN, Operation, Route
from innkeeper.wire.views import METHODS, PairsView, Verb, View

_OF_METHOD: Final[Mapping[str, Scope]] = {
    "GET": Scope.READ,
    "POST": Scope.WRITE,
    "PUT": Scope.WRITE,
    "PATCH": Scope.WRITE,
    "DELETE": Scope.DELETE,
}

_FILTERS: Final = frozenset({"identifier", "email_untouched", "phone_number"})
"""Filters by personal fields whose names differ from the fields'."""


@cache
def needed_scopes(route: Route) -> frozenset[Scope]:
    """Return the scopes that a key needs for an operation."""
    if isinstance(route, Operation):
        if route.verb is Verb.REPLACE and route.views[OPEN].resource.pairs:
            # A replace deletes texts, so the caller must be allowed to read them.
            return WRITE_PERSONAL
        return frozenset({_OF_METHOD[METHODS[route.verb]]})
    return route.scopes or frozenset({_OF_METHOD[route.method]})


def require(route: Route, scopes: frozenset[Scope]) -> None:
    """Raise `Forbidden` with the scopes that a key lacks for an operation."""
    needed = needed_scopes(route)
    if not needed <= scopes:
        refuse_lacking(needed - scopes)


def refuse_lacking(lacking: Collection[Scope], why: str = "") -> None:
    """Raise `Forbidden` if a key lacks scopes."""
    if lacking:
        words = ", ".join(in_order(lacking))
        raise Forbidden(
            f"The API key lacks the scope {words}.",
            f"{why}Use a key with it, or have it added in Settings, API access.",
        )


def require_for_definition(definition: Any, scopes: Collection[Scope]) -> None:
    """Raise `Forbidden` for rules on personal fields if the key may not see them."""
    if Scope.PERSONAL_DATA not in scopes:
        fields = personal_fields_in(definition)
        if fields:
            why = f"The definition uses {', '.join(fields[:10])}. "
            refuse_lacking({Scope.PERSONAL_DATA}, why)


def require_for_query(view: View, query: Mapping[str, str], scopes: Collection[Scope]) -> None:
    """Raise `Forbidden` for filters and sorts of a list by personal fields."""
    if Scope.PERSONAL_DATA in scopes:
        return
    narrowed = [name for name, field in view.filters.items() if _personal_filter(field)]
    if "identifier" in view.filters.values():
        narrowed += ["identifiers.provider", "identifiers.id"]
    personal = [name for name in narrowed if name in query]
    sorts = [part.partition("::")[0] for part in query.get("sort", "").split("|")]
    personal += [name for name in sorts if name in view.sorts and is_personal(view.sorts[name])]
    if personal:
        refuse_lacking({Scope.PERSONAL_DATA}, f"The query uses {', '.join(personal[:10])}. ")


def _personal_filter(field: str) -> bool:
    return field in _FILTERS or is_personal(field)


def masked_actor(actor: str, scopes: Collection[Scope]) -> str:
    """Return an actor as a key may see it: addresses of users only with the scope `personal_data`
    or `administration`."""
    is_visible = Scope.PERSONAL_DATA in scopes or Scope.ADMINISTRATION in scopes
    return actor if is_visible else masked_addresses(actor)


@cache
def without_personal(view: View) -> View:
    """Return a view without personal fields, for a key that may not see them.

    Texts of a data extension and undocumented members are left out as well, since their content is
    not declared.
    """
    if isinstance(view, PairsView):
        return view.but(with_texts=False)
    personal = {name for name, field in view.resource.fields.items() if field.personal}
    return view.but(
        hide=view.hide | personal | {view.open_ended},
        open_ended="",
        show={name: show for name, show in view.show.items() if name not in personal},
        add={name: compute for name, compute in view.add.items() if not is_personal(name)},
    )
