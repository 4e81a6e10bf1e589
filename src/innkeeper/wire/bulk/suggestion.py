"""Suggest the mapping of a table from the names of its columns and from sample rows."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from innkeeper.resources.guests import EXTENSION_NAMES, MAX_PAIRS, RESERVED
from innkeeper.resources.kinds import Day, Instant, OneOf, Text
from innkeeper.resources.payload_kinds import OneOrMany
from innkeeper.rules.date_formats import ISO
from innkeeper.rules.identity_rules import IdentityRules
from innkeeper.rules.normalize import folded
from innkeeper.wire.bulk import column_values as values
from innkeeper.wire.bulk.cell_faults import cell_fault
from innkeeper.wire.bulk.cells import PERCENT, PHONES, type_of, unguarded_cell
from innkeeper.wire.bulk.column_names import (
    BARE_IDS,
    CUSTOMER_NUMBER,
    named_targets,
    pair_name,
    rank_of,
    words_of,
)
from innkeeper.wire.bulk.mapping import ColumnMapping, mapping_of
from innkeeper.wire.bulk.order_suggestion import complete_orders
from innkeeper.wire.bulk.presets import Preset
from innkeeper.wire.bulk.suggested_mapping import Suggestion, Table
from innkeeper.wire.bulk.survey import ColumnSurvey, TableSurvey, date_question
from innkeeper.wire.bulk.targets import (
    FULL_NAME,
    PLANS,
    REASON,
    is_of_item,
    is_single,
    kind_of,
)

_MOST_WRONG: Final = 0.5
"""Largest share of sample cells that a field may refuse; above it, the column does not become that
field."""
_NESTING: Final = re.compile(r"^(properties|traits|event_params)\.\$?")
"""Prefixes of columns that carry no meaning."""
_SURE: Final = 0.9
"""Least share of sample cells by which a column becomes a field that its name does not suggest."""


def suggest(
    entity: str,
    columns: Iterable[str],
    rows: Iterable[Mapping[str, Any]],
    rules: IdentityRules | None = None,
    preset: Preset | None = None,
    survey: TableSurvey | None = None,
) -> Suggestion:
    """Suggest a mapping of columns. `rules` are the workspace's identity rules. `survey` has the
    findings of all rows; without it `rows` are all."""
    table = Table.of((name for name in columns if name != REASON), list(rows))
    if survey is None:
        survey = TableSurvey.of(table.rows)
    suggestion = Suggestion(entity)
    if preset is not None:
        _apply_preset(suggestion, preset, table)
    elif entity == "events":
        suggestion.columns = {column: [column] for column in table.texts}
    else:
        _choose_targets(suggestion, table)
    if entity == "events":
        return suggestion
    if entity == "orders":
        complete_orders(suggestion, table)
    _identify(suggestion, rules)
    for column in table.texts:
        facts = survey.columns.get(column) or ColumnSurvey()
        _clean(suggestion, column, facts)
        _cure(suggestion, column, table.texts[column], facts)
    _spread_pairs(suggestion)
    return suggestion


def guess_entity(columns: Iterable[str]) -> str:
    """Return the entity of a table, by its columns: orders have a number and a date or an
    amount."""
    names = list(columns)
    if {"type", "browser_id"} <= {*names} or {"type", "requested_at"} <= {*names}:
        return "events"
    targets = {
        target
        for column in names
        if folded(column) not in BARE_IDS
        for target in named_targets("orders", column)[:1]
    }
    details = {"orderedAt", "price", "orderItems.productId"}
    if not targets & {"contact.firstName", "contact.dateOfBirth"}:
        details |= {"currencyCode", "status"}
    return "orders" if "referenceId" in targets and details & targets else "guests"


_SCHEMAS: Final = {"guest": "guests", "order": "orders", "tracking": "events"}
_MEMBERS: Final = {
    "orders": {"referenceId", "orderedAt"},
    "events": {"type", "requested_at"},
    "guests": {"identifiers"},
}


def guess_entity_of_values(columns: Iterable[str], rows: Sequence[Mapping[str, Any]]) -> str | None:
    """Return the entity of a file of JSON values: records of a batch, or our own values."""
    schema = rows[0].get("schema") if rows else None
    if schema is not None:
        return _SCHEMAS.get(str(schema), "guests")
    names = {*columns}
    return next((entity for entity, members in _MEMBERS.items() if members <= names), None)


def are_own_values(
    entity: str | None, columns: Iterable[str], rows: Sequence[Mapping[str, Any]]
) -> bool:
    """Whether a file of JSON values needs no mapping: it has records of a batch, or values named as
    in the REST API, or events."""
    names = [*columns]
    if entity == "events" or guess_entity_of_values(names, rows) is not None:
        return True
    members = {name.partition(".")[0] for name in names}
    return entity is not None and all(name in PLANS[entity] for name in members)


def _apply_preset(suggestion: Suggestion, preset: Preset, table: Table) -> None:
    """Use the mapping of a preset; columns that it does not name become pairs."""
    document, actual = preset.document, {folded(column): column for column in table.texts}
    for name, targets in document.get("columns", {}).items():
        if column := actual.get(folded(name)):
            suggestion.columns[column] = OneOrMany(Text()).read(targets)
    named = chain.from_iterable(suggestion.columns.values())
    suggestion.pairs = {each.rpartition(".")[2]: 1 for each in named if "extensions." in each}
    for table_name in ("formats", "values", "types"):
        entries = {
            actual.get(folded(name)): one for name, one in document.get(table_name, {}).items()
        }
        getattr(suggestion, table_name).update({name: one for name, one in entries.items() if name})
    suggestion.constants.update(document.get("constants", {}))
    for target, name in document.get("fallbacks", {}).items():
        if column := actual.get(folded(name)):
            suggestion.fallbacks[target] = column
    suggestion.group = actual.get(folded(document.get("group", "")), "")
    suggestion.guarded = bool(document.get("guarded", False))
    suggestion.preset = preset.name
    for column, texts in table.texts.items():
        if column in suggestion.columns or preset.is_ignored(column) or not texts:
            continue
        if _has_objects(table, column):
            continue
        target = _pair(suggestion, column)
        if suggestion.entity == "events":
            target = f"ext.{target.removeprefix('extensions.ext.')}"
        suggestion.columns[column] = [target]


def _has_objects(table: Table, column: str) -> bool:
    """Whether cells of a column are objects or lists, as JSON and Parquet have them."""
    return any(isinstance(row.get(column), dict | list) for row in table.rows)


def _choose_targets(suggestion: Suggestion, table: Table) -> None:
    """Give each column its target: first columns with certain names, then those whose name has
    another meaning that is free."""
    entity, used = suggestion.entity, set[str]()
    for column in [each for each in table.texts if _has_objects(table, each)]:
        if f"{column}.0" not in table.texts:
            suggestion.notes.append(f"{column}: lists of objects are not imported.")
        del table.texts[column]
    candidates = {column: named_targets(entity, column) for column in table.texts}
    for column, texts in table.texts.items():
        by_content = _by_content(entity, texts)
        if by_content and by_content not in candidates[column]:
            candidates[column].append(by_content)
    suggestion.columns = {column: [] for column in table.texts}
    for column in sorted(table.texts, key=lambda name: rank_of(entity, name)):
        texts = table.texts[column]
        for target in candidates[column]:
            free = target not in used or not is_single(entity, target)
            if free and _agrees(entity, target, texts, table):
                used.add(target)
                suggestion.columns[column] = [target]
                break
            if target.endswith("email") and values.share(texts, values.is_email) > 0.5:
                first = suggestion.column_of(target) or column
                if _is_of_same_person(table, first, column):
                    suggestion.columns[column] = [f"{target}s"]
                    break
                suggestion.notes.append(
                    f"{column}: people of different {first} have the same address here, so it "
                    f"becomes a data extension. Check which of the two is the person's."
                )
    _choose_names(suggestion)
    for column, targets in suggestion.columns.items():
        if not targets:
            suggestion.columns[column] = [_pair(suggestion, column)]


def _is_of_same_person(table: Table, first: str, second: str) -> bool:
    """Whether addresses of a second column belong to the people of the first: nobody else has
    them."""
    pairs = [
        tuple(str(row.get(column) or "").strip().lower() for column in (first, second))
        for row in table.rows
    ]
    owners = {one: one for one, _ in pairs if one}
    return all(owners.setdefault(other, one) == one for one, other in pairs if other)


def _by_content(entity: str, texts: Sequence[str]) -> str | None:
    """Return the target that cells suggest, independent of the column's name."""
    prefix = "contact." if entity == "orders" else ""
    if values.share(texts, values.is_email) >= _SURE:
        return f"{prefix}email"
    if values.share(texts, values.is_phone) >= _SURE:
        return f"{prefix}phoneNumbers"
    return None


