"""S10: a signed link ends with the credentials that asked for it."""

from typing import Any

import httpx
from batching import Batches, packed, upsert
from calling import Api
from sites import Site
from test_exports_api import VENDOR, client, exported, jobs, run, vendor
from test_segments_api import create_segment, guests_where, rule

from innkeeper.actions.admin import keys, oauth

FILE = packed([upsert("jane@example.com")])
__all__ = ["client", "jobs", "vendor"]


def test_s10_revoking_an_oauth_client_ends_its_links(
    api: Api, jobs: Any, vendor: httpx.Client, site: Site, client: oauth.NewClient
) -> None:
    api.guest(city="Cork")
    segment = create_segment(api, guests_where(rule("city", "is equal to", "Cork")))
    export = exported(api, segment)
    execution = run(api, jobs, export)
    answer = vendor.get(f"{VENDOR}/executions/{execution['executionRef']}/export")
    assert answer.status_code == 200, answer.text
    (file,) = answer.json()["exports"]
    assert f"Issuer={client.client_id}" in file["url"]
    assert httpx.get(file["url"]).status_code == 200
    # Nobody can take the name of who asked off a link.
    unnamed = file["url"].replace(f"&Issuer={client.client_id}", "")
    assert httpx.get(unnamed).status_code == 403
    site.control(lambda work: oauth.revoke(work, client.client_id))
    refused = httpx.get(file["url"])
    assert refused.status_code == 403
    assert "revoked" in refused.json()["developerMessage"]


def test_s10_revoking_an_api_key_ends_its_links(api: Api, site: Site) -> None:
    with site.api() as other:
        href = Batches(other, site.settings).allocate(FILE).json()["location"]["href"]
        site.control(lambda work: keys.revoke(work, other.client_key))
        refused = httpx.put(href, content=FILE)
        assert refused.status_code == 403
        assert "revoked" in refused.json()["developerMessage"]
