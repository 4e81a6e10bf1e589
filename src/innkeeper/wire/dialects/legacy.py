"""The v2 dialect: its differences from the official one (rest-v2-legacy.md)."""

from typing import Any, Final, TypeVar

from innkeeper.actions.records.extensions import OF_GUESTS, OF_ORDERS, Extensions
from innkeeper.actions.records.keyed_extensions import KeyedExtensions
from innkeeper.resources.kinds import OneOf
from innkeeper.resources.payload_kinds import Described
from innkeeper.store.work import Work
from innkeeper.wire.dialects import official
from innkeeper.wire.endpoint import Endpoint, EndpointRequest
from innkeeper.wire.views import PairsView, Verb, View

ITEM_TYPES: Final = (
    *("FLIGHT", "HOTEL", "CAR", "BAG", "INSURANCE", "CAR_SEAT", "MEAL", "FEE", "LOUNGE_ACCESS"),
    *("HOTEL_WIFI", "HOTEL_BREAKFAST", "SEAT_UPGRADE", "TAXI", "PARKING", "SEAT", "UPGRADE"),
    *("TRANSPORT", "OTHER", "INFLIGHT_ENTERTAINMENT", "ACTIVITY", "CARBON_OFFSET"),
    *("PAID_SUBSCRIPTION", "COMFORT_PACK", "INFLIGHT_VOUCHER", "PACKAGE", "SMS_ITINERARY"),
    *("SPECIAL_ASSISTANCE", "CHARITY_DONATION", "TRANSFER"),
    # Deprecated, but accepted.
    *("BAGGAGE", "FEES", "SEAT_UPGRADES", "INFLIGHT_VOUCHERS"),
)
ITEM_STATUSES: Final = (
    *("RESERVED", "PENDING", "DECLINED", "CONFIRMED"),
    *("CANCELLED", "REFUNDED", "PURCHASED", "UNKNOWN"),
)
# A client sends genders in title case (VG-4).
GENDER: Final = OneOf(("male", "female", "unknown"), any_case=True)
NAMES: Final = frozenset({"first_name", "last_name"})
UPDATES: Final = frozenset({Verb.CREATE, Verb.LIST, Verb.FETCH, Verb.REPLACE})

AnyView = TypeVar("AnyView", bound=View)


def legacy(view: AnyView, **exceptions: Any) -> AnyView:
    """Return an official view under /v2, without what v2 lacks; updates are POST (V-1, V-2,
    VU-7)."""
    item = _old(view.item)
    moved = view.but(
        path=_old(view.path),
        item=item,
        verbs=UPDATES,
        methods={Verb.REPLACE: ("POST", item)},
        parents={member: _old(path) for member, path in view.parents.items()},
        children={
            member: _old(path)
            for member, path in view.children.items()
            if member != "dataExtensions"
        },
        linked={member: (field, _old(path)) for member, (field, path) in view.linked.items()},
        links=("href",),
        with_total=False,
    )
    return moved.but(**exceptions)


def _old(path: str) -> str:
    return path.replace("/v2.1/", "/v2/", 1)


GUEST = legacy(
    official.GUEST,
    add={},
    filters={
        name: official.GUEST.filters[name]
        for name in (
            *("firstName", "lastName", "email", "email.untouched", "phoneNumber"),
            *("identifiers",),
        )
    },
    ref_filters=frozenset(),
    extensions="/v2/guests/{guest}/ext{name}",
)

ORDER = legacy(
    official.ORDER,
    required=frozenset({"point_of_sale", "currency_code", "price", "ordered_at", "reference_id"}),
    needs_filter=True,
    extensions="/v2/orders/{order}/ext{name}",
)

ORDER_ITEM = legacy(
    official.ORDER_ITEM,
    verbs=UPDATES | {Verb.DELETE},
    required=frozenset({"type", "status", "currency_code", "price", "product_id", "reference_id"}),
    accept={"type": OneOf(ITEM_TYPES), "status": OneOf(ITEM_STATUSES)},
    hide=frozenset(),
    open_ended="extra",
)

ORDER_CONTACT = legacy(
    official.ORDER_CONTACT, verbs=UPDATES | {Verb.DELETE}, required=NAMES, accept={"gender": GENDER}
)

ORDER_CONSUMER = legacy(official.ORDER_CONSUMER, required=NAMES, accept={"gender": GENDER})


def keyed(view: PairsView, parent: str) -> PairsView:
    """Return a view of extensions by name and key under `parent` (VX-1 to VX-9)."""
    path = parent + "/ext{name}"
    item = path + "/{data_extension}"
    return legacy(
        view,
        path=path,
        item=item,
        verbs=UPDATES | {Verb.DELETE},
        methods={Verb.REPLACE: ("POST", item)},
        names=None,
        named_by_path=False,
        announces="",
        keyed=True,
        deleted=200,
        options={},
    )


GUEST_EXTENSION = keyed(official.GUEST_EXTENSION, GUEST.item)
ORDER_EXTENSION = keyed(official.ORDER_EXTENSION, ORDER.item)

VIEWS: Final = (
    *(GUEST, GUEST_EXTENSION, ORDER, ORDER_ITEM, ORDER_CONTACT, ORDER_CONSUMER),
    ORDER_EXTENSION,
)


def _delete_all(rows: Extensions, view: PairsView) -> Endpoint:
    """Delete every extension of a name (VU-3)."""
    actions = KeyedExtensions(rows)

    async def delete_all(work: Work, request: EndpointRequest) -> None:
        await actions.delete_all(work, **request.refs())

    return Endpoint(
        method="DELETE",
        path=view.path,
        name=f"deleteEveryV2{view.resource.__name__}",
        summary="Delete every data extension of a name",
        tag=f"{view.resource.__name__} (v2)",
        perform=delete_all,
        path_names={"name": "dataExtensionName"},
        response=Described({"type": "null"}),
    )


ENDPOINTS: Final = (
    _delete_all(OF_GUESTS, GUEST_EXTENSION),
    _delete_all(OF_ORDERS, ORDER_EXTENSION),
)
