"""Names for segments."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from stream_seg.clustering.naming import FeatureMeaning, name_segments

RFM = (
    FeatureMeaning("days_since_order", "days_since"),
    FeatureMeaning("orders", "count"),
    FeatureMeaning("spend", "sum"),
    FeatureMeaning("app_share", "share"),
)
SHOP = np.array(
    [
        [-0.8, 1.4, 1.5, 0.1],
        [-0.6, 2.6, 2.8, 0.0],
        [1.3, -0.6, -0.5, 0.0],
        [0.2, -0.7, -0.6, 0.0],
        [-0.7, -0.2, -0.1, 0.2],
        [0.8, 0.5, 0.6, -0.2],
        [0.0, 0.0, 0.0, 0.0],
    ]
)
CLASSIC = ["high-value", "top-value", "lapsed", "occasional", "potential", "churn-risk", "regular"]


def names(centres: NDArray[np.float64], previous: dict[int, str] | None = None) -> list[str]:
    return name_segments(RFM, centres, [10] * len(centres), previous or {})


def test_classic_readings_where_the_features_allow_them() -> None:
    assert names(SHOP) == CLASSIC


def test_new_customers_are_called_so_where_their_age_is_known() -> None:
    features = (*RFM, FeatureMeaning("days_since_first", "days_since_first"))
    centres = np.array([[-0.8, -0.6, -0.5, 0.0, -1.2], [-0.8, -0.6, -0.5, 0.0, 1.0]])

    assert name_segments(features, centres, [1, 1], {}) == ["new", "potential"]


def test_features_that_stand_out_where_there_is_no_classic_reading() -> None:
    features = (
        FeatureMeaning("orders", "count"),
        FeatureMeaning("spend", "sum"),
        FeatureMeaning("app_share", "share"),
        FeatureMeaning("ignored", "mean", weight=0.0),
    )
    centres = np.array([[1.0, 1.7, 0.0, 9.0], [-0.7, -0.6, 0.9, 9.0], [0.1, 0.0, 0.0, 9.0]])

    assert name_segments(features, centres, [3, 2, 1], {}) == [
        "frequent, very high spend",
        "infrequent, low spend, high app share",
        "average",
    ]


def test_a_filtered_feature_gives_no_classic_reading() -> None:
    features = (FeatureMeaning("days_since_return", "days_since", where=("return",)), *RFM[1:])

    assert "value" not in name_segments(features, SHOP[:1], [1], {})[0]


def test_two_features_of_a_kind_are_named_by_what_they_count() -> None:
    features = (FeatureMeaning("orders", "count"), FeatureMeaning("returns", "count"))

    assert name_segments(features, np.array([[0.9, -0.8]]), [1], {}) == ["many orders, few returns"]


def test_segments_that_read_alike_are_told_apart_by_what_differs() -> None:
    centres = np.array([[-0.7, -0.2, 0.0, 0.9], [-0.7, -0.2, 0.0, -0.8]])

    assert names(centres) == ["potential, high app share", "potential, low app share"]


def test_segments_that_nothing_tells_apart_are_numbered() -> None:
    assert names(np.zeros((3, 4))) == ["regular", "regular 2", "regular 3"]


def test_a_name_stays_while_it_is_apt_and_goes_when_it_is_not() -> None:
    before = dict(enumerate(CLASSIC))
    moved = SHOP + np.array([0.2, -0.2, -0.2, 0.0])
    assert names(moved, before) == CLASSIC

    far = SHOP.copy()
    far[0] = [1.5, -0.5, -0.5, 0.0]  # high-value no more
    after = names(far, before)
    assert after[0].startswith("lapsed, ") or after[0] == "lapsed 2"
    assert after[1:] == CLASSIC[1:]


def test_a_name_given_for_another_vocabulary_is_replaced() -> None:
    assert names(SHOP[:1], {0: "segment-0"}) == ["high-value"]


def test_of_two_segments_with_one_former_name_the_larger_keeps_it() -> None:
    centres = np.array([[-0.8, 1.4, 1.5, 0.9], [-0.8, 1.5, 1.6, -0.9]])

    result = name_segments(RFM, centres, [10, 20], {0: "high-value", 1: "high-value"})

    assert result[1] == "high-value"
    assert result[0] == "high-value, high app share"


@pytest.mark.parametrize("seed", range(30))
def test_names_are_distinct_deterministic_and_their_own_successors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(12, 4)) * rng.choice([0.3, 1.0, 2.0])
    sizes = rng.integers(1, 100, 12)

    first = name_segments(RFM, centres, sizes, {})

    assert len(set(first)) == 12
    assert all(first)
    assert name_segments(RFM, centres, sizes, {}) == first
    assert name_segments(RFM, centres, sizes, dict(enumerate(first))) == first


def test_no_segments_have_no_names() -> None:
    assert name_segments(RFM, np.zeros((0, 4)), [], {}) == []


def test_features_whose_names_read_alike_keep_their_own_words() -> None:
    features = (FeatureMeaning("app_spend", "sum"), FeatureMeaning("app spend", "sum"))

    assert name_segments(features, np.array([[1.0, -1.0]]), [1], {}) == ["high app_spend, low app spend"]


def test_a_word_may_just_fail_to_hold_before_a_name_is_given_up() -> None:
    slightly = np.array([[-0.8, 0.4, 0.4, 0.0]])  # a fresh name needs 0.6
    clearly = np.array([[-0.8, 0.2, 0.2, 0.0]])

    assert names(slightly) == ["potential"]
    assert names(slightly, {0: "high-value"}) == ["high-value"]
    assert names(clearly, {0: "high-value"}) == ["potential"]


def test_a_number_goes_when_the_name_without_it_is_free() -> None:
    lapsed = np.array([[1.3, -0.6, -0.5, 0.0]])

    assert names(lapsed, {0: "lapsed 2"}) == ["lapsed"]


def test_segments_of_one_reading_are_told_apart_by_words_not_numbers() -> None:
    centres = np.array([[1.3, -0.6, -0.5, 0.9], [1.4, -0.6, -0.6, -0.4], [1.3, -1.7, -1.1, 0.0]])

    result = names(centres)

    assert len({name.split(", ")[0] for name in result}) == 1
    assert len(set(result)) == 3
    assert not any(name[-1].isdigit() for name in result)


@pytest.mark.parametrize(("z", "days", "name"), [(0.1, 269.0, "lapsed"), (2.5, 0.2, "regular")])
def test_silence_is_also_read_in_days(z: float, days: float, name: str) -> None:
    centre, own_unit = np.array([[z, 0.0, 0.0, 0.0]]), np.array([[days, 3.0, 50.0, 0.4]])

    assert name_segments(RFM, centre, [10], {}, own_unit) == [name]
    assert name_segments(RFM, centre, [10], {0: "regular" if name == "lapsed" else "lapsed"}, own_unit) == [
        name
    ]


def test_a_segment_without_members_keeps_its_name() -> None:
    centre = np.array([[2.0, -1.0, -1.0, 0.0]])

    assert name_segments(RFM, centre, [0], {0: "high-value"}) == ["high-value"]
    assert name_segments(RFM, centre, [1], {0: "high-value"}) == ["lapsed"]


def test_the_same_filter_on_all_features_allows_the_classic_readings() -> None:
    order = ("type", "order")
    features = (
        FeatureMeaning("days_since_order", "days_since", where=order),
        FeatureMeaning("orders", "count", where=order),
        FeatureMeaning("spend", "sum"),
        FeatureMeaning("app_share", "share"),
    )

    assert name_segments(features, SHOP, [10] * len(SHOP), {}) == CLASSIC


@pytest.mark.parametrize("seed", range(20))
def test_names_keep_still_while_centroids_move_little(seed: int) -> None:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(8, 4))
    first = names(centres)
    for _ in range(10):
        moved = centres + rng.uniform(-0.1, 0.1, size=centres.shape)
        assert names(moved, dict(enumerate(first))) == first
