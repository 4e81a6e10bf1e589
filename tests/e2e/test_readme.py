"""The README's tour, word for word: every command is run, every printed answer compared."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What differs from run to run: refs, instants, keys, where the server listens.
VOLATILE = [
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "REF"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "INSTANT"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "BASE"),
    (re.compile(r'"[A-Za-z0-9]{32}"'), '"KEY"'),
]


def tour() -> list[tuple[str, str]]:
    """(language, text) of the tour's blocks, after the one that sets the two variables."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## A tour in three minutes")[1].split("\n## ")[0]
    return [(language, body) for language, body in BLOCK.findall(section)][1:]


def steady(text: str) -> Any:
    for pattern, word in VOLATILE:
        text = pattern.sub(word, text)
    return json.loads(text)


@pytest.mark.skipif(not Path("/usr/bin/curl").exists(), reason="curl is not installed")
def test_the_tour_answers_what_the_readme_prints(serve: Any) -> None:
    server = serve()
    environment = {
        **os.environ,
        "INNKEEPER": server.url,
        "LOGIN": f"{server.client_key}:{server.token}",
    }
    outputs, compared = "", 0
    for language, body in tour():
        if language == "json":
            assert steady(outputs) == steady(body)
            compared += 1
            continue
        variable = re.match(r"([A-Z]+)=", body)
        script = body + f'printf %s "${variable[1]}"' if variable else body
        outputs = subprocess.run(
            ["bash", "-c", script], env=environment, capture_output=True, text=True, check=True
        ).stdout
        if variable:
            environment[variable[1]] = outputs
    assert compared >= 8
