"""S10: who may read /metrics."""

from dataclasses import replace

import pytest
from calling import Api, run_server
from sites import Site

from innkeeper.web.app import create_app

# What a proxy on this machine adds to a request from anywhere.
FORWARDED = {"X-Forwarded-For": "203.0.113.9"}
TOKEN = "a-token-of-this-test"  # noqa: S105 - of this test alone


def test_s10_metrics_are_for_this_machine(anonymous: Api) -> None:
    assert anonymous.get("/metrics").status_code == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"])
def test_s10_metrics_refuse_what_a_proxy_passed_on(anonymous: Api, header: str) -> None:
    answer = anonymous.get("/metrics", headers={header: "203.0.113.9"})
    assert answer.status_code == 403
    assert "innkeeper_jobs" not in answer.text
    assert "metrics_token" in answer.json()["developerMessage"]


def test_s10_metrics_by_token(site: Site) -> None:
    with (
        run_server(create_app(replace(site.settings, metrics_token=TOKEN))) as url,
        Api(url) as anonymous,
    ):
        for word, status in ((TOKEN, 200), (f" {TOKEN}", 200), ("wrong", 403), ("_", 403)):
            headers = FORWARDED | {"Authorization": f"Bearer {word}"}
            assert anonymous.get("/metrics", headers=headers).status_code == status, word
        assert anonymous.get("/metrics", headers=FORWARDED).status_code == 403
        raw = {**FORWARDED, "Authorization": "Bearer é".encode()}
        assert anonymous.get("/metrics", headers=raw).status_code == 403


def test_s10_metrics_open_to_everybody(site: Site) -> None:
    with (
        run_server(create_app(replace(site.settings, metrics_open=True))) as url,
        Api(url) as anonymous,
    ):
        assert anonymous.get("/metrics", headers=FORWARDED).status_code == 200
