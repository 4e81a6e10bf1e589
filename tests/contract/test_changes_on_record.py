"""F22: every change of configuration, by HTTP or by command, leaves one row that says from what to
what."""

import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import typer.main
from calling import Api
from sites import Site
from streams import work_on
from typer.testing import CliRunner

from innkeeper.actions.admin import keys
from innkeeper.cli.app import app
from innkeeper.resources.base import Record
from innkeeper.rules.audited import IS_ANOTHER, IS_SET
from innkeeper.rules.scopes import EVERY_SCOPE
from innkeeper.wire.registry import DIALECTS

OWN = "/innkeeper/v1"
SALE = "/v2/tenants/points-of-sale"
RULES = "/v2/tenants/identity-rules"


def members(city: str) -> dict[str, Any]:
    rule = {"field": "city", "comparator": "is equal to", "values": [city]}
    return {"filterGroups": [{"entity": "guest", "rules": [rule]}]}


@dataclass
class Step:
    """One change: what makes it, and the row that it leaves."""

    name: str
    """The operation, or the command, that is covered."""
    action: str
    subject: str | None
    changes: dict[str, list[Any]]
    """Fields that the row holds among others; none: it holds none at all."""
    method: str = "POST"
    path: str = ""
    body: Any = None
    words: str = ""
    """Of a command, beside its name."""
    rows: int = 1
    """How many rows the change leaves, of which the newest is looked at."""
    also: list[str] = field(default_factory=list)


