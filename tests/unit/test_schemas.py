"""Records are what their schemas say: the documented ones, and those that a run makes."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, get_args

import jsonschema
import numpy as np
import pytest
import yaml

from consumers.plan import plan_of
from stream_seg.adapters.dead_letters import dead_letter
from stream_seg.adapters.kafka_topics import output_topics
from stream_seg.engine.minter import Minted
from stream_seg.engine.outcome import CAUSES
from stream_seg.engine.records import Origin, encode_labels, encode_transitions
from stream_seg.engine.registry import adoption_record, version_records
from stream_seg.engine.replay import Replay, Step
from stream_seg.engine.version import Reason
from stream_seg.events.batch import Rejected
from stream_seg.events.decoder import JsonDecoder
from stream_seg.events.records import RawRecords
from stream_seg.schemas import SCHEMAS, SchemaName, schema
from stream_seg.settings import load_settings
from tests.histories import Event, History, run

ROOT = Path(__file__).parents[2]
ASYNCAPI = ROOT / "docs/reference/topics.asyncapi.yaml"
PARTITIONS = 2
BLOCK = re.compile(r"^```json (?P<name>[a-z-]+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
DAY_MS = 86_400_000

Record = dict[str, Any]


def documented() -> dict[SchemaName, Record]:
    """The examples of ``records.md`` by schema."""
    page = (ROOT / "docs/reference/records.md").read_text(encoding="utf-8")
    names: dict[str, SchemaName] = {name.replace("_", "-"): name for name in SCHEMAS}
    return {names[block["name"]]: json.loads(block["text"]) for block in BLOCK.finditer(page)}


def validator(name: SchemaName) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(schema(name))


def problems(name: SchemaName, record: object) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator(name).iter_errors(record)]


# -- real output ---------------------------------------------------------------------------------------


@dataclass
class Output:
    labels: list[Record] = field(default_factory=list)
    transitions: list[Record] = field(default_factory=list)
    models: list[tuple[str, Record]] = field(default_factory=list)

    def of(self, kind: str) -> Iterator[Record]:
        return (record for key, record in self.models if key.startswith(f"{kind}/"))

    def add_models(self, records: list[tuple[str, bytes]]) -> None:
        self.models += [(key, json.loads(value)) for key, value in records]


@pytest.fixture(scope="module")
def shop() -> Output:
    """A year of the example's orders through the engine, as the example's configuration has it."""
    settings = load_settings(ROOT / "examples/orders.toml", environ={})
    output = Output()

    def on_step(step: Step) -> None:
        origin = Origin("orders", step.state.partition, "live")
        output.labels.extend(map(json.loads, encode_labels(step.outcome, origin).values))
        moves = encode_transitions(step.outcome, origin, settings.features)
        output.transitions.extend(map(json.loads, moves.values))
        if step.adopted is not None:
            output.add_models([adoption_record(step.state.partition, step.adopted)])

    def on_version(minted: Minted) -> None:
        output.add_models(version_records(minted))

    partitions = dict.fromkeys(range(PARTITIONS), 0)
    replay = Replay(
        plan_of(settings), partitions, instance="8c1f4a52e0b94d7f", on_step=on_step, on_version=on_version
    )
    decoder = JsonDecoder(settings.event, settings.features)
    for partition, record in orders():
        decoded = decoder.decode(record)
        assert not decoded.rejected
        replay.feed(partition, decoded.events)
    replay.finish()
    return output


def orders() -> Iterator[tuple[int, RawRecords]]:
    """The example's orders as Kafka records, (partition, one record) in the order of their times."""
    read = [0] * PARTITIONS
    with (ROOT / "examples/orders.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            partition = int(row["customer_id"][1:]) % PARTITIONS
            value = json.dumps({**row, "revenue": float(row["revenue"])}).encode()
            offset = read[partition]
            read[partition] += 1
            yield (
                partition,
                RawRecords(
                    keys=[row["customer_id"].encode()],
                    values=[value],
                    offset=np.array([offset]),
                    timestamp_ms=np.array([-1]),
                    next_offset=offset + 1,
                    single_partition=False,
                ),
            )


# -- the schemas ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_a_json_schema_of_2020_12(name: SchemaName) -> None:
    assert schema(name)["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema(name))


def test_every_schema_file_is_named() -> None:
    files = {entry.name for entry in resources.files("stream_seg.schemas").iterdir()}
    assert {name for name in files if name.endswith(".json")} == {f"{name}.json" for name in SCHEMAS}


def test_changing_a_loaded_schema_changes_nobody_else_s() -> None:
    schema("label")["properties"].clear()
    assert schema("label")["properties"]


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_property_of_a_record_is_required_but_for_the_replaced_header(name: SchemaName) -> None:
    loaded = schema(name)
    assert set(loaded["properties"]) - set(loaded["required"]) <= {"replaced"}


def test_the_schemas_know_all_causes_and_reasons() -> None:
    assert schema("transition")["properties"]["cause"]["enum"] == list(CAUSES)
    assert schema("version")["properties"]["reason"]["enum"] == list(get_args(Reason))


# -- documented examples -------------------------------------------------------------------------------


def test_there_is_one_documented_example_of_every_record() -> None:
    assert set(documented()) == set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_documented_example_is_valid(name: SchemaName) -> None:
    assert problems(name, documented()[name]) == []


def test_documented_examples_have_the_fields_of_real_records_in_their_order(shop: Output) -> None:
    real = {
        "label": shop.labels[0],
        "transition": shop.transitions[0],
        **{kind: next(shop.of(kind)) for kind in ("version", "adoption", "lineage")},
    }
    examples: Mapping[str, Record] = {str(name): example for name, example in documented().items()}
    for kind, record in real.items():
        assert list(examples[kind]) == list(record), kind


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_record_that_lacks_a_field_is_refused(name: SchemaName) -> None:
    for key in schema(name)["required"]:
        example = documented()[name]
        del example[key]
        assert problems(name, example), key


@pytest.mark.parametrize("name", ["label", "transition"])
def test_a_field_that_is_not_in_the_contract_is_refused(name: SchemaName) -> None:
    assert problems(name, {**documented()[name], "extra": 1})


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("label", {"event_time": "2024-08-19T13:51:56Z"}),
        ("label", {"event_time": "2024-08-19T13:51:56.000+00:00"}),
        ("label", {"customer_id": 1125}),
        ("label", {"segment": None}),
        ("label", {"segment": "3"}),
        ("label", {"confidence": 1.2}),
        ("label", {"runner_up": None}),
        ("label", {"previous_segment": None, "changed": False}),
        ("label", {"source": {"topic": "orders", "partition": 0}}),
        ("label", {"run": "replay"}),
        ("transition", {"cause": "adoption"}),
        ("transition", {"to": None}),
        ("transition", {"to": None, "to_name": None}),
        ("transition", {"drivers": []}),
        ("transition", {"dwell_ms": 0.5}),
        ("adoption", {"first_offset": -1}),
        ("version", {"contract": 2}),
        ("version", {"segments": []}),
        ("lineage", {"changes": [{"what": "split", "segment": 1, "name": "a"}]}),
        ("dead_letter_headers", {"offset": "-1"}),
        ("dead_letter_headers", {"stage": "decode"}),
    ],
)
def test_a_wrong_value_is_refused(name: SchemaName, change: Record) -> None:
    assert problems(name, {**documented()[name], **change})


