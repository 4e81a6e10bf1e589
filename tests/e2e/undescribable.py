"""What schemathesis must not ask or take for a fault: rules that no OpenAPI document can state.

Each has its cases in tests/contract.
"""

import re
from datetime import date
from typing import Any
from uuid import uuid4

import schemathesis

IDENTIFIER = {"identifiers.provider", "identifiers.id"}
REPEATS = "Idempotency-Key"


@schemathesis.hook
def filter_case(context: schemathesis.HookContext, case: schemathesis.Case) -> bool:
    return not (
        half_an_identifier(case.query) or unknown_parameter(case) or born_in_the_future(case.body)
    )


def half_an_identifier(query: Any) -> bool:
    """G-10: provider and id go together; OpenAPI cannot say that of two query parameters."""
    return len(IDENTIFIER & set(query or ())) == 1


def unknown_parameter(case: schemathesis.Case) -> bool:
    """G-11: ignored, which schemathesis takes for wrong data accepted."""
    return bool(set(case.query or ()) - {one.name for one in case.operation.query})


def born_in_the_future(body: Any) -> bool:
    """N-8: what is past today no schema knows."""
    day = body.get("dateOfBirth") if isinstance(body, dict) else None
    return isinstance(day, str) and day[:10] >= date.today().isoformat()


@schemathesis.hook
def before_call(
    context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]
) -> None:
    """A repeated key answers what was created then, though it may be gone since: each its own.

    Which version a record has no schema knows, so none is asked for (test_versions.py).
    """
    if case.headers:
        case.headers.pop("If-Match", None)
    key = (case.headers or {}).get(REPEATS)
    if isinstance(key, str) and re.fullmatch("[!-~]+", key):
        case.headers[REPEATS] = uuid4().hex
