"""I6: what a suggestion proposes for a plausible file imports every row of it."""

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from innkeeper.refs import new_ref
from innkeeper.rules.identity_rules import Condition, IdentityRule, IdentityRules
from innkeeper.wire.bulk.mapping import mapping_of
from innkeeper.wire.bulk.suggestion import guess_entity, suggest
from innkeeper.wire.bulk.trial import try_mapping

NAMES = tomllib.loads(Path("src/innkeeper/wire/bulk/columns.toml").read_text(encoding="utf-8"))
RULES = IdentityRules(new_ref(), (IdentityRule("email", (Condition(provider="email"),)),))
WORD = st.text("abcdefghijklmnop", min_size=2, max_size=8).map(str.title)
AMOUNT = st.integers(1, 99_999).map(lambda cents: f"{cents / 100:.2f}")
DAY = st.dates(date(1950, 1, 1), date(2020, 1, 1)).map(str)
WORDS = NAMES["values"]
GUEST_CELLS: dict[str, st.SearchStrategy[str]] = {
    "firstName": WORD,
    "lastName": WORD,
    "title": st.sampled_from(["Mr", "Ms.", "Dr", "Herr", "Mme"]),
    "gender": st.sampled_from([word for several in WORDS["gender"].values() for word in several]),
    "dateOfBirth": DAY,
    "phoneNumbers": st.integers(10**8, 10**9 - 1).map(lambda number: f"+353{number}"),
    "street": WORD.map(lambda word: f"1 {word} St"),
    "city": WORD,
    "state": WORD,
    "postCode": st.integers(10_000, 99_999).map(str),
    "country": st.sampled_from(["IE", "DE", "FR", "US"]),
    "language": st.sampled_from(["en", "de", "fr"]),
    "firstSeen": DAY,
    "lastSeen": DAY,
    "customerNumber": st.integers(1, 10**9).map(lambda number: f"C-{number}"),
}
ORDER_CELLS: dict[str, st.SearchStrategy[str]] = {
    "status": st.sampled_from([word for several in WORDS["status"].values() for word in several]),
    "paymentType": st.sampled_from(
        [word for several in WORDS["paymentType"].values() for word in several]
    ),
    "pointOfSale": WORD,
    "channel": st.sampled_from([word for several in WORDS["channel"].values() for word in several]),
}
ITEM_CELLS: dict[str, st.SearchStrategy[str]] = {
    "name": WORD,
    "productId": WORD.map(str.upper),
    "quantity": st.integers(1, 9).map(str),
    "price": AMOUNT,
    "vendor": WORD,
}
OTHERS = st.sampled_from(
    ["Shoe size", "Name", "Key", "ref", "Notes", "Größe", "注文", "2024", "a.b"]
)
SPELT = st.sampled_from([str, str.title, str.upper, lambda name: name.replace(" ", "_")])


@st.composite
def columns_of(draw: st.DrawFn, table: str, cells: dict[str, Any]) -> dict[str, Any]:
    """Some fields: a name of each, in any language and spelling, with the cells it may have."""
    fields = draw(st.lists(st.sampled_from(sorted(cells)), unique=True, max_size=8))
    return {
        draw(SPELT)(draw(st.sampled_from(NAMES[table][field]))): cells[field] for field in fields
    }


@st.composite
def rows_of(draw: st.DrawFn, columns: dict[str, Any]) -> list[dict[str, str]]:
    """Rows in which some cells are empty, but those of the first columns, which are required."""
    names = draw(st.permutations(list(columns)))
    return [
        {
            name: draw(columns[name])
            if columns[name] in REQUIRED or draw(st.integers(0, 4))
            else ""
            for name in names
        }
        for _ in range(draw(st.integers(1, 6)))
    ]


EMAIL = WORD.map(lambda word: f"{word.lower()}@example.com")
NUMBER = st.integers(1, 10**6).map(lambda number: f"#{number}")
CURRENCY = st.sampled_from(["EUR", "USD"])
ORDER_DAY = st.dates(date(2020, 1, 1), date(2026, 1, 1)).map(str)
REQUIRED = (EMAIL, NUMBER, CURRENCY, ORDER_DAY, AMOUNT)


def check(holds: str, rows: list[dict[str, str]]) -> None:
    """Every row of a file is read by its suggestion, and has somebody."""
    suggestion = suggest(holds, list(rows[0]), rows, RULES)
    assert suggestion.undecided == {}
    mapping = mapping_of(holds, suggestion.document())
    trial = try_mapping(holds, mapping, rows, range(2, len(rows) + 2), RULES)
    assert (trial.refused, trial.unidentified) == ({}, 0), suggestion.mapping_file()
    # The file that a person may edit says the same.
    again = mapping_of(holds, tomllib.loads(suggestion.mapping_file()))
    assert again == mapping


@given(st.data())
def test_i6_a_suggested_list_of_customers_imports(data: st.DataObject) -> None:
    columns = {
        data.draw(st.sampled_from(NAMES["guests"]["email"])): EMAIL,
        **data.draw(columns_of("guests", GUEST_CELLS)),
        **dict.fromkeys(data.draw(st.lists(OTHERS, max_size=4)), WORD),
    }
    check("guests", data.draw(rows_of(columns)))


@given(st.data())
def test_i6_a_suggested_list_of_orders_imports(data: st.DataObject) -> None:
    """One order a row; with items where the file has their names and prices."""
    columns = {
        data.draw(st.sampled_from(["Order number", "Bestellnummer", "Numéro de commande"])): NUMBER,
        data.draw(st.sampled_from(["Order date", "Bestelldatum", "Fecha de pedido"])): ORDER_DAY,
        data.draw(st.sampled_from(["Customer Email", "E-Mail", "Courriel"])): EMAIL,
        data.draw(st.sampled_from(["Currency", "Währung", "Devise"])): CURRENCY,
        data.draw(st.sampled_from(["Grand Total", "Gesamtbetrag", "Montant total"])): AMOUNT,
        **data.draw(columns_of("orders", ORDER_CELLS)),
        **data.draw(columns_of("items", ITEM_CELLS)),
        **dict.fromkeys(data.draw(st.lists(OTHERS, max_size=2)), WORD),
    }
    rows = data.draw(rows_of(columns))
    number = next(iter(columns))
    for position, row in enumerate(rows):
        row[number] += f"-{position}"
    assert guess_entity(list(columns)) == "orders"
    check("orders", rows)
