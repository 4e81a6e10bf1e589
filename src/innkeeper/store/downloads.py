"""Files to import from another place: a path, HTTP(S), or object storage.

Users may read public addresses, and those that the operator lists; a command may read any.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import IO, Any, Final

from innkeeper.settings import Settings
from innkeeper.store.destinations import BadDestination, import_source_of
from innkeeper.store.external_calls import within
from innkeeper.store.files import seconds_to_put
from innkeeper.store.outbound_http import BadAddress, check_url, send_request

LONGEST_DOWNLOAD: Final = 3600.0
"""Seconds that a download may take in all."""
_LIST_SECONDS: Final = 60.0
_BLOCK: Final = 1 << 20
MOST_FILES: Final = 100_000
"""Most files below a prefix."""


class DownloadFailed(Exception):
    """A file that could not be read; the text is the reason, for users."""


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file below a prefix; `version` changes with its content."""

    name: str
    changed: str
    size: int
    version: str


def is_http(address: str) -> bool:
    """Return whether an address is called over HTTP."""
    return address.lower().startswith(("http://", "https://"))


def is_prefix(address: str) -> bool:
    """Return whether an address means all files below it."""
    return address.endswith("/") and not is_http(address)


def check_address(settings: Settings, address: str, *, is_free: bool) -> None:
    """Raise ValueError if an address may not be read; its text states what an address must be."""
    if not is_http(address):
        import_source_of(settings, address, is_free=is_free)
    elif not is_free:
        check_url(settings, address)


async def list_files(settings: Settings, address: str, *, is_free: bool) -> list[RemoteFile]:
    """List the files below a prefix, the earliest changed first; raises `DownloadFailed`."""

    def read() -> list[RemoteFile]:
        import_source = import_source_of(settings, address, is_free=is_free)
        files = [RemoteFile(*each) for each in islice(import_source.listed(), MOST_FILES + 1)]
        if len(files) > MOST_FILES:
            # The listing has no order, so new files may be past the limit.
            raise DownloadFailed(f"has more than {MOST_FILES:,} files: move imported ones away")
        return sorted(files, key=lambda one: (one.changed, one.name))

    files: list[RemoteFile] = await _reached(address, _LIST_SECONDS, read)
    return files


async def download(
    settings: Settings,
    address: str,
    sink: IO[bytes],
    *,
    most: int,
    is_free: bool,
    name: str = "",
    headers: Mapping[str, str] | None = None,
) -> dict[str, str] | None:
    """Write a file of `most` bytes to `sink`; return the headers of an HTTP response.

    `name`: a file below the prefix that `address` is. `headers`: conditions; None is returned where
    the file did not change. Raises `DownloadFailed`.
    """
    if is_http(address):
        response = await send_request(
            *(settings, "GET", address),
            headers=headers or {},
            seconds=LONGEST_DOWNLOAD,
            most_bytes=most,
            sink=sink,
            allows_private=is_free,
        )
        if response.status == 304:
            return None
        if response.status // 100 == 3:
            raise DownloadFailed("leads to another address, which has to be given itself")
        response.check()
        return response.headers

    def copy() -> None:
        import_source = import_source_of(settings, address, is_free=is_free)
        with (import_source.file(name) if name else import_source).open() as source:
            size = 0
            while block := source.read(_BLOCK):
                size += len(block)
                if size > most:
                    raise DownloadFailed(f"is larger than {most:,} bytes")
                sink.write(block)

    await _reached(address, seconds_to_put(most), copy)
    return {}


async def _reached(address: str, seconds: float, act: Any) -> Any:
    """Return what `act` returns in a thread; translates its errors to `DownloadFailed`."""
    try:
        return await within(seconds, address, act)
    except (DownloadFailed, ImportError):
        raise
    except (BadDestination, BadAddress) as error:
        raise DownloadFailed(str(error)) from error
    except TimeoutError as error:
        raise DownloadFailed("did not answer in time") from error
    except FileNotFoundError as error:
        raise DownloadFailed("is not there") from error
    except PermissionError as error:
        raise DownloadFailed("may not be read") from error
    except Exception as error:
        # Each kind of storage has errors of its own.
        raise DownloadFailed(f"could not be read ({type(error).__name__})") from error
