"""Questions that a file leaves open, as controls of the form that maps its columns."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import phonenumbers

from innkeeper.resources.kinds import Day, Instant
from innkeeper.rules.date_formats import SHARED_ZONES, NotADate, read_date
from innkeeper.rules.number_formats import NotANumber, read_number
from innkeeper.web.ui.import_form import MOST_COLUMNS, ImportDraft
from innkeeper.wire.bulk.cells import pivot_of
from innkeeper.wire.bulk.column_values import currency_mark
from innkeeper.wire.bulk.targets import kind_of

_PHONES: Final = ("phone", "mobile", "phoneNumbers")


@dataclass(frozen=True, slots=True)
class FileQuestion:
    """A question and its control: choices side by side, a menu, or a text."""

    name: str
    """The field of the form."""
    text: str
    value: str = ""
    is_needed: bool = False
    """Whether nothing is imported before it is answered."""
    choices: list[tuple[str, str, str]] = field(default_factory=list)
    """Value, its name, and how a cell of the file reads with it."""
    menu: list[tuple[str, str]] = field(default_factory=list)
    placeholder: str = ""
    hint: str = ""
    options: str = ""
    """Id of a list of suggestions."""


def questions(
    draft: ImportDraft, region: str | None, *, has_faults: bool, is_masked: bool
) -> list[FileQuestion]:
    """Return the questions that a file leaves open, those that must be answered first. `region` is
    that of the workspace's identity rules."""
    every = [
        *_column_questions(draft),
        *_date_questions(draft, is_masked=is_masked),
        *_number_questions(draft, is_masked=is_masked),
        *_currency(draft),
        *_phones(draft, region),
        *_zone(draft),
        *_pivot(draft),
        *(_refuse(draft) if has_faults else ()),
    ]
    return sorted(every, key=lambda one: not one.is_needed)


def _refuse(draft: ImportDraft) -> Iterator[FileQuestion]:
    text = "A cell that its field does not accept"
    choices = [
        (
            "row",
            "Refuse the row",
            "It is listed with the reason, to be corrected and imported again.",
        ),
        (
            "cell",
            "Leave the cell out",
            "The row is imported without it, and such cells are counted.",
        ),
    ]
    yield FileQuestion("refuse", text, draft.mapping.refuse or "row", choices=choices)


def _column_questions(draft: ImportDraft) -> Iterator[FileQuestion]:
    names = [(name, name) for name in draft.table.columns[:MOST_COLUMNS]]
    for target, question in draft.open_columns().items():
        yield FileQuestion(f"u-{target}", question, is_needed=True, menu=[("", "Choose"), *names])


def _date_questions(draft: ImportDraft, *, is_masked: bool) -> Iterator[FileQuestion]:
    for number, column in enumerate(draft.table.columns[:MOST_COLUMNS]):
        column_survey = draft.survey.columns.get(column)
        possible = column_survey.formats() if column_survey else []
        if (
            not column_survey
            or not isinstance(draft.kind(column), Instant | Day)
            or len(possible) < 2
        ):
            continue
        examples = column_survey.dates.examples if column_survey.dates else {}
        # One cell, read in each of the formats.
        cell = "03/04/2024" if is_masked else examples.get(possible[0], "")
        pivot = pivot_of(draft.mapping.rules, draft.kind(column))
        choices = [(form, form, _reading(form, cell, pivot)) for form in possible]
        value = draft.mapping.formats.get(column, "")
        text = f"{column}: does the day or the month come first?"
        yield FileQuestion(f"f{number}", text, value, column in draft.open_dates, choices)


def _reading(form: str, cell: str, pivot: int) -> str:
    with suppress(NotADate):
        return f"{cell} is {read_date(form, cell, pivot).date()}"
    return ""


def _number_questions(draft: ImportDraft, *, is_masked: bool) -> Iterator[FileQuestion]:
    if not draft.open_numbers:
        return
    column = draft.open_numbers[0]
    cell = "1,234" if is_masked else draft.survey.columns[column].two_numbers
    choices = []
    for mark, name in ((".", "Point"), (",", "Comma")):
        with suppress(NotANumber):
            choices.append(
                (mark, f"{name} before decimals", f"{cell} is {read_number(cell, mark)}")
            )
    named = ", ".join(draft.open_numbers[:3])
    text = f"{named}: which mark stands before the decimals?"
    chosen = draft.mapping.rules.decimal
    yield FileQuestion("decimal", text, chosen, not chosen, choices)


