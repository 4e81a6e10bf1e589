"""F2: nothing stays unfinished with no worker on it, and what fails holds up nothing else."""

import gzip
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from batching import declared, packed, upsert
from calling import Api
from receiving import Receiver, receiver, send_due
from sites import Site
from test_exports_api import OWN as EXPORTS
from test_exports_api import exported, run
from test_identity_api import ruled
from test_segments_api import create_segment, guests_where, jobs, publish, rule

from innkeeper.actions.audiences import bulk_actions, segment_runs, webhooks
from innkeeper.actions.bulk import batches, command_imports, imports
from innkeeper.jobs.batches import forget
from innkeeper.jobs.privacy import search_files
from innkeeper.jobs.requeue import requeue
from innkeeper.lake.compaction import compact
from innkeeper.lake.flush import flush_all
from innkeeper.store.database import Database
from innkeeper.store.work import Work

__all__ = ["jobs", "receiver", "ruled"]

EVERYBODY = guests_where(rule("ref", "is not null"))


def queued(site: Site) -> list[str]:
    """The tasks that wait, but for those on a schedule."""
    with psycopg.connect(site.dsn) as connection:
        rows = connection.execute(
            "SELECT task_name FROM jobs.procrastinate_jobs WHERE status = 'todo' "
            "AND queueing_lock IS NULL ORDER BY task_name"
        ).fetchall()
    return [name for (name,) in rows]


def lose_jobs(site: Site) -> None:
    """Every job is gone, as after a restore without them or a worker that ended them wrongly."""
    with psycopg.connect(site.dsn) as connection:
        connection.execute("DELETE FROM jobs.procrastinate_jobs")


@contextmanager
def refusing(
    connection: psycopg.Connection, table: str, when: str, event: str = "INSERT"
) -> Iterator[None]:
    """The database refuses some rows, for a reason that nobody foresaw."""
    connection.execute(
        "CREATE FUNCTION ws_live.refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'poison'; END $$; "
        f"CREATE TRIGGER refuse BEFORE {event} ON ws_live.{table} FOR EACH ROW "
        f"WHEN ({when}) EXECUTE FUNCTION ws_live.refuse()"
    )
    try:
        yield
    finally:
        connection.execute("DROP FUNCTION ws_live.refuse CASCADE")


def upload(api: Api, email: str) -> str:
    """A batch of one guest that waits to be applied; its ref."""
    file, ref = packed([upsert(email)]), str(uuid4())
    allocated = api.put(f"/v2/batches/{ref}", json=declared(file)).json()
    assert api.put(allocated["location"]["href"], content=file, auth=None).status_code == 200
    return ref


