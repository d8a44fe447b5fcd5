"""``stream-seg explore`` on the example's orders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from consumers.cli import run

EXAMPLE = ["--config", "examples/orders.toml", "explore", "--source"]


def test_it_recommends_a_number_with_its_reason(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    html = tmp_path / "page.html"

    assert run([*EXAMPLE, "examples/orders.csv", "--html", str(html)]) == 0
    out = capsys.readouterr().out
    assert "300 customers" in out
    assert "Set segments = 5 in [model]" in out
    page = html.read_text(encoding="utf-8")
    assert page.count("<svg") == 4
    assert "Recommended: <b>5 segments</b>" in page
    assert "http" not in page


def test_its_json_holds_every_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*EXAMPLE, "examples/orders.csv", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)

    assert [c["k"] for c in found["segments"]] == list(range(2, 13))
    assert {f["name"] for f in found["features"]} == {"days_since_order", "orders", "spend", "app_share"}
    assert found["recommendation"]["k"] == 5


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("", "two at least"),
        ("i1,a,2024-01-01,web,5\n", "two at least"),
        ("i1,a,2024-01-01,web,5\ni2,b,2024-01-01,web,5\n", "all alike"),
    ],
)
def test_too_few_customers_are_wrong_usage(
    rows: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "orders.csv"
    path.write_text(f"invoice,customer_id,invoice_date,channel,revenue\n{rows}")

    assert run([*EXAMPLE, str(path)]) == 2
    assert said in capsys.readouterr().err
