"""Who is erased while an import waits or runs is not stored by it afterwards."""

import asyncio
import io
from typing import Any
from uuid import UUID, uuid4

import pytest
from batching import Batches
from calling import Api
from sites import Site
from test_files_api import COLUMNS, PEOPLE_WITH_FAULTS
from test_unreadable_files import IMPORTS
from undoing import person, records

from innkeeper.actions.bulk import batches as actions
from innkeeper.actions.bulk import imports
from innkeeper.store.files import Files
from innkeeper.store.work import Work
from innkeeper.web.ui.import_files import store_upload
from innkeeper.wire.privacy.upload_search import ASK_AGAIN

PEOPLE = b"Kundennummer;E-Mail;Geburtstag;Name\nC1;%s;01.02.1980;Ann\nC2;bob@example.com;soon;Bob\n"


@pytest.fixture
def batches(api: Api, site: Site) -> Batches:
    return Batches(api, site.settings)


def waiting(batches: Batches, file: bytes) -> str:
    """The address of an import whose file has arrived."""
    body = {"entity": "guests", "format": "csv", "mapping": {"columns": COLUMNS}}
    record = batches.api.post(IMPORTS, json=body).json()
    batches.upload(record["location"]["href"], file)
    return str(record["href"])


def erase(batches: Batches, guest: dict[str, Any]) -> None:
    assert batches.api.delete(f"/v2.1/guests/{guest['ref']}").status_code == 204
    batches.search_files()


def test_refused_rows_of_an_import_end_with_an_erasure_before_its_end(batches: Batches) -> None:
    """Nobody can say who is in a row that could not be read: count and reasons stay."""
    href = waiting(batches, PEOPLE_WITH_FAULTS)
    erase(batches, batches.api.guest(firstName="Jane"))
    batches.work_at_once()
    done = batches.api.get(href).json()
    assert (done["records"], done["failed"]) == (3, 3)
    assert "rejects" not in done
    assert "log" in done
    # A later import stores them again.
    later = waiting(batches, PEOPLE_WITH_FAULTS)
    batches.work_at_once()
    assert "rejects" in batches.api.get(later).json()


def test_an_import_that_starts_after_an_erasure_stores_no_refused_rows(batches: Batches) -> None:
    """Its file was searched by other columns than those chosen at the start."""
    ref = uuid4()

    async def upload(work: Work) -> None:
        files, source = Files.of(work.settings), io.BytesIO(PEOPLE_WITH_FAULTS)
        name = actions.upload_name(work.workspace, ref)
        stored = await asyncio.to_thread(store_upload, files, name, source, "people.csv", 0)
        file = (stored.checksum, stored.size)
        await imports.create(work, "guests", stored.file_options, *file, ref=ref)
        await asyncio.to_thread(erase, batches, batches.api.guest(firstName="Jane"))
        options = {"compressed": False, "mapping": {"columns": COLUMNS}}
        await imports.start(work, ref, {**stored.file_options, **options})

    batches._act(upload)
    batches.work_at_once()
    done = batches.api.get(f"{IMPORTS}/{ref}").json()
    assert (done["records"], done["failed"]) == (3, 3)
    assert "rejects" not in done


def test_a_running_import_of_a_table_ends_with_its_upload(batches: Batches) -> None:
    """Its next chunk is not applied, so that it does not create the erased guest again."""
    guest = batches.api.guest(identifiers=[{"provider": "email", "id": "ann@example.com"}])
    href = waiting(batches, b"Email,First name,Born,Customer no\nann@example.com,Ann,,C1\n")
    ref = UUID(href.rpartition("/")[2])

    async def run(work: Work) -> None:
        batch = await actions.set_state(work, ref, actions.PROCESSING, has_file=True)
        await asyncio.to_thread(erase, batches, guest)
        with pytest.raises(actions.FileRewritten):
            await actions.apply_chunk(
                work, batch, actions.source_of(batch), records("guests", [person(1)])
            )

    batches._act(run)
    done = batches.api.get(href).json()
    assert (done["status"], done["fault"]) == ("error", ASK_AGAIN)


@pytest.mark.parametrize("who", ["email", "CRM"])
def test_a_file_whose_columns_are_not_chosen_yet_is_searched(batches: Batches, who: str) -> None:
    """By the suggested mapping; a cell that its field refuses does not hide the person."""
    identifier = {"email": "ann@example.com", "CRM": "C2"}[who]
    guest = batches.api.guest(identifiers=[{"provider": who, "id": identifier}])
    stays, ends = uuid4(), uuid4()

    async def upload(work: Work) -> None:
        files = Files.of(work.settings)
        for ref, email in ((stays, b"zoe@example.com"), (ends, b"ann@example.com")):
            file = PEOPLE % email if ref == ends else PEOPLE.replace(b"C2", b"C9") % email
            name = actions.upload_name(work.workspace, ref)
            source = io.BytesIO(file)
            stored = await asyncio.to_thread(store_upload, files, name, source, "people.csv", 0)
            options, size = stored.file_options, stored.size
            await imports.create(work, "guests", options, stored.checksum, size, ref=ref)

    batches._act(upload)
    erase(batches, guest)

    async def states(work: Work) -> None:
        files = Files.of(work.settings)
        rows = [await actions.fetch(work, ref) for ref in (stays, ends)]
        assert [row["state"] for row in rows] == [actions.UPLOADING, actions.ERROR]
        assert rows[1]["fault"] == ASK_AGAIN
        with (
            pytest.raises(FileNotFoundError),
            files.local(actions.upload_name(work.workspace, ends)),
        ):
            pass

    batches._act(states)
