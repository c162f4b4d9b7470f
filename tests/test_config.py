"""The settings: who wins, what is refused, what is shown. Real files, the real environment."""

import os
from ipaddress import ip_network
from pathlib import Path

import pytest

from punchgate import config
from punchgate.domain.error import Invalid
from punchgate.domain.target import Rules


@pytest.fixture(autouse=True)
def _no_settings_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("PUNCHGATE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "punchgate.toml"


def _origin(loaded: config.Loaded, name: str) -> str:
    return next(shown.origin for shown in config.show(loaded) if shown.name == name)


def test_without_any_setting_the_defaults_are_those_of_the_pages() -> None:
    settings = config.load().settings
    assert settings.database_url == "sqlite:///data/punchgate.db"
    assert settings.http.listen == "127.0.0.1:8080"
    assert settings.devices.listen == "0.0.0.0:8081"
    assert settings.default_zone == "UTC"
    assert settings.ingest.model_dump() == {
        "rate_requests": 6000,
        "rate_window_s": 60,
        "fail_requests": 1200,
        "body_max_bytes": 1_048_576,
        "batch_max": 1000,
        "hide_unknown_devices": False,
    }
    assert settings.report.model_dump() == {
        "rate_requests": 100,
        "rate_window_s": 3600,
        "default_user_type": "Employee",
    }
    assert settings.manage.model_dump() == {"rate_requests": 600}


def test_the_environment_wins_over_the_file_and_an_option_over_both(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text("[ingest]\nrate_requests = 1\nfail_requests = 1\nbatch_max = 1\n")
    monkeypatch.setenv("PUNCHGATE_INGEST__RATE_REQUESTS", "2")
    monkeypatch.setenv("PUNCHGATE_INGEST__FAIL_REQUESTS", "2")
    loaded = config.load(file, {"ingest.rate_requests": 3})
    ingest = loaded.settings.ingest
    assert (ingest.rate_requests, ingest.fail_requests, ingest.batch_max) == (3, 2, 1)
    assert _origin(loaded, "ingest.rate_requests") == "option"
    assert _origin(loaded, "ingest.fail_requests") == "environment"
    assert _origin(loaded, "ingest.batch_max") == "file"
    assert _origin(loaded, "ingest.rate_window_s") == "default"


def test_a_section_of_the_file_leaves_the_other_values_of_the_section_alone(file: Path) -> None:
    file.write_text("[report]\nrate_requests = 7\n")
    report = config.load(file).settings.report
    assert (report.rate_requests, report.rate_window_s) == (7, 3600)


def test_a_list_in_the_environment_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUNCHGATE_TRUSTED_PROXIES", '["10.0.0.0/8", "::1"]')
    assert config.load().settings.trusted_proxies == ("10.0.0.0/8", "::1/128")


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("nope = 1\n", "nope"),
        ("[ingest]\nrate_request = 1\n", "ingest.rate_request"),
        ("[nope]\nx = 1\n", "nope"),
        ('[http]\nlisten = "8080"\n', "http.listen"),
        ('[http]\nlisten = "127.0.0.1:70000"\n', "http.listen"),
        ('default_zone = "Mars/Olympus"\n', "default_zone"),
        ("[ingest]\nrate_requests = -1\n", "ingest.rate_requests"),
        ("[ingest]\nbatch_max = 1001\n", "ingest.batch_max"),
        ('[ingest]\nrate_requests = "many"\n', "ingest.rate_requests"),
        ('trusted_proxies = ["10.0.0.1/8"]\n', "trusted_proxies.0"),
        ('log_level = "loud"\n', "log_level"),
        ('database = "mysql://host/x"\n', "database"),
        ('database = "punches.db"\n', "database"),
        ('[report]\ndefault_user_type = ""\n', "report.default_user_type"),
    ],
)
def test_a_setting_in_the_file_that_will_not_do_is_named(file: Path, text: str, named: str) -> None:
    file.write_text(text)
    with pytest.raises(Invalid) as refused:
        config.load(file)
    assert f"`{named}`" in str(refused.value)


@pytest.mark.parametrize(
    "name",
    [
        "PUNCHGATE_NOPE",
        "PUNCHGATE_INGEST__RATE_REQUEST",
        "PUNCHGATE_INGEST_RATE_REQUESTS",
        "PUNCHGATE_DEFAULT_ZONE__NAME",
        "punchgate_nope",
    ],
)
def test_a_name_in_the_environment_that_we_do_not_know_is_an_error(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(Invalid, match=name):
        config.load()


def test_a_list_in_the_environment_that_is_not_json_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PUNCHGATE_TRUSTED_PROXIES", "10.0.0.0/8")
    with pytest.raises(Invalid, match="trusted_proxies"):
        config.load()


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match=r"missing\.toml"):
        config.load(tmp_path / "missing.toml")


