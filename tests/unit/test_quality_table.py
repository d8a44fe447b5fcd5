"""The quality benchmark keeps its rows, and shows them."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.bench.quality.charts import Chart, Series
from tests.bench.quality.page import page
from tests.bench.quality.results import Results

KEY = {"table": "peers", "data": "orders", "features": "plain", "k": 6, "seed": 1, "method": "river KMeans"}
MADE = {"costs": [2.0, 4.0, 3.0], "seconds": 1.5}


def test_a_row_is_made_once_and_anew_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "rows" / "quality.json"
    made: list[int] = []

    def make() -> dict[str, object]:
        made.append(1)
        return dict(MADE)

    for _ in range(2):
        Results(path).add(KEY, make)
    assert len(made) == 1
    Results(path, fresh=True).add(KEY, make)
    assert len(made) == 2
    Results(path).add({**KEY, "k": 8}, make)
    assert [row["k"] for row in json.loads(path.read_text())] == [6, 8]


def test_rows_that_another_process_wrote_meanwhile_stay(tmp_path: Path) -> None:
    path = tmp_path / "quality.json"
    early = Results(path)
    Results(path).add({**KEY, "k": 4}, lambda: dict(MADE))
    early.add(KEY, lambda: dict(MADE))

    assert [row["k"] for row in json.loads(path.read_text())] == [4, 6]


def test_the_page_shows_median_and_worst_of_all_checkpoints() -> None:
    text = page([{**KEY, **MADE}], "a machine")

    assert "| orders | plain | 6 | river KMeans | 3.0000 | 4.0000 | 2 |" in text
    assert "a machine" in text
    assert "## Growth" not in text


@pytest.mark.parametrize("log", [True, False])
def test_a_chart_is_a_picture_that_says_what_it_shows(log: bool) -> None:  # noqa: FBT001 - a parameter
    series = [Series("a < b", [1, 2, 3], [1.0, 10.0, 100.0]), Series("bars", [1, 3], [5.0, 7.0], bars=True)]
    chart = Chart("title", "x", "y", series, log=log, marks=[(2.0, "here")])
    root = ET.fromstring(chart.svg())  # noqa: S314 - our own text

    said = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"title", "x", "y", "a < b", "bars", "here"} <= set(said)
