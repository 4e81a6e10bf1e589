"""How a path finds its operations."""

import pytest

from innkeeper.wire.registry import V21
from innkeeper.wire.routes import Router, operations

ROUTER = Router(list(operations([V21])))
REF = "f7aabbca-1c1b-4fc2-be72-3e16294a4f03"


@pytest.mark.parametrize(
    ("path", "methods", "parameters"),
    [
        ("/v2.1/guests", {"GET", "POST"}, {}),
        ("/v2.1/guests/", {"GET", "POST"}, {}),
        ("/V2.1/GUESTS", {"GET", "POST"}, {}),
        (f"/v2.1/guests/{REF}", {"GET", "PUT", "PATCH", "DELETE"}, {"guest": REF}),
        ("/v2.1/guests/extensions", {"GET", "PUT", "PATCH", "DELETE"}, {"guest": "extensions"}),
        (f"/v2.1/guests/{REF}/Extensions/", {"GET", "POST"}, {"guest": REF}),
        (
            f"/v2.1/guests/{REF}/extensions/a%2Fb%20C",
            {"GET", "PUT", "PATCH", "DELETE"},
            {"guest": REF, "name": "a/b C"},
        ),
        (f"/v2.1/guests/{REF}/extensions/x/FIELDS", {"DELETE"}, {"guest": REF, "name": "x"}),
        (
            f"/v2.1/guests/{REF}/extensions/fields/fields",
            {"DELETE"},
            {"guest": REF, "name": "fields"},
        ),
    ],
)
def test_a_path_is_found(path: str, methods: set[str], parameters: dict[str, str]) -> None:
    """C-7: segments have no case, parameters do; escapes are read once."""
    operation, route = ROUTER.find(path)
    assert (set(operation), route) == (methods, parameters)


@pytest.mark.parametrize(
    "path",
    [
        *("", "/", "/v2.1", "/v2.1/", "/v2.1/guest", "/v2.1//guests", "//v2.1/guests"),
        *(
            "/v2.1/guests//",
            f"/v2.1/guests/{REF}/nothing",
            f"/v2.1/guests/{REF}/extensions//fields",
        ),
        *(f"/v2.1/guests/{REF}/extensions/x/fields/y", f"/v2.1/guests%2F{REF}"),
    ],
)
def test_another_path_is_not(path: str) -> None:
    operation, _ = ROUTER.find(path)
    assert not operation
