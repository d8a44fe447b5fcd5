"""The ``[clustering]`` table: the constants of how versions are made, each with its unit and evidence.

The evidence is what was measured on Online Retail (18,532 orders, 4,338 customers) and on synthetic
populations; "cost" is that of the live population under the current centroids ÷ that of a batch K-means with
10 restarts.
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from stream_seg.settings.base import Positive, Section, Share, Whole

__all__ = ["ClusteringSettings"]


def _constant(default: float, unit: str, meaning: str, evidence: str) -> Any:  # noqa: ANN401 - as pydantic's Field
    return Field(
        default=default,
        description=f"{meaning}. {evidence}.",
        json_schema_extra={"unit": unit},
    )


class ClusteringSettings(Section):
    """When versions are minted, passes made and structure refitted."""

    mint_movement: Share = _constant(
        0.005,
        "share of the cost",
        "A version is minted when the centroids have moved by this much of the population's cost",
        "With 0.5 % the median cost is 1.005 to 1.013 at 1 to 16 partitions",
    )
    mint_scale_drift: Share = _constant(
        0.05,
        "share of a standard deviation",
        "A version is minted when any feature's standard deviation has changed by this much",
        "Scaling that is never refreshed costs 1.11 to 1.61, at worst 2.04",
    )
    mint_settling: Share = _constant(
        0.002,
        "share of the cost",
        "With a structural examination, a version is minted when Lloyd's steps on the sample gain this much",
        "A structural move is then measured against settled centroids: Online Retail, k = 6, 4 moves a "
        "year instead of 24 at a median of 1.007 instead of 1.008",
    )
    check_population_share: Share = _constant(
        0.5,
        "share of the population",
        "A check is due when this share has been through timed or growth passes since the last check",
        "Checks at half the population keep a population growing 15-fold in a week at 1.005, at worst 1.05",
    )
    check_events_share: Share = _constant(
        1 / 16,
        "events ÷ population",
        "A check is due when this many events for each customer have come since the last check",
        "At a sixteenth the median cost is 1.008 with 50,000 synthetic customers over 180 days",
    )
    pass_ageing: Positive = _constant(
        0.05,
        "standard deviations",
        "The next pass is due after the time in which residents' vectors age by this much (root mean square)",
        "5 % costs 17 rows an event in slow growth, 40 in fast, 60 on Online Retail, at 0.17 µs a row",
    )
    pass_shortest_hours: Positive = _constant(
        1.0,
        "hours of event time",
        "Timed passes are never due sooner than this after the last one",
        "Part of the rule that touches 17 to 60 rows an event; not measured apart",
    )
    pass_longest_hours: Positive = _constant(
        24.0,
        "hours of event time",
        "Timed passes are due at the latest this long after the last one",
        "Re-evaluating everyone each event-day gave 1.002 to 1.023 where event-fed rules gave 3.9 to 13",
    )
    pass_ignore_minutes: Positive = _constant(
        7.5,
        "minutes of event time",
        "Passes closer together than this leave the measured ageing as it was",
        "Part of the same rule; not measured apart",
    )
    pass_growth: Positive = _constant(
        1 / 16,
        "share of the residents",
        "A pass is due when a partition's residents have grown by this share since its last pass",
        "With it a 15-fold growth in a week costs 1.005; a rolling sweep of the same rows costs 1.05 to 2.9",
    )
    structure_growth: Positive = _constant(
        0.02,
        "share of the population",
        "The structure is examined with a check when the population has grown by this much",
        "Growth of 2 % or 2 days keeps Online Retail at a median of 1.009",
    )
    structure_days: Positive = _constant(
        2.0,
        "event-days",
        "The structure is examined with a check at the latest after this long",
        "A full refit every single day, for comparison, costs 1.002 to 1.008",
    )
    structure_gain: Share = _constant(
        0.015,
        "share of the cost",
        "A refitted structure is taken only if it lowers the cost of the settled centroids by this much",
        "Online Retail: 40 moves a year at 1.009; with 3, 2, 1 % 21, 29, 52 moves at 1.017, 1.016, 1.008",
    )
    structure_restarts_small: Whole = _constant(
        32,
        "restarts",
        "Restarts of the refit where the sample holds the whole population",
        "Restarts carry the gain, and a small population's fit is cheap",
    )
    structure_restarts_large: Whole = _constant(
        8,
        "restarts",
        "Restarts of the refit where the population is larger than the sample",
        "8 restarts on samples gave the table of medians from 1.005 to 1.013",
    )
    sample_rows: Whole = _constant(
        8000,
        "rows",
        "Rows of all partitions' samples together (or the whole population, if that is smaller)",
        "Weighted and stratified by cluster; 2,000 still serve, 500 are too few",
    )
    sample_rows_least: Whole = _constant(
        2000,
        "rows",
        "What many partitions' samples together never fall below",
        "Samples of 2,000 gave medians from 1.005 to 1.013; 500 are too few",
    )
    seeding_restarts: Whole = _constant(
        10,
        "restarts",
        "Restarts of greedy k-means++ and Lloyd for the first version",
        "10 restarts are what every batch comparison here is measured against",
    )
    warm_up_idle_s: Positive = _constant(
        10.0,
        "seconds of wall time",
        "Warm-up ends early when every partition is at its end for this long and 2 k customers are known",
        "Chosen, not measured: longer than a producer's pause, bearable for a person who waits",
    )
    silent_report_s: Positive = _constant(
        5.0,
        "seconds of wall time",
        "A partition silent for this long is counted by its last sample instead of holding up a version",
        "Waiting without end freezes a young model (1.6 to 2.7); leaving it out costs up to 1.54, "
        "counting its sample 1.006 to 1.13",
    )
    horizon_days: Positive = _constant(
        1.0,
        "event-days",
        "How far a partition may read ahead of the earliest unread event of all",
        "One event-day: 1.007 to 1.009, at worst 1.08, in a backfill; without it 1.04 to 1.12, at worst 6.2",
    )
    horizon_patience_s: Positive = _constant(
        30.0,
        "seconds of wall time",
        "After this long without any move a waiting partition goes on for one event-day",
        "Chosen, not measured: a lost worker slows a backfill and does not stop it",
    )
