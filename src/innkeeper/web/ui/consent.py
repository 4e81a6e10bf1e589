"""The page that declares by which field guests are unsubscribed from a channel."""

from typing import Final

from starlette.responses import Response

from innkeeper.actions.audiences import consent, segment_catalogue
from innkeeper.resources.exports import CHANNELS, EMAIL, PHONE
from innkeeper.rules.access import Right
from innkeeper.rules.consent import UNSUBSCRIBED
from innkeeper.web.ui.shell import PageRoute, Visit

WORDS: Final = {EMAIL: "E-mail", PHONE: "Phone", "POST": "Post"}
DEFAULT_VALUES: Final = ", ".join(UNSUBSCRIBED)


async def show(visit: Visit) -> Response:
    """Show the field and the values of each channel, or as typed when they were refused."""
    fields = await consent.list_fields(visit.work)
    stored = {each.channel: (each.field, ", ".join(each.values)) for each in fields}
    typed = {channel: _typed(visit, channel) for channel in CHANNELS} if visit.fault else stored
    pairs = [
        f"{each['location']}.{each['field']}"
        for each in await segment_catalogue.list_guest_fields(visit.work)
        if each["location"] not in ("core", "identifier", "trait")
    ]
    names = list(dict.fromkeys([*pairs, *(name for name, _ in typed.values() if name)]))
    return visit.show(
        "consent.html",
        words=WORDS,
        fields=typed,
        options=[("", "None: nobody is left out"), *((name, name) for name in names)],
        default_values=DEFAULT_VALUES,
        version=visit.version(consent.version_of(fields)),
        differing=[
            (words, *(" = ".join(each.get(channel, ("", ""))) for each in (typed, stored)))
            for channel, words in WORDS.items()
            if typed.get(channel, ("", ""))[0] != stored.get(channel, ("", ""))[0]
        ],
        wrong=_wrong(visit, [channel for channel in CHANNELS if typed.get(channel, ("",))[0]]),
    )


async def save(visit: Visit) -> Response:
    """Store the fields of consent."""
    items = []
    for channel in CHANNELS:
        name, values = _typed(visit, channel)
        if name:
            items.append({"channel": channel, "field": name, "values": values.split(",")})
    await consent.put_fields(visit.work, items, visit.expected)
    return visit.go("/exports", "Saved. The next run of each export uses these fields.")


def _wrong(visit: Visit, channels: list[str]) -> dict[str, str]:
    """Return field of the form -> its problem; `channels`: in the order sent."""
    names = {
        f"items[{index}].{name}": f"{name}.{channel}"
        for index, channel in enumerate(channels)
        for name in ("field", "values")
    }
    problems = getattr(visit.fault, "problems", ())
    return {names[each.field]: each.reason for each in problems if each.field in names}


def _typed(visit: Visit, channel: str) -> tuple[str, str]:
    values = visit.form_text(f"values.{channel}") or DEFAULT_VALUES
    return visit.form_text(f"field.{channel}"), values


PAGES: Final = (PageRoute("/exports/consent", show, save, right=Right.EXPORTS),)