CITY = "filterGroups[0].rules[0].values"
EMAIL, CRM = (
    {"identityRule": "email", "providers": ["email"]},
    {"identityRule": "crm", "providers": ["CRM"]},
)
HTTP = [
    Step(
        *("createPointOfSale", "point_of_sale.create", "shop/x"),
        {"name": [None, "shop/x"], "market": [None, "IE"], "timeout_minutes": [None, 30]},
        *("POST", SALE, {"name": "shop/x", "market": "IE", "timeout": 30}),
    ),
    Step(
        *("deletePointOfSale", "point_of_sale.delete", "shop/x"),
        {"name": ["shop/x", None], "timeout_minutes": [30, None]},
        *("DELETE", f"{SALE}/shop%2Fx"),
    ),
    Step(
        *("createIdentityRule", "identity_rules.add", "live"),
        {"rules": [["email = email"], ["email = email", "crm = CRM"]]},
        *("POST", RULES, CRM),
    ),
    Step(
        *("reorderIdentityRules", "identity_rules.reorder", "live"),
        {"rules": [["email = email", "crm = CRM"], ["crm = CRM", "email = email"]]},
        *("POST", f"{OWN}/identity/reorder", {"identityRules": ["crm", "email"]}),
    ),
    Step(
        *("deleteIdentityRule", "identity_rules.delete", "live"),
        {"rules": [["crm = CRM", "email = email"], ["email = email"]]},
        *("DELETE", f"{RULES}/crm"),
    ),
    Step(
        *("replaceIdentityRules", "identity_rules.save", "live"),
        {"rules": [["email = email"], ["crm = CRM"]]},
        *("PUT", f"{OWN}/identity/rules", {"rules": [CRM]}),
    ),
    Step(
        *("applyIdentityRules", "identity_rules.apply", "live"),
        {"rules": [["crm = CRM"], ["email = email"]]},
        *("POST", f"{OWN}/identity/apply", {"rules": [EMAIL]}),
    ),
    Step(
        *("changeIdentityGuards", "identity_guards.save", "live"),
        {"group_limit": [100, 50], "never": [[], ["nobody"]]},
        *("PATCH", f"{OWN}/identity/guards", {"groupLimit": 50, "addNever": ["nobody"]}),
    ),
    Step(
        *("createSegment", "segment.create", "crew"),
        {"name": [None, "Crew"], CITY: [None, ["Cork"]], "status": [None, "DRAFT"]},
        *("POST", f"{OWN}/segments", {"name": "Crew", "definition": members("Cork")}),
    ),
    Step(
        *("changeSegment", "segment.change", "crew"),
        {
            CITY: [["Cork"], ["Sligo"]],
            "tags": [[], ["a"]],
            "webhook": [None, "https://example.com/h?•••"],
            "webhook_secret": [None, IS_SET],
        },
        *("PATCH", f"{OWN}/segments/crew"),
        {
            "definition": members("Sligo"),
            "tags": ["a"],
            "webhook": "https://example.com/h?token=hush",
        },
    ),
    Step(
        *("restoreSegment", "segment.change", "crew"),
        {CITY: [["Sligo"], ["Cork"]]},
        *("POST", f"{OWN}/segments/crew/revisions/1/restore"),
    ),
    Step(
        *("duplicateSegment", "segment.create", "copy_of_crew"),
        {"name": [None, "Copy of Crew"], CITY: [None, ["Cork"]], "tags": [None, ["a"]]},
        *("POST", f"{OWN}/segments/crew/duplicate"),
    ),
    Step(
        *("createGuestView", "guest_view.create", "Cork"),
        {"name": [None, "Cork"], "is_shared": [None, True], "sort": [None, "-lastSeen"]},
        *("POST", f"{OWN}/guestViews"),
        {"name": "Cork", "definition": members("Cork"), "shared": True, "sort": "-lastSeen"},
    ),
    Step(
        *("createStaticList", "static_list.create", "vips"),
        {"name": [None, "VIPs"], "description": [None, "By hand"]},
        *("POST", f"{OWN}/staticLists", {"name": "VIPs", "description": "By hand"}),
    ),
    Step(
        *("changeStaticList", "static_list.change", "vips"),
        {"name": ["VIPs", "Best"]},
        *("PATCH", f"{OWN}/staticLists/vips", {"name": "Best"}),
    ),
    Step(
        *("deleteStaticList", "static_list.delete", "vips"),
        {"name": ["Best", None], "description": ["By hand", None]},
        *("DELETE", f"{OWN}/staticLists/vips"),
    ),
    Step(
        *("saveQuery", "saved_query.save", "Crew in Cork"),
        {"name": [None, "Crew in Cork"], "sql": [None, "SELECT 1"]},
        *("PUT", f"{OWN}/sql/queries/Crew%20in%20Cork", {"sql": "SELECT 1"}),
    ),
    Step(
        *("renameQuery", "saved_query.rename", "Crew"),
        {"name": ["Crew in Cork", "Crew"]},
        *("PATCH", f"{OWN}/sql/queries/Crew%20in%20Cork", {"name": "Crew"}),
    ),
    Step(
        *("deleteSavedQuery", "saved_query.delete", "Crew"),
        {"name": ["Crew", None], "sql": ["SELECT 1", None]},
        *("DELETE", f"{OWN}/sql/queries/Crew"),
    ),
    Step(
        *("setSegmentTags", "segment.change", "crew"),
        {"tags": [["a"], ["b", "c"]]},
        *("PUT", f"{OWN}/segments/crew/tags", {"tags": ["b", " c", "b"]}),
    ),
    Step(
        *("startSegment", "segment.start", "crew"),
        {"status": ["DRAFT", "PUBLISHING"]},
        *("POST", f"{OWN}/segments/crew/start"),
    ),
    Step(
        *("createExport", "export.create", "letters"),
        {"name": [None, "Letters"], "definition_type": [None, "FULL_SYNC"]},
        *("POST", f"{OWN}/exports", {"name": "Letters", "segment": "crew"}),
    ),
    Step(
        *("changeExport", "export.change", "letters"),
        {"schedule": [None, "DAILY"], "delimiter": [None, "|"]},
        *("PATCH", f"{OWN}/exports/letters", {"schedule": "DAILY", "delimiter": "|"}),
    ),
    Step("runExport", "export.run", "letters", {}, "POST", f"{OWN}/exports/letters/run"),
    Step(
        *("putTrait", "trait.create", "bought"),
        {"entity": [None, "order"], "function": [None, "count"]},
        *("PUT", f"{OWN}/traits/bought", {"entity": "order", "function": "count"}),
    ),
    Step(
        *("putTrait", "trait.change", "bought"),
        {"entity": ["order", "session"]},
        *("PUT", f"{OWN}/traits/bought", {"entity": "session", "function": "count"}),
    ),
    Step(
        *("deleteTrait", "trait.delete", "bought"),
        {"entity": ["session", None]},
        *("DELETE", f"{OWN}/traits/bought"),
    ),
    Step(
        *("deleteExport", "export.delete", "letters"),
        {"name": ["Letters", None], "schedule": ["DAILY", None]},
        *("DELETE", f"{OWN}/exports/letters"),
    ),
    Step(
        *("createImport", "import.create", None),
        {
            "entity": [None, "guests"],
            "format": [None, "csv"],
            "mapping.columns.Mail": [None, ["email"]],
        },
        *("POST", f"{OWN}/imports"),
        {"entity": "guests", "format": "csv", "mapping": {"columns": {"Mail": "email"}}},
    ),
    Step(
        *("createImportSource", "import_source.create", "shop"),
        {
            "name": [None, "shop"],
            "address": [None, "daily/people.csv"],
            "entity": [None, "guests"],
            "schedule": [None, "DAILY"],
            "format": [None, "csv"],
            "compressed": [None, False],
        },
        *("POST", f"{OWN}/importSources"),
        {
            **{"name": "shop", "address": "daily/people.csv", "entity": "guests"},
            **{"format": "csv", "schedule": "DAILY"},
        },
    ),
    Step(
        *("changeImportSource", "import_source.change", "shop"),
        {"schedule": ["DAILY", None]},
        *("PATCH", f"{OWN}/importSources/shop"),
        {"schedule": None},
    ),
    Step(
        *("runImportSource", "import_source.run", "shop"),
        {},
        *("POST", f"{OWN}/importSources/shop/run"),
    ),
    Step(
        *("deleteImportSource", "import_source.delete", "shop"),
        {
            "name": ["shop", None],
            "address": ["daily/people.csv", None],
            "entity": ["guests", None],
            "format": ["csv", None],
            "compressed": [False, None],
        },
        *("DELETE", f"{OWN}/importSources/shop"),
    ),
    Step(
        *("replaceConsent", "consent.change", ""),
        {"EMAIL.field": [None, "ext.mail"], "EMAIL.values": [None, ["no"]]},
        *("PUT", f"{OWN}/consent"),
        {"items": [{"channel": "EMAIL", "field": "ext.mail", "values": ["no"]}]},
    ),
    Step(
        *("createFileExport", "file_export.create", None),
        {"entity": [None, "guests"], "format": [None, "ndjson"]},
        *("POST", f"{OWN}/fileExports", {"entity": "guests"}),
    ),
    Step(
        *("createKey", "key.create", None),
        {
            "name": [None, "Shop"],
            "scopes": [None, ["read"]],
            "compatibility": [None, "official"],
            "api_token": [None, IS_SET],
        },
        *("POST", f"{OWN}/keys"),
        {"name": "Shop", "compatibility": "official", "scopes": ["read"]},
    ),
    Step(
        *("rotateKey", "key.rotate", "KEY"),
        {"api_token": [IS_SET, IS_ANOTHER]},
        *("POST", f"{OWN}/keys/KEY/rotate"),
    ),
    Step(
        *("revokeKey", "key.revoke", "KEY"),
        {"revoked": [None, True]},
        *("DELETE", f"{OWN}/keys/KEY"),
    ),
]
COMMANDS = [
    Step(
        *("import-sources create", "import_source.create", "shop"),
        {
            "address": [None, "/srv/people.csv"],
            "entity": [None, "guests"],
            "format": [None, "csv"],
            "compressed": [None, False],
        },
        words="shop /srv/people.csv --entity guests",
    ),
    Step(
        *("import-sources change", "import_source.change", "shop"),
        {"schedule": [None, "DAILY"]},
        words="shop --schedule DAILY",
    ),
    Step("import-sources run", "import_source.run", "shop", {}, words="shop"),
    Step(
        *("import-sources delete", "import_source.delete", "shop"),
        {
            "address": ["/srv/people.csv", None],
            "entity": ["guests", None],
            "format": ["csv", None],
            "compressed": [False, None],
        },
        words="shop",
    ),
    Step(
        *("points-of-sale create", "point_of_sale.create", "till"),
        {"name": [None, "till"], "timeout_minutes": [None, 5]},
        words="till --timeout 5",
    ),
    Step(
        *("points-of-sale change", "point_of_sale.change", "till"),
        {"timeout_minutes": [5, 9], "test": [None, True]},
        words="till --timeout 9 --test",
    ),
    Step(
        *("aliases site", "site.name", "site-1"),
        {"point_of_sale": [None, "till"]},
        words="site-1 till",
    ),
    Step(
        *("aliases delete", "site.remove", "site-1"),
        {"point_of_sale": ["till", None]},
        words="site-1 --site",
    ),
    Step(
        *("aliases context", "alias.create", "ctx-1"),
        {"client_key": [None, "KEY"]},
        words="ctx-1 KEY",
    ),
    Step(
        *("aliases delete", "alias.remove", "ctx-1"), {"client_key": ["KEY", None]}, words="ctx-1"
    ),
    Step(
        *("identity rules add", "identity_rules.add", "live"),
        {"rules": [["email = email"], ["email = email", "born = field:date_of_birth"]]},
        words="born --field dateOfBirth",
    ),
    Step(
        *("identity rules reorder", "identity_rules.reorder", "live"),
        {
            "rules": [
                ["email = email", "born = field:date_of_birth"],
                ["born = field:date_of_birth", "email = email"],
            ]
        },
        words="born email",
    ),
    Step(
        *("identity rules delete", "identity_rules.delete", "live"),
        {"rules": [["born = field:date_of_birth", "email = email"], ["email = email"]]},
        words="born",
    ),
    Step("identity apply", "identity_rules.apply", "live", {}),
    Step(
        *("identity guards", "identity_guards.save", "live"),
        {"group_limit": [50, 70]},
        words="--group-limit 70",
    ),
    Step(
        *("segments start", "segment.start", "posts"),
        {"status": ["DRAFT", "PUBLISHING"]},
        words="posts",
    ),
    Step(
        *("segments pause", "segment.pause", "live_one"),
        {"status": ["LIVE", "PAUSED"]},
        words="live_one",
    ),
    Step(
        *("audience-exports set-consent", "consent.change", ""),
        {"PHONE.field": [None, "ext.calls"], "PHONE.values": [None, ["never"]]},
        words="--field PHONE=ext.calls:never",
    ),
    Step("audience-exports run", "export.run", "sent", {}, words="sent"),
    Step(
        *("audience-exports create-client", "oauth.create", None),
        {"name": [None, "ware"], "client_secret": [None, IS_SET]},
        words="--name ware",
    ),
    Step(
        *("audience-exports revoke-client", "oauth.revoke", "CLIENT"),
        {"revoked": [None, True]},
        words="CLIENT",
    ),
    Step("keys create", "key.create", None, {"name": [None, "by hand"]}, words="--name 'by hand'"),
    Step(
        *("keys scopes", "key.scopes", "KEY"),
        {"scopes": [["read", "write", "delete", "personal_data"], ["read"]]},
        words="KEY --scope read",
    ),
    Step(*("keys rotate", "key.rotate", "KEY"), {"api_token": [IS_SET, IS_ANOTHER]}, words="KEY"),
    Step("keys revoke", "key.revoke", "KEY", {"revoked": [None, True]}, words="KEY"),
    Step(
        *("users invite", "user.invite", "new@example.com"),
        {"role": [None, "analyst"]},
        words="new@example.com --role analyst",
    ),
    Step("users link", "user.link", "new@example.com", {}, words="new@example.com"),
    Step(
        *("users disable", "user.change", "new@example.com"),
        {"disabled": [False, True]},
        words="new@example.com",
    ),
    # The keys of it and of its sandbox come with it.
    Step(
        *("workspaces create", "key.create", None),
        {"scopes": [None, ["read"]]},
        words="recorded",
        rows=3,
    ),
    Step(
        "workspaces reset",
        "workspace.reset",
        "recorded_sandbox",
        {},
        words="recorded_sandbox --yes",
    ),
    Step("secrets rotate", "secrets.rotate", None, {}, words="--no-new-key"),
    Step("secrets reset", "secrets.reset", None, {}, words="--yes"),
]
DATA = "it changes guests and what they did, no configuration"
READS = "it changes nothing"
UPKEEP = "it changes how data is stored, not which"
NO_CONFIGURATION = {
    "allocateBatch": DATA,
    "deleteEveryV2GuestExtension": DATA,
    "deleteEveryV2OrderExtension": DATA,
    "createMerge": DATA,
    "undoMerge": DATA,
    "replayQuarantine": DATA,
    "correctQuarantined": DATA,
    "discardQuarantined": DATA,
    "eraseGuest": DATA,
    "eraseGuests": DATA,
    "addStaticListGuests": DATA,
    "changeGuestView": "its ref is not known here: test_guest_views",
    "deleteGuestView": "its ref is not known here: test_guest_views",
    "removeStaticListGuests": DATA,
    "previewBulkAction": READS,
    "suppressIdentifiers": "it is recorded as privacy.suppress: test_erasure",
    "releaseIdentifiers": "it is recorded as privacy.release: test_erasure",
    "previewIdentityRules": READS,
    "explainSql": READS,
    "undoIdentityJob": "covered by test_f22_the_undo_of_a_rule_change_leaves_a_row",
    "previewSegment": READS,
    "listGuestTable": READS,
    "undoImport": DATA,
    "loadDemo": DATA,
    "replaceDashboard": "it is one person's own choice of reports",
    "createSandboxToken": "it is recorded as key.create: test_key_scopes",
    "testWebhook": "it is recorded as webhook.test, and changes nothing",
    "runSegment": "it counts again what is in force",
    "deleteSegment": "covered by test_f22_a_segment_that_goes_leaves_rows_of_its_exports",
    "pauseSegment": "covered as the command",
}
"""Operations that write, and leave no row of configuration."""
OTHER_COMMANDS = {
    **dict.fromkeys(
        (
            *("settings", "version", "doctor", "export", "report", "audience-exports list"),
            *(
                "audience-exports consent",
                "audience-exports executions",
                "audience-exports list-clients",
                "quarantine list",
            ),
            *("identity preview", "identity why", "identity history", "identity guarded"),
            *("identity rules list", "segments list", "privacy access", "workspaces list"),
            *("segments guests", "segments overlap", "static-lists list", "static-lists guests"),
            *("keys list", "users list", "points-of-sale list", "aliases list", "db status"),
            *("db dump", "lake status", "jobs list", "import-sources list"),
            *("webhooks list", "webhooks test", "identity jobs"),
            *("sql views", "sql explain", "sql list", "sql show"),
            *(
                "guest-views list",
                "guest-views guests",
                "dashboards list",
                "audit-log list",
                "guests search",
            ),
        ),
        READS,
    ),
    **dict.fromkeys(
        (
            *(
                "import",
                "quarantine replay",
                "quarantine correct",
                "identity merge",
                "identity unmerge",
            ),
            *("privacy erase", "privacy suppress", "privacy release", "privacy scrub"),
            *("static-lists add", "static-lists remove", "static-lists erase-guests"),
        ),
        DATA,
    ),
    **dict.fromkeys(
        ("lake flush", "lake compact", "lake rebuild", "db migrate", "segments run", "jobs run"),
        UPKEEP,
    ),
    **dict.fromkeys(
        ("dashboards pin", "dashboards move", "dashboards remove"),
        "it is one person's own choice of reports",
    ),
    "guest-views delete": "covered as the operation",
    "keys sandbox-token": "covered as the operation",
    "serve": "what it makes at its first start is made by actions",
    "users logout": "a login is no configuration; the log has a row for it",
    "demo": "what it makes is made by actions",
    "db restore": "the log comes with the database",
    "segments duplicate": "covered as the operation",
    "segments restore": "covered as the operation",
    "identity undo": "covered as the operation",
    "sql save": "covered as the operation",
    "sql rename": "covered as the operation",
    "sql delete": "covered as the operation",
    "static-lists create": "covered as the operation",
    "static-lists delete": "covered as the operation",
}


