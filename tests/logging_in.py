"""How tests use the screens over plain HTTP: a browser without scripts that keeps its cookies."""

import re
from http.cookies import SimpleCookie
from typing import Any

import httpx
from sites import Site
from waiting import PATIENCE_SECONDS

from innkeeper.actions.admin import users
from innkeeper.rules.access import Role

PASSWORD = "correct horse battery"  # noqa: S105 - of people in tests


class Visitor(httpx.Client):
    """A browser: it sends every cookie back, whatever the scheme, as a proxy in front would."""

    def __init__(self, url: str, **more: Any) -> None:
        super().__init__(base_url=url, timeout=PATIENCE_SECONDS, trust_env=False, **more)
        self.url = url
        self.marks: dict[str, str] = {}
        """Cookie name -> its attributes as they were set last."""
        self.kept: dict[str, str] = {}

    def send(self, request: httpx.Request, **more: Any) -> httpx.Response:
        request.headers.pop("cookie", None)
        if self.kept:
            request.headers["cookie"] = "; ".join(f"{n}={v}" for n, v in self.kept.items())
        answer = super().send(request, **more)
        self.cookies.clear()
        for line in answer.headers.get_list("set-cookie"):
            for name, morsel in SimpleCookie(line).items():
                self.marks[name] = line.lower()
                self.kept[name] = morsel.value
                if morsel["max-age"] == "0":
                    del self.kept[name]
        return answer

    def form(self, path: str) -> dict[str, str]:
        """The hidden fields of the first form of a page."""
        page = self.get(path)
        match = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert match is not None, page.text
        return {"csrf": match[1]}

    def log_in(self, email: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
        """Fill in the form of the log-in page."""
        payload = {**self.form("/login"), "email": email, "password": password}
        return self.post("/login", data=payload, **more)

    def follow(self, token: str, password: str = PASSWORD) -> httpx.Response:
        """Choose a password by a one-time link."""
        payload = {**self.form(f"/login?link={token}"), "link": token, "password": password}
        return self.post("/login", data=payload)


def invited(site: Site, email: str, role: Role = Role.OWNER) -> str:
    """The token of the link of somebody new."""
    token: str = site.control(lambda work: users.invite(work, email, "Somebody", role))
    return token
