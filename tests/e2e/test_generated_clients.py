"""F18: clients that other people's generators make of our description are whole and work.

Both generators live in folders of their own below the temporary one, named after their versions,
so that only the first run on a machine installs them.
"""

import fcntl
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from calling import Api
from profiles import LONG
from waiting import PATIENCE_SECONDS

PYTHON_GENERATOR = "openapi-python-client==0.29.1"
NODE_PACKAGES = ("openapi-typescript@7.13.0", "typescript@5.9.3")
COMPATIBILITIES = ["open", "official"] if LONG else ["open"]
"""What a key is served of orders is the same; the long profile looks at both."""


@contextmanager
def installed(name: str, install: Callable[[Path], subprocess.CompletedProcess[str]]) -> Any:
    """A folder that `install` has filled once for all; skips where it cannot."""
    folder = Path(tempfile.gettempdir()) / f"innkeeper-test-{name}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            done = install(folder)
            if done.returncode:
                pytest.skip(f"{name} cannot be installed: {done.stderr[-500:]}")
            (folder / ".installed").touch()
    yield folder


def run(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    options = {"capture_output": True, "text": True, "timeout": 2 * PATIENCE_SECONDS, **options}
    return subprocess.run([*map(str, words)], check=False, **options)


@pytest.fixture(scope="session")
def python_generator() -> Iterator[Path]:
    """`openapi-python-client` in an environment of its own: it does not resolve beside ours."""

    def install(folder: Path) -> subprocess.CompletedProcess[str]:
        run(sys.executable, "-m", "venv", folder)
        return run(folder / "bin" / "pip", "install", "--quiet", PYTHON_GENERATOR)

    with installed(PYTHON_GENERATOR.replace("==", "-"), install) as folder:
        yield folder


@pytest.fixture(scope="session")
def node_packages() -> Iterator[Path]:
    """`openapi-typescript` and the compiler."""
    if not shutil.which("npm"):
        pytest.skip("no Node here")

    def install(folder: Path) -> subprocess.CompletedProcess[str]:
        quiet = ("--no-audit", "--no-fund", "--ignore-scripts", "--no-save")
        return run("npm", "install", *quiet, *NODE_PACKAGES, cwd=folder)

    with installed("-".join(NODE_PACKAGES).replace("@", "-"), install) as folder:
        yield folder


def described(api: Api, compatibility: str, folder: Path) -> tuple[dict[str, Any], Path]:
    answer = api.get(f"/openapi.json?compatibility={compatibility}")
    file = folder / "openapi.json"
    file.write_text(answer.text)
    document: dict[str, Any] = answer.json()
    return document, file


@pytest.mark.long
@pytest.mark.parametrize("compatibility", COMPATIBILITIES)
def test_f18_a_python_client_has_every_operation_and_places_an_order(
    open_api: Api, official_api: Api, python_generator: Path, tmp_path: Path, compatibility: str
) -> None:
    """The order API's "Get started" by functions and classes that nobody wrote by hand."""
    api = official_api if compatibility == "official" else open_api
    document, file = described(api, compatibility, tmp_path)
    out = tmp_path / "generated_client"
    command = python_generator / "bin" / "openapi-python-client"
    done = run(command, "generate", "--path", file, "--output-path", out, "--meta", "none")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "will not be generated" not in done.stdout + done.stderr, done.stdout
    names = {
        operation["operationId"]
        for item in document["paths"].values()
        for operation in item.values()
    }
    modules = {path.stem for path in (out / "api").rglob("*.py")} - {"__init__"}
    assert {_plain(name) for name in names} == {_plain(module) for module in modules}
    script = tmp_path / "get_started.py"
    script.write_text(GET_STARTED)
    login = (api.url, api.client_key, api.token, f"F18-{compatibility}")
    driven = run(python_generator / "bin" / "python", script, *login, cwd=tmp_path)
    assert driven.returncode == 0, driven.stderr
    output = json.loads(driven.stdout)
    orders = api.get("/v2.1/orders", params={"guestRef": output["guest"]}).json()["items"]
    assert [order["ref"] for order in orders] == [output["order"]]
    assert api.get(f"/v2.1/guests/{output['guest']}").json()["firstName"] == "Jane"


def _plain(name: str) -> str:
    """A name whatever its spelling."""
    return name.replace("_", "").lower()


GET_STARTED = '''
"""Create an order, then its contact: the guest is what follows the last slash of guest.href."""
import json
import sys
from datetime import UTC, datetime

import httpx
from generated_client import Client
from generated_client.api.order_contact_v_2_1 import create_order_contact
from generated_client.api.order_v_2_1 import create_order, fetch_order
from generated_client.models import (
    OrderContactCreate,
    OrderContactCreateIdentifiersType0Item,
    OrderCreate,
    OrderCreateCurrencyCode,
)

url, key, token, reference = sys.argv[1:]
client = Client(base_url=url, httpx_args={"auth": httpx.BasicAuth(key, token)})
order = create_order.sync(
    client=client,
    body=OrderCreate(
        reference_id=reference,
        ordered_at=datetime(2026, 11, 21, 10, tzinfo=UTC),
        currency_code=OrderCreateCurrencyCode.EUR,
        price=12.5,
    ),
)
identifier = OrderContactCreateIdentifiersType0Item(provider="email", id=f"{reference}@x.example")
contact = create_order_contact.sync(
    order_ref=order.ref,
    client=client,
    body=OrderContactCreate(first_name="Jane", last_name="Doe", identifiers=[identifier]),
)
found = fetch_order.sync(order_ref=order.ref, client=client, expand="contacts")
assert found.reference_id == reference and found.price == 12.5, found
guest = contact.guest.href.rpartition("/")[2]
print(json.dumps({"order": str(order.ref), "guest": guest}))
'''


@pytest.mark.parametrize("compatibility", COMPATIBILITIES)
@pytest.mark.long
def test_f18_types_for_typescript_compile(
    open_api: Api, node_packages: Path, tmp_path: Path, compatibility: str
) -> None:
    """As strict as the compiler is; and a program that uses them compiles too."""
    document, file = described(open_api, compatibility, tmp_path)
    scripts = node_packages / "node_modules" / ".bin"
    output = run(scripts / "openapi-typescript", file, "-o", tmp_path / "api.ts")
    assert output.returncode == 0, output.stdout + output.stderr
    text = (tmp_path / "api.ts").read_text()
    for item in document["paths"].values():
        for operation in item.values():
            assert f"{operation['operationId']}: {{" in text
    (tmp_path / "use.ts").write_text(USE)
    strict = ("--strict", "--noEmit", "--exactOptionalPropertyTypes", "--target", "es2022")
    compiled = run(scripts / "tsc", *strict, tmp_path / "use.ts")
    assert compiled.returncode == 0, compiled.stdout


USE = """
import type { components, operations } from "./api";

type Schemas = components["schemas"];
const contact: Schemas["OrderContactCreate"] = {
  firstName: "Jane", lastName: "Doe", identifiers: [{ provider: "email", id: "jane@x.example" }],
};
type Body = operations["createOrderContact"]["requestBody"]["content"]["application/json"];
const body: Body = contact;
export function guestOf(shown: Schemas["OrderContact"]): string | undefined {
  return shown.guest?.href.split("/").pop();
}
export function refs(page: Schemas["OrderPage"]): string[] {
  return page.items.map((order) => order.ref);
}
export const sent = body;
"""