def test_a_file_that_is_not_toml_is_named(file: Path) -> None:
    file.write_text("a = \n")
    with pytest.raises(Invalid, match=r"punchgate\.toml"):
        config.load(file)


def test_the_directory_on_the_command_line_wins_over_a_database_of_the_file(file: Path) -> None:
    file.write_text('database = "postgresql://h/x"\n')
    assert config.load(file).settings.database_url == "postgresql://h/x"
    loaded = config.load(file, {"data": "here"})
    assert loaded.settings.database_url == "sqlite:///here/punchgate.db"
    assert _origin(loaded, "database") == "default"


def test_a_database_named_in_the_same_place_wins_over_the_directory(file: Path) -> None:
    file.write_text('data = "d"\ndatabase = "postgresql://h/x"\n')
    assert config.load(file).settings.database_url == "postgresql://h/x"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgresql://gate:hush@db:5432/punches", "postgresql://gate:***@db:5432/punches"),
        ("postgresql://gate:hu:sh@db/punches", "postgresql://gate:***@db/punches"),
        ("postgresql://gate:hu/sh@db/punches", "postgresql://gate:***@db/punches"),
        (
            "postgresql://gate@db/p?password=hush&ssl=on",
            "postgresql://gate@db/p?password=***&ssl=on",
        ),
        ("postgresql://gate@db/punches", "postgresql://gate@db/punches"),
        ("sqlite:////srv/a:b@c.db", "sqlite:////srv/a:b@c.db"),
    ],
)
def test_I8_a_password_in_the_database_url_is_not_shown(
    file: Path, given: str, expected: str
) -> None:
    file.write_text(f'database = "{given}"\n')
    shown = {each.name: each.value for each in config.show(config.load(file))}
    assert shown["database"] == expected


def test_every_setting_is_explained_where_it_is_declared() -> None:
    shown = config.show(config.load())
    assert [each.name for each in shown if not each.sentence.endswith((".", "`."))] == []
    assert len({each.name for each in shown}) == len(shown) >= 17


def test_settings_cannot_be_changed_once_read() -> None:
    settings = config.load().settings
    with pytest.raises(ValueError, match="frozen"):
        settings.default_zone = "Europe/Berlin"


@pytest.mark.parametrize("text", ["127.0.0.1:8080", "[::1]:0", "gateway.example:443"])
def test_an_address_is_a_host_and_a_port(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("PUNCHGATE_HTTP__LISTEN", text)
    assert config.load().settings.http.listen == text


def test_an_empty_address_opens_no_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUNCHGATE_DEVICES__LISTEN", "")
    assert config.load().settings.devices.listen == ""


def test_what_leaves_has_the_defaults_of_the_page() -> None:
    settings = config.load().settings
    assert settings.delivery.model_dump() == {
        "allow_http": False,
        "allow_networks": (),
        "ca_file": None,
        "show_private_answers": False,
        "concurrency": 256,
        "keep_accepted_days": 14,
        "keep_failed_days": 90,
    }
    assert settings.delivery.rules() == Rules()
    assert settings.vault().file == Path("data/master.key")


def test_the_guard_gets_its_rules_from_the_operator(file: Path) -> None:
    file.write_text(
        '[delivery]\nallow_http = true\nallow_networks = ["10.1.0.0/16", "fd12::/32"]\n'
    )
    rules = config.load(file).settings.delivery.rules()
    assert rules == Rules(
        allow_http=True, allow_networks=(ip_network("10.1.0.0/16"), ip_network("fd12::/32"))
    )


@pytest.mark.parametrize("network", ["10.1.0.1/16", "everywhere", "", "300.0.0.0/8"])
def test_a_network_that_is_none_is_refused(file: Path, network: str) -> None:
    file.write_text(f'[delivery]\nallow_networks = ["{network}"]\n')
    with pytest.raises(Invalid, match=r"delivery\.allow_networks"):
        config.load(file)


def test_the_master_key_stands_in_a_file_or_in_the_environment(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('[secrets]\nkey_file = "/etc/punchgate/key"\nold_key_files = ["/etc/old"]\n')
    vault = config.load(file, {"data": Path("/srv/data")}).settings.vault()
    assert (vault.file, list(vault.old_files)) == (Path("/etc/punchgate/key"), [Path("/etc/old")])
    assert vault.given is None
    monkeypatch.setenv("PUNCHGATE_SECRETS__KEY", "a key in base64")
    assert config.load().settings.vault().given == "a key in base64"


def test_I8_the_master_key_is_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PUNCHGATE_SECRETS__KEY", "a key in base64")
    loaded = config.load()
    shown = {each.name: each.value for each in config.show(loaded)}
    assert shown["secrets.key"] == "***"
    assert "a key in base64" not in repr(loaded)
    monkeypatch.setenv("PUNCHGATE_DELIVERY__CONCURRENCY", "none")
    with pytest.raises(Invalid) as caught:
        config.load()
    assert "a key in base64" not in str(caught.value)
