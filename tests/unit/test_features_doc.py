"""The worked examples of ``docs/features.md``, through configuration, decoder and engine."""

from __future__ import annotations

import json
import re
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stream_seg.engine.kernels import rows_values
from stream_seg.engine.state import State
from stream_seg.engine.step import step
from stream_seg.events.decoder import JsonDecoder
from stream_seg.events.records import RawRecords
from stream_seg.features.kernels import is_default, transformed, vector
from stream_seg.settings import load_settings

PAGE = Path(__file__).parents[2] / "docs" / "features.md"
TEXT = PAGE.read_text()
EVENTS: list[dict[str, Any]] = json.loads(re.findall(r"```json worked-events\n(.*?)```", TEXT, re.DOTALL)[0])
_BLOCKS = re.findall(r"```toml worked-example\n(.*?)```", TEXT, re.DOTALL)
EXAMPLES = [tomllib.loads(block) for block in _BLOCKS]


def milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda e: "-".join(e["features"]))
def test_worked_example(example: dict[str, Any], tmp_path: Path) -> None:
    events = example.get("events", EVENTS)
    fields = sorted({key for e in events for key in e} - {"time", "type"})
    config = tmp_path / "stream-seg.toml"
    head = '[model]\nname = "doc"\n[source]\nkey = "unchecked"\n'
    head += '[event]\ncustomer = "customer"\ntime = "time"\ntype = "type"\n'
    declared = "[event.fields]\n" + "".join(f'{name} = "{name}"\n' for name in fields)
    config.write_text(head + declared)
    settings = load_settings(config, overrides={f"features.{n}": f for n, f in example["features"].items()})
    features = settings.features
    records = [{"customer": "one", **_plain(e)} for e in events]
    decoded = JsonDecoder(settings.event, features).decode(
        RawRecords(
            keys=[None] * len(records),
            values=[json.dumps(r).encode() for r in records],
            offset=np.arange(len(records)),
            timestamp_ms=np.full(len(records), -1),
            next_offset=len(records),
            single_partition=True,
        )
    )
    assert decoded.rejected == []
    state = State(0, features)
    step(state, decoded.events)
    now, rows, layout = milliseconds(example["now"]), state.rows, features.layout
    values = np.empty((1, 1))
    rows_values(np.array([0]), now, rows.aggregates, layout, values)
    expected = example["expected"]
    assert values[0, 0] == pytest.approx(expected["value"], rel=1e-9, abs=1e-12)
    assert is_default(rows.aggregates.slots, 0, layout[0]) != expected.get("shown", True)
    if "transformed" in expected:
        code = int(layout.transform[0])
        assert transformed(values[0, 0], code) == pytest.approx(expected["transformed"], rel=1e-9)
    if "lattice" in expected:
        point = np.empty(1, dtype=np.int32)
        vector(
            rows.aggregates.slots,
            0,
            rows.aggregates.first_ms[0],
            rows.aggregates.last_ms[0],
            now,
            layout,
            point,
        )
        assert point[0] == expected["lattice"]


def test_the_page_has_an_example_for_every_aggregate() -> None:
    shown = {f["aggregate"] for e in EXAMPLES for f in e["features"].values()}
    assert shown >= {
        "days_since",
        "days_since_first",
        "count",
        "sum",
        "mean",
        "min",
        "max",
        "last",
        "share",
        "distinct",
        "gap_days",
    }


def _plain(event: dict[str, Any]) -> dict[str, Any]:
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in event.items()}
