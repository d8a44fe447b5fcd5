"""``stream-seg replay --source`` without servers: same events, same results, whole or not at all."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from consumers.cli import run
from consumers.replay.driver import driver_of
from consumers.replay.export import Export
from consumers.replay.run import Outputs, replay_events
from stream_seg.adapters.files import FileSource
from stream_seg.events.records import Decoded
from stream_seg.settings import Settings, load_settings

FILES = ("labels.parquet", "customers.parquet", "model.json")
START = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 60
DATA = Path(__file__).parents[3] / "shared" / "data" / "online_retail.parquet"
CONFIG = """
[model]
name = "shop"
segments = 4
[warm_up]
customers = 60
[event]
customer = "who"
time = "at"
[event.fields]
revenue = "revenue"
channel = "channel"
[features.days_since_order]
aggregate = "days_since"
transform = "log1p"
[features.orders]
aggregate = "count"
half_life_days = 30
transform = "log1p"
[features.spend]
aggregate = "sum"
field = "revenue"
transform = "log1p"
[features.app_basket]
aggregate = "mean"
field = "revenue"
where = { channel = "app" }
[clustering]
structure_restarts_small = 2
"""

Stream = Callable[..., subprocess.CompletedProcess[str]]


def orders(n: int = 3000, customers: int = 300) -> pl.DataFrame:
    """Orders of a shop, some late: heavy and light buyers, web and app."""
    rng = np.random.default_rng(5)
    heavy = rng.integers(0, customers // 5, n)
    who = np.where(rng.random(n) < 0.5, heavy, rng.integers(0, customers, n))
    at = np.sort(rng.uniform(0, DAYS, n)) - np.where(rng.random(n) < 0.05, 2.0, 0.0)
    return pl.DataFrame(
        {
            "who": [f"c{number:04d}" for number in who.tolist()],
            "at": pl.Series([START + timedelta(seconds=int(day * 86_400)) for day in at]).dt.cast_time_unit(
                "ms"
            ),
            "revenue": np.round(rng.lognormal(3, 1, n) * (1 + (who % 7 == 0) * 9), 2),
            "channel": np.where(rng.random(n) < 0.3, "app", "web"),
        }
    )


def as_csv(frame: pl.DataFrame, path: Path) -> Path:
    frame.write_csv(path, datetime_format="%Y-%m-%dT%H:%M:%SZ")
    return path


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "shop.toml"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    path = tmp_path / "orders.parquet"
    orders().write_parquet(path)
    return path


@pytest.fixture
def replay(config: Path, tmp_path: Path) -> Callable[..., tuple[int, Path]]:
    """Replay in this process; (exit status, the export's folder)."""

    def replayed(source: Path, *more: str, name: str = "r", to: str = "out") -> tuple[int, Path]:
        folder = tmp_path / to
        arguments = ["--config", str(config), "replay", "--name", name, "--source", str(source)]
        return run([*arguments, "--export", str(folder), *more]), folder

    return replayed


def content(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


def model(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "model.json").read_text())
    return found


def test_the_same_file_gives_the_same_bytes(replay: Callable[..., tuple[int, Path]], shop: Path) -> None:
    first, again = replay(shop, to="first"), replay(shop, to="again")
    assert (first[0], again[0]) == (0, 0)
    assert content(first[1]) == content(again[1])


@pytest.mark.parametrize("chunk", [100, 10_000])
def test_chunks_change_nothing(
    replay: Callable[..., tuple[int, Path]], shop: Path, config: Path, tmp_path: Path, chunk: int
) -> None:
    settings = load_settings(config, environ={})
    _, whole = replay(shop)
    in_chunks(
        settings, recut(FileSource(shop, settings.event, settings.features), chunk), tmp_path / "chunks"
    )
    assert content(tmp_path / "chunks") == content(whole)


def recut(source: Iterable[Decoded], size: int) -> Iterable[Decoded]:
    for events, rejected in source:
        while len(events) > size:
            part, events = events.cut(size)  # noqa: PLW2901
            yield Decoded(part, [])
        yield Decoded(events, rejected)


def in_chunks(settings: Settings, chunks: Iterable[Decoded], folder: Path) -> None:
    outputs = Outputs()
    driver = driver_of(
        settings, {0: 0}, instance="replay:r", on_step=outputs.step, on_version=outputs.version
    )
    with Export(folder, "orders.parquet", "replay:r") as export:
        outputs.others.append(export)
        replay_events(chunks, driver, outputs)


def test_csv_and_parquet_give_the_same_model_and_customers(
    replay: Callable[..., tuple[int, Path]], shop: Path, tmp_path: Path
) -> None:
    _, parquet = replay(shop, to="parquet")
    _, csv = replay(as_csv(pl.read_parquet(shop), tmp_path / "orders.csv"), to="csv")
    assert content(csv)["customers.parquet"] == content(parquet)["customers.parquet"]
    assert content(csv)["model.json"] == content(parquet)["model.json"]
    told = pl.read_parquet(csv / "labels.parquet").with_columns(
        pl.lit("orders.parquet").alias("source_topic"),
        pl.col("event_id").str.replace("orders.csv", "orders.parquet", literal=True),
    )
    assert_frame_equal(told, pl.read_parquet(parquet / "labels.parquet"))


def test_labels_follow_the_file(replay: Callable[..., tuple[int, Path]], shop: Path) -> None:
    _, folder = replay(shop)
    labels, events = pl.read_parquet(folder / "labels.parquet"), pl.read_parquet(shop)
    assert labels["customer_id"].to_list() == events["who"].to_list()
    assert labels["event_time"].to_list() == events["at"].to_list()
    assert labels["source_offset"].to_list() == list(range(len(events)))
    assert labels["source_topic"].unique().to_list() == ["orders.parquet"]
    assert labels["run"].unique().to_list() == ["replay:r"]
    assert labels["event_id"].to_list() == [f"orders.parquet-0-{row}" for row in range(len(events))]
    firsts = labels.filter(pl.col("previous_segment").is_null())
    assert firsts["customer_id"].n_unique() == len(firsts) == events["who"].n_unique()
    assert (
        labels.filter(pl.col("changed"))["segment"]
        .ne_missing(labels.filter(pl.col("changed"))["previous_segment"])
        .all()
    )


def test_customers_are_as_of_the_largest_event_time(
    replay: Callable[..., tuple[int, Path]], shop: Path
) -> None:
    _, folder = replay(shop)
    found, events = pl.read_parquet(folder / "customers.parquet"), pl.read_parquet(shop)
    now = events["at"].max()
    age = (pl.lit(now) - pl.col("at")).dt.total_milliseconds() / 86_400_000
    expected = (
        events.group_by("who")
        .agg(
            age.min().alias("f.days_since_order"),
            (0.5 ** (age / 30)).sum().alias("f.orders"),
            pl.col("revenue").sum().alias("f.spend"),
            pl.col("revenue").filter(pl.col("channel") == "app").mean().alias("f.app_basket"),
        )
        .sort("who")
        .rename({"who": "customer_id"})
    )
    assert_frame_equal(found.drop("segment", "name"), expected, rel_tol=1e-9, abs_tol=1e-9)
    assert found["f.app_basket"].null_count() > 0  # a feature without a match is absent, not 0 and not NaN
    names = {s["id"]: s["name"] for s in model(folder)["segments"]}
    assert [names[s] for s in found["segment"].to_list()] == found["name"].to_list()


def test_the_model_says_how_values_are_scaled(replay: Callable[..., tuple[int, Path]], shop: Path) -> None:
    _, folder = replay(shop)
    found = model(folder)
    names = [f["name"] for f in found["features"]]
    assert names == ["days_since_order", "orders", "spend", "app_basket"]
    assert all({"transform", "weight", "offset", "scale"} <= f.keys() for f in found["features"])
    assert all(len(s["centroid"]) == len(names) and s["size"] >= 0 for s in found["segments"])
    assert found["version"] == pl.read_parquet(folder / "labels.parquet")["model_version"].max()


@pytest.mark.parametrize(
    ("bounds", "begin", "end"),
    [
        (("--from", "2024-01-20"), START + timedelta(days=19), None),
        (("--to", "2024-02-01T12:00:00Z"), None, START + timedelta(days=31, hours=12)),
        (
            ("--from", "2024-01-10", "--to", "2024-01-20"),
            START + timedelta(days=9),
            START + timedelta(days=19),
        ),
        (("--from", "10d"), timedelta(days=-10), None),
    ],
)
def test_bounds_are_event_times(
    replay: Callable[..., tuple[int, Path]],
    shop: Path,
    bounds: tuple[str, ...],
    begin: datetime | timedelta | None,
    end: datetime | None,
) -> None:
    status, folder = replay(shop, *bounds)
    events = pl.read_parquet(shop).with_row_index("row")
    if isinstance(begin, timedelta):
        newest = events["at"].max()
        assert isinstance(newest, datetime)
        begin = newest + begin
    if begin is not None:
        events = events.filter(pl.col("at") >= begin)
    if end is not None:
        events = events.filter(pl.col("at") < end)
    labels = pl.read_parquet(folder / "labels.parquet")
    assert status == 0
    assert labels["source_offset"].to_list() == events["row"].to_list()
    assert labels["previous_segment"].null_count() == events["who"].n_unique()  # from an empty population


@pytest.mark.parametrize(
    ("bounds", "sentence"),
    [
        (("--from", "2024-02-01", "--to", "2024-02-01"), "Nothing lies between --from and --to"),
        (("--from", "2031-01-01"), "lie outside --from and --to"),
        (("--to", "2001-01-01"), "lie outside --from and --to"),
    ],
)
def test_an_empty_range_is_refused(
    replay: Callable[..., tuple[int, Path]],
    shop: Path,
    capsys: pytest.CaptureFixture[str],
    bounds: tuple[str, ...],
    sentence: str,
) -> None:
    status, folder = replay(shop, *bounds)
    assert status == 2
    assert sentence in capsys.readouterr().err
    assert not folder.exists()


def test_rows_that_cannot_be_events_are_counted_and_shown(
    replay: Callable[..., tuple[int, Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = as_csv(orders(), tmp_path / "clean.csv").read_text().splitlines()
    text[10] = ",2024-01-02T00:00:00Z,3.5,web"
    text[20] = "c0001,yesterday,3.5,web"
    text[30] = "c0001,2024-01-02T00:00:00Z,much,web"
    bad = tmp_path / "bad.csv"
    bad.write_text("\n".join(text))
    status, folder = replay(bad)
    told = capsys.readouterr().err
    assert status == 0
    assert "3 rows cannot be events" in told
    assert all(f"row {row}: " in told for row in (9, 19, 29))
    kept = pl.read_parquet(folder / "labels.parquet")["source_offset"].to_list()
    assert kept == [row for row in range(3000) if row not in (9, 19, 29)]


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "has no rows"),
        (["c1,yesterday,1,web", ",2024-01-01,1,web"], "None of the file's 2 rows can be an event"),
    ],
)
def test_a_file_without_an_event_is_said_plainly(
    replay: Callable[..., tuple[int, Path]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rows: list[str],
    sentence: str,
) -> None:
    file = tmp_path / "none.csv"
    file.write_text("\n".join(["who,at,revenue,channel", *rows]))
    status, folder = replay(file)
    assert status == 2
    assert sentence in capsys.readouterr().err
    assert not folder.exists()


def test_fewer_customers_than_segments_give_as_many_segments(
    replay: Callable[..., tuple[int, Path]], tmp_path: Path
) -> None:
    file = tmp_path / "two.csv"
    file.write_text("who,at,revenue,channel\na,2024-01-01,1,web\nb,2024-01-05,500,app\na,2024-01-06,2,web\n")
    status, folder = replay(file)
    assert status == 0
    assert len(model(folder)["segments"]) == 2
    assert pl.read_parquet(folder / "customers.parquet")["customer_id"].to_list() == ["a", "b"]
    assert len(pl.read_parquet(folder / "labels.parquet")) == 3


def test_a_missing_column_is_named(
    replay: Callable[..., tuple[int, Path]], shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "narrow.parquet"
    pl.read_parquet(shop).drop("channel").write_parquet(file)
    status, folder = replay(file)
    assert status == 2
    assert "channel" in capsys.readouterr().err
    assert not folder.exists()


def test_a_full_disk_leaves_the_former_export(config: Path, shop: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    command = [sys.executable, "-m", "consumers", "--config", str(config), "replay", "--name", "r"]
    command += ["--source", str(shop), "--export", str(folder)]
    subprocess.run(command, capture_output=True, check=True)
    before = content(folder)

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))

    full = subprocess.run(
        [*command, "--seed", "8"], capture_output=True, text=True, check=False, preexec_fn=small_files
    )
    assert full.returncode == 2, full.stderr
    assert "cannot be written" in full.stderr
    assert content(folder) == before
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == ["out"]


def test_a_distance_that_is_not_there_is_refused(
    replay: Callable[..., tuple[int, Path]], shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, folder = replay(shop, "--distance", "manhattan")
    assert status == 2
    assert "is not there yet" in capsys.readouterr().err
    assert not folder.exists()


def test_the_end_is_summed_up(
    replay: Callable[..., tuple[int, Path]], shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, folder = replay(shop)
    out = capsys.readouterr().out
    events = pl.read_parquet(shop)
    first, last = (str(moment)[:10] for moment in (events["at"].min(), events["at"].max()))
    assert f"shop.replay-r: 3,000 events of {events['who'].n_unique()} customers, {first} to {last}" in out
    assert all(segment["name"] in out for segment in model(folder)["segments"])
    assert str(folder) in out


@pytest.mark.parametrize("clusterer", ["DBSTREAM", "KMeans", "CluStream", "DenStream", "STREAMKMeans"])
def test_river_clusterers_give_the_same_exports(
    replay: Callable[..., tuple[int, Path]], shop: Path, clusterer: str
) -> None:
    algorithm = ("--algorithm", f"river:cluster.{clusterer}")
    (status, first), (_, again) = replay(shop, *algorithm, to="first"), replay(shop, *algorithm, to="again")
    assert status == 0
    assert content(first) == content(again)
    _, ours = replay(shop, to="ours")
    for name in ("labels.parquet", "customers.parquet"):
        theirs = pl.read_parquet(first / name)
        assert theirs.schema == pl.read_parquet(ours / name).schema
    values = pl.read_parquet(first / "customers.parquet").drop("segment", "name")
    assert_frame_equal(values, pl.read_parquet(ours / "customers.parquet").drop("segment", "name"))
    assert model(first).keys() == model(ours).keys()
    last = pl.read_parquet(first / "labels.parquet").group_by("customer_id", maintain_order=True).last()
    assert_frame_equal(
        last.select("customer_id", "segment", "name").sort("customer_id"),
        pl.read_parquet(first / "customers.parquet").select("customer_id", "segment", "name"),
    )


@pytest.mark.skipif(not DATA.exists(), reason="the folder ../shared/data with Online Retail is not here")
def test_online_retail_from_parquet_and_from_csv(
    replay: Callable[..., tuple[int, Path]], config: Path, tmp_path: Path
) -> None:
    year = (
        pl.read_parquet(DATA)
        .filter(pl.col("customer_id").is_not_null())
        .with_columns(revenue=pl.col("quantity") * pl.col("unit_price"))
        .group_by("invoice", "customer_id")
        .agg(pl.col("revenue").sum(), pl.col("invoice_date").min())
        .filter(pl.col("revenue") > 0)
        .sort("invoice_date", "invoice")
    )
    year.write_parquet(tmp_path / "year.parquet")
    year.write_csv(tmp_path / "year.csv")
    mapping = '[event]\ncustomer = "customer_id"\ntime = "invoice_date"\nid = "invoice"\n'
    text = CONFIG.replace('[event]\ncustomer = "who"\ntime = "at"\n', mapping).replace(
        'channel = "channel"\n', ""
    )
    config.write_text(text.replace('where = { channel = "app" }\n', ""))
    (status, parquet), (_, csv) = (
        replay(tmp_path / "year.parquet", to="parquet"),
        replay(tmp_path / "year.csv", to="csv"),
    )
    assert status == 0
    for name in ("customers.parquet", "model.json"):
        assert content(csv)[name] == content(parquet)[name]
    assert len(pl.read_parquet(parquet / "labels.parquet")) == len(year)
    assert len(pl.read_parquet(parquet / "customers.parquet")) == year["customer_id"].n_unique()
