"""Batches sent as the vendor's guide describes, with nothing but curl, gzip and openssl.

Issue 5, shown by 1: batch-api.md 2 to 5, with the samples of 6 to 8.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from process import Serve
from waiting import PATIENCE_SECONDS

TOOLS = ("curl", "gzip", "openssl", "sh")
SEND = r"""
set -eu
gzip -9 -c "$1" > import.gz
CHECKSUM=$(openssl md5 -hex import.gz | sed 's/.*= *//')
CONTENT_MD5=$(openssl md5 -binary import.gz | openssl base64)
SIZE=$(wc -c < import.gz | tr -d ' ')

ANSWER=$(curl -sS -f -u "$LOGIN" -X PUT "$INNKEEPER/v2/batches/$2" \
  -H 'Accept: application/json' -H 'Content-Type: application/json' \
  -d "{\"checksum\": \"$CHECKSUM\", \"size\": $SIZE}")
LOCATION=$(echo "$ANSWER" | sed 's/.*"location":{"href":"\([^"]*\)".*/\1/')

curl -sS -f -X PUT "$LOCATION" -H 'x-amz-server-side-encryption: AES256' \
  -H "Content-Md5: $CONTENT_MD5" -H 'Content-Type: application/gzip' --data-binary @import.gz

for TRY in $(seq 1 1000); do
  STATUS=$(curl -sS -f -u "$LOGIN" "$INNKEEPER/v2/batches/$2")
  CODE=$(echo "$STATUS" | sed 's/.*"status":{"code":"\([a-z_]*\)".*/\1/')
  case $CODE in uploading|file_uploaded|processing) sleep 0.2 ;; *) break ;; esac
done
echo "$CODE"
case $STATUS in *'"log":'*)
  curl -sS -f "$(echo "$STATUS" | sed 's/.*"log":"\([^"]*\)".*/\1/')" | gzip -dc ;;
esac
"""
GUESTS = (
    r'{"ref":"8b7c3e1a-2f64-4b0e-9a55-6d1c1f0a7e01","schema":"guest","mode":"upsert","value":'
    r'{"guestType":"customer","title":"Mrs","firstName":"Jane","lastName":"Doe","gender":"female",'
    r'"dateOfBirth":"1985-12-24T00:00Z","email":"jane@example.com","city":"Dublin","country":"IE",'
    r'"identifiers":[{"provider":"email","id":"jane@example.com"}],'
    r'"extensions":[{"name":"ext","key":"default","loyaltyNumber":"1234"}]}}'
    "\n"
    r'{"ref":"8b7c3e1a-2f64-4b0e-9a55-6d1c1f0a7e02","schema":"guest","mode":"upsert","value":'
    r'{"guestType":"customer","firstName":"Nobody"}}'
    "\n"
)
ORDERS = (
    r'{"ref":"8b7c3e1a-2f64-4b0e-9a55-6d1c1f0a7e03","schema":"order","mode":"insert","value":'
    r'{"referenceId":"ABC-1","channel":"WEB","pointOfSale":"default","status":"PURCHASED",'
    r'"orderedAt":"2024-08-23T16:17:16.000Z","currencyCode":"EUR","price":25,"paymentType":"Card",'
    r'"cardType":"Visa","contact":{"firstName":"Jane","lastName":"Doe",'
    r'"identifiers":[{"provider":"email","id":"jane@example.com"}]},"orderItems":[{"type":"SHOE",'
    r'"productId":"SKU-1","name":"Trainers","description":"Red","vendor":"Shoes","price":25,'
    r'"currencyCode":"EUR"}],"extensions":[{"name":"ext","key":"default","gift":true}]}}'
    "\n"
)


@pytest.mark.long
@pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in TOOLS), reason="curl, gzip, openssl are not here"
)
def test_guests_and_orders_by_a_shell_script(serve: Serve, tmp_path: Path) -> None:
    server = serve()
    environment = {
        **os.environ,
        "INNKEEPER": server.url,
        "LOGIN": f"{server.client_key}:{server.token}",
        "NO_PROXY": "127.0.0.1",
    }

    def send(text: str, ref: str) -> list[str]:
        (tmp_path / "import.json").write_text(text)
        done = subprocess.run(
            ["sh", "-c", SEND, "send", "import.json", ref],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    code, log = send(GUESTS, "0f0b8c1e-4a52-4e0b-8a3a-6b6a5b1f9d01")
    assert code == "error"
    assert log == (
        '{"ref":"8b7c3e1a-2f64-4b0e-9a55-6d1c1f0a7e02","code":400,'
        '"message":"Identity information missing","line":2}'
    )
    assert send(ORDERS, "0f0b8c1e-4a52-4e0b-8a3a-6b6a5b1f9d02") == ["success"]
    (jane,) = server.client.get("/v2.1/guests?email=jane@example.com").json()["items"]
    assert (jane["firstName"], jane["dateOfBirth"]) == ("Jane", "1985-12-24")
    ext = server.client.get(f"/v2.1/guests/{jane['ref']}/extensions/ext").json()
    assert ext["loyaltyNumber"] == "1234"
    (order,) = server.client.get(f"/v2.1/orders?guestRef={jane['ref']}").json()["items"]
    assert server.client.get(f"/v2.1/orders/{order['ref']}").json()["referenceId"] == "ABC-1"