def _agrees(entity: str, target: str, texts: Sequence[str], table: Table) -> bool:
    """Return whether cells fit the target that their column's name suggests."""
    name = target.removeprefix("contact.")
    if not texts:
        return True
    if name == "email":
        return values.share(texts, values.is_email) >= 0.5
    if name == "title":
        return values.share(texts, values.is_title) > 0.5
    if entity == "orders" and name == FULL_NAME:
        return values.share(texts, values.is_numbered) < 0.5
    if name == "phoneNumbers":
        return values.share(texts, lambda text: sum(map(str.isdigit, text)) > 4) > 0.5
    return True


def _choose_names(suggestion: Suggestion) -> None:
    """Map a column of names to whole names, or to the part that no other column has."""
    prefix = "contact." if suggestion.entity == "orders" else ""
    column = suggestion.column_of(prefix + FULL_NAME)
    if column is None:
        return
    has_first, has_last = (
        suggestion.column_of(prefix + name) is not None for name in ("firstName", "lastName")
    )
    if has_first or has_last:
        rest = (
            [] if has_first and has_last else [prefix + ("lastName" if has_first else "firstName")]
        )
        suggestion.columns[column] = rest


def _pair(suggestion: Suggestion, column: str) -> str:
    """Return the target of a column that no field takes: a pair of a data extension."""
    name = pair_name(_NESTING.sub("", column))
    if name in RESERVED:
        suggestion.notes.append(f"{column}: {name} is reserved, so its pair is {name}Value.")
        name += "Value"
    number = suggestion.pairs.get(name, 0) + 1
    while (unique := f"{name}{number}" if number > 1 else name) in suggestion.pairs:
        number += 1
    suggestion.pairs[unique] = 1
    suggestion.pairs[name] = number
    return f"extensions.ext.{unique}"