@pytest.fixture
def administrator(site: Site) -> Iterator[Api]:
    key = site.control(lambda work: keys.create(work, "live", scopes=EVERY_SCOPE))
    with Api(site.url, key.client_key, key.api_token) as api:
        yield api


@pytest.fixture
def newer(connection: psycopg.Connection) -> Callable[[], list[Record]]:
    """The rows that came since this was asked the last time, oldest first."""
    names = ("sequence", "actor", "workspace", "action", "subject_kind", "subject", "changes")
    last = 0

    def read() -> list[Record]:
        nonlocal last
        query = f"SELECT {', '.join(names)} FROM innkeeper.audit_log WHERE sequence > %s ORDER BY 1"
        rows = connection.execute(query, [last]).fetchall()
        last = rows[-1][0] if rows else last
        return [dict(zip(names, row, strict=True)) for row in rows]

    return read


def check_row(step: Step, rows: list[Record], actor: str, named: dict[str, str]) -> None:
    """One row, of who did it, that names what it is about and holds old → new."""
    assert len(rows) == step.rows, (step.name, rows)
    row = rows[-1]
    assert (row["action"], row["actor"]) == (step.action, actor), (step.name, row)
    assert row["subject_kind"] or step.action.startswith("secrets."), step.name
    if step.subject is not None:
        assert row["subject"] == named.get(step.subject, step.subject), step.name
    changes = row["changes"] or {}
    for name, pair in step.changes.items():
        response = [named.get(each, each) if isinstance(each, str) else each for each in pair]
        if name == "scopes" and step.rows > 1:
            continue
        assert changes.get(name) == response, (step.name, name, changes)
    if not step.changes:
        assert changes == {}, step.name
    assert "hush" not in str(row), "no secret"


