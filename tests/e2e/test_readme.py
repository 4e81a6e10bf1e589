"""The README's first minutes and docs/tour.md: every command is run, every output compared."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
COMMAND = Path(sys.executable).with_name("innkeeper")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What differs from run to run: refs, instants, keys, the address of the server.
VOLATILE = [
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "REF"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"), "INSTANT"),
    (re.compile(r"http://127\.0\.0\.1:\d+"), "BASE"),
    (re.compile(r'"[A-Za-z0-9]{32}"'), '"KEY"'),
]


def tour() -> list[tuple[str, str]]:
    """(language, text) of the blocks after the one that sets the address and the log-in."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    section = readme.split("## The first five minutes")[1].split("\n## ")[0]
    text = section + (ROOT / "docs" / "tour.md").read_text(encoding="utf-8")
    return [(language, body) for language, body in BLOCK.findall(text)][1:]


def steady(text: str, language: str) -> Any:
    for pattern, word in VOLATILE:
        text = pattern.sub(word, text)
    return json.loads(text) if language == "json" else text


@pytest.mark.skipif(not Path("/usr/bin/curl").exists(), reason="curl is not installed")
def test_the_tour_answers_what_the_pages_print(serve: Any, tmp_path: Path) -> None:
    server = serve()
    environment = {
        **os.environ,
        "INNKEEPER": server.url,
        "INNKEEPER_DATA": str(server.data),
        "LOGIN": f"{server.client_key}:{server.token}",
    }
    output, compared = "", 0
    for language, body in tour():
        if language != "sh":
            assert steady(output, language) == steady(body, language)
            compared += 1
            continue
        script = body.replace(".venv/bin/innkeeper", str(COMMAND))
        variables = re.findall(r"^([A-Z]+)=", body, re.MULTILINE)
        script += "".join(f'printf "%s\\n" "${name}"\n' for name in variables)
        output = subprocess.run(
            ["bash", "-c", script],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=True,
        ).stdout
        environment |= dict(zip(variables, output.splitlines(), strict=False))
    assert compared == 15