class TestRequeue:
    """Each kind of work whose job is lost gets another one."""

    def test_f2_a_batch(self, api: Api, jobs: Any, site: Site) -> None:
        ref = upload(api, "a@example.com")
        lose_jobs(site)
        jobs(requeue)
        assert queued(site) == ["batches.apply"]
        jobs(requeue)
        assert queued(site) == ["batches.apply"], "one that has a job gets no other"
        site.run_worker()
        assert api.get(f"/v2/batches/{ref}").json()["status"]["code"] == "success"
        jobs(requeue)
        assert queued(site) == []

    def test_f2_a_file_export(self, api: Api, jobs: Any, site: Site) -> None:
        export = api.post("/innkeeper/v1/fileExports", json={"entity": "guests"}).json()
        lose_jobs(site)
        jobs(requeue)
        site.run_worker()
        assert api.get(export["href"]).json()["status"] == "done"

    def test_f2_an_audience_export_and_its_delivery(
        self, api: Api, jobs: Any, site: Site, receiver: Receiver
    ) -> None:
        api.guest()
        destination = {"type": "WEBHOOK", "url": receiver.url}
        shape = {"format": "NDJSON", "columns": ["ref"], "destination": destination}
        export = exported(api, create_segment(api, EVERYBODY), **shape)
        api.post(f"{EXPORTS}/{export['ref']}/run")
        lose_jobs(site)
        jobs(requeue)
        receiver.status = 503
        site.run_worker()

        def newest() -> dict[str, Any]:
            (item,) = api.get(f"{EXPORTS}/{export['ref']}/executions").json()["items"]
            return item

        assert (newest()["status"], newest()["deliveryAttempts"]) == ("SUCCESS", 1)
        lose_jobs(site)
        receiver.status = 200
        jobs(requeue)
        site.run_worker()
        assert newest()["deliveredAt"]
        assert len(receiver.got) == 1

    def test_f2_a_delivery_that_was_not_tried_yet(
        self, api: Api, jobs: Any, site: Site, receiver: Receiver
    ) -> None:
        api.guest()
        shape = {"format": "NDJSON", "columns": ["ref"]}
        export = exported(api, create_segment(api, EVERYBODY), **shape)
        run(api, jobs, export)
        destination = {"type": "WEBHOOK", "url": receiver.url}
        changed = api.patch(f"{EXPORTS}/{export['ref']}", json={"destination": destination})
        assert changed.is_success, changed.text
        run(api, jobs, export)
        lose_jobs(site)
        jobs(requeue)
        assert queued(site) == ["exports.deliver"], "not the one from before it had a destination"
        site.run_worker()
        assert len(receiver.got) == 1

    def test_f2_a_segment_that_is_published(self, api: Api, jobs: Any, site: Site) -> None:
        segment = create_segment(api, EVERYBODY)
        path = f"/innkeeper/v1/segments/{segment['ref']}"
        assert api.post(f"{path}/start").is_success
        lose_jobs(site)
        jobs(requeue)
        site.run_worker()
        assert api.get(path).json()["status"] == "LIVE"

    def test_f2_an_action_on_guests(
        self,
        api: Api,
        jobs: Any,
        site: Site,
        connection: psycopg.Connection,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A queued one, and one whose request ended before it was done."""
        monkeypatch.setitem(bulk_actions.AT_ONCE, "ADD_TO_LIST", 1)
        path = "/innkeeper/v1/staticLists/vips"
        assert api.post("/innkeeper/v1/staticLists", json={"name": "VIPs"}).is_success
        selection = {"guests": [api.guest()["ref"], api.guest()["ref"]]}
        answer = api.post(f"{path}/guests", json={"selection": selection})
        assert answer.json()["pending"] == 2, answer.text
        lose_jobs(site)
        jobs(requeue)
        jobs(requeue)
        assert queued(site) == ["bulk_actions.run"]
        site.run_worker()
        assert api.get(path).json()["size"] == 2
        unfinished = "UPDATE ws_live.bulk_actions SET finished_at = NULL, is_queued = false"
        connection.execute(unfinished)
        jobs(requeue)
        assert queued(site) == [], "its request may still run"
        connection.execute(f"{unfinished}, created_at = created_at - interval '1 hour'")
        jobs(requeue)
        assert queued(site) == ["bulk_actions.run"]

    def test_f2_a_change_of_identity_rules(self, ruled: Api, jobs: Any, site: Site) -> None:
        api = ruled
        rules = [{"identityRule": "crm", "providers": ["CRM"]}]
        assert api.post("/innkeeper/v1/identity/apply", json={"rules": rules}).is_success
        lose_jobs(site)
        jobs(requeue)
        site.run_worker()
        (job,) = api.get("/innkeeper/v1/identity/jobs").json()["items"]
        assert job["state"] == "done"


class TestInterrupted:
    """An import by the command whose process was killed."""

    def test_f2_it_ends_with_a_reason_and_goes_on_when_run_again(
        self, jobs: Any, site: Site
    ) -> None:
        file_options = {"format": "ndjson", "compressed": False, "mapping": None}

        async def begin(work: Work) -> UUID:
            row = await command_imports.start(
                work, uuid4(), entity="guests", source="a", file_options=file_options
            )
            assert await batches.try_lock(work, row["ref"])
            await age(work, row["ref"])
            return row["ref"]

        async def age(work: Work, ref: UUID) -> None:
            await work.connection.execute(
                "UPDATE ws_live.batches SET line = 41, modified_at = modified_at - %s "
                "WHERE ref = %s",
                [command_imports.SILENCE_LIMIT + timedelta(seconds=1), ref],
            )

        async def sweep_beside_it(work: Work) -> tuple[UUID, int]:
            """While the process of the command lives, which holds the claim on its connection."""
            async with Database(site.dsn, 1) as database, database.work("live") as own:
                ref = await begin(own)
                ended = await command_imports.end_interrupted(work)
            return ref, ended

        ref, ended = jobs(sweep_beside_it)
        assert ended == 0
        jobs(requeue)
        row = jobs(lambda work: batches.fetch(work, ref))
        assert row["state"] == "error"
        assert row["fault"] == (
            "The command that imported this file stopped after line 41, before the end of the "
            "file. The records up to that line are imported. Run the same command again to import "
            "the rest."
        )

        async def again(work: Work) -> tuple[UUID, str, int, Any]:
            async with imports.start_local(work, "guests", "a", file_options) as batch:
                return batch["ref"], batch["state"], batch["line"], batch["fault"]

        assert jobs(again) == (ref, "processing", 41, None)

    def test_f2_one_whose_file_cannot_be_read_has_failed(self, jobs: Any) -> None:
        from innkeeper.store.readers import Unreadable

        async def begin(work: Work) -> UUID:
            async with imports.start_local(work, "guests", "b", {}) as batch:
                ref: UUID = batch["ref"]
                try:
                    raise Unreadable("the file is not gzip")
                finally:
                    existing.append(ref)

        existing: list[UUID] = []
        with pytest.raises(Unreadable):
            jobs(begin)
        row = jobs(lambda work: batches.fetch(work, existing[0]))
        assert (row["state"], row["fault"]) == (
            "error",
            "The file cannot be read: the file is not gzip.",
        )


class TestApart:
    """One of several fails; the others are done in the same run."""

    def test_f2_files_that_cannot_be_removed(self, api: Api, jobs: Any, site: Site) -> None:
        refs = [upload(api, f"{each}@example.com") for each in "abc"]
        # A folder is no file that could be removed.
        stuck = site.settings.data / "files" / "live" / "uploads" / refs[1]
        stuck.unlink()
        stuck.mkdir()

        async def old(work: Work) -> None:
            await work.connection.execute(
                "UPDATE ws_live.batches SET created_at = now() - interval '1 year', "
                "finished_at = now(), state = 'success'"
            )

        jobs(old)
        with pytest.raises(OSError, match="directory|permitted"):
            jobs(forget)
        left = jobs(lambda work: work.all("batches.unfinished"))
        assert left == []
        assert {path.name for path in stuck.parent.iterdir()} & {*refs} == {refs[1]}
        response = [api.get(f"/v2/batches/{ref}").status_code for ref in refs]
        assert response == [404, 200, 404], "what could not be removed is known, and tried tomorrow"
        stuck.rmdir()

    def test_f2_an_upload_that_cannot_be_searched_for_the_erased(
        self, api: Api, jobs: Any, site: Site
    ) -> None:
        email = "gone@example.com"
        guest = api.guest(email=email, identifiers=[{"provider": "email", "id": email}])
        refs = [upload(api, email) for _ in "ab"]
        erased = api.post("/innkeeper/v1/privacy/erasures", json={"guestRef": guest["ref"]})
        assert erased.is_success, erased.text
        uploads = site.settings.data / "files" / "live" / "uploads"
        content = (uploads / refs[0]).read_bytes()
        (uploads / refs[0]).unlink()
        (uploads / refs[0]).mkdir()
        with pytest.raises(OSError, match="directory"):
            jobs(search_files)
        assert gzip.decompress((uploads / refs[1]).read_bytes()) == b"\n"
        # The search of the first is not forgotten.
        (uploads / refs[0]).rmdir()
        (uploads / refs[0]).write_bytes(content)
        jobs(search_files)
        site.run_worker()
        records = [api.get(f"/v2/batches/inspect/{ref}").json()["status"] for ref in refs]
        assert [one["code"] for one in records] == ["success", "success"]
        assert api.get("/v2.1/guests", params={"email": email}).json()["totalCount"] == 0

    def test_f2_an_address_that_answers_nonsense(
        self, api: Api, jobs: Any, receiver: Receiver, connection: psycopg.Connection
    ) -> None:
        """What it answers is no HTTP."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            threading.Thread(target=_nonsense, args=(listener,), daemon=True).start()
            nowhere = f"http://127.0.0.1:{listener.getsockname()[1]}/x"

            async def put(work: Work) -> None:
                for url in (nowhere, receiver.url):
                    await webhooks.queue_message(work, url, "secret", {"to": url})

            jobs(put)
            assert jobs(send_due) == 1
        assert [json.loads(body)["to"] for _, body in receiver.got] == [receiver.url]
        failed = connection.execute(
            "SELECT attempts, error FROM ws_live.webhook_messages WHERE url = %s", [nowhere]
        ).fetchone()
        assert failed is not None
        assert failed[0] == 1
        assert failed[1]

    def test_f2_a_segment_that_cannot_be_stored(
        self, api: Api, jobs: Any, connection: psycopg.Connection
    ) -> None:
        api.guest()
        bad, good = (create_segment(api, EVERYBODY, name=name) for name in ("Bad", "Good"))
        for each in (bad, good):
            publish(api, jobs, each)
        connection.execute("DELETE FROM ws_live.segment_members")
        with refusing(connection, "segment_members", f"NEW.segment_ref = '{bad['ref']}'"):
            jobs(segment_runs.recalculate_all_live)
        newest = [
            api.get(f"/innkeeper/v1/segments/{each['ref']}/runs").json()["items"][0]
            for each in (bad, good)
        ]
        assert [(run["kind"], run["state"]) for run in newest] == [
            ("NIGHTLY", "FAILED"),
            ("NIGHTLY", "SUCCESS"),
        ]

    def test_f2_a_guest_that_cannot_be_merged(
        self, ruled: Api, site: Site, connection: psycopg.Connection
    ) -> None:
        """The job of a change of rules fails, and says so; all other guests are merged."""
        api = ruled
        pairs = [
            [api.guest(identifiers=[{"provider": "CRM", "id": f"C-{pair}"}]) for _ in "ab"]
            for pair in range(3)
        ]
        stuck = {guest["ref"] for guest in pairs[1]}
        rules = [{"identityRule": "crm", "providers": ["CRM"]}]
        when = f"NEW.absorbed_ref IN ({', '.join(repr(ref) for ref in sorted(stuck))})"
        with refusing(connection, "merges", when):
            assert api.post("/innkeeper/v1/identity/apply", json={"rules": rules}).is_success
            site.run_worker()
        (job,) = api.get("/innkeeper/v1/identity/jobs").json()["items"]
        assert job["state"] == "failed"
        assert "poison" in job["error"]
        assert api.get("/innkeeper/v1/merges").json()["totalCount"] == 2

    def test_f2_a_kind_of_files_that_cannot_be_compacted(
        self, api: Api, jobs: Any, site: Site
    ) -> None:
        for number in range(2):
            guest = api.guest(identifiers=[{"provider": "email", "id": f"{number}@x.com"}])
            api.post("/v2.1/orders", json={"referenceId": f"O-{number}"} | ORDER)
            assert guest
            jobs(flush_all)
        files = jobs(lambda work: work.all("lake.files"))
        (damaged, *_) = [one["path"] for one in files if one["name"] == "orders"]
        path = Path(site.settings.data) / "lake" / damaged
        whole = path.read_bytes()
        path.write_bytes(b"no Parquet")
        try:
            with pytest.raises(Exception, match=r"(?i)parquet|magic"):
                jobs(lambda work: compact(work, everything=True))
        finally:
            path.write_bytes(whole)
        left = jobs(lambda work: work.all("lake.files"))
        assert len([one for one in left if one["name"] == "guests"]) == 1
        assert len([one for one in left if one["name"] == "orders"]) == 2


ORDER = {"orderedAt": "2026-01-01T00:00:00Z", "currencyCode": "EUR", "price": 1, "channel": "WEB"}
ORDER |= {"pointOfSale": "default", "status": "PURCHASED"}


def _nonsense(listener: socket.socket) -> None:
    """Answer what is no HTTP."""
    connection, _ = listener.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(b"220 mail.example.com ESMTP\r\n")
