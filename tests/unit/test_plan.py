"""The settings as the engine's plan: nothing is lost on the way, and both sides have the same defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from consumers.plan import plan_of
from stream_seg.engine.plan import Minting, ModelPlan, WarmUp
from stream_seg.engine.version import Rules
from stream_seg.settings import Settings, load_settings

CONFIG = """
[model]
name = "shop"
[event]
customer = "c"
time = "t"
[features.orders]
aggregate = "count"
"""


def loaded(folder: Path, more: str = "", **model: object) -> Settings:
    path = folder / "shop.toml"
    path.write_text(CONFIG + more)
    return load_settings(path, overrides={f"model.{key}": value for key, value in model.items()}, environ={})


def test_the_defaults_are_the_engine_s(tmp_path: Path) -> None:
    settings = loaded(tmp_path)
    assert plan_of(settings) == ModelPlan(features=settings.features)


def test_the_model_s_keys_arrive(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        "[warm_up]\ncustomers = 9\nevents = 99\n",
        segments=3,
        seed=11,
        hysteresis=0.25,
        forget_after_days=12.5,
        names="plain",
    )
    plan = plan_of(settings)
    assert (plan.segments, plan.seed, plan.names.mode) == (3, 11, "plain")
    assert plan.warm_up == WarmUp(customers=9, events=99)
    assert plan.rules == Rules(hysteresis=0.25, forget_after_days=12.5)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("pass_ageing", 0.2, Rules(pass_ageing=0.2)),
        ("pass_shortest_hours", 0.5, Rules(pass_shortest_ms=1_800_000)),
        ("pass_longest_hours", 48, Rules(pass_longest_ms=172_800_000)),
        ("pass_ignore_minutes", 1.5, Rules(pass_ignore_ms=90_000)),
        ("pass_growth", 0.5, Rules(pass_growth=0.5)),
    ],
)
def test_constants_of_passes_arrive_in_their_units(
    tmp_path: Path, key: str, value: float, expected: Rules
) -> None:
    assert plan_of(loaded(tmp_path, f"[clustering]\n{key} = {value}\n")).rules == expected


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("mint_movement", 0.25),
        ("mint_scale_drift", 0.25),
        ("check_population_share", 0.25),
        ("check_events_share", 0.25),
        ("structure_growth", 0.25),
        ("structure_days", 7.5),
        ("structure_gain", 0.25),
        ("structure_restarts_small", 3),
        ("structure_restarts_large", 3),
        ("sample_rows", 4000),
        ("sample_rows_least", 1000),
        ("seeding_restarts", 3),
    ],
)
def test_constants_of_minting_arrive(tmp_path: Path, key: str, value: Any) -> None:
    plan = plan_of(loaded(tmp_path, f"[clustering]\n{key} = {value}\n"))
    assert plan.minting == Minting(**{key: value})