def test_f22_every_change_by_http_leaves_a_row_with_old_and_new(
    administrator: Api, site: Site, newer: Callable[[], list[Record]]
) -> None:
    _identity_as_at_first(administrator, 100)
    key = site.key().client_key
    newer()
    for step in HTTP:
        path = step.path.replace("KEY", key)
        answer = administrator.request(step.method, path, json=step.body)
        assert answer.is_success, (step.name, answer.text)
        rows = newer()
        check_row(step, rows, administrator.client_key, {"KEY": key})
        assert rows[-1]["workspace"] == "live"
        if step.name in ("createImport", "createFileExport", "createKey"):
            created = answer.json()
            assert rows[-1]["subject"] == created.get("clientKey", created.get("ref"))


def test_f22_every_change_by_command_leaves_a_row_with_old_and_new(
    api: Api, site: Site, newer: Callable[[], list[Record]], connection: Any
) -> None:
    _identity_as_at_first(api, 50)
    key, client = site.key().client_key, ""
    for name in ("posts", "live_one"):
        segment = api.post(f"{OWN}/segments", json={"name": name, "definition": members("Cork")})
        assert segment.status_code == 201
    connection.execute("UPDATE ws_live.segments SET status = 'LIVE' WHERE name = 'live_one'")
    assert api.post(f"{OWN}/exports", json={"name": "sent", "segment": "posts"}).is_success
    newer()
    for step in COMMANDS:
        words = step.words.replace("KEY", key).replace("CLIENT", client)
        _run(site, step.name, words)
        rows = newer()
        check_row(step, rows, "operator", {"KEY": key, "CLIENT": client})
        if step.name == "audience-exports create-client":
            client = rows[-1]["subject"]
        whole = ("users", "secrets", "workspaces")
        expected = None if step.name.startswith(whole[:2]) else "live"
        if not step.name.startswith("workspaces"):
            assert rows[-1]["workspace"] == expected, step.name
        else:
            assert {row["workspace"] for row in rows} <= {"recorded", "recorded_sandbox"}


