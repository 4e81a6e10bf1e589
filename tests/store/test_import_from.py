"""I12: files to import from an HTTP address, object storage, or a path that the operator lists."""

import asyncio
import io
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import fsspec
import psycopg
import pytest
import typer
from typer.testing import CliRunner

from innkeeper.cli.imports import import_
from innkeeper.jobs import import_sources
from innkeeper.settings import Settings
from innkeeper.store.downloads import DownloadFailed, check_address, download, list_files
from innkeeper.store.outbound_http import OutboundFailed

PEOPLE = b"email,first_name\nann@example.com,Ann\n"


@contextmanager
def serving(answers: dict[str, tuple[int, bytes]], etag: str = '"1"') -> Iterator[str]:
    """A web server of this machine; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers[self.path.partition("?")[0]]
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", etag)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fetched(settings: Settings, address: str, **more: Any) -> bytes:
    sink = io.BytesIO()
    asyncio.run(download(settings, address, sink, **{"most": 1000, "is_free": False, **more}))
    return sink.getvalue()


@pytest.mark.parametrize(
    ("etag", "mark"), [('"1"', {"etag": '"1"'}), ('"\xa0"', {}), ('"' + "a" * 2000 + '"', {})]
)
def test_i12_an_etag_that_no_request_could_send_is_not_stored(etag: str, mark: Any) -> None:
    """With it, each later request to the source would fail."""
    with serving({"/people.csv": (200, PEOPLE)}, etag) as site:
        row = {"address": f"{site}/people.csv", "mark": {}, "is_free": True}
        result = asyncio.run(import_sources._fetch(Settings(), row, io.BytesIO(), None))
    assert result is not None
    assert result.mark == mark


def test_i12_the_command_reads_http_and_object_storage(dsn: str, tmp_path: Path) -> None:
    """The command is the operator: any address will do, also one of this machine."""
    app = typer.Typer()
    app.command()(import_)
    memory = fsspec.filesystem("memory")
    memory.pipe("/bucket/more.csv", PEOPLE.replace(b"ann", b"bob").replace(b"Ann", b"Bob"))
    with serving({"/people.csv": (200, PEOPLE), "/gone.csv": (404, b"<html>")}) as site:
        done = CliRunner().invoke(
            app,
            [f"{site}/people.csv?token=x", "memory://bucket/more.csv", "--database", dsn, "--json"],
        )
        assert done.exit_code == 0, done.output
        missing = CliRunner().invoke(app, [f"{site}/gone.csv", "--database", dsn])
    with psycopg.connect(dsn) as connection:
        names = connection.execute("SELECT body ->> 'first_name' FROM ws_live.guests ORDER BY 1")
        assert [name for (name,) in names] == ["Ann", "Bob"]
    assert missing.exit_code == 1
    assert "answered with an error (4xx)" in missing.output


def test_i12_users_read_public_addresses_and_listed_places(tmp_path: Path) -> None:
    """S5 and S6 for imports: a private address, a path beside the list, a symbolic link out."""
    settings = Settings(data=tmp_path / "data", import_sources=f"{tmp_path}/in,memory://bucket")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_bytes(PEOPLE)
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "in" / "link").symlink_to(tmp_path / "secret")
    fsspec.filesystem("memory").pipe("/bucket/b/c.csv", PEOPLE)
    assert fetched(settings, f"{tmp_path}/in/a.csv") == PEOPLE
    assert fetched(settings, "memory://bucket/b/c.csv") == PEOPLE
    listed = asyncio.run(list_files(settings, f"{tmp_path}/in/", is_free=False))
    assert [(one.name, one.size) for one in listed] == [("a.csv", len(PEOPLE))]
    with pytest.raises(DownloadFailed, match="could not be read"):
        fetched(settings, f"{tmp_path}/in/link")
    # The operator's own choice may lead through links.
    assert fetched(settings, f"{tmp_path}/in/link", is_free=True) == b"secret"
    with pytest.raises(DownloadFailed, match="is larger than 9 bytes"):
        fetched(settings, f"{tmp_path}/in/a.csv", most=9)
    with pytest.raises(DownloadFailed, match="is not there"):
        fetched(settings, "daily/none.csv")
    for address in (
        f"{tmp_path}/secret",
        "memory://other/x",
        "in/../../secret",
        "file:///etc/hosts",
    ):
        with pytest.raises(ValueError, match="must"):
            check_address(settings, address, is_free=False)
        with pytest.raises(DownloadFailed, match="must"):
            fetched(settings, address)
    with serving({"/": (200, PEOPLE)}) as site:
        with pytest.raises(ValueError, match="must be a public address"):
            check_address(settings, f"{site}/", is_free=False)
        with pytest.raises(OutboundFailed):
            fetched(settings, f"{site}/")
        assert fetched(settings, f"{site}/", is_free=True) == PEOPLE
