"""The example files are what the README says they are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from stream_seg.settings import load_settings

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_orders_are_what_their_script_writes(tmp_path: Path) -> None:
    made = tmp_path / "orders.csv"
    subprocess.run([sys.executable, str(EXAMPLES / "make_orders.py"), str(made)], check=True)
    assert made.read_bytes() == (EXAMPLES / "orders.csv").read_bytes()


def test_the_configuration_reads_columns_that_the_orders_have() -> None:
    settings = load_settings(EXAMPLES / "orders.toml", environ={})
    header, _ = (EXAMPLES / "orders.csv").read_text(encoding="utf-8").split("\n", 1)
    columns = header.split(",")
    event = settings.event
    assert {event.customer, event.time, event.id, *event.fields.values()} == set(columns)
