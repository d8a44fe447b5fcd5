"""Snapshots in a folder: what is written is read back bit for bit, and what was damaged since is found."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stream_seg.adapters.snapshots import FolderSnapshots, Found, Snapshot, SnapshotFolder
from stream_seg.adapters.snapshots.content import decode_manifest, decode_models
from stream_seg.adapters.snapshots.table import read_rows, write_rows
from stream_seg.engine.checkpoint import encode_rows
from stream_seg.engine.registry import AdoptionRecord, Registry
from stream_seg.engine.rowcolumns import RowColumns, columns_of, state_of
from stream_seg.engine.state import Numbers, Position, State
from stream_seg.engine.texts import Texts
from stream_seg.errors import DamagedState, StateError, UsageError
from tests.histories import FEATURES, START_MS, Event, History, histories, run

pl = pytest.importorskip("polars", reason="the extra files is not installed")

NOW_S = 1_800_000_000.0
META = {"instance": "life-1", "partitions": "3", "contract": "1"}
HISTORY = History(
    [Event(f"customer {i % 7} ü", START_MS + i * 3_600_000, i / 3, i % 2 == 0, i % 5) for i in range(40)],
    [(0, 1), (20, 2)],
    None,
    seed=3,
)


def bits(state: State) -> object:
    """Everything of a state that anybody could notice."""
    which = state.rows.resident_rows()
    return (
        which.tolist(),
        encode_rows(state, which).present(),
        state.numbers,
        [a.tolist() for a in state.sums.arrays],
        state.rows.used,
    )


def registry_of(history: History) -> Registry:
    registry = Registry()
    for at, number in history.adoptions:
        registry.versions[number] = history.version(number)
        registry.lineage[number] = b'{"version": %d}' % number
        for partition in (0, 1):
            record = AdoptionRecord(partition, number, at, None, "life-1")
            registry.adoptions[partition, number] = record
    return registry


def snapshot_of(parts: dict[int, tuple[Numbers, RowColumns]], meta: dict[str, str] | None = None) -> Snapshot:
    return Snapshot("retail", "2027-01-15T08:00:00Z", "1.0", meta or META, parts, registry_of(HISTORY))


def part(next_offset: int, batch: int = 1) -> tuple[Numbers, RowColumns]:
    """The history's end as if it had been at another position."""
    state = run(HISTORY, []).state
    numbers = state.numbers
    fields = {name: getattr(numbers, name) for name in numbers.__struct_fields__}
    return Numbers(**{**fields, "position": Position(next_offset, batch)}), columns_of(state)


@pytest.fixture
def folder(tmp_path: Path) -> SnapshotFolder:
    return SnapshotFolder(tmp_path / "not" / "there yet", "retail")


@pytest.fixture
def written(folder: SnapshotFolder) -> Found:
    return folder.open(folder.write(snapshot_of({0: part(80), 2: part(60)}), FEATURES, NOW_S))


@given(histories())
@settings(max_examples=60, deadline=None)
def test_rows_are_read_back_bit_for_bit(history: History) -> None:
    state = run(history, []).state
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "rows.parquet"
        write_rows(path, columns_of(state), FEATURES)
        again = read_rows(path, FEATURES)
    assert bits(state_of(0, FEATURES, state.numbers, state.version, again)) == bits(state)


def test_an_empty_partition_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    write_rows(path, columns_of(State(0, FEATURES)), FEATURES)
    assert len(read_rows(path, FEATURES)) == 0


def test_all_of_it_can_be_read_with_plain_tools(written: Found) -> None:
    lines = (written.path / "SHA256SUMS").read_text().splitlines()
    names = {name: digest for digest, name in (line.split("  ") for line in lines)}
    assert names.keys() == {p.name for p in written.path.iterdir()} - {"SHA256SUMS"}
    assert all(hashlib.sha256((written.path / n).read_bytes()).hexdigest() == d for n, d in names.items())
    about = json.loads((written.path / "snapshot.json").read_text())
    assert [one["partition"] for one in about["holds"]] == [0, 2]
    assert about["holds"][0]["numbers"]["position"] == {"next_offset": 80, "batch": 1}
    models = json.loads((written.path / "models.json").read_text())
    assert models["version/2"]["version"] == 2
    assert {key for key in models if key.startswith("adoption/")} == {"adoption/0/1", "adoption/0/2"}
    frame = pl.read_parquet(written.path / "partition-00000.parquet")
    assert sorted(frame["customer_id"]) == sorted({event.customer for event in HISTORY.events})


