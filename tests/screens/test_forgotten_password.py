"""The page of forgotten passwords: absent without SMTP, and silent about who has an account."""

from dataclasses import replace

import psycopg
from calling import run_server
from logging_in import Visitor
from sites import Site
from visiting import field

from innkeeper.web.app import create_app


def test_a_link_is_sent_where_the_operator_set_a_server(site: Site) -> None:
    with Visitor(site.url) as without:
        assert "/forgotten" not in without.get("/login").text
        assert without.get("/forgotten").status_code == 404
    settings = replace(site.settings, smtp_url="smtp://127.0.0.1:1", smtp_from="a@b.example")
    with run_server(create_app(settings)) as url, Visitor(url) as visitor:
        assert 'href="/forgotten"' in visitor.get("/login").text
        csrf = field(visitor.get("/forgotten").text, "csrf")
        response = visitor.post("/forgotten", data={"csrf": csrf, "email": "no@example.com"})
        assert "If this address has an account" in response.text
        assert visitor.post("/forgotten", data={"email": "no@example.com"}).status_code == 403
    with psycopg.connect(site.dsn) as connection:
        query = "SELECT FROM jobs.procrastinate_jobs WHERE task_name = 'mails.reset'"
        assert connection.execute(query).fetchall() == []
