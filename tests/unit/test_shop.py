"""The simulated shop: repeatable, in time order, and with behaviours that its features can tell apart."""

from __future__ import annotations

import tomllib
from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumers.demo.behaviours import BEHAVIOURS
from consumers.demo.shop import CONFIG_TOML, DAY_MS, TOPIC, YEAR_DAYS, Shop, ShopHistory, generate, records
from consumers.demo.truth import NO_SEGMENT, recovery


@pytest.fixture(scope="module")
def history() -> ShopHistory:
    return generate(Shop())


@pytest.fixture(scope="module")
def features(history: ShopHistory) -> np.ndarray:
    return transformed_features(history)


def transformed_features(history: ShopHistory) -> np.ndarray:
    """The demo's features in z-scores at the year's end, not by the engine's code; rows as in `behaviour`."""
    names = {customer: row for row, customer in enumerate(history.behaviour)}
    who = np.asarray([names[customer] for customer in history.customer_id])
    now = history.time_ms[-1]
    age_days = (now - history.time_ms) / DAY_MS
    decay = 0.5 ** (age_days / 180)
    ordered = np.asarray(history.kind) == "order"
    days_since = np.full(len(names), np.inf)
    np.minimum.at(days_since, who[ordered], age_days[ordered])
    orders = np.bincount(who, decay * ordered)
    spend = np.bincount(who, decay * np.nan_to_num(history.revenue))
    sale_share = np.bincount(who, np.asarray(history.price) == "sale") / np.bincount(who)
    columns = np.column_stack([np.sqrt(days_since), np.log1p(orders), np.cbrt(spend), sale_share])
    scaled: np.ndarray = (columns - columns.mean(axis=0)) / columns.std(axis=0)
    return scaled


def lloyd(points: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, float]:
    labels = np.zeros(len(points), dtype=np.int64)
    for _ in range(50):
        squares = ((points[:, None, :] - centres) ** 2).sum(axis=2)
        labels = squares.argmin(axis=1)
        centres = np.vstack([points[labels == each].mean(axis=0) for each in range(len(centres))])
    return labels, float(((points - centres[labels]) ** 2).sum())


def far_apart(points: np.ndarray, k: int, chance: np.random.Generator) -> np.ndarray:
    """k-means++ seeds (Arthur and Vassilvitskii 2007)."""
    rows = [int(chance.integers(len(points)))]
    while len(rows) < k:
        squares = ((points[:, None, :] - points[rows]) ** 2).sum(axis=2).min(axis=1)
        rows.append(int(chance.choice(len(points), p=squares / squares.sum())))
    return points[rows]


def test_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    def written(seed: int) -> list[tuple[bytes, bytes, int]]:
        return list(records(generate(Shop(seed=seed, customers=200))))

    assert written(3) == written(3)
    assert written(3) != written(4)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), customers=st.integers(1, 60))
def test_every_history_is_well_formed(seed: int, customers: int) -> None:
    shop = Shop(seed=seed, customers=customers)
    history = generate(shop)
    assert set(history.customer_id) == set(history.behaviour)
    assert len(history.behaviour) == customers
    assert np.all(np.diff(history.time_ms) >= 0)
    assert shop.start_ms <= history.time_ms[0]
    assert history.time_ms[-1] < shop.start_ms + YEAR_DAYS * DAY_MS
    kind = np.asarray(history.kind)
    assert np.array_equal(np.isnan(history.revenue), kind == "view")
    assert np.all(history.revenue[kind == "order"] > 0)
    assert np.all(history.revenue[kind == "refund"] < 0)
    assert len(set(history.event_id)) == len(history)


def test_a_shop_without_customers_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one customer"):
        Shop(customers=0)


def test_the_year_is_long_enough_to_watch_and_short_enough_to_wait_for(history: ShopHistory) -> None:
    assert 60_000 <= len(history) <= 120_000


