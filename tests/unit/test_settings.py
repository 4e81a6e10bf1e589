"""Settings: precedence of sources, refusal of bad values, masked secrets."""

from pathlib import Path

import pytest

from innkeeper.errors import OperatorError
from innkeeper.settings import RESOLVED, Settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "innkeeper.toml"
    path.write_text('port = 1001\nhost = "file"\nworkers = 2\n')
    return path


def test_defaults_are_those_documented() -> None:
    settings = Settings.load(config="", environment={})
    assert (settings.host, settings.port, settings.database) == ("127.0.0.1", 8420, "")
    assert (settings.max_body_bytes, settings.more_info_url) == (
        1048576,
        "https://support.sitecore.com",
    )


def test_options_beat_environment_beats_file_beats_defaults(file: Path) -> None:
    environment = {"INNKEEPER_PORT": "1002", "INNKEEPER_HOST": "environment"}
    settings = Settings.load(config=file, environment=environment, port=1003, host=None)
    assert (settings.port, settings.host, settings.workers) == (1003, "environment", 2)
    assert settings.pool_size == 8


def test_the_environment_can_name_the_file(file: Path) -> None:
    settings = Settings.load(environment={"INNKEEPER_CONFIG": str(file)})
    assert settings.host == "file"


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("INNKEEPER_PORT", "seven", "port"),
        ("INNKEEPER_PORT", "70000", "port"),
        ("INNKEEPER_WORKERS", "0", "workers"),
        ("INNKEEPER_LOG_FORMAT", "xml", "log_format"),
        ("INNKEEPER_TRAVEL_TENANT", "perhaps", "travel_tenant"),
        ("INNKEEPER_DATA", "", "data"),
    ],
)
def test_a_bad_value_names_its_setting_and_source(variable: str, value: str, said: str) -> None:
    with pytest.raises(OperatorError) as caught:
        Settings.load(config="", environment={variable: value})
    assert variable in str(caught.value)
    assert f"sets {said} to" in str(caught.value)


def test_an_unknown_name_in_the_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bad.toml"
    path.write_text("prot = 1\n")
    with pytest.raises(OperatorError, match="sets prot, which is not a setting"):
        Settings.load(config=path, environment={})


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot be read"):
        Settings.load(config=tmp_path / "none.toml", environment={})


def test_text_from_the_environment_becomes_the_declared_type() -> None:
    environment = {
        "INNKEEPER_TRAVEL_TENANT": "true",
        "INNKEEPER_RATE_LIMIT": "2.5",
        "INNKEEPER_DATA": "relative",
    }
    settings = Settings.load(config="", environment=environment)
    assert settings.travel_tenant is True
    assert settings.rate_limit == 2.5
    assert settings.data == Path.cwd() / "relative"


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgresql://ann:s3cret@db:5432/cdp", "postgresql://ann:***@db:5432/cdp"),
        (
            "postgresql://db/cdp?user=ann&password=s3cret",
            "postgresql://db/cdp?user=ann&password=***",
        ),
        ("host=db user=ann password=s3cret", "host=db user=ann password=***"),
        ("postgresql://db/cdp", "postgresql://db/cdp"),
        ("", ""),
    ],
)
def test_the_database_password_is_never_shown(dsn: str, expected: str) -> None:
    assert Settings.load(config="", environment={}, database=dsn).redacted()["database"] == expected


def test_workers_read_exactly_what_the_parent_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RESOLVED, "")  # so that monkeypatch removes what to_environment sets
    parent = Settings.load(
        config="", environment={}, port=0, database="host=/tmp/x", rate_limit=3.0
    )
    parent.to_environment()
    monkeypatch.setenv("INNKEEPER_PORT", "9999")
    assert Settings.from_environment() == parent


def test_every_declaration_has_help_and_a_variable() -> None:
    for item in Settings.declarations():
        assert item.help.endswith(".")
        assert item.environment == "INNKEEPER_" + item.name.upper()
