"""`innkeeper import` of tables as people have them, without a mapping: I5, I6, I8."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
from psycopg.rows import dict_row
from typer.testing import CliRunner, Result

from innkeeper.cli.imports import import_

Import = Callable[..., Result]


@pytest.fixture
def run(dsn: str, tmp_path: Path) -> Import:
    """Write a file and import it, as `innkeeper import` does."""
    app = typer.Typer()
    app.command()(import_)

    def imported(text: str, *words: str, name: str = "file.csv") -> Result:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return CliRunner().invoke(app, [*words, str(path), "--database", dsn])

    return imported


def rows_of(dsn: str, table: str) -> list[dict[str, Any]]:
    """Every row of a table, as it is stored, oldest first."""
    with psycopg.connect(dsn, row_factory=dict_row) as connection:
        query = f"SELECT * FROM ws_live.{table} ORDER BY created_at, body->>'name'"
        return connection.execute(query).fetchall()


def test_i5_a_plain_customer_list_goes_in_without_editing(run: Import, dsn: str) -> None:
    """A column `email` identifies, since the workspace's rule is the provider email."""
    done = run("email,first_name,last_name\nann@example.com,Ann,Ray\nbob@example.com,Bob,Lee\n")
    assert done.exit_code == 0, done.output
    bodies = [row["body"] for row in rows_of(dsn, "guests")]
    assert [(one["first_name"], one["last_name"]) for one in bodies] == [
        ("Ann", "Ray"),
        ("Bob", "Lee"),
    ]
    assert bodies[0]["identifiers"] == [{"provider": "email", "id": "ann@example.com"}]
    assert "recognised by email (2)" in done.output


LISTS = {
    "English": (
        "Full Name,E-mail Address,Phone,Address,Town,Postcode,Gender,Member since\n"
        "Ada van Byron,ada@example.com,+353 1 234 5678,1 Main St,Cork,T12,F,2024-03-01\n"
    ),
    "German": (
        "Name;Vorname;E-Mail;Telefon;Straße;Ort;PLZ;Geschlecht;Kunde seit\n"
        "van Byron;Ada;ada@example.com;+353 1 234 5678;1 Main St;Cork;T12;w;2024-03-01\n"
    ),
    "French": (
        "Nom;Prénom;Courriel;Téléphone;Adresse;Ville;Code postal;Sexe;Date de création\n"
        "van Byron;Ada;ada@example.com;+353 1 234 5678;1 Main St;Cork;T12;Femme;2024-03-01\n"
    ),
    "Spanish": (
        "Nombre;Apellidos;Correo electrónico;Móvil;Dirección;Población;Código postal;Sexo;"
        "Fecha de alta\n"
        "Ada;van Byron;ada@example.com;+353 1 234 5678;1 Main St;Cork;T12;Mujer;2024-03-01\n"
    ),
    "Dutch": (
        "Voornaam;Achternaam;E-mailadres;Telefoonnummer;Adres;Woonplaats;Postcode;Geslacht;"
        "Klant sinds\n"
        "Ada;van Byron;ada@example.com;+353 1 234 5678;1 Main St;Cork;T12;v;2024-03-01\n"
    ),
    "Italian": (
        "Nome;Cognome;Posta elettronica;Cellulare;Indirizzo;Città;CAP;Sesso;Data di registrazione\n"
        "Ada;van Byron;ada@example.com;+353 1 234 5678;1 Main St;Cork;T12;Femmina;2024-03-01\n"
    ),
    "no names that say anything": (
        "A,Vorname,Nachname,B,Strasse,Ort,PLZ,Geschlecht,Kunde seit\n"
        "ada@example.com,Ada,van Byron,+353 1 234 5678,1 Main St,Cork,T12,weiblich,2024-03-01\n"
    ),
}