def test_records_of_the_models_topic_come_back_byte_for_byte(written: Found) -> None:
    text = (written.path / "models.json").read_bytes()
    registry = registry_of(HISTORY)
    assert decode_models(text) == registry.records({0: 2, 2: 2})
    assert written.registry().lineage == registry.lineage


@pytest.mark.parametrize("name", ["SHA256SUMS", "snapshot.json", "models.json", "partition-00000.parquet"])
@pytest.mark.parametrize("harm", ["a bit", "cut short", "gone"])
def test_damage_is_found(folder: SnapshotFolder, written: Found, name: str, harm: str) -> None:
    path = written.path / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    if harm == "gone":
        path.unlink()
    else:
        path.write_bytes(content if harm == "a bit" else content[: len(content) // 2])
    with pytest.raises(DamagedState):
        folder.open(written.name).verify()


def test_a_snapshot_of_a_newer_program_is_refused_with_what_to_do(written: Found) -> None:
    path = written.path / "snapshot.json"
    newer = json.loads(path.read_text()) | {"format": 2, "holds": "otherwise"}
    path.write_text(json.dumps(newer))
    sums = written.path / "SHA256SUMS"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sums.write_text(sums.read_text().replace(written.sums["snapshot.json"], digest))
    with pytest.raises(StateError, match="newer stream-seg: upgrade stream-seg"):
        SnapshotFolder(written.path.parents[1], "retail").open(written.name)


def test_what_is_half_written_has_no_name(folder: SnapshotFolder) -> None:
    rows = part(1)[1]
    broken = RowColumns(
        **{**{n: getattr(rows, n) for n in rows.__dataclass_fields__}, "customers": Texts.of([b"one"])}
    )
    with pytest.raises(pl.exceptions.PolarsError):
        folder.write(snapshot_of({0: part(1), 1: (Numbers(), broken)}), FEATURES, NOW_S)
    assert folder.names() == []
    assert list(folder.path.iterdir()) == []


def test_the_last_ones_of_every_partition_are_kept(folder: SnapshotFolder) -> None:
    """Two workers take turns, with two partitions and one; of each the last two stay."""
    names = []
    for turn in range(4):
        for number, held in enumerate(({0: part(turn), 1: part(turn)}, {2: part(turn)})):
            names.append(folder.write(snapshot_of(held), FEATURES, NOW_S + 2 * turn + number))
            folder.prune(2, NOW_S)
    assert folder.names() == names[:3:-1]


def test_what_was_abandoned_is_cleared_away(folder: SnapshotFolder, written: Found) -> None:
    old, new = folder.path / ".old.partial", folder.path / ".new.partial"
    for path in (old, new):
        path.mkdir()
    os.utime(old, (NOW_S - 7200, NOW_S - 7200))
    os.utime(new, (NOW_S, NOW_S))
    folder.prune(1, NOW_S)
    assert {p.name for p in folder.path.iterdir()} == {written.name, new.name}


class Live:
    """Snapshots as a worker has them, and what they said."""

    def __init__(self, folder: SnapshotFolder, every_s: float = 60.0) -> None:
        self.said: list[str] = []
        self.snapshots = FolderSnapshots(folder, FEATURES, META, "1.0", every_s, 2, self.said.append)

    def save(self, states: list[State], now_s: float = NOW_S) -> None:
        """Save, and wait until it is written."""
        self.snapshots.save(states, registry_of(HISTORY), now_s)
        self.snapshots.close()


def test_the_state_goes_on_while_it_is_written(folder: SnapshotFolder) -> None:
    done = run(HISTORY, [])
    before = bits(done.state)
    live = Live(folder)
    live.snapshots.save([done.state], registry_of(HISTORY), NOW_S)
    for array in (*done.state.rows.aggregates, *done.state.rows.placement):
        array.fill(1)
    done.state.rows.remove(np.array([0]))
    done.state.rows.numbers_of(["somebody else"])
    live.snapshots.close()
    saved = live.snapshots.newest(0, "life-1", Position(10**9, 10**9), 0)
    assert saved is not None
    assert bits(state_of(0, FEATURES, saved.numbers, HISTORY.version(2), saved.rows)) == before


def test_one_is_due_every_so_often_and_never_two_at_once(folder: SnapshotFolder) -> None:
    live = Live(folder)
    assert [live.snapshots.due(NOW_S + s) for s in (0, 59, 60, 61)] == [False, False, True, True]
    live.save([run(HISTORY, []).state], NOW_S + 61)
    assert [live.snapshots.due(NOW_S + s) for s in (62, 120, 121)] == [False, False, True]
    assert not any(Live(folder, every_s=0).snapshots.due(NOW_S * n) for n in (1, 2))


def test_the_copy_that_is_furthest_on_and_wanted_is_found(folder: SnapshotFolder) -> None:
    for when, held in enumerate(({0: part(300)}, {0: part(100)}, {0: part(200, 7), 1: part(250)})):
        folder.write(snapshot_of(held), FEATURES, NOW_S + when)
    folder.write(snapshot_of({0: part(260)}, {**META, "instance": "life-2"}), FEATURES, NOW_S)
    live = Live(folder)

    def offset(most: tuple[int, int], least: int, partition: int = 0) -> int | None:
        found = live.snapshots.newest(partition, "life-1", Position(*most), least)
        return None if found is None else found.numbers.position.next_offset

    assert offset((1000, 99), 0) == 300
    assert offset((299, 99), 0) == 200
    assert offset((200, 6), 0) == 100
    assert offset((299, 99), 200) == 200
    assert offset((299, 99), 201) is None
    assert offset((1000, 99), 0, partition=1) == 250
    assert offset((1000, 99), 0, partition=2) is None


def test_a_damaged_copy_is_told_and_an_older_one_taken(folder: SnapshotFolder) -> None:
    folder.write(snapshot_of({0: part(100)}), FEATURES, NOW_S)
    newer = folder.open(folder.write(snapshot_of({0: part(200)}), FEATURES, NOW_S + 1))
    path = newer.path / "partition-00000.parquet"
    path.write_bytes(path.read_bytes()[:-1])
    live = Live(folder)
    for _ in range(2):
        found = live.snapshots.newest(0, "life-1", Position(1000, 99), 0)
        assert found is not None
        assert found.numbers.position.next_offset == 100
    assert len(live.said) == 1
    assert f"snapshot {newer.name} is passed over" in live.said[0]


def test_a_folder_that_cannot_be_written_to_is_told_once_and_the_stream_goes_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    live = Live(SnapshotFolder(tmp_path / "file", "retail"))
    state = run(HISTORY, []).state
    for turn in range(1, 4):
        live.snapshots.due(NOW_S)
        live.save([state], NOW_S + 60 * turn)
        assert not live.snapshots.due(NOW_S + 60 * turn)
    assert len(live.said) == 1
    assert "snapshots cannot be written to" in live.said[0]
    (tmp_path / "file").unlink()
    live.save([state], NOW_S + 600)
    assert live.snapshots.due(NOW_S + 660)
    assert len(live.snapshots.folder.names()) == 1


def test_a_folder_in_the_way_is_a_usage_error(tmp_path: Path) -> None:
    (tmp_path / "retail").write_text("")
    with pytest.raises(UsageError, match=r"see \[snapshot\] dir"):
        SnapshotFolder(tmp_path, "retail").write(snapshot_of({0: part(1)}), FEATURES, NOW_S)


def test_without_polars_a_snapshot_is_passed_over_with_what_to_install(
    folder: SnapshotFolder, written: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert folder.names() == [written.name]
    monkeypatch.setitem(sys.modules, "polars", None)
    live = Live(folder)
    assert live.snapshots.newest(0, "life-1", Position(1000, 99), 0) is None
    assert live.said == [
        f"snapshot {written.name} is passed over: Parquet files need polars: pip install 'stream-seg[files]'"
    ]


def test_a_file_where_the_folder_should_be_holds_no_snapshots(tmp_path: Path) -> None:
    (tmp_path / "retail").write_text("")
    live = Live(SnapshotFolder(tmp_path, "retail"))
    assert live.snapshots.newest(0, "life-1", Position(1000, 99), 0) is None
    assert len(live.said) == 1
    assert "cannot be listed" in live.said[0]


WHOLE = snapshot_of({0: part(80)})
MANIFEST, MODELS = msgspec.json.encode(WHOLE.manifest()), WHOLE.models()


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_whatever_stands_in_the_files_raises_nothing_but_our_own(data: st.DataObject) -> None:
    def mutilated(text: bytes) -> bytes:
        at, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
        return (
            text[:at]
            + data.draw(st.binary(max_size=8) | st.sampled_from([b"null", b"-1", b"[]", b'""']))
            + text[end:]
        )

    with suppress(StateError):
        decode_manifest(mutilated(MANIFEST))
    with suppress(StateError):
        Registry().take(decode_models(mutilated(MODELS)))
