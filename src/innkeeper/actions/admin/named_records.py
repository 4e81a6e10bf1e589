"""Rows with a ref and a name of their own, such as segments and exports: read and write them."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from innkeeper.actions.admin import audit
from innkeeper.errors import Conflict, Unknown
from innkeeper.resources.base import Record
from innkeeper.resources.values import ref_in
from innkeeper.rules.audited import AuditedKind
from innkeeper.store.work import Work


@dataclass(frozen=True)
class NamedRecords:
    """The rows of one table, by the queries `<table>.list`, `fetch`, `lock`, `create`, `rewrite`
    and `delete`. Each change is in the audit log.

    `create` returns no row if the name exists, and `rewrite` none if the row was deleted.
    """

    table: str
    singular: str
    """The name of one in errors."""
    audited: AuditedKind

    async def list_all(self, work: Work) -> list[Record]:
        """List every row, in the order of `list`."""
        return await work.all(f"{self.table}.list")

    async def fetch(self, work: Work, key: UUID | str) -> Record:
        """Fetch a row by ref or name; raises `Unknown`."""
        row = await work.one(f"{self.table}.fetch", **self.keys(key))
        return row or self.unknown(key)

    async def fetch_locked(self, work: Work, key: UUID | str, query: str = "") -> Record:
        """Fetch a row and lock it until the transaction ends, with `query` or the table's own;
        raises `Unknown`."""
        ref = (await self.fetch(work, key))["ref"]
        row = await work.one(query or f"{self.table}.lock", ref=ref)
        return row or self.unknown(key)

    def keys(self, key: UUID | str) -> dict[str, Any]:
        """Return the parameters of `fetch`: the ref, if the key may be one, and the name."""
        ref = key if isinstance(key, UUID) else ref_in(key)
        return {"ref": ref, self.audited.key: str(key)}

    def unknown(self, key: UUID | str) -> Record:
        """Raise `Unknown`."""
        raise Unknown(self.singular, key)

    async def create(self, work: Work, **fields: Any) -> Record:
        """Create a row; raises `Conflict` if its name exists."""
        row = await self._write(work, "create", ref=uuid4(), **fields)
        if row is None:
            raise Conflict(f"{self.singular} {fields[self.audited.key]} already exists.")
        await audit.record(work, self.audited, "create", None, row)
        return row

    async def rewrite(self, work: Work, before: Record, **fields: Any) -> Record:
        """Replace the fields of a locked row and return it; raises `Unknown`."""
        row = await self._write(work, "rewrite", ref=before["ref"], **fields)
        row = row or self.unknown(before["ref"])
        await audit.record(work, self.audited, "change", before, row)
        return row

    async def delete(self, work: Work, row: Record) -> None:
        """Delete a row, if it still exists."""
        if await work.run(f"{self.table}.delete", ref=row["ref"]):
            await audit.record(work, self.audited, "delete", row, None)

    async def _write(self, work: Work, query: str, **fields: Any) -> Record | None:
        return await work.one(f"{self.table}.{query}", **fields)
