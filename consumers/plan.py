"""The model that the settings ask for, as the engine's plain value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stream_seg.engine.plan import Minting, ModelPlan, WarmUp
from stream_seg.engine.version import Rules

if TYPE_CHECKING:
    from stream_seg.settings import Settings

__all__ = ["plan_of"]

_HOUR_MS = 3_600_000
_MINUTE_MS = 60_000


def plan_of(settings: Settings) -> ModelPlan:
    """Give the model's plan; ``ConfigurationError`` where the settings have no features."""
    model, warm_up = settings.model, settings.warm_up
    return ModelPlan(
        features=settings.features,
        segments=model.segments,
        seed=model.seed,
        names=model.names,
        rules=_rules(settings),
        minting=_minting(settings),
        warm_up=WarmUp(customers=warm_up.customers, events=warm_up.events),
    )


def _rules(settings: Settings) -> Rules:
    constants = settings.clustering
    return Rules(
        hysteresis=settings.model.hysteresis,
        pass_ageing=constants.pass_ageing,
        pass_shortest_ms=round(constants.pass_shortest_hours * _HOUR_MS),
        pass_longest_ms=round(constants.pass_longest_hours * _HOUR_MS),
        pass_ignore_ms=round(constants.pass_ignore_minutes * _MINUTE_MS),
        pass_growth=constants.pass_growth,
        forget_after_days=settings.model.forget_after_days,
    )


def _minting(settings: Settings) -> Minting:
    constants = settings.clustering
    return Minting(
        mint_movement=constants.mint_movement,
        mint_scale_drift=constants.mint_scale_drift,
        mint_settling=constants.mint_settling,
        check_population_share=constants.check_population_share,
        check_events_share=constants.check_events_share,
        structure_growth=constants.structure_growth,
        structure_days=constants.structure_days,
        structure_gain=constants.structure_gain,
        structure_restarts_small=constants.structure_restarts_small,
        structure_restarts_large=constants.structure_restarts_large,
        sample_rows=constants.sample_rows,
        sample_rows_least=constants.sample_rows_least,
        seeding_restarts=constants.seeding_restarts,
    )
