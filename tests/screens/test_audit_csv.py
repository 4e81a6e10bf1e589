"""The audit log as CSV: read while it is sent, page by page, with the filters of the page."""

import csv
import io

import psycopg
from calling import Api
from sites import Site
from visiting import Person

ROWS = 230


def test_every_row_is_sent_once(api: Api, owner: Person, analyst: Person, site: Site) -> None:
    with psycopg.connect(site.dsn) as connection:
        connection.execute(
            """INSERT INTO innkeeper.audit_log (at, actor, workspace, action, changes, details)
            SELECT now(), '=csv', 'live', 'csv.test',
                jsonb_build_object('n', jsonb_build_array(n, n + 1)), '{}'
            FROM generate_series(1, %s) AS n""",
            [ROWS],
        )
    answer = owner.get("/settings/audit-log/csv?action=csv.test")
    assert "content-length" not in answer.headers
    assert answer.headers["content-disposition"] == 'attachment; filename="audit-log.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert sorted(int(row["before"]) for row in rows) == list(range(1, ROWS + 1))
    assert {row["actor"] for row in rows} == {"'=csv"}, "no spreadsheet runs it"
    assert owner.get("/settings/audit-log/csv?from=x").status_code == 400
    assert analyst.get("/settings/audit-log/csv").status_code == 403
