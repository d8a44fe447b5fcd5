"""The configuration: defaults, where values come from, and what is made of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from stream_seg.errors import ConfigurationError
from stream_seg.events.mapping import EventMapping
from stream_seg.features.rules import Condition, NameRule, SegmentNames
from stream_seg.features.spec import Feature
from stream_seg.settings import Settings, load_settings, parse_duration_ms
from stream_seg.settings.reference import page

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).parents[2]
MINIMAL = """
[model]
name = "retail"
[source]
topic = "orders"
[event]
customer = "customer_id"
time = "invoice_date"
[event.fields]
revenue = "revenue"
channel = "context.channel"
[features.orders]
aggregate = "count"
half_life_days = 180
transform = "log1p"
"""
CONTRACT = """
[model]
name = "retail"
segments = 6
seed = 7
hysteresis = 0.1
forget_after_days = 730
names = "auto"
algorithm = "population"
distance = "euclidean"
[warm_up]
customers = 500
events = 5000
[source]
topic = "orders"
group = "retail"
format = "json"
start = "earliest"
key = "customer"
max_ahead = "1d"
[event]
customer = "customer_id"
time = "invoice_date"
time_zone = "UTC"
id = "invoice"
type = "kind"
[event.fields]
revenue = "revenue"
channel = "context.channel"
[features.days_since_order]
aggregate = "days_since"
[features.orders]
aggregate = "count"
half_life_days = 180
transform = "log1p"
[features.spend]
aggregate = "sum"
field = "revenue"
half_life_days = 180
transform = "log1p"
[features.app_share]
aggregate = "share"
where = { channel = "app" }
[kafka]
bootstrap_servers = "127.0.0.1:9092"
client = "kafka-python"
session_timeout_ms = 10000
transaction_timeout_ms = 60000
[kafka.options]
[redis]
url = "redis://127.0.0.1:6379/0"
[delivery]
mode = "exactly_once"
max_latency_ms = 100
[snapshot]
every_minutes = 0
dir = "snapshots"
keep = 3
"""


def loaded(folder: Path, text: str, environ: dict[str, str] | None = None, **overrides: object) -> Settings:
    path = folder / "stream-seg.toml"
    path.write_text(text, encoding="utf-8")
    dotted = {key.replace("__", "."): value for key, value in overrides.items()}
    return load_settings(path, overrides=dotted, environ=environ or {})


def test_the_contract_s_example_is_read_as_it_stands(tmp_path: Path) -> None:
    settings = loaded(tmp_path, CONTRACT)
    assert settings.event == EventMapping(
        customer="customer_id",
        time="invoice_date",
        id="invoice",
        type="kind",
        fields={"revenue": "revenue", "channel": "context.channel"},
    )
    assert settings.features.features == (
        Feature("days_since_order", "days_since"),
        Feature("orders", "count", half_life_days=180, transform="log1p"),
        Feature("spend", "sum", field="revenue", half_life_days=180, transform="log1p"),
        Feature("app_share", "share", where=(("channel", ("app",)),)),
    )
    assert settings.model.forget_after_days == 730


def test_what_the_contract_gives_as_defaults_are_the_defaults(tmp_path: Path) -> None:
    said, silent = loaded(tmp_path, CONTRACT), loaded(tmp_path, MINIMAL)
    for section in ("warm_up", "kafka", "redis", "delivery", "snapshot", "clustering"):
        assert getattr(said, section) == getattr(silent, section)
    assert said.model == silent.model.model_copy(update={"forget_after_days": 730.0})
    assert silent.group == said.group == "retail"
    assert said.source == silent.source.model_copy(update={"group": "retail"})


def test_a_later_place_wins(tmp_path: Path) -> None:
    environ = {"STREAM_SEG__MODEL__SEGMENTS": "8", "STREAM_SEG__MODEL__SEED": "3", "PATH": "/bin"}
    settings = loaded(tmp_path, MINIMAL, environ, model__seed=5, model__hysteresis=None)
    assert (settings.model.segments, settings.model.seed, settings.model.hysteresis) == (8, 5, 0.1)


def test_without_a_file_the_environment_and_flags_suffice() -> None:
    settings = load_settings(None, overrides={"model.name": "retail"}, environ={}, needs=())
    assert settings.model.name == "retail"
    with pytest.raises(ConfigurationError, match="event is missing"):
        _ = settings.event
    with pytest.raises(ConfigurationError, match="features is missing"):
        _ = settings.features
    with pytest.raises(ConfigurationError, match="topic is missing"):
        _ = settings.topic


@pytest.mark.parametrize(
    ("variable", "text", "read"),
    [
        ("MODEL__NAME", "2024", lambda s: s.model.name == "2024"),
        ("MODEL__NAMES", "plain", lambda s: s.model.names == SegmentNames("plain")),
        ("MODEL__NAMES__0", "12", lambda s: s.model.names == SegmentNames("table", ((0, "12"),))),
        ("SOURCE__MAX_AHEAD", "90m", lambda s: s.event.max_ahead_ms == 5_400_000),
        ("EVENT__FIELDS__REVENUE", "1", lambda s: s.event.fields["revenue"] == "1"),
        ("EVENT__TIME_UNIT", "ms", lambda s: s.event.time_unit == "ms"),
        ("FEATURES__ORDERS__WEIGHT", "2", lambda s: s.features.features[0].weight == 2),
        ("FEATURES__APP__AGGREGATE", "count", lambda s: s.features.features[1] == Feature("app", "count")),
        (
            "FEATURES__ORDERS__WHERE",
            '{ channel = ["app", 1] }',
            lambda s: s.features.features[0].where == (("channel", ("app", 1)),),
        ),
        (
            "FEATURES__ORDERS__WHERE__CHANNEL",
            "2024-01-01",
            lambda s: s.features.features[0].where == (("channel", ("2024-01-01",)),),
        ),
        (
            "KAFKA__OPTIONS__SSL_CHECK_HOSTNAME",
            "false",
            lambda s: s.kafka.options["ssl_check_hostname"] is False,
        ),
        (
            "KAFKA__OPTIONS__SASL_PLAIN_USERNAME",
            "007",
            lambda s: s.kafka.client_options()["sasl_plain_username"] == "007",
        ),
        (
            "KAFKA__OPTIONS__SASL_PLAIN_PASSWORD",
            "12345",
            lambda s: s.kafka.client_options() == {"sasl_plain_password": "12345"},
        ),
        (
            "KAFKA__OPTIONS",
            '{ "sasl.password" = "x" }',
            lambda s: s.kafka.client_options() == {"sasl.password": "x"},
        ),
        ("SNAPSHOT__EVERY_MINUTES", "5", lambda s: s.snapshot.every_minutes == 5),
    ],
)
def test_a_variable_is_read_as_its_key_wants(
    tmp_path: Path, variable: str, text: str, read: Callable[[Settings], bool]
) -> None:
    assert read(loaded(tmp_path, MINIMAL, {f"STREAM_SEG__{variable}": text}))


def test_capitals_in_a_variable_find_the_spelling_of_the_file(tmp_path: Path) -> None:
    text = MINIMAL.replace("features.orders", "features.AverageOrder")
    settings = loaded(tmp_path, text, {"STREAM_SEG__FEATURES__AVERAGEORDER__WEIGHT": "3"})
    assert settings.features.features == (
        Feature("AverageOrder", "count", half_life_days=180, transform="log1p", weight=3),
    )


def test_names_are_read_by_id_and_by_rule_either_way_round(tmp_path: Path) -> None:
    names = '[model.names]\n3 = "vip"\nlapsed = "orders < 1e-1 and orders >= 0"\n"orders > 5" = "fans"\n'
    settings = loaded(tmp_path, MINIMAL.replace("[source]", f"{names}[source]"))
    few = NameRule("lapsed", (Condition("orders", "<", 0.1), Condition("orders", ">=", 0.0)))
    assert settings.model.names == SegmentNames(
        "table", ((3, "vip"),), (few, NameRule("fans", (Condition("orders", ">", 5.0),)))
    )
    assert settings.model.names.given(3, {"orders": 0.05}) == "vip"
    assert settings.model.names.given(0, {"orders": 0.05}) == "lapsed"
    assert settings.model.names.given(0, {"orders": 6.0}) == "fans"
    assert settings.model.names.given(0, {"orders": 2.0}) is None


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [
        ("1d", 86_400_000),
        ("12h", 43_200_000),
        ("90m", 5_400_000),
        ("30s", 30_000),
        ("1.5h", 5_400_000),
        ("7 ms", 7),
    ],
)
def test_durations(text: str, milliseconds: int) -> None:
    assert parse_duration_ms(text) == milliseconds


@pytest.mark.parametrize("text", ["", "1", "d", "-1d", "1y", "1d2h", "\u0661d", "1e3s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number with its unit"):
        parse_duration_ms(text)


@pytest.mark.parametrize(
    ("text", "environ", "configured"),
    [
        ("", {}, False),
        ("[redis]", {}, True),
        ("[kafka.options]", {}, True),
        ("", {"STREAM_SEG__REDIS__URL": "redis://r:1"}, True),
    ],
)
def test_servers_are_configured_where_a_person_said_anything_of_them(
    tmp_path: Path, text: str, environ: dict[str, str], *, configured: bool
) -> None:
    assert loaded(tmp_path, MINIMAL + text, environ).servers_configured is configured


def test_a_flag_configures_servers_too(tmp_path: Path) -> None:
    assert loaded(tmp_path, MINIMAL, kafka__bootstrap_servers="k:1").servers_configured
    assert not loaded(tmp_path, MINIMAL, kafka__bootstrap_servers=None).servers_configured


CHANGED_MODELS = [
    ("half_life_days = 180", "half_life_days = 90"),
    ("half_life_days = 180", "half_life_days = 180\nweight = 2.0"),
    ("[features.orders]", "[features.visits]"),
    ('"context.channel"', '"channel"'),
    ("[event]", '[event]\ntime_zone = "Europe/Amsterdam"'),
    ("[event]", '[event]\nid = "invoice"'),
    ("[source]", '[source]\nkey = "unchecked"'),
    ("[source]", '[source]\nmax_ahead = "2d"'),
]
SAME_MODELS = [
    ("[source]", '[source]\nmax_ahead = "24h"'),
    ("[source]", '[source]\nstart = "latest"\ngroup = "another"'),
    ("[source]", "segments = 9\nhysteresis = 0.0\n[source]"),
    ("[model]", "[clustering]\nsample_rows = 9\n[model]"),
    ('revenue = "revenue"\nchannel = "context.channel"', 'channel = "context.channel"\nrevenue = "revenue"'),
]


@pytest.mark.parametrize(("former", "now"), CHANGED_MODELS)
def test_features_event_key_and_max_ahead_make_another_model(tmp_path: Path, former: str, now: str) -> None:
    changed = loaded(tmp_path, MINIMAL.replace(former, now)).model_hash
    assert re.fullmatch("[0-9a-f]{16}", changed)
    assert changed != loaded(tmp_path, MINIMAL).model_hash


@pytest.mark.parametrize(("former", "now"), SAME_MODELS)
def test_everything_else_is_the_same_model(tmp_path: Path, former: str, now: str) -> None:
    assert former in MINIMAL
    assert loaded(tmp_path, MINIMAL.replace(former, now)).model_hash == loaded(tmp_path, MINIMAL).model_hash


def test_settings_do_not_change(tmp_path: Path) -> None:
    settings = loaded(tmp_path, MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        settings.model.segments = 3
    with pytest.raises(AttributeError):
        settings.model = settings.model  # type: ignore[misc]


def test_the_reference_page_says_what_the_settings_say() -> None:
    written = (ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8")
    assert page(written) == written
    assert written.count("<!-- table:") == written.count("<!-- end -->") == 10


def test_the_reference_page_s_file_is_a_configuration(tmp_path: Path) -> None:
    written = (ROOT / "docs/reference/configuration.md").read_text(encoding="utf-8")
    files = re.findall(r"```toml\n(.*?)```", written, re.DOTALL)
    first = loaded(tmp_path, files[0])
    assert first.features.names == ("days_since_order", "orders", "spend")
    assert len(loaded(tmp_path, files[0] + files[1]).model.names.rules) == 2


def test_settings_are_read_without_the_engine_or_a_client() -> None:
    heavy = "numba river kafka confluent_kafka redis polars rich stream_seg.engine"
    program = f"import sys, stream_seg.settings; print([m for m in '{heavy}'.split() if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