def _currency(draft: ImportDraft) -> Iterator[FileQuestion]:
    if draft.is_priced:
        value = str(draft.mapping.constants.get("currencyCode") or "")
        mark = next(filter(None, map(currency_mark, _amounts(draft))), "")
        hint = (
            f"{mark} is several currencies."
            if mark
            else "The file does not name a currency. ISO 4217 code."
        )
        name, likely = "Currency of the amounts", "USD" if mark == "$" else "EUR"
        yield FileQuestion("currency", name, value, not value, placeholder=likely, hint=hint)


def _amounts(draft: ImportDraft) -> Iterator[str]:
    for column, targets in draft.mapping.columns.items():
        if {"price", "orderItems.price"} & {*targets}:
            yield from (str(row[column]) for row in draft.table.rows if row.get(column))


def _phones(draft: ImportDraft, region: str | None) -> Iterator[FileQuestion]:
    columns = [
        column
        for column, targets in draft.mapping.columns.items()
        if any(target.rpartition(".")[2] in _PHONES for target in targets)
    ]
    local = next(filter(None, (_local_number(draft, column) for column in columns)), None)
    if local is None:
        return
    value = draft.mapping.rules.region
    default = f"{region}, as the identity rules say" if region else "As written"
    regions = [(code, code) for code in sorted(phonenumbers.SUPPORTED_REGIONS)]
    hint = f"{local} have none. A country makes them international."
    text = "Country of phone numbers without a country code"
    yield FileQuestion("region", text, value, menu=[("", default), *regions], hint=hint)


def _local_number(draft: ImportDraft, column: str) -> str | None:
    """Count the sample cells of a column that are phone numbers without a country code."""
    cells = [str(row[column]) for row in draft.table.rows if row.get(column)]
    local = sum(not cell.strip().lstrip("'").startswith(("+", "00")) for cell in cells)
    return f"{local:,} of {len(cells):,} sample numbers" if local else None


def _zone(draft: ImportDraft) -> Iterator[FileQuestion]:
    for column, targets in draft.mapping.columns.items():
        if not any(isinstance(kind_of(draft.entity, each), Instant) for each in targets):
            continue
        form = draft.mapping.formats.get(column, "")
        survey = draft.survey.columns.get(column)
        shared = survey.open_zone("") if survey else ""
        cells = (str(row[column]) for row in draft.table.rows if row.get(column))
        if shared or any(":" in cell and _is_local(cell, form) for cell in cells):
            value, text = draft.mapping.rules.timezone, "Time zone of the file"
            hint = f"{shared} is several time zones." if shared else "They have no offset."
            yield FileQuestion(
                "timezone",
                text,
                value,
                bool(draft.open_zone),
                placeholder=SHARED_ZONES.get(shared, "UTC"),
                hint=f"Times in {column}: {hint}"
                if shared
                else f"Times in {column} have no offset.",
                options="zones",
            )
            return


def _is_local(cell: str, form: str) -> bool:
    if form:
        return "Z" not in form and "%z" not in form
    time = cell.strip().partition(":")[2]
    return not ("Z" in time.upper() or "+" in time or "-" in time)


def _pivot(draft: ImportDraft) -> Iterator[FileQuestion]:
    forms = {
        **{name: forms[0] for name, forms in draft.open_dates.items()},
        **draft.mapping.formats,
    }
    short = [name for name, form in forms.items() if "YY" in form and "YYYY" not in form]
    if short:
        first = pivot_of(draft.mapping.rules, draft.kind(short[0]))
        hint = f"{first % 100:02} is {first}, {(first - 1) % 100:02} is {first + 99}."
        text = f"{', '.join(short[:3])}: first year that two digits mean"
        value = str(draft.mapping.rules.pivot or "")
        yield FileQuestion("pivot", text, value, placeholder=str(first), hint=hint)
