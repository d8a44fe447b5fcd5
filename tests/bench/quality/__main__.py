"""`python -m tests.bench.quality`: run parts of the quality benchmark, and write its page.

Rows that are in the JSON file already are not made again (but with ``--fresh``), so that a run can be split
over processes and days.
"""

from __future__ import annotations

import argparse
import platform
import sys
from functools import cache, partial
from itertools import product
from pathlib import Path

from stream_seg.engine.version import Rules
from tests.bench.quality.classic import classic_rows
from tests.bench.quality.data import SETS, STYLES, DataSet, MissingDataError, Style
from tests.bench.quality.ours import run_ours, with_gain
from tests.bench.quality.page import page
from tests.bench.quality.peers import peers, run_peer
from tests.bench.quality.results import Results
from tests.bench.quality.vips import run_vips
from tests.bench.quality.worlds import CONDUCTS, growth_row, world_row

TABLES = ("ours", "growth", "partitions", "peers", "structure", "hysteresis", "vips", "classic")
FOLDER = Path("docs/benchmarks")


def main() -> int:
    options = _options()
    results = Results(options.folder / "quality.json", fresh=options.fresh)
    for table in options.tables:
        try:
            _PARTS[table](options, results)
        except MissingDataError as error:
            sys.stderr.write(f"{table}: {error}; left out\n")
    target = options.folder / "quality.md"
    target.write_text(page(results.rows, _machine()))
    sys.stdout.write(f"{target} has {len(results.rows)} rows\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.quality", description=__doc__)
    parser.add_argument("--tables", nargs="+", choices=TABLES, default=list(TABLES))
    parser.add_argument("--data", nargs="+", choices=list(SETS), default=["retail", "eshop", "synthetic"])
    parser.add_argument("--features", nargs="+", choices=STYLES, default=list(STYLES))
    parser.add_argument("--k", nargs="+", type=int, default=[4, 6, 8, 12])
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--partitions", nargs="+", type=int, default=[1, 4, 16])
    parser.add_argument("--customers", type=int, default=200_000, help="of the synthetic population")
    parser.add_argument("--peer-events", type=int, default=20_000)
    parser.add_argument("--gains", nargs="+", type=float, default=[0.01, 0.015, 0.02, 0.03, 0.05])
    parser.add_argument("--hysteresis", nargs="+", type=float, default=[0.0, 0.05, 0.1, 0.15, 0.2])
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--fresh", action="store_true", help="make rows anew that are there already")
    return parser.parse_args()


def _machine() -> str:
    return f"{platform.machine()}, {platform.system()}, Python {platform.python_version()}"


@cache
def _load(name: str, style: Style, customers: int, seed: int) -> DataSet:
    return SETS[name](style, customers, seed)


def _data(options: argparse.Namespace, name: str, style: Style, seed: int) -> DataSet:
    return _load(name, style, options.customers, seed if name == "synthetic" else 0)


def _ours(options: argparse.Namespace, results: Results) -> None:
    for name, style, seed, k in product(options.data, options.features, options.seeds, options.k):
        data = _data(options, name, style, seed)
        key = {"table": "ours", "data": data.name, "features": style, "k": k, "seed": seed}
        results.add(key, partial(run_ours, data, k, seed))


def _growth(options: argparse.Namespace, results: Results) -> None:
    for partitions, k, seed in product(options.partitions, options.k, options.seeds):
        data = _load("growing", "decayed", 8000, seed)
        key = {"table": "growth", "data": data.name, "features": "decayed", "k": k, "seed": seed}
        results.add({**key, "partitions": partitions}, partial(growth_row, data, k, seed, partitions))


def _partitions(options: argparse.Namespace, results: Results) -> None:
    several = [p for p in options.partitions if p > 1]
    wanted = product(options.data, options.features, several, CONDUCTS, options.k, options.seeds)
    for name, style, partitions, conduct, k, seed in wanted:
        data = _data(options, name, style, seed)
        key = {"table": "partitions", "data": data.name, "features": style, "k": k, "seed": seed}
        key |= {"partitions": partitions, "method": conduct}
        results.add(key, partial(world_row, data, k, seed, partitions, conduct))


def _peers(options: argparse.Namespace, results: Results) -> None:
    k, seed = 6, options.seeds[0]
    for name, style in product(options.data, options.features):
        data = _data(options, name, style, seed)
        for method in peers(k, seed):
            key = {"table": "peers", "data": data.name, "features": style, "k": k, "seed": seed}
            make = partial(run_peer, data, k, seed, method, options.peer_events)
            results.add({**key, "method": method}, make)


def _structure(options: argparse.Namespace, results: Results) -> None:
    for name, style, k, seed, gain in product(
        options.data, options.features, options.k, options.seeds, options.gains
    ):
        data = _data(options, name, style, seed)
        key = {"table": "structure", "data": data.name, "features": style, "k": k, "seed": seed}
        make = partial(run_ours, data, k, seed, with_gain(gain))
        results.add({**key, "method": f"gain {gain:.1%}"}, make)


def _hysteresis(options: argparse.Namespace, results: Results) -> None:
    seed = options.seeds[0]
    for name, k, share in product(options.data, options.k, options.hysteresis):
        data = _data(options, name, "decayed", seed)
        key = {"table": "hysteresis", "data": data.name, "features": "decayed", "k": k, "seed": seed}
        make = partial(run_ours, data, k, seed, rules=Rules(hysteresis=share))
        results.add({**key, "method": f"{share:.0%}"}, make)


def _vips(options: argparse.Namespace, results: Results) -> None:
    for row in run_vips(options.customers, options.seeds[0]):
        results.add({**row, "table": "vips"}, dict)


def _classic(options: argparse.Namespace, results: Results) -> None:
    for key, make in classic_rows(options.seeds[0]):
        results.add(key, make)


_PARTS = {
    "ours": _ours,
    "growth": _growth,
    "partitions": _partitions,
    "peers": _peers,
    "structure": _structure,
    "hysteresis": _hysteresis,
    "vips": _vips,
    "classic": _classic,
}

if __name__ == "__main__":
    sys.exit(main())
