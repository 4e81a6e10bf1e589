"""People on the screens over plain HTTP: whoever is logged in sends forms and reads pages."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from logging_in import Visitor, invited
from sites import Site

from innkeeper.rules.access import Role


@dataclass
class Person:
    """Somebody who is logged in to the workspace `live`."""

    http: httpx.Client
    email: str
    csrf: str = ""

    def get(self, path: str, **more: Any) -> httpx.Response:
        """A page of the workspace."""
        return self.http.get(f"/w/live{path}", **more)

    def post(self, path: str, **form: Any) -> httpx.Response:
        """Send a form; a redirect is not followed."""
        return self.http.post(f"/w/live{path}", data={"csrf": self.csrf, **form})

    def part(self, path: str) -> httpx.Response:
        """A page with what it asks for once it is there."""
        return self.get(path, headers={"HX-Request": "true"})


def log_in(site: Site, role: str = "owner") -> Person:
    """A new person of a role, who chose a password by a link and is logged in."""
    email = f"{role}-{uuid4().hex[:8]}@example.com"
    http = Visitor(site.url)
    answer = http.follow(invited(site, email, Role(role)))
    assert answer.status_code == 303, answer.text
    person = Person(http, email)
    person.csrf = field(person.get("/settings/workspace").text, "csrf")
    return person


def field(text: str, name: str) -> str:
    """The value of a field of a form."""
    match = re.search(rf'name="{name}" value="([^"]*)"', text)
    return match[1] if match else ""
