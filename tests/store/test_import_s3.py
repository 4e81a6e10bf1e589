"""I12: object storage that imports read, on a server that speaks S3."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer
from sources_read import Sources
from typer.testing import CliRunner

from innkeeper.cli.imports import import_
from innkeeper.settings import Settings
from innkeeper.store import destinations
from innkeeper.store.database import Database
from innkeeper.store.destinations import import_source_of

s3fs = pytest.importorskip("s3fs")
moto_server = pytest.importorskip("moto.server")
pytestmark = pytest.mark.long
HEADER = b"email,first_name\n"


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """An empty bucket `shop`."""
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    login = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret"}
    where = {"AWS_DEFAULT_REGION": "us-east-1", "AWS_ENDPOINT_URL": f"http://{host}:{port}"}
    with pytest.MonkeyPatch.context() as environment:
        for name, value in (login | where).items():
            environment.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        system = s3fs.S3FileSystem(use_listings_cache=False)
        system.mkdir("shop")
        yield system
        s3fs.S3FileSystem.clear_instance_cache()
    server.stop()


def person(name: str) -> bytes:
    return HEADER + f"{name.lower()}@example.com,{name}\n".encode()


def test_i12_the_command_imports_an_object(dsn: str, tmp_path: Path, bucket: Any) -> None:
    bucket.pipe("shop/once/people.csv", person("Ann"))
    app = typer.Typer()
    app.command()(import_)
    done = CliRunner().invoke(app, ["s3://shop/once/people.csv", "--database", dsn])
    assert done.exit_code == 0, done.output
    missing = CliRunner().invoke(app, ["s3://shop/once/none.csv", "--database", dsn])
    assert (missing.exit_code, "is not there" in missing.output) == (1, True), missing.output
    with psycopg.connect(dsn) as connection:
        names = connection.execute("SELECT body ->> 'first_name' FROM ws_live.guests").fetchall()
    assert names == [("Ann",)]


async def test_i12_a_prefix_of_a_bucket_is_listed_by_pages(
    dsn: str, tmp_path: Path, bucket: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each object is imported once; an object with another ETag is imported again, one with the
    same content is not."""
    settings = Settings(data=tmp_path, import_sources="s3://shop/in", database=dsn)
    objects = {f"shop/in/{number}/{name}.csv": person(name) for number, name in enumerate(NAMES)}
    bucket.pipe(objects | {"shop/in2/other.csv": person("Zoe")})
    monkeypatch.setattr(destinations, "PAGE", 2)
    listed = list(import_source_of(settings, "s3://shop/in/").listed())
    assert [name for name, *_ in listed] == [f"{n}/{name}.csv" for n, name in enumerate(NAMES)]
    async with Database(dsn, settings=settings) as database:
        sources = Sources(database, tmp_path)
        await sources.create("s3://shop/in/")
        for _ in range(len(NAMES) + 1):
            row = await sources.read()
        assert row["error"] is None
        assert await sources.names() == NAMES
        bucket.pipe("shop/in/0/Ann.csv", person("Ann"))
        bucket.pipe("shop/in/1/Bob.csv", person("Bob").replace(b",Bob", b",Rob"))
        assert (await sources.read())["mark"]["name"] == "1/Bob.csv"
        await sources.read()
        assert await sources.names() == ["Ann", "Cat", "Rob"]
        assert len(await sources.outcomes()) == len(NAMES) + 1


NAMES = ["Ann", "Bob", "Cat"]