def _clean(suggestion: Suggestion, column: str, facts: ColumnSurvey) -> None:
    """Remove spreadsheets' guards and spaces from the cells of a column, and treat words for empty
    as empty."""
    if not suggestion.columns.get(column):
        return
    suggestion.nothing = sorted({*suggestion.nothing, *facts.blanks})
    if facts.padded:
        suggestion.trim.append(column)
        suggestion.notes.append(f"{column}: the spaces around {facts.padded} cells are taken off.")
    if facts.guarded:
        suggestion.guards[column] = facts.guard
        suggestion.notes.append(
            f"{column}: a spreadsheet's guard is taken off {facts.guarded} cells: {facts.guard} is "
            f"{unguarded_cell(facts.guard)}."
        )


def _choose_format(suggestion: Suggestion, column: str, facts: ColumnSurvey) -> None:
    """Use the format that fits all dates of a column; leave a question if two formats fit."""
    forms = facts.formats()
    if len(forms) > 1:
        question = date_question(column, forms)
        suggestion.undecided["formats", column] = question
        suggestion.choices[column] = facts.date_examples(forms)
    elif forms and forms[0] != ISO:
        suggestion.formats[column] = forms[0]


def _cure(suggestion: Suggestion, column: str, texts: Sequence[str], facts: ColumnSurvey) -> None:
    """Try a column's targets on its sample cells, and adapt the mapping to what they refuse."""
    targets = suggestion.columns.get(column)
    if not targets:
        return
    texts = [text for text in texts if text.strip() not in suggestion.nothing]
    kind = kind_of(suggestion.entity, targets[0])
    if isinstance(kind, Instant | Day) and column not in suggestion.formats:
        _choose_format(suggestion, column, facts)
        if column in suggestion.choices or facts.open_zone(""):
            # Dates of an undecided format or time zone cannot be tried.
            return
    where, _, name = targets[0].rpartition(".")
    is_pair = where.endswith("extensions.ext")
    words = {} if is_pair or column in suggestion.values else words_of(name)
    if words and (replaced := _replaced_words(words, texts, closed=isinstance(kind, OneOf))):
        suggestion.values[column] = replaced
    if is_pair:
        _choose_type(suggestion, column, texts)
        return
    mapping = _column_mapping(suggestion, column)
    is_phone = name in PHONES
    wrong = [
        text
        for text in texts
        if cell_fault(mapping, suggestion.entity, column, text)
        or (is_phone and not values.has_digits(text))
    ]
    if len(wrong) > _MOST_WRONG * len(texts):
        for table in (suggestion.formats, suggestion.values):
            table.pop(column, None)
        inner = "orderItems." if is_of_item(targets[0]) else ""
        suggestion.columns[column] = [inner + _pair(suggestion, column)]
        suggestion.notes.append(
            f"{column}: {len(wrong)} of {len(texts)} sample cells are no {targets[0]}, "
            f"so it becomes a data extension."
        )
        _choose_type(suggestion, column, texts)
    elif is_phone and (no_phones := [text for text in texts if not values.has_digits(text)]):
        suggestion.notes.append(
            f"{column}: {len(no_phones)} of {len(texts)} sample cells are no phone number, such as "
            f"{no_phones[0][:40]}; they are imported as they are."
        )
    elif wrong:
        suggestion.notes.append(
            f"{column}: {len(wrong)} of {len(texts)} sample cells are no {targets[0]}; "
            "their rows will be refused."
        )


