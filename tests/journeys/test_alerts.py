"""The alert rules that we ship, run by the real promtool over series that we make up.

Real: promtool, `deploy/alerts.yml` as it is, and in the last tests a gateway that is scraped.
Simulated: the hours that have to pass. No Prometheus server runs.
"""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from tests import installed
from tests.journeys import gateway

pytestmark = pytest.mark.slow

_ROOT: Final = Path(__file__).parents[2]
_RULES: Final = _ROOT / "deploy" / "alerts.yml"
_ALERT: Final = re.compile(r"^      - alert: (\w+)$", re.MULTILINE)
_NAME: Final = re.compile(r"\bpunchgate_\w+")
_SELECTOR: Final = re.compile(r"\b(up|punchgate_\w+)(?:\{([^}]*)\})?")
_MATCHER: Final = re.compile(r'(\w+)=~?"([^"]*)"')
#: What a histogram or counter adds to the name that is documented.
_SUFFIX: Final = re.compile(r"_(?:bucket|count|sum)$")

#: Series by their selector, in promtool's words: first value, growth and number of minutes.
Series = dict[str, str]


@dataclass(frozen=True, slots=True)
class Case:
    """Series, and which alerts they raise at a minute; all others are silent."""

    about: str
    at: str
    raised: tuple[str, ...]
    series: Series

    def __str__(self) -> str:
        return self.about


def told(name: str, values: str, **labels: str) -> Series:
    """Give one series as it looks after a scrape."""
    every = {"job": "punchgate", "instance": "a:8080", **labels}
    selectors = ",".join(f'{label}="{value}"' for label, value in every.items())
    return {f"{name}{{{selectors}}}": values}


def twice(series: Series) -> Series:
    """Let a second process tell the same."""
    return series | {name.replace("a:8080", "b:8080"): values for name, values in series.items()}


def answered(status: str, values: str) -> Series:
    name = "punchgate_http_request_seconds_count"
    return told(name, values, contract="ingest_v1", status=status)


def acknowledged(*, within_1_s: str, within_2_5_s: str, transport: str = "http") -> Series:
    name = "punchgate_acknowledge_seconds_bucket"
    return {
        **told(name, within_1_s, transport=transport, le="1.0"),
        **told(name, within_2_5_s, transport=transport, le="2.5"),
        **told(name, within_2_5_s, transport=transport, le="+Inf"),
    }


def devices(**by_state: str) -> Series:
    series: Series = {}
    for state in ("online", "late", "offline", "never", "paused"):
        values = by_state.get(state, "0x60")
        series |= told("punchgate_devices", values, state=state)
    return series


def quarantine(state: str, values: str) -> Series:
    return told("punchgate_quarantine", values, state=state)


def disabled(values: str) -> Series:
    return told("punchgate_delivery_endpoints", values, state="disabled")


def codec(protocol: str, values: str) -> Series:
    return told("punchgate_codec_errors_total", values, protocol=protocol)


def shed(values: str) -> Series:
    return told("punchgate_shed_total", values, reason="busy")