@pytest.mark.parametrize("language", LISTS)
def test_i5_columns_in_six_languages_are_the_same_guest(
    run: Import, dsn: str, language: str
) -> None:
    done = run(LISTS[language])
    assert done.exit_code == 0, done.output
    (guest,) = rows_of(dsn, "guests")
    identifiers = [{"provider": "email", "id": "ada@example.com"}]
    assert {name: guest["body"].get(name) for name in ADA} == ADA
    assert guest["body"]["identifiers"] == identifiers
    assert guest["guest_type"] == "customer"


ADA = {
    "first_name": "Ada",
    "last_name": "van Byron",
    "email": "ada@example.com",
    "phone_numbers": ["+353 1 234 5678"],
    "street": ["1 Main St"],
    "city": "Cork",
    "post_code": "T12",
    "gender": "female",
}


def test_i5_an_orders_id_is_no_persons_identifier(run: Import, dsn: str) -> None:
    done = run(
        "Id,Date,Customer,Email,Total,Currency\n7,2026-01-02,Ada Byron,ada@example.com,12.50,EUR\n",
        "orders",
    )
    assert done.exit_code == 0, done.output
    (order,), (guest,) = rows_of(dsn, "orders"), rows_of(dsn, "guests")
    assert order["reference_id"] == "7"
    assert guest["body"]["identifiers"] == [{"provider": "email", "id": "ada@example.com"}]
    assert (guest["body"]["first_name"], guest["body"]["last_name"]) == ("Ada", "Byron")


ORDERS = (
    "Order ID,Order Date,Customer Email,Customer Name,Product,SKU,Qty,Unit Price,Currency,Status\n"
    "1001,2026-03-01,ada@example.com,Ada Byron,Tee,TEE-1,2,16.00,EUR,paid\n"
    "1001,2026-03-01,ada@example.com,Ada Byron,Mug,MUG-1,1,20.00,EUR,paid\n"
    "1002,2026-03-02,bob@example.com,Bob Ray,Tee,TEE-1,1,16.00,EUR,refunded\n"
)


def test_i8_a_plain_list_of_order_lines(run: Import, dsn: str) -> None:
    """Rows of one number are one order; without a total it is the sum of its lines: 52.00."""
    for _ in range(2):
        done = run(ORDERS)
        assert done.exit_code == 0, done.output
        orders = rows_of(dsn, "orders")
        assert sorted(
            (one["reference_id"], float(one["body"]["price"]), one["body"]["status"])
            for one in orders
        ) == [("1001", 52.0, "PURCHASED"), ("1002", 16.0, "REFUNDED")]
        items = sorted(
            (one["body"]["product_id"], one["body"]["quantity"], float(one["body"]["price"]))
            for one in rows_of(dsn, "order_items")
        )
        assert items == [("MUG-1", 1, 20.0), ("TEE-1", 1, 16.0), ("TEE-1", 2, 16.0)]
    assert len(rows_of(dsn, "guests")) == 2


def test_i8_cells_of_an_order_are_carried_and_conflicts_named(run: Import, dsn: str) -> None:
    """Down from the first line, up from the second, and to a line that stands elsewhere."""
    head = "Order,Date,Email,Total,Currency,Status,Product,Price\n"
    done = run(
        head + "1,2026-03-01,a@example.com,50,EUR,,A,10\n"
        "1,,,,,paid,B,20\n"
        "2,2026-03-01,b@example.com,9,EUR,paid,A,9\n"
        "1,,,,,,C,20\n"
        "3,2026-03-01,c@example.com,9,EUR,paid,A,9\n"
        "3,2026-03-01,d@example.com,9,EUR,paid,A,9\n",
        "orders",
    )
    assert done.exit_code == 2, done.output
    orders = {one["reference_id"]: one for one in rows_of(dsn, "orders")}
    assert set(orders) == {"1", "2"}
    assert orders["1"]["body"]["status"] == "PURCHASED"
    names = sorted(one["body"]["name"] for one in rows_of(dsn, "order_items"))
    assert names == ["A", "A", "B", "C"]
    assert not [one for one in rows_of(dsn, "guests") if one["body"]["email"] == "d@example.com"]