def _identity_as_at_first(api: Api, group_limit: int) -> None:
    assert api.put(f"{OWN}/identity/rules", json={"rules": [EMAIL]}).is_success
    guards = {"groupLimit": group_limit, "never": None}
    assert api.patch(f"{OWN}/identity/guards", json=guards).is_success


def _run(site: Site, name: str, words: str) -> None:
    values = [*name.split(), *shlex.split(words), "--database", site.dsn]
    values += ["--data", str(site.settings.data)]
    done = CliRunner().invoke(app, values)
    assert done.exit_code == 0, (name, done.output, done.exception)


@pytest.mark.parametrize("by", [[CRM], [EMAIL]], ids=["other rules", "the same rules"])
def test_f22_the_undo_of_a_rule_change_leaves_a_row(
    api: Api, site: Site, newer: Callable[[], list[Record]], by: list[Any]
) -> None:
    _identity_as_at_first(api, 100)
    value = uuid4().hex
    for _ in range(2):
        api.guest(identifiers=[{"provider": name, "id": value} for name in ("email", "CRM")])
    site.run_worker()
    job = api.post(f"{OWN}/identity/apply", json={"rules": by}).json()["ref"]
    site.run_worker()
    newer()
    assert api.post(f"{OWN}/identity/jobs/{job}/undo").status_code == 202
    (row,) = newer()
    assert (row["action"], row["subject"]) == ("identity_rules.undo", "live")
    changed = {} if by == [EMAIL] else {"rules": [["crm = CRM"], ["email = email"]]}
    assert (row["changes"] or {}) == changed
    site.run_worker()