# -- records as they are made --------------------------------------------------------------------------


def test_labels_of_a_run_are_valid(shop: Output) -> None:
    assert [found for label in shop.labels for found in problems("label", label)] == []
    assert {label["changed"] for label in shop.labels} == {True, False}
    assert any(label["previous_segment"] is None for label in shop.labels)


def test_transitions_of_a_run_are_valid(shop: Output) -> None:
    assert [found for moved in shop.transitions for found in problems("transition", moved)] == []
    assert {moved["cause"] for moved in shop.transitions} == set(CAUSES)


@pytest.mark.parametrize("kind", ["version", "adoption", "lineage"])
def test_what_a_run_writes_about_its_model_is_valid(shop: Output, kind: SchemaName) -> None:
    records = list(shop.of(kind))
    assert records
    assert [found for record in records for found in problems(kind, record)] == []


def test_a_run_makes_refits_and_lineage(shop: Output) -> None:
    assert {version["reason"] for version in shop.of("version")} >= {"warm-up", "mint", "structure"}
    assert {change["what"] for record in shop.of("lineage") for change in record["changes"]} >= {
        "born",
        "split",
    }


def test_forgetting_and_a_single_segment_are_valid_too() -> None:
    start = 1_700_000_000_000
    events = [
        Event(customer, start + day * DAY_MS, 1.0, True, 0) for day in (0, 1, 9, 20) for customer in "ab"
    ]
    lonely = Event("c", start, 1.0, False, 1)
    labels, transitions = [], []
    for seed in range(12):
        history = History([lonely, *events], [(0, 0)], forget_after_days=5.0, seed=seed)
        done = run(history, [])
        labels += [json.loads(label) for label in done.labels]
        transitions += [json.loads(moved) for moved in done.transitions]
    assert [found for label in labels for found in problems("label", label)] == []
    assert [found for moved in transitions for found in problems("transition", moved)] == []
    assert any(label["confidence"] is None for label in labels)
    assert any(moved["to"] is None for moved in transitions)


