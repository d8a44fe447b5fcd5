"""What is wrong with a configuration is named: all of it, each with its key and what is allowed."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from stream_seg.errors import ConfigurationError
from stream_seg.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

BASE = """
[model]
name = "retail"
[source]
topic = "orders"
[event]
customer = "customer_id"
time = "at"
[event.fields]
revenue = "revenue"
[features.orders]
aggregate = "count"
"""


def problems(folder: Path, text: str, environ: dict[str, str] | None = None) -> list[str]:
    path = folder / "stream-seg.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path, environ=environ or {}, needs=("topic", "event", "features"))
    assert caught.value.exit_status == 2
    assert all(sentence.endswith((".", "?")) and "\n" not in sentence for sentence in caught.value.problems)
    return list(caught.value.problems)


def test_the_base_of_these_tests_has_no_problem(tmp_path: Path) -> None:
    path = tmp_path / "stream-seg.toml"
    path.write_text(BASE, encoding="utf-8")
    assert load_settings(path, environ={}).features.names == ("orders",)


SINGLE_KEYS = [
    ("model.name", '"re tail"', 'must be 1 to 100 letters, digits and "-", not "re tail".'),
    ("model.name", '"Läden"', 'must be 1 to 100 letters, digits and "-", not "Läden".'),
    ("model.segments", "1", "must be a whole number of at least 2 and at most 1000, not 1."),
    ("model.segments", '"6"', 'must be a whole number of at least 2 and at most 1000, not "6".'),
    ("model.segments", "true", "must be a whole number of at least 2 and at most 1000, not true."),
    ("model.hysteresis", "1.0", "must be a number of at least 0 and below 1, not 1.0."),
    ("model.hysteresis", "nan", "must be a number of at least 0 and below 1, not NaN."),
    ("model.forget_after_days", "0", "must be a number above 0, not 0."),
    (
        "model.distance",
        '"hamming"',
        'must be "euclidean", "manhattan", "chebyshev" or "cosine", not "hamming".',
    ),
    ("model.parameters", "{ a = 1 }", 'is for algorithm = "river:…" only.'),
    ("model.segment", "6", "is not a setting: did you mean model.segments?"),
    ("model.topic", '"t"', "is not a setting: did you mean source.topic?"),
    ("source.topic", '"a b"', 'must be 1 to 249 letters, digits, ".", "_" and "-", not "a b".'),
    ("source.format", '"avro"', 'must be "json", not "avro".'),
    ("source.group", '""', 'must be 1 to 249 characters, not "".'),
    ("event.time_unit", '"ns"', 'must be "s", "ms" or "us", not "ns".'),
    ("event.fields.type", '"kind"', "must be set as event.type: filters call the event's type so."),
    ("event.id", '"a..b"', 'must be a dotted path into the record, without empty parts, not "a..b".'),
    ("kafka.bootstrap_server", '"k:1"', "is not a setting: did you mean kafka.bootstrap_servers?"),
    ("kafka.bootstrap_servers", '"k"', 'must be host:port, several separated by ",", not "k".'),
    ("kafka.sasl_mechanism", '"x"', "is not a setting: did you mean kafka.options.sasl_mechanism?"),
    ("kafka.options.group_id", '"g"', "must be set as source.group."),
    ("kafka.options.enable_auto_commit", "true", "must not be set: stream-seg sets it itself."),
    ("delivery.mode", '"once"', 'must be "exactly_once" or "at_least_once", not "once".'),
    ("clustering.sample_rows", "0", "must be a whole number of at least 1, not 0."),
    ("snapshot", "3", "must be a table: [snapshot]."),
    ("modle", "{}", "is not a setting: did you mean model?"),
]


@pytest.mark.parametrize(("key", "value", "text"), SINGLE_KEYS)
def test_a_wrong_value_is_named_with_what_is_allowed(tmp_path: Path, key: str, value: str, text: str) -> None:
    table, _, name = key.rpartition(".")
    if f"[{table}]" in BASE:
        above, below = BASE.split(f"[{table}]\n")
        kept = re.sub(rf"\A([^\[]*?)^{name} = .*\n", r"\1", below, flags=re.MULTILINE)
        written = f"{above}[{table}]\n{name} = {value}\n{kept}"
    else:
        written = f"{key} = {value}\n{BASE}"
    assert problems(tmp_path, written) == [f"{key} {text}"]


SINGLE_FEATURES = [
    ("", "aggregate", 'is missing: it must be "days_since", '),
    ('aggregate = "summ"', "aggregate", 'must be "days_since", '),
    ('aggregate = "sum"', "field", 'is missing: "sum" aggregates a field of [event.fields].'),
    (
        'aggregate = "sum"\nfield = "net"',
        "field",
        'must be declared in [event.fields] (declared: revenue), not "net".',
    ),
    ('aggregate = "count"\nfield = "revenue"', "field", 'is no option of "count": only of '),
    ('aggregate = "gap_days"\nhalf_life_days = 3', "half_life_days", 'is no option of "gap_days": only of '),
    ('aggregate = "count"\ndefault = 3', "default", 'is no option of "count": only of mean, min, max, last.'),
    ('aggregate = "count"\nhalf_life_days = -1', "half_life_days", "must be a number above 0, not -1."),
    ('aggregate = "count"\nweight = inf', "weight", "must be a number above 0, not Infinity."),
    ('aggregate = "count"\nstep = 0.3', "step", "must be a power of two, such as 0.0625, not 0.3."),
    (
        'aggregate = "count"\nhalflife = 3',
        "halflife",
        "is not a setting: did you mean features.x.half_life_days?",
    ),
    (
        'aggregate = "count"\nwhere = { net = 1 }',
        "where.net",
        'must be "type" or declared in [event.fields] (declared: revenue).',
    ),
    (
        'aggregate = "count"\nwhere = { type = "a" }',
        "where.type",
        "needs the path of the event's type: set event.type.",
    ),
    (
        'aggregate = "count"\nwhere = { revenue = [] }',
        "where.revenue",
        "must be text, a number, true or false, or a list of at least one of those.",
    ),
]


@pytest.mark.parametrize(("definition", "key", "text"), SINGLE_FEATURES)
def test_a_wrong_feature_is_named(tmp_path: Path, definition: str, key: str, text: str) -> None:
    found = problems(tmp_path, f"{BASE}[features.x]\n{definition}\n")
    assert len(found) == 1
    assert found[0].startswith(f"features.x.{key} {text}")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ('"or ders"', 'features."or ders" is not a feature\'s name'),
        ('"ö"', "features.ö is not a feature's name"),
        ("Orders", "features.Orders is the same name as orders but for capitals."),
    ],
)
def test_a_wrong_name_of_a_feature_is_named(tmp_path: Path, name: str, sentence: str) -> None:
    found = problems(tmp_path, f'{BASE}[features.{name}]\naggregate = "count"\n')
    assert len(found) == 1
    assert found[0].startswith(sentence)


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        ('"fancy"', 'model.names must be "auto", "plain" or a table such as '),
        ('{ a = "orders >> 3" }', "model.names.a must compare as in "),
        ('{ a = "visits > 3" }', 'model.names.a must compare features of [features] (orders), not "visits".'),
        ('{ a = "orders > 3", 0 = "a" }', 'model.names gives "a" to several.'),
        ('{ 0 = "" }', "model.names.0 must give a name of 1 to 100 printable characters."),
        ("{ a = 3 }", "model.names.a must be text: a name for an id, or a rule for a name."),
    ],
)
def test_wrong_names_of_segments_are_named(tmp_path: Path, names: str, sentence: str) -> None:
    found = problems(tmp_path, BASE.replace("[source]", f"names = {names}\n[source]"))
    assert len(found) == 1
    assert found[0].startswith(sentence)


def test_every_problem_is_named_at_once(tmp_path: Path) -> None:
    text = """
