"""How tests call a running Innkeeper: an HTTP client for each key, and bare bytes."""

import base64
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import httpx
import uvicorn
from described import check_answer
from starlette.types import ASGIApp
from waiting import PATIENCE_SECONDS

from innkeeper.web.http_protocol import LimitedHttpProtocol

NOBODY = "00000000-0000-4000-8000-000000000000"
"""A ref that no resource has."""


class Api(httpx.Client):
    """The API as one key's owner calls it: `api.post("/v2.1/guests", json={…})`."""

    def __init__(
        self,
        url: str,
        client_key: str = "",
        token: str = "",
        *,
        compatibility: str = "open",
        **more: Any,
    ) -> None:
        """`compatibility` of the key: which description its answers are checked against."""
        auth = httpx.BasicAuth(client_key, token) if client_key else None
        super().__init__(base_url=url, auth=auth, timeout=PATIENCE_SECONDS, trust_env=False, **more)
        self.url = url
        self.client_key = client_key
        self.token = token
        self.compatibility = compatibility

    def send(self, request: httpx.Request, **more: Any) -> httpx.Response:
        """As ever, and check that the answer is as described (F18).

        What is sent next is made in a later millisecond. Lists are by age, which has no finer unit
        (C-8, L-10), and a quick machine answers twice in one.
        """
        answer = super().send(request, **more)
        if request.method != "GET":
            time.sleep(0.001 - time.time() % 0.001)
        if not more.get("stream"):
            target = request.url.raw_path.decode("ascii")
            check(self.compatibility, request.method, target, answer)
        return answer

    def guest(self, **fields: Any) -> dict[str, Any]:
        """A new guest, as the answer shows it."""
        answer = self.post("/v2.1/guests", json={"guestType": "visitor", **fields})
        assert answer.status_code == 201, answer.text
        return answer.json()

    def extension(self, guest: Mapping[str, Any], **members: Any) -> dict[str, Any]:
        """A new data extension of a guest, as the answer shows it."""
        answer = self.post(f"/v2.1/guests/{guest['ref']}/extensions", json=members)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def another(self, **more: Any) -> "Api":
        """The same caller over connections of its own."""
        more = {"compatibility": self.compatibility, **more}
        return Api(self.url, self.client_key, self.token, **more)


def check(compatibility: str, method: str, target: str, answer: httpx.Response) -> None:
    """Fail where an answer is not as the API description has it."""
    headers = answer.headers.items()
    check_answer(compatibility, method, target, answer.status_code, headers, answer.content)


def body_of(answer: httpx.Response) -> dict[str, Any]:
    """The body of a good answer."""
    assert answer.is_success, answer.text
    body: dict[str, Any] = answer.json()
    return body


def problem(status: int, message: str, developer: str | None = None, *more: str) -> dict[str, Any]:
    """The whole body of an error (errors.md 2): `more` are the problems after the first."""
    body: dict[str, Any] = {
        "status": "UNAUTHORIZED" if status == 401 else status,
        "code": status,
        "message": message,
        "moreInfoUrl": "https://support.sitecore.com",
        "statusCode": status,
        "errors": [message, *more],
    }
    if status != 401:
        body["developerMessage"] = message if developer is None else developer
    return body


def invalid(field: str, reason: str, *more: str) -> dict[str, Any]:
    """The body of a 400 for one field; `more` are the messages of further fields."""
    message = f"Attribute {field} is invalid ({reason})."
    return problem(400, f"{field}: {reason}", message, *more)


def absent(field: str, *more: str) -> dict[str, Any]:
    """The body of a 400 for a field that must be sent: both messages are one text."""
    return problem(400, f"{field}: may not be null.", None, *more)


def no_guest(api: Api, ref: str) -> dict[str, Any]:
    """The body of a 404 for a guest."""
    message = f"Guest with ref {ref} for client key {api.client_key} was not found"
    return problem(404, "The specified resource does not exist.", message)


class Bare:
    """Requests of exactly the bytes given, for what no HTTP client would send."""

    def __init__(self, url: str, authorization: str, compatibility: str = "open") -> None:
        parts = urlsplit(url)
        self._address = (parts.hostname, parts.port)
        self.authorization = authorization
        self._compatibility = compatibility

    @classmethod
    def of(cls, api: Api) -> "Bare":
        """With the credentials of `api`."""
        login = base64.b64encode(f"{api.client_key}:{api.token}".encode()).decode()
        return cls(api.url, f"Basic {login}", api.compatibility)

    def __call__(
        self,
        target: bytes | str,
        method: str = "GET",
        headers: Mapping[str, str | bytes] | None = None,
        body: bytes = b"",
    ) -> httpx.Response:
        """Send one request on a connection of its own; `headers` replace the usual ones."""
        payload: dict[str, str | bytes] = {
            "Host": "innkeeper.test",
            "Authorization": self.authorization,
            "Connection": "close",
            **({"Content-Length": str(len(body))} if body else {}),
            **(headers or {}),
        }
        lines = [b"%s %s HTTP/1.1" % (method.encode(), as_bytes(target))]
        lines += [name.encode() + b": " + as_bytes(value) for name, value in payload.items()]
        with socket.create_connection(self._address, timeout=PATIENCE_SECONDS) as connection:
            connection.sendall(b"\r\n".join([*lines, b"", b""]) + body)
            answer = HTTPResponse(connection, method=method)
            answer.begin()
            with answer:
                received = httpx.Response(
                    answer.status, headers=answer.getheaders(), content=answer.read()
                )
        check(self._compatibility, method, as_bytes(target).decode("latin-1"), received)
        return received


class Line:
    """One kept-alive connection: far cheaper than a client, for thousands of requests."""

    def __init__(self, api: Api) -> None:
        parts = urlsplit(api.url)
        assert parts.hostname is not None
        login = base64.b64encode(f"{api.client_key}:{api.token}".encode()).decode()
        self._headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        self._connection = HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE_SECONDS)
        self._compatibility = api.compatibility
        self.client_key = api.client_key

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON of the answer; raises OSError or HTTPException without one."""
        content = None if body is None else json.dumps(body)
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, path, content, self._headers | more)
        answer = self._connection.getresponse()
        text = answer.read()
        check_answer(self._compatibility, method, path, answer.status, answer.getheaders(), text)
        return answer.status, json.loads(text) if text else None

    def close(self) -> None:
        self._connection.close()


def as_bytes(text: bytes | str) -> bytes:
    return text if isinstance(text, bytes) else text.encode()


@contextmanager
def run_server(
    app: ASGIApp, protocol: type[LimitedHttpProtocol] = LimitedHttpProtocol
) -> Iterator[str]:
    """Serve an application from a thread, as `innkeeper serve` does; its URL."""
    config = uvicorn.Config(
        app,
        http=protocol,
        loop="uvloop",
        ws="none",
        lifespan="on",
        interface="asgi3",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive(), "the application did not start"
                time.sleep(0.005)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(PATIENCE_SECONDS)
