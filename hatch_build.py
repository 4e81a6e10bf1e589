"""Copies htmx from a package that carries it into the screens' static folder at build time."""

import shutil
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

TARGET = "src/innkeeper/web/ui/static/htmx.min.js"


class CustomBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Runs for wheels, editable ones too; from a source distribution the file is there already."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        target = Path(self.root) / TARGET
        packed = files("django_htmx").joinpath("static", "django_htmx", "htmx-4.min.js")
        with as_file(packed) as source:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
