"""PostgreSQL: launcher, connections, migrations, named queries."""