def test_f22_no_operation_and_no_command_is_left_out() -> None:
    operations = {
        endpoint.name
        for dialect in DIALECTS
        for endpoint in dialect.endpoints
        if endpoint.method != "GET"
    }
    assert operations == {step.name for step in HTTP} | NO_CONFIGURATION.keys()
    commands = {step.name for step in COMMANDS} | OTHER_COMMANDS.keys()
    assert set(_commands(typer.main.get_command(app))) == commands


def _commands(command: Any, *before: str) -> Iterator[str]:
    if hasattr(command, "commands"):
        for name, each in command.commands.items():
            yield from _commands(each, *before, name)
    else:
        yield " ".join(before)


def test_f22_a_segment_that_goes_leaves_rows_of_its_exports(
    site: Site, api: Api, newer: Callable[[], list[Record]]
) -> None:
    created = api.post(f"{OWN}/segments", json={"name": "Crew", "definition": members("Cork")})
    api.post(f"{OWN}/exports", json={"name": "Letters", "segment": "crew"})
    newer()

    async def delete(work: Any) -> None:
        from innkeeper.actions.audiences import segments, usage

        uses = await usage.of_segment(work, await segments.fetch(work, "crew"))
        await segments.delete(work, "crew", accepted=usage.token_of(uses))

    work_on(site.dsn, delete)
    export, segment = newer()
    assert (export["action"], export["subject"]) == ("export.change", "letters")
    assert export["changes"] == {"segment_ref": [created.json()["ref"], None]}
    assert (segment["action"], segment["subject"]) == ("segment.delete", "crew")
    assert segment["changes"][CITY] == [["Cork"], None]


