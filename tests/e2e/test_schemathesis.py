"""schemathesis against a running server: our own description, and seed 000's, made by others.

Every check of schemathesis runs but for what the configurations below leave out, with reasons.
INNKEEPER_LONG=1 tries many more examples, at random; otherwise there is one seed, so that a run
that fails fails again.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from calling import Api
from process import Innkeeper
from process import run as command
from profiles import LONG, each_day

SCHEMATHESIS = Path(sys.executable).with_name("schemathesis")
SEED_000 = Path(__file__).parents[3] / "shared" / "seeds" / "000_openapi.yaml"

GUESTS = r"^/v2\.1/guests(/\{guestRef\}(/extensions.*)?)?$"
"""The paths of guests and their extensions."""

FOR_ALL = f"""
# What it must not ask, since no document can describe it.
hooks = "{Path(__file__).with_name("undescribable.py")}"

[generation]
# CT-8: no text with U+0000 can be stored, so it is 400 wherever it stands; a JSON schema could say
# so only by a pattern on every string. tests/contract/test_content_types.py has the cases.
allow-x00 = false
database = "none"
"""

FOR_OFFICIAL = f"""{FOR_ALL}
[[operations]]
# X-7: a pair's key may stand in one extension of the guest only, so what is valid depends on what
# is stored.
include-path-regex = "/extensions"
include-method = ["POST", "PUT", "PATCH"]
checks.positive_data_acceptance.enabled = false
"""

FOR_THE_REST = f"""{FOR_ALL}
[checks]
# Many rules tie fields or resources together (a contact's guest must exist, a sort needs a filter),
# which no JSON schema can say.
positive_data_acceptance.enabled = false
# Some operations of v2 ignore, as documented, what a schema forbids.
negative_data_rejection.enabled = false
"""

FOR_SEED_000 = f"""{FOR_ALL}
[checks]
# It says what a body looks like, not every rule for its values: an address that JSON schema calls
# one and G-16 does not, a pair's key in camel case (X-6).
positive_data_acceptance.enabled = false
# It allows less than we do on purpose: a limit above 100 is cut (L-5), an address in a filter need
# not be one (G-16), extensions are flat pairs (N-12).
negative_data_rejection.enabled = false
# G-16 takes more addresses than JSON schema's `email`, and what was sent is shown as it was.
response_schema_conformance.validate-formats = false
"""

BESIDE_SEED_000 = ("405", "409", "413", "415")
"""Answers that seed 000 has no words for: a method or media type that is not there, a name in use
(N-14), a body over the limit (RL-4)."""


def run(
    api: Api, document: str | Path, configuration: str, folder: Path, *words: str, examples: int
) -> None:
    """Run schemathesis; its own report is the failure."""
    settings = folder / "schemathesis.toml"
    settings.write_text(configuration)
    arguments = [
        *(SCHEMATHESIS, "--config-file", settings, "run", document, "--url", api.url),
        *(
            "--auth",
            f"{api.client_key}:{api.token}",
            "--max-examples",
            examples * (60 if LONG else 1),
        ),
        *(() if LONG else ("--seed", 1)),
        *("--workers", 1, "--continue-on-failure", "--no-color", "--warnings", "off", *words),
    ]
    done = subprocess.run(
        [*map(str, arguments)], capture_output=True, text=True, check=False, cwd=folder
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]


COMPATIBILITIES = ("open", "official")


@pytest.fixture
def caller(request: pytest.FixtureRequest, open_api: Api, official_api: Api) -> tuple[str, Api]:
    return request.param, open_api if request.param == "open" else official_api


@pytest.mark.parametrize("caller", each_day(COMPATIBILITIES, "official"), indirect=True)
def test_guests_are_as_described(caller: tuple[str, Api], tmp_path: Path) -> None:
    """For each compatibility, by its own document."""
    compatibility, api = caller
    document = f"{api.url}/openapi.json?compatibility={compatibility}"
    words = ("--include-path-regex", GUESTS)
    if compatibility == "open":
        run(api, document, FOR_ALL, tmp_path, *words, examples=4)
    else:
        quick = () if LONG else ("--phases", "examples,fuzzing")
        run(api, document, FOR_OFFICIAL, tmp_path, *words, *quick, examples=4)


@pytest.mark.parametrize("caller", each_day(COMPATIBILITIES, "open"), indirect=True)
@pytest.mark.long
def test_everything_else_is_as_described(caller: tuple[str, Api], tmp_path: Path) -> None:
    """Orders, v2 and our own paths, which a key's compatibility never touches."""
    compatibility, api = caller
    document = f"{api.url}/openapi.json?compatibility={compatibility}"
    words = ("--exclude-path-regex", GUESTS, *(() if LONG else ("--phases", "fuzzing")))
    run(api, document, FOR_THE_REST, tmp_path, *words, examples=1)


@pytest.mark.long
def test_guests_are_as_seed_000_describes(running: Innkeeper, tmp_path: Path) -> None:
    """N-1 to N-16 by a document that is not ours; where it is not at hand, ours of its paths.

    No fault of ours, answers that match their schemas and media types, authentication enforced;
    statuses that it does not mention are those of BESIDE_SEED_000 alone.
    """
    workspace = json.loads(
        command("workspaces", "create", "seed", "--json", "--data", running.data).stdout
    )
    # Of our own document another test asks every phase.
    quick = () if LONG or SEED_000.exists() else ("--phases", "examples,fuzzing")
    with Api(running.url, workspace[0]["clientKey"], workspace[0]["apiToken"]) as api:
        document: dict[str, Any] = (
            yaml.safe_load(SEED_000.read_text())
            if SEED_000.exists()
            else api.get("/openapi.json").json()
        )
        for item in document["paths"].values():
            for operation in item.values():
                for status in BESIDE_SEED_000:
                    operation["responses"].setdefault(status, {"description": "Beside seed 000."})
        copy = tmp_path / "seed.json"
        copy.write_text(json.dumps(document))
        words = ("--include-path-regex", GUESTS, *quick)
        run(api, copy, FOR_SEED_000, tmp_path, *words, examples=3)
