"""`innkeeper serve`: start the database, create the first key, serve requests, stop in order."""

import asyncio
import errno
import os
import shutil
import signal
import socket
import sys
from contextlib import ExitStack
from dataclasses import replace
from types import FrameType
from typing import TYPE_CHECKING, Final

from innkeeper.actions.admin import stored_secrets
from innkeeper.actions.identity.rekeying import upgrade
from innkeeper.cli.job_worker import JobWorker
from innkeeper.cli.shutdown import StopTime, StopWatch
from innkeeper.cli.startup_message import (
    FirstAccess,
    first_access,
    greet,
    saved_link,
    saved_login,
    server_url,
)
from innkeeper.errors import OperatorError
from innkeeper.settings import Settings
from innkeeper.store import running_servers
from innkeeper.store.data_folder import SERVE, Announcement, DataFolder
from innkeeper.store.database import Database
from innkeeper.store.destinations import allowed_destinations, allowed_sources
from innkeeper.store.embedded import EmbeddedServer
from innkeeper.store.files import Files
from innkeeper.store.migrate import FIRST_WORKSPACE
from innkeeper.store.outbound_http import allowed_hosts
from innkeeper.store.running_servers import RunningServer
from innkeeper.store.temp_files import named, scratch, sweep
from innkeeper.web.client_address import trusted_networks

if TYPE_CHECKING:
    import uvicorn

# A command may own the folder briefly; `serve` waits for it, but not for another server.
_WAIT_SECONDS: Final = 15.0
_BACKLOG: Final = 2048
_STOPS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def serve(settings: Settings) -> None:
    """Run until a stop signal; raises OperatorError for mistakes that the operator must correct."""
    _stop_on_signals()
    with ExitStack() as stack:
        try:
            _run(settings, stack)
        finally:
            # The shutdown has started; another signal must not interrupt it.
            for number in _STOPS:
                signal.signal(number, signal.SIG_IGN)


def _run(settings: Settings, stack: ExitStack) -> None:
    # Reject invalid lists in settings now, before anything depends on them.
    trusted_networks(settings.trusted_proxies)
    allowed_hosts(settings.allowed_private_hosts)
    allowed_destinations(settings)
    allowed_sources(settings)
    stop_time = StopTime(settings.stop_seconds)
    worker = JobWorker(stop_time.work)
    watch = StopWatch(stop_time, worker.terminate, stack.close)
    stack.callback(watch.ended)
    folder = DataFolder(settings.data)
    stack.callback(folder.release)
    owns = _claim(folder, embedded=not settings.database)
    sweep(scratch(settings))
    Files.of(settings).sweep()
    listener = stack.enter_context(_listening(settings.host, settings.port))
    url = server_url(settings.host, listener.getsockname()[1])
    dsn = settings.database or _embedded(settings, stack, stop_time.database)
    access = asyncio.run(_prepare(dsn, settings))
    if owns:
        folder.announce(Announcement(os.getpid(), url, None if settings.database else dsn))
        server = RunningServer(str(settings.data.resolve()), url)
        running_servers.note(server)
        stack.callback(running_servers.forget, server)
    greet(settings, url, access, terminal=sys.stdout.isatty())
    replace(settings, database=dsn).to_environment()
    if settings.jobs:
        stack.callback(worker.stop)
        worker.start()
    try:
        _serve_requests(settings, listener, stack, watch, owns=owns)
    finally:
        watch.note_end_of_service()


def _claim(folder: DataFolder, *, embedded: bool) -> bool:
    """Claim the data folder and return whether that succeeded.

    With the embedded database it must succeed: raises OperatorError. With another database it is
    optional.
    """
    try:
        folder.claim(SERVE, _WAIT_SECONDS if embedded else 0.0)
    except OperatorError:
        if embedded:
            raise
        return False
    return True


def _embedded(settings: Settings, stack: ExitStack, stop_seconds: float) -> str:
    # Each process has its pool, a listener and two connections for queries over the lake, and as
    # many but the pool in its process for large requests; commands and backups need more.
    connections = max(100, settings.workers * (settings.pool_size + 10) + 20)
    server = EmbeddedServer(settings.data, connections, stop_seconds)
    stack.callback(server.stop)
    dsn = server.start()
    server.watch()
    return dsn


async def _prepare(dsn: str, settings: Settings) -> FirstAccess:
    """Migrate the database, and create the first key and the first link if there are none."""
    await upgrade(dsn)
    async with Database(dsn, pool_size=1, settings=settings) as database:
        await stored_secrets.encrypt_plain(database)
        async with database.control("operator") as work:
            data = settings.data
            return await first_access(work, FIRST_WORKSPACE, saved_login(data), saved_link(data))


def _listening(host: str, port: int) -> socket.socket:
    """Return a socket that is already listening.

    Requests that come before the server is ready wait instead of being refused.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise _bind_error(host, port, error) from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.set_inheritable(True)
    except OSError as error:
        listener.close()
        raise _bind_error(host, port, error) from error
    return listener


def _bind_error(host: str, port: int, error: OSError) -> OperatorError:
    if error.errno == errno.EADDRINUSE:
        return OperatorError(f"Port {port} of {host} is in use: choose another with --port.")
    if isinstance(error, PermissionError):
        return OperatorError(f"Port {port} of {host} needs more rights: choose 1024 or higher.")
    return OperatorError(f"Innkeeper cannot listen on {host} port {port}: {error.strerror}.")


def _serve_requests(
    settings: Settings, listener: socket.socket, stack: ExitStack, watch: StopWatch, *, owns: bool
) -> None:
    """Serve requests until a stop signal, in this process or in several."""
    if settings.workers > 1:
        # Each process writes its counters to a file here, and /metrics adds them up. The variable
        # must be set before anything imports the counters.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = _counters(settings, stack, owns=owns)
    # This import loads uvicorn and the counters.
    from innkeeper.cli.uvicorn_servers import ServerProcesses, StoppableServer

    config = _config(settings)
    if settings.workers > 1:
        processes = ServerProcesses(config, [listener], watch.start)
        stack.callback(processes.kill_all)
        processes.run()
        return
    server = StoppableServer(config, watch.start)
    server.run(sockets=[listener])
    if not server.started:
        raise OperatorError("Innkeeper could not start; see the lines above.")


def _counters(settings: Settings, stack: ExitStack, *, owns: bool) -> str:
    """Create an empty folder for the counters of several processes; `stack` deletes it."""
    if owns:
        folder = str(settings.data / "metrics")
        shutil.rmtree(folder, ignore_errors=True)  # of a killed process
        os.mkdir(folder)
    else:
        folder = str(named(settings, "metrics"))
        os.mkdir(folder)
    stack.callback(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _config(settings: Settings) -> "uvicorn.Config":
    import uvicorn

    from innkeeper.web.http_protocol import LimitedHttpProtocol

    return uvicorn.Config(
        "innkeeper.cli.asgi:application",
        factory=True,
        workers=settings.workers,
        http=LimitedHttpProtocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        interface="asgi3",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        backlog=_BACKLOG,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_graceful_shutdown=max(1, int(StopTime(settings.stop_seconds).work)),
    )


def _stop_on_signals() -> None:
    """Make SIGTERM, Ctrl-C and a closed terminal stop `serve` in order, with exit status 0.

    While uvicorn runs, it handles the first two itself and raises them again when it is done.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(0)

    def hang_up(number: int, frame: FrameType | None) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGHUP, hang_up)