def _choose_type(suggestion: Suggestion, column: str, texts: Sequence[str]) -> None:
    """Choose the type of a column that becomes a data extension."""
    if (type_ := type_of(texts)) != "text":
        suggestion.types[column] = type_
    if type_ == PERCENT:
        suggestion.notes.append(
            f"{column}: the percent sign is taken off: {texts[0]} is {texts[0].rstrip(' %')}."
        )


def _replaced_words(
    words: Mapping[str, str], texts: Sequence[str], *, closed: bool
) -> dict[str, str]:
    """Return word -> value for the cells' words, if all are known or the field is `closed`."""
    spoken = defaultdict[str, set[str]](set)
    for text in texts:
        spoken[text.strip().lower()].add(text)
    replaced = {text: words[folded(text)] for text in spoken if folded(text) in words}
    if not closed and len(replaced) < len(spoken):
        return {}
    return {text: value for text, value in replaced.items() if spoken[text] != {value}}


def _column_mapping(suggestion: Suggestion, column: str) -> ColumnMapping:
    """Return the part of a suggested mapping that reads one column."""
    tables = {
        name: {column: table[column]} if column in table else {}
        for name, table in suggestion.document().items()
        if name in ("columns", "formats", "values", "types")
    }
    guards = [column] if column in suggestion.guards else []
    cells = {"guards": guards, "nothing": suggestion.nothing}
    return mapping_of(suggestion.entity, {**tables, **cells})


def _identify(suggestion: Suggestion, rules: IdentityRules | None) -> None:
    """Map columns to the identifiers and fields that the workspace's rules use."""
    prefix = "contact." if suggestion.entity == "orders" else ""
    conditions = [each for rule in rules.rules for each in rule.conditions] if rules else []
    providers = list(dict.fromkeys(each.provider for each in conditions if each.provider))
    of_emails = [each for each in providers if folded(each) in ("email", "emailaddress", "mail")]
    if not conditions:
        # Without rules people are recognised by all of their identifiers.
        of_emails = ["email"]
    others = [each for each in providers if each not in of_emails]
    for targets in suggestion.columns.values():
        if targets[:1] in ([f"{prefix}email"], [f"{prefix}emails"]):
            targets += [f"{prefix}identifiers.{provider}" for provider in of_emails]
        elif CUSTOMER_NUMBER in targets:
            provider = others[0] if len(others) == 1 else "CRM"
            targets[:] = [f"{prefix}identifiers.{provider}"]


def _spread_pairs(suggestion: Suggestion) -> None:
    """Distribute pairs over several data extensions if one cannot take all; leave the rest out."""
    names = EXTENSION_NAMES if suggestion.entity == "guests" else EXTENSION_NAMES[:1]
    pairs = [
        column
        for column, targets in suggestion.columns.items()
        if targets[:1] and targets[0].startswith("extensions.ext.")
    ]
    left = pairs[MAX_PAIRS * len(names) :]
    for number, column in enumerate(pairs[: MAX_PAIRS * len(names)]):
        name = suggestion.columns[column][0].removeprefix("extensions.ext.")
        suggestion.columns[column] = [f"extensions.{names[number // MAX_PAIRS]}.{name}"]
    for column in left:
        del suggestion.columns[column]
    if left:
        suggestion.notes.append(
            f"{len(left)} columns are not imported, since data extensions take "
            f"{MAX_PAIRS * len(names)} pairs: {', '.join(left)}."
        )