oops = 1
[model]
segments = 1
names = { a = "orders" }
[source]
max_ahead = "soon"
[event]
time = "at"
time_zone = "Mars/Base"
[event.fields]
revenue = "revenue"
[features.orders]
aggregate = "count"
transform = "log"
half_life_days = 0
[features.spend]
aggregate = "sum"
field = "net"
where = { type = "order", channel = "app" }
[redis]
url = "http://h"
"""
    found = problems(tmp_path, text)
    keys = [sentence.split()[0] for sentence in found]
    assert sorted(keys) == sorted(
        [
            "oops",
            "model.name",
            "model.segments",
            "model.names.a",
            "source.max_ahead",
            "source.topic",
            "event.customer",
            "event.time_zone",
            "features.orders.transform",
            "features.orders.half_life_days",
            "features.spend.field",
            "features.spend.where.type",
            "features.spend.where.channel",
            "redis.url",
        ]
    )


def test_a_configuration_of_nothing_says_what_is_needed(tmp_path: Path) -> None:
    keys = [sentence.split()[0] for sentence in problems(tmp_path, "")]
    assert keys == ["model.name", "source.topic", "event", "features"]


def test_no_features_are_a_problem(tmp_path: Path) -> None:
    text = BASE.replace('[features.orders]\naggregate = "count"', "[features]")
    assert problems(tmp_path, text) == [
        "features is missing: at least one [features.<name>] must say what segments are made of."
    ]


def test_a_problem_of_the_environment_names_the_variable(tmp_path: Path) -> None:
    environ = {"STREAM_SEG__DELIVERY__MODE": "x", "STREAM_SEG__MODEL__SEGMENS": "6"}
    assert problems(tmp_path, BASE, environ) == [
        "model.segmens (from STREAM_SEG__MODEL__SEGMENS) is not a setting: did you mean model.segments?",
        'delivery.mode (from STREAM_SEG__DELIVERY__MODE) must be "exactly_once" or "at_least_once", not "x".',
    ]


@pytest.mark.parametrize(
    "section",
    [
        '[redis]\nurl = "http://me:hunter2@h"',
        '[redis]\nurl = "redis://me:hunter2@h:x"',
        '[redis]\nurl = "redis://me:hunter2@[h"',
        '[redis]\nurl = ["hunter2"]',
        '[redis]\nurls = "redis://me:hunter2@h"',
        '[kafka]\nbootstrap_servers = "me:hunter2@h:1"',
        '[kafka]\nsasl_plain_password = "hunter2"',
        "[kafka.options]\nsasl_plain_password = ['hunter2']",
        "[kafka.options]\nsasl = { password = 'hunter2' }",
        '[kafka]\noptions = "hunter2"',
    ],
)
def test_no_secret_is_in_an_error(tmp_path: Path, section: str) -> None:
    path = tmp_path / "stream-seg.toml"
    path.write_text(BASE + section, encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path, environ={})
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None or "hunter2" not in str(caught.value.__context__)


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"[model\n", "is not TOML"), (b"name = '\xff'\n", "is not UTF-8"), (None, "cannot be read")],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None, reason: str) -> None:
    path = tmp_path / "mine.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        load_settings(path, environ={})
    (sentence,) = caught.value.problems
    assert str(path) in sentence
    assert reason in sentence