def test_f22_the_log_is_listed_by_filters_over_http_and_by_command(
    administrator: Api, site: Site
) -> None:
    before = datetime.now(UTC).isoformat()
    key = administrator.post(f"{OWN}/keys", json={"name": "Logged", "scopes": ["read"]}).json()
    actor = administrator.client_key
    filters = {"actor": actor, "action": "key.create", "since": before, "limit": 5}
    page = administrator.get(f"{OWN}/auditLog", params=filters).json()
    (row,) = page["items"]
    assert (row["actor"], row["subject"]) == (actor, key["clientKey"])
    assert row["changes"]["name"] == [None, "Logged"]
    late = {**filters, "since": "2090-01-01T00:00:00.000Z"}
    assert administrator.get(f"{OWN}/auditLog", params=late).json()["items"] == []
    assert administrator.get(f"{OWN}/auditLog", params={"since": "soon"}).status_code == 400
    words = ["audit-log", "list", "--actor", actor, "--csv", "--database", site.dsn]
    lines = CliRunner().invoke(app, words).stdout.splitlines()
    assert lines[0] == "at,actor,action,about,field,before,after"
    assert any(line.endswith(f"key.create,{key['clientKey']},name,,Logged") for line in lines)


def test_f22_what_is_refused_leaves_no_row(
    administrator: Api, newer: Callable[[], list[Record]]
) -> None:
    body = {"name": "Crew", "definition": members("Cork")}
    assert administrator.post(f"{OWN}/segments", json=body).status_code == 201
    newer()
    assert administrator.post(f"{OWN}/segments", json=body).status_code == 409
    stale = {"If-Match": '"0"'}
    href = f"{OWN}/segments/crew"
    assert administrator.patch(href, json={"name": "X"}, headers=stale).status_code == 412
    assert administrator.delete(f"{OWN}/traits/nothing").status_code == 404
    assert administrator.delete(f"{SALE}/nowhere").status_code == 404
    assert newer() == []