FREE: Final = "punchgate_storage_free_bytes"
LAG: Final = "punchgate_delivery_lag_seconds"
GUARD: Final = "punchgate_event_guard_age_seconds"
STALE: Final = "punchgate_workdays_stale"
CASES: Final = (
    Case("a scrape fails", "10m", ("PunchgateDown",), told("up", "1x3 0x20")),
    Case("a restart", "4m", (), told("up", "1x2 0x1 1x20")),
    Case("somebody else is down", "10m", (), {'up{job="node",instance="a:9100"}': "0x20"}),
    # A device that is refused sends again, for as long as it is.
    Case(
        "uploads keep failing",
        "20m",
        ("PunchgateUploadsFail",),
        twice(answered("503", "0x8 1+1x20")) | answered("500", "0x8 1+1x20"),
    ),
    Case("one upload fails", "13m", (), answered("500", "0x8 1x20")),
    Case("devices are refused", "20m", (), answered("401", "0+5x30")),
    Case(
        "two of a hundred acknowledgements take long",
        "20m",
        ("PunchgateAcknowledgesSlowly",),
        twice(acknowledged(within_1_s="0+98x30", within_2_5_s="0+100x30")),
    ),
    Case(
        "one transport is slow beside one that is not",
        "20m",
        ("PunchgateAcknowledgesSlowly",),
        acknowledged(within_1_s="0+900x30", within_2_5_s="0+900x30")
        | acknowledged(within_1_s="0+5x30", within_2_5_s="0+10x30", transport="zk"),
    ),
    Case(
        "one of two hundred acknowledgements takes long",
        "20m",
        (),
        acknowledged(within_1_s="0+199x30", within_2_5_s="0+200x30"),
    ),
    Case("nobody punches", "20m", (), acknowledged(within_1_s="7x30", within_2_5_s="9x30")),
    Case("a slow minute", "14m", (), acknowledged(within_1_s="0x30", within_2_5_s="0x9 9x20")),
    Case("one upload is shed", "10m", ("PunchgateSheds",), twice(shed("0x8 1x20"))),
    Case("one was shed an hour ago", "70m", (), shed("0x8 1x90")),
    Case("a restart after shedding", "10m", (), shed("3x8 0x20")),
    Case("the disk fills", "30m", ("PunchgateSpaceLow",), told(FREE, "2000000000-40000000x30")),
    Case("the disk has room", "30m", (), told(FREE, "1073741824x30")),
    Case("the disk is low for a moment", "8m", (), told(FREE, "2000000000x5 9x2 2000000000x9")),
    Case(
        "a quarter of the devices that were ever heard is silent",
        "20m",
        ("PunchgateDevicesOffline",),
        twice(devices(online="7x60", late="2x60", offline="3x60", never="9x60", paused="9x60")),
    ),
    Case("one of five is silent", "20m", (), twice(devices(online="4x60", offline="1x60"))),
    Case("many were never heard or rest", "20m", (), devices(online="1x60", never="9x60")),
    Case("there are no devices", "20m", (), devices()),
    Case("all are silent", "20m", ("PunchgateDevicesOffline",), devices(offline="2x60")),
    Case("for a moment", "15m", (), devices(online="9x5 0x60", offline="0x5 9x60")),
    Case("an event waits", "9m", ("PunchgateDeliveryLags",), twice(told(LAG, "61x30"))),
    Case("events are on their way", "9m", (), twice(told(LAG, "59x30"))),
    Case("a receiver restarts", "7m", (), told(LAG, "0x3 90x3 0x9")),
    Case("an endpoint is disabled", "5m", ("PunchgateEndpointDisabled",), twice(disabled("1x9"))),
    Case("it is resumed at once", "1m", (), disabled("0 1 0x30")),
    Case(
        "an endpoint fails and goes on by itself",
        "20m",
        (),
        told("punchgate_delivery_endpoints", "1x30", state="failing"),
    ),
    Case("a transaction stays open", "9m", ("PunchgateEventsHeldBack",), twice(told(GUARD, "6x9"))),
    Case("transactions are short", "9m", (), twice(told(GUARD, "5x30"))),
    Case("a long one ends", "4m", (), told(GUARD, "0x3 9 0x30")),
    # A call every 19 minutes, which is the longest rest of a terminal that fails.
    Case(
        "a terminal never speaks the protocol",
        "3h",
        ("PunchgateCodecErrors",),
        codec("zk", " ".join(f"{count}x18" for count in range(20))),
    ),
    Case(
        "some calls of each of two processes break",
        "2h",
        ("PunchgateCodecErrors",),
        twice(codec("zk", "0x20 3x200")),
    ),
    Case(
        "a few conversations break, of two kinds",
        "2h",
        (),
        codec("zk", "0x20 5x200") | codec("zk_facade", "0x20 5x200"),
    ),
    Case("days wait, ever more", "90m", ("PunchgateWorkdaysWait",), twice(told(STALE, "0+10x99"))),
    Case("they have only begun to", "80m", (), told(STALE, "0+10x99")),
    Case("a burst is worked off", "3h", (), told(STALE, "9000-40x200")),
    Case("some days always wait", "3h", (), twice(told(STALE, "0+0.8x200"))),
    Case("each wave is worked off", "152m", (), told(STALE, "0+90x50 0+90x50 0+90x50")),
    Case(
        "an item comes into quarantine",
        "9h",
        ("PunchgateQuarantineGrows",),
        twice(quarantine("open", "3x400 4x2000")),
    ),
    Case("it is released within the hour", "510m", (), quarantine("open", "3x480 4x30 3x2000")),
    Case("old items stay", "30h", (), quarantine("open", "3x1900")),
    Case(
        "they become fewer",
        "30h",
        (),
        quarantine("open", "3x600 2x1300") | quarantine("released", "0x600 1x1300"),
    ),
)