def test_i6_a_value_that_nothing_shows_is_a_question(run: Import, dsn: str, tmp_path: Path) -> None:
    """No currency: nothing is imported before it is chosen in the mapping."""
    text = "Order,Date,Email,Total\n1,2026-03-01,a@example.com,50\n"
    done = run(text)
    assert done.exit_code == 1
    assert "currency" in done.output
    mapping = tmp_path / "file.csv.mapping.toml"
    again = run(text)
    assert again.exit_code == 1
    assert "leaves currencyCode open" in again.output
    assert rows_of(dsn, "orders") == []
    mapping.write_text(mapping.read_text().replace('# "currencyCode" = ', '"currencyCode" = "EUR"'))
    assert run(text).exit_code == 0
    (order,) = rows_of(dsn, "orders")
    assert order["body"]["currency_code"] == "EUR"


def test_i6_a_column_that_is_missing_is_added_as_the_mapping_says(
    run: Import, dsn: str, tmp_path: Path
) -> None:
    text = "Order,Tag,Email,Total (EUR)\n1,2026-03-01,a@example.com,50\n"
    done = run(text)
    assert (done.exit_code, "Which column is the date of the order?" in done.output) == (1, True)
    mapping = tmp_path / "file.csv.mapping.toml"
    lines = [line for line in mapping.read_text().splitlines() if not line.startswith('"Tag" =')]
    assert '# "COLUMN" = "orderedAt"' in lines
    chosen = "\n".join(lines).replace('# "COLUMN" = "orderedAt"', '"Tag" = "orderedAt"')
    mapping.write_text(chosen)
    assert run(text).exit_code == 0
    assert len(rows_of(dsn, "orders")) == 1


def test_i6_reserved_and_repeated_names_are_renamed(run: Import, dsn: str) -> None:
    """`key` is reserved in a data extension; `Shoe size` and `shoe-size` would be one pair."""
    done = run("Email,Key,Shoe size,shoe-size\na@example.com,k,44,45\n")
    assert done.exit_code == 0, done.output
    with psycopg.connect(dsn) as connection:
        (pairs,) = connection.execute("SELECT pairs FROM ws_live.guest_extensions").fetchone() or ()
    assert pairs == {"keyValue": "k", "shoeSize": 44, "shoeSize2": 45}


def test_i6_two_columns_on_one_field_are_an_error(run: Import, dsn: str, tmp_path: Path) -> None:
    mapping = tmp_path / "file.csv.mapping.toml"
    mapping.write_text('entity = "guests"\n[columns]\nA = "firstName"\nB = "firstName"\n')
    done = run("A,B\na,b\n")
    assert done.exit_code == 1
    assert "firstName takes one value, and A, B are mapped to it." in done.output


def test_i6_more_pairs_than_an_extension_takes_are_spread(run: Import, dsn: str) -> None:
    """100 pairs go to `ext`, the others to `ext1`."""
    names = [f"Answer {number}" for number in range(150)]
    done = run(f"Email,{','.join(names)}\na@example.com,{','.join('x' * 150)}\n")
    assert done.exit_code == 0, done.output
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT name, (SELECT count(*) FROM jsonb_object_keys(pairs)) "
            "FROM ws_live.guest_extensions ORDER BY name"
        ).fetchall()
    assert rows == [("ext", 100), ("ext1", 50)]


def test_i7_known_exports_go_in_by_one_command(dsn: str) -> None:
    """Every sample of a preset, and a batch file, without naming what they hold."""
    app = typer.Typer()
    app.command()(import_)
    samples = sorted((Path(__file__).parent.parent / "presets").glob("*.*"))
    names = [str(path) for path in samples if path.suffix != ".json" and "magento" not in path.stem]
    done = CliRunner().invoke(app, [*names, "--database", dsn, "--json"])
    assert done.exit_code == 0, done.output
    totals = json.loads(done.stdout)
    assert (totals["records"], totals["failed"]) == (29, 0)
    guests = [row["body"] for row in rows_of(dsn, "guests")]
    # Ada is in most of the files, and one guest.
    assert len([one for one in guests if one.get("email") == "ada@example.com"]) == 1
    assert {one["reference_id"] for one in rows_of(dsn, "orders")} == {
        *("#1001", "#1002", "1001", "1002", "302-0000001-0000001")
    }