def test_each_behaviour_has_its_share_of_customers(history: ShopHistory) -> None:
    counts = Counter(history.behaviour.values())
    for behaviour in BEHAVIOURS:
        assert counts[behaviour.name] == pytest.approx(behaviour.share * 3000, abs=1)


def test_one_off_customers_order_once_and_the_stopped_are_silent_at_the_end(history: ShopHistory) -> None:
    orders = Counter(
        customer for customer, kind in zip(history.customer_id, history.kind, strict=True) if kind == "order"
    )
    newest = dict(zip(history.customer_id, history.time_ms.tolist(), strict=True))
    end = int(history.time_ms[-1])
    for customer, behaviour in history.behaviour.items():
        if behaviour == "one-off":
            assert orders[customer] == 1
        if behaviour == "stopped coming":
            # At most 60 + 170 days, a sale of ten days to wait for, twenty until a refund.
            assert end - newest[customer] > 100 * DAY_MS


def test_ids_and_their_order_give_nothing_away(history: ShopHistory) -> None:
    loyal = np.asarray([behaviour == "loyal" for behaviour in history.behaviour.values()])
    assert loyal[:1500].mean() == pytest.approx(loyal.mean(), abs=0.05)


def test_records_carry_customer_time_and_the_fields_of_the_mapping(history: ShopHistory) -> None:
    mapping = tomllib.loads(CONFIG_TOML)["event"]
    for row, (key, value, time_ms) in zip(range(500), records(history), strict=False):
        record = msgspec.json.decode(value)
        assert key.decode() == record[mapping["customer"]] == history.customer_id[row]
        moment = np.datetime64(record[mapping["time"]].removesuffix("Z"), "ms")
        assert moment.astype(np.int64) == time_ms == history.time_ms[row]
        assert record[mapping["id"]] == history.event_id[row]
        assert record[mapping["type"]] == history.kind[row]
        fields = {name for name, path in mapping["fields"].items() if path in record}
        assert fields == {"channel", "price"} | ({"revenue"} if record["kind"] != "view" else set())


def test_the_truth_is_not_in_the_records(history: ShopHistory) -> None:
    record_keys = {key for _, value, _ in records(history) for key in msgspec.json.decode(value)}
    assert record_keys == {"id", "customer", "kind", "time", "channel", "price", "revenue"}


def test_configuration_reads_the_topic_that_the_shop_fills() -> None:
    configuration = tomllib.loads(CONFIG_TOML)
    assert configuration["source"]["topic"] == TOPIC
    assert configuration["model"]["segments"] == len(BEHAVIOURS)
    assert list(configuration["features"]) == ["days_since_order", "orders", "spend", "sale_share"]


def test_a_batch_k_means_recovers_the_behaviours(history: ShopHistory, features: np.ndarray) -> None:
    chance = np.random.default_rng(0)
    runs = [lloyd(features, far_apart(features, len(BEHAVIOURS), chance)) for _ in range(10)]
    labels, _ = min(runs, key=lambda run: run[1])
    found = dict(zip(history.behaviour, labels.tolist(), strict=True))
    assert recovery(found, history.behaviour).ari >= 0.85


def test_recovery_is_one_for_the_truth_under_other_numbers() -> None:
    behaviour = {"a": "loyal", "b": "VIP", "c": "loyal"}
    result = recovery({"a": 7, "b": 2, "c": 7}, behaviour)
    assert result.ari == 1.0
    assert result.composition == {2: {"VIP": 1}, 7: {"loyal": 2}}


def test_customers_without_a_segment_lower_the_recovery() -> None:
    behaviour = {"a": "loyal", "b": "loyal", "c": "VIP", "d": "VIP"}
    result = recovery({"a": 0, "c": 1}, behaviour)
    assert result.ari < 1.0
    assert result.composition[NO_SEGMENT] == {"loyal": 1, "VIP": 1}


def test_a_stranger_among_the_found_is_an_error() -> None:
    with pytest.raises(ValueError, match="1 customers have a segment"):
        recovery({"nobody": 0}, {"a": "loyal"})