def _promtool(*arguments: object) -> str:
    program = installed.program("promtool", package="prometheus")
    done = subprocess.run(
        [program, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


def _play(home: Path, series: Series, **expected: object) -> None:
    """Let promtool play series, a value a minute, and compare; JSON is YAML to it."""
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        **expected,
    }
    file = home / "test.yml"
    file.write_text(json.dumps({"rule_files": [str(_RULES)], "tests": [test]}))
    _promtool("test", "rules", file)


def _alerts() -> dict[str, str]:
    """Give what the file says of each alert."""
    parts = _ALERT.split(_RULES.read_text())[1:]
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _selectors(alert: str) -> list[tuple[str, str]]:
    """Give the metrics of an alert's expression, each with what it asks of their labels."""
    return _SELECTOR.findall(_alerts()[alert].split(" expr: ")[1].split(" for: ")[0])


def test_promtool_can_read_every_rule() -> None:
    assert f"SUCCESS: {len(_alerts())} rules found" in _promtool("check", "rules", _RULES)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_what_should_raise_an_alarm_does_and_nothing_else(tmp_path: Path, case: Case) -> None:
    check = {
        # Once each, however many processes tell the same.
        "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": case.at,
        "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in case.raised],
    }
    _play(tmp_path, case.series, promql_expr_test=[check])


@pytest.mark.parametrize("alert", _alerts())
def test_every_alert_has_a_case_that_raises_it_and_one_that_does_not(alert: str) -> None:
    speaks_of = {name for name, _ in _selectors(alert)}
    assert speaks_of
    about = [case for case in CASES if speaks_of & {name.split("{")[0] for name in case.series}]
    assert {alert in case.raised for case in about} == {True, False}


@pytest.mark.parametrize(
    ("about", "alert", "labels", "summary"),
    [
        (
            "one transport is slow beside one that is not",
            "PunchgateAcknowledgesSlowly",
            {"job": "punchgate", "transport": "zk", "severity": "warning"},
            "One acknowledgement of a hundred over zk takes 2.47s.",
        ),
        (
            "the disk fills",
            "PunchgateSpaceLow",
            {"job": "punchgate", "instance": "a:8080", "severity": "critical"},
            "762.9MiB are free where a:8080 has its data.",
        ),
        (
            "a quarter of the devices that were ever heard is silent",
            "PunchgateDevicesOffline",
            {"job": "punchgate", "severity": "warning"},
            "25% of the devices are offline.",
        ),
        (
            "an endpoint is disabled",
            "PunchgateEndpointDisabled",
            {"job": "punchgate", "severity": "critical"},
            "Disabled endpoints, to which nothing is sent: 1.",
        ),
    ],
)
def test_a_summary_says_where_and_how_much(
    tmp_path: Path, about: str, alert: str, labels: dict[str, str], summary: str
) -> None:
    (case,) = (case for case in CASES if case.about == about)
    _, _, description = _alerts()[alert].partition("description: >-")
    annotations = {"summary": summary, "description": " ".join(description.split())}
    check = {
        "alertname": alert,
        "eval_time": case.at,
        "exp_alerts": [{"exp_labels": labels, "exp_annotations": annotations}],
    }
    _play(tmp_path, case.series, alert_rule_test=[check])


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for part in _alerts().values():
        assert re.search(r"^ {8}for: \d+[mh]$", part, re.MULTILINE)
        assert re.search(r"^ {10}severity: (?:critical|warning)$", part, re.MULTILINE)
        assert " summary: " in part
        assert " description: >-" in part


def test_every_metric_that_the_rules_name_is_documented() -> None:
    page = (_ROOT / "docs/reference/metrics.md").read_text("utf-8")
    documented = set(re.findall(r"^\| `(punchgate_\w+)`", page, re.MULTILINE))
    named = {_SUFFIX.sub("", name) for name in _NAME.findall(_RULES.read_text())}
    assert len(named) >= 10
    assert named - documented == set()


def test_the_page_tells_of_every_alarm_and_names_no_line_that_is_never_written() -> None:
    page = (_ROOT / "docs/how-to/watch.md").read_text("utf-8")
    assert re.findall(r"^\| `(Punchgate\w+)`", page, re.MULTILINE) == list(_alerts())
    source = "".join(path.read_text("utf-8") for path in (_ROOT / "src").rglob("*.py"))
    # In the table, in its text, and in what the alarms say.
    named = set(re.findall(r"`([a-z]+\.[a-z_]+)`", page + _RULES.read_text()))
    assert "store.failed" in named
    assert {name for name in named if f'"{name}"' not in source} == set()


async def test_a_gateway_tells_what_the_rules_ask_for(tmp_path: Path) -> None:
    with gateway.running(tmp_path / "data") as house:
        token = house.command("device", "add", "SN1", "--zone", "Asia/Kolkata")["token"]
        house.serve()
        async with aiohttp.ClientSession(house.url) as session:
            punch = {"user_id": "1001", "att_time": "2026-06-21 09:30:00"}
            headers = {"sn": "SN1", "auth-token": token}
            path = "/api/attendance/v1/punch"
            async with session.post(path, json=punch, headers=headers) as answer:
                assert answer.status == 200
            async with session.get("/metrics") as answer:
                text = await answer.text()
    families = text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples]
    asked = [pair for alert in _alerts() for pair in _selectors(alert) if pair[0] != "up"]
    assert len(asked) >= len(_alerts()) - 1
    assert [pair for pair in asked if not any(_fits(sample, *pair) for sample in samples)] == []


def _fits(sample: Sample, name: str, matchers: str) -> bool:
    """Say whether a rule asks for this sample; that something failed need not have happened."""
    return sample.name == name and all(
        re.fullmatch(value, sample.labels.get(label, ""))
        for label, value in _MATCHER.findall(matchers)
        if label != "status"
    )
