"""Roles of the embedded PostgreSQL: an administrator that owns the server, and our own login.

Requests use an ordinary login that owns the database, so a vulnerable statement can reach neither
files nor programs of the machine. Only `privacy scrub` connects as the administrator.
"""

from typing import Final

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

ADMINISTRATOR: Final = "innkeeper_admin"
APPLICATION: Final = "innkeeper"
_UPGRADE: Final = "innkeeper_upgrade"

_OBJECTS: Final = """
SELECT CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
           WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind,
       format('%I.%I', n.nspname, c.relname) AS name
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND n.oid >= 16384
  -- The sequence of a column follows its table.
  AND (c.relkind <> 'S' OR NOT EXISTS (SELECT FROM pg_depend AS d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('i', 'a')))
UNION ALL
SELECT 'ROUTINE', p.oid::regprocedure::text
FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace WHERE n.oid >= 16384
UNION ALL
SELECT 'TYPE', format('%I.%I', n.nspname, t.typname)
FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
LEFT JOIN pg_class AS c ON c.oid = t.typrelid
WHERE n.oid >= 16384 AND t.typelem = 0 AND (t.typrelid = 0 OR c.relkind = 'c')
UNION ALL
SELECT 'SCHEMA', format('%I', nspname) FROM pg_namespace WHERE oid >= 16384
"""
"""Objects that a role can own in schemas that initdb did not create (their oids begin at 16384)."""


def administrator(dsn: str) -> str:
    """Return the address of the same embedded server for its administrator."""
    return make_conninfo(dsn, user=ADMINISTRATOR)


def separate_roles(dsn: str) -> None:
    """Ensure that the login of `dsn` exists, owns the database and is not a superuser.

    In a cluster of an earlier Innkeeper that login is the only superuser: it becomes the
    administrator, and everything it owns is given to the new login. A second call does nothing.
    """
    try:
        connection = psycopg.connect(administrator(dsn), autocommit=True)
    except psycopg.OperationalError:
        _rename_superuser(dsn)
        connection = psycopg.connect(administrator(dsn), autocommit=True)
    with connection:
        row = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [APPLICATION])
        if row.fetchone() is None:
            _create_application_role(connection)
        # Imports insert rows that refer to rows of the same transaction (creations.sql).
        connection.execute(
            sql.SQL("GRANT SET ON PARAMETER session_replication_role TO {}").format(
                sql.Identifier(APPLICATION)
            )
        )


def _rename_superuser(dsn: str) -> None:
    """Rename the superuser of an earlier Innkeeper to the administrator's name.

    A role cannot rename itself, so a temporary role does it.
    """
    login = sql.Identifier(_UPGRADE)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(login))
        connection.execute(sql.SQL("CREATE ROLE {} LOGIN SUPERUSER").format(login))
    with psycopg.connect(make_conninfo(dsn, user=_UPGRADE), autocommit=True) as connection:
        old, new = sql.Identifier(APPLICATION), sql.Identifier(ADMINISTRATOR)
        connection.execute(sql.SQL("ALTER ROLE {} RENAME TO {}").format(old, new))
    with psycopg.connect(administrator(dsn), autocommit=True) as connection:
        connection.execute(sql.SQL("DROP ROLE {}").format(login))


def _create_application_role(connection: psycopg.Connection[tuple[object, ...]]) -> None:
    """Create the login and give it the database with all its contents, in one transaction."""
    login = sql.Identifier(APPLICATION)
    database = sql.Identifier(connection.info.dbname)
    with connection.transaction():
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE").format(login)
        )
        connection.execute(sql.SQL("ALTER DATABASE {} OWNER TO {}").format(database, login))
        for kind, name in connection.execute(_OBJECTS).fetchall():
            statement = sql.SQL("ALTER {} {} OWNER TO {}")
            connection.execute(statement.format(sql.SQL(str(kind)), sql.SQL(str(name)), login))