def test_i9_a_dry_run_says_who_would_change_and_what_is_refused(
    run: Import, dsn: str, tmp_path: Path
) -> None:
    """Created, updated and merged with whom and why; refusals by cause with line and value."""
    assert run("Email,First name\nann@example.com,Ann\n").exit_code == 0
    (ann,) = rows_of(dsn, "guests")
    text = (
        "Email,First name,Birthday\n"
        "ann@example.com,Anna,1980-02-01\n"
        "bob@example.com,Bob,1981-02-01\n"
        "BOB@example.com,Bobby,\n"
        "cy@example.com,Cy,soon\n"
        "di@example,Di,1982-02-01\n"
    )
    done = run(text, "--dry-run", "--json")
    assert done.exit_code == 2, done.output
    summary = json.loads(done.stdout)
    assert {name: summary[name] for name in ("created", "updated", "merged", "failed")} == {
        **{"created": 1, "updated": 1, "merged": 1, "failed": 2}
    }
    email = {"provider": "email"}
    assert summary["matches"] == [
        {
            **{"line": 2, "outcome": "updated", "guest": str(ann["ref"]), "rule": "email"},
            "evidence": [{**email, "value": "ann@example.com"}],
        },
        {
            **{"line": 4, "outcome": "merged", "rule": "email"},
            "evidence": [{**email, "value": "BOB@example.com"}],
        },
    ]
    values = {(one["line"], one["value"], one["count"]) for one in summary["refused"]}
    assert values == {(5, "soon", 1), (6, "di@example", 1)}
    assert len(rows_of(dsn, "guests")) == 1
    rejects = list(csv.DictReader((tmp_path / "file.csv.rejects.csv").read_text().splitlines()))
    assert [(one["Email"], one["First name"], one["Birthday"]) for one in rejects] == [
        ("cy@example.com", "Cy", "soon"),
        ("di@example", "Di", "1982-02-01"),
    ]
    reasons = [one["innkeeper:reason"] for one in rejects]
    assert reasons[0].startswith(("Birthday: ", "dateOfBirth: "))
    assert reasons[1].startswith("email: not a well-formed email address")


def test_i9_refused_rows_are_mended_and_imported_again(
    run: Import, dsn: str, tmp_path: Path
) -> None:
    """All rows of a refused order are in the file; the column of reasons is no field."""
    head = "Order,Date,Email,Total,Currency,Product,Price\n"
    done = run(
        head + "1,2026-03-01,a@example.com,10,EUR,A,10\n"
        "2,2026-03-01,b@example.com,30,EUR,A,10\n"
        "2,2026-03-02,b@example.com,30,EUR,B,20\n"
    )
    assert done.exit_code == 2, done.output
    text = (tmp_path / "file.csv.rejects.csv").read_text()
    assert text.count("differs between lines 3 and 4") == 2
    assert run(text.replace("2026-03-02", "2026-03-01")).exit_code == 0
    orders = {one["reference_id"]: one for one in rows_of(dsn, "orders")}
    assert set(orders) == {"1", "2"}
    assert len(rows_of(dsn, "order_items")) == 3


def test_i9_bad_cells_alone_are_left_out(run: Import, dsn: str) -> None:
    """`--refuse cell`: the rows are imported, and what was left out is said."""
    text = "Email,First name,Birthday\nann@example.com,Ann,1980-02-01\n"
    text += "bob@example.com,Bob,1981-02-01\ncy@example.com,Cy,soon\n"
    done = run(text, "--refuse", "cell")
    assert done.exit_code == 0, done.output
    assert "left out 1 × Birthday: " in done.output
    names = {row["body"]["first_name"] for row in rows_of(dsn, "guests")}
    assert names == {"Ann", "Bob", "Cy"}
