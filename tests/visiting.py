"""People on the screens over plain HTTP: whoever is logged in sends forms and reads pages."""

import re
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from sites import Site
from waiting import PATIENCE_SECONDS

from innkeeper.actions.admin import users
from innkeeper.actions.admin.users import SHORTEST_PASSWORD
from innkeeper.rules.access import Role

PASSWORD = "x" * SHORTEST_PASSWORD


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
    token = site.control(lambda work: users.invite(work, email, email, Role(role)))
    http = httpx.Client(base_url=site.url, timeout=PATIENCE_SECONDS, trust_env=False)
    form = {"csrf": field(http.get(f"/login?link={token}").text, "csrf"), "link": token}
    answer = http.post("/login", data={**form, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    person = Person(http, email)
    person.csrf = field(person.get("/settings/workspace").text, "csrf")
    return person


def field(text: str, name: str) -> str:
    """The value of a field of a form."""
    found = re.search(rf'name="{name}" value="([^"]*)"', text)
    return found[1] if found else ""
