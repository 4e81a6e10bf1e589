"""A test message to a webhook: its signature, and the answer by API, command and page."""

import hmac
import json
import re
from hashlib import sha256

from calling import Api
from receiving import Receiver, receiver
from visiting import Person

__all__ = ["receiver"]

EVERYBODY = {"filterGroups": [{"entity": "guest", "rules": []}]}
TEST = "/innkeeper/v1/webhooks/test"


def test_a_test_message_and_its_answer(
    api: Api, owner: Person, analyst: Person, receiver: Receiver
) -> None:
    url = f"{receiver.url}?key=s"
    body = {"name": "Told", "definition": EVERYBODY, "webhook": url}
    secret = api.post("/innkeeper/v1/segments", json=body).json()["webhookSecret"]
    api.post("/innkeeper/v1/exports", json={"name": "Mute", "segment": "told"})
    payload = {"kind": "segment", "friendlyId": "told"}
    answer = api.post(TEST, json=payload).json()
    assert (answer["status"], answer["body"], answer["isCut"]) == (200, "", False)
    assert answer["headers"]["server"].startswith("BaseHTTP")
    headers, request = receiver.got[-1]
    assert json.loads(request) | {"at": ""} == {"event": "test", **payload, "at": ""}
    stamp, mark = re.fullmatch(r"t=(\d+),v1=(\w+)", headers["X-Innkeeper-Signature"]).groups()  # type: ignore[union-attr]
    signed = hmac.digest(secret.encode(), stamp.encode() + b"." + request, sha256)
    assert mark == signed.hex()
    assert api.get("/innkeeper/v1/webhooks").json()["items"][0]["delivered"] == 0, (
        "it is not stored"
    )

    receiver.status, receiver.body = 500, b"<b>no</b>" + b"x" * 3000
    answer = api.post(TEST, json=payload).json()
    assert (answer["status"], len(answer["body"]), answer["isCut"]) == (500, 2048, True)
    response = owner.post("/settings/webhooks", action="test", what="segment:told")
    assert response.status_code == 200
    assert "&lt;b&gt;no&lt;/b&gt;xxx" in response.text
    assert "The first 2,048 bytes" in response.text
    assert analyst.post("/settings/webhooks", action="test", what="segment:told").status_code == 403

    for wrong, status in (
        ({"kind": "segment", "friendlyId": "nobody"}, 404),
        ({"kind": "export", "friendlyId": "mute"}, 409),
        ({"kind": "trait", "friendlyId": "told"}, 400),
    ):
        assert api.post(TEST, json=wrong).status_code == status, wrong
    api.patch("/innkeeper/v1/segments/told", json={"webhook": "http://127.0.0.1:1/x"})
    answer = api.post(TEST, json=payload).json()
    assert answer["error"].startswith("could not be reached")
    assert "status" not in answer