@pytest.mark.parametrize(
    "customer", ["a b", 'quote " and \\', "{brace}:colon", "\N{WINKING FACE}", "\n\x7f", "x" * 1000]
)
def test_any_customer_and_event_id_is_text_in_a_valid_record(customer: str) -> None:
    events = [Event(customer, 1_700_000_000_000 + day * DAY_MS, 1.0, True, 0) for day in range(3)]
    done = run(History(events, [(0, 0)], None, seed=3), [])
    records = [json.loads(label) for label in done.labels]
    assert [record["customer_id"] for record in records] == [customer] * 3
    assert [found for record in records for found in problems("label", record)] == []


@pytest.mark.parametrize(
    ("key", "value", "largest"),
    [
        (b"c1", b"{", 1_000_000),
        (b"c1", b"x" * 2000, 1500),
        (b"k" * 3000, b"x" * 3000, 1500),
        (b"k" * 3000, None, 1500),
        (None, None, 1500),
    ],
)
def test_headers_of_dead_letters_are_valid(key: bytes | None, value: bytes | None, largest: int) -> None:
    rejected = Rejected(731, key, value, 5, "json", "DecodeError", "the record is not JSON")
    record = dead_letter("shop.dead-letters", "orders", 1, rejected, largest)
    headers = {name: content.decode() for name, content in record.headers}
    assert problems("dead_letter_headers", headers) == []
    assert ("replaced" in headers) == ((record.key, record.value) != (key, value))


# -- the AsyncAPI document -----------------------------------------------------------------------------


@pytest.fixture
def asyncapi() -> Record:
    loaded: Record = yaml.safe_load(ASYNCAPI.read_text(encoding="utf-8"))
    return loaded


def asyncapi_problems(document: Record) -> list[str]:
    """What the AsyncAPI Initiative's own schema finds (``tests/vendored/README.md``)."""
    published = json.loads((ROOT / "tests/vendored/asyncapi-3.0.0.json").read_text(encoding="utf-8"))
    found = jsonschema.Draft7Validator(published).iter_errors(document)
    return [f"{error.json_path}: {error.message}" for error in found]


def test_the_topics_are_described_in_valid_asyncapi_3(asyncapi: Record) -> None:
    assert asyncapi_problems(asyncapi) == []


def test_the_asyncapi_schema_would_find_a_mistake(asyncapi: Record) -> None:
    wrong = deepcopy(asyncapi)
    wrong["channels"]["labels"]["adress"] = "x"
    assert asyncapi_problems(wrong)


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from references(value)
    elif isinstance(node, list):
        for value in node:
            yield from references(value)


def test_its_schemas_are_the_packaged_files_all_of_them(asyncapi: Record) -> None:
    outside = {reference for reference in references(asyncapi) if not reference.startswith("#")}
    packaged = resources.files("stream_seg.schemas")
    files = {(ASYNCAPI.parent / reference).resolve() for reference in outside}
    assert files == {Path(str(packaged / f"{name}.json")).resolve() for name in SCHEMAS}
    assert all(json.loads(file.read_text(encoding="utf-8")) == schema(get_name(file)) for file in files)


def get_name(file: Path) -> SchemaName:
    return next(name for name in SCHEMAS if name == file.stem)


def test_its_inner_references_lead_somewhere(asyncapi: Record) -> None:
    for reference in references(asyncapi):
        if reference.startswith("#/"):
            node: Any = asyncapi
            for part in reference.removeprefix("#/").split("/"):
                node = node[part]
            assert node


def test_its_topics_are_those_that_a_model_writes_as_they_are_created(asyncapi: Record) -> None:
    outputs = [channel for name, channel in asyncapi["channels"].items() if name != "events"]
    described = {channel["address"].format(model="shop"): channel for channel in outputs}
    made = {topic.name: topic for topic in output_topics("shop", 4, 1_000_000)}
    assert set(described) == set(made)
    for name, topic in made.items():
        kafka = described[name]["bindings"]["kafka"]
        assert kafka["topicConfiguration"]["cleanup.policy"] == topic.config["cleanup.policy"].split(",")
        assert str(kafka["topicConfiguration"]["retention.ms"]) == topic.config["retention.ms"]
        assert kafka.get("partitions", 4) == topic.partitions


@pytest.mark.parametrize("kind", ["version", "adoption", "lineage"])
def test_keys_of_the_models_topic_are_as_described(asyncapi: Record, shop: Output, kind: str) -> None:
    pattern = asyncapi["components"]["messages"][kind]["bindings"]["kafka"]["key"]["pattern"]
    keys = [key for key, _ in shop.models if key.startswith(f"{kind}/")]
    assert keys
    assert all(re.fullmatch(pattern, key) for key in keys)
