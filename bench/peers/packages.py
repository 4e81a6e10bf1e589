"""What the comparison installs, at which versions: into .peers/, once."""

import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parents[2] / ".peers"
NODE: Final = "22.23.5"
DIRECTUS: Final = {"directus": "12.4.0"}
MEDUSA: Final = {
    "@medusajs/medusa": "2.21.2",
    "@medusajs/framework": "2.21.2",
    "@medusajs/cli": "2.21.2",
}
CHDB: Final = "chdb==4.4.0"


def node() -> str:
    """Install Node.js, which npm has for each kind of machine; return the program's path."""
    kind = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    package = f"node-{platform.system().lower()}-{kind}"
    folder = _install("node", {package: NODE}, dict(os.environ))
    return str(folder / "node_modules" / package / "bin" / "node")


def node_project(name: str, dependencies: dict[str, str], compiled: Sequence[str] = ()) -> Path:
    """Install npm packages into a project of their own; return its folder.

    Only the scripts of the `compiled` packages run.
    """
    program = Path(node())
    variables = {
        **os.environ,
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        # Native modules are compiled here, with the headers that came with Node.js.
        "npm_config_build_from_source": "true",
        "npm_config_nodedir": str(program.parents[1]),
    }
    return _install(name, dependencies, variables, compiled)


def _install(
    name: str, dependencies: dict[str, str], variables: dict[str, str], compiled: Sequence[str] = ()
) -> Path:
    """Install npm packages, unless the folder has them."""
    folder = FOLDER / name
    expected = {"name": f"peers-{name}", "private": True, "dependencies": dependencies}
    text, stamp = json.dumps(expected, indent=2), folder / "installed.json"
    if stamp.exists() and stamp.read_text() == text:
        return folder
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("There is no npm on PATH: install Node.js.")
    print(f"Installing {', '.join(dependencies)} ...", file=sys.stderr)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "package.json").write_text(text)
    install = ["install", "--ignore-scripts", "--no-audit", "--no-fund"]
    for words in (install, ["rebuild", *compiled])[: 1 + bool(compiled)]:
        command = [npm, *words, "--loglevel=error"]
        subprocess.run(command, cwd=folder, check=True, env=variables)
    stamp.write_text(text)
    return folder


def add_chdb() -> None:
    """Install chdb beside the node projects and let this process import it."""
    folder = FOLDER / CHDB
    if not folder.exists():
        print(f"Installing {CHDB} ...", file=sys.stderr)
        half = folder.with_name("chdb.new")
        shutil.rmtree(half, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--target", str(half), CHDB], check=True)
        half.rename(folder)
    sys.path.append(str(folder))
