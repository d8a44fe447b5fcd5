"""Spambase, the classic k-means table: the median final cost after k-means++ and Lloyd, raw columns.

Bahmani et al., "Scalable k-means++", PVLDB 5(7), 2012, Table 2 gives 233, 68 and 24 (x 10**5) for k = 20, 50
and 100, with plain k-means++ (one draw for each centre). The greedy variant, which we use, starts better. Run
from the repository: `python -m tests.bench.spambase [path of spambase.data]`.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from sklearn.cluster import KMeans

from stream_seg.clustering.lloyd import lloyd
from stream_seg.clustering.seeding import greedy_kmeans_plus_plus

if TYPE_CHECKING:
    from numpy.typing import NDArray

PUBLISHED = {20: 233.0, 50: 68.0, 100: 24.0}
RUNS = 11


def main() -> int:
    parser = argparse.ArgumentParser(description="k-means++ on Spambase")
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data/spambase.data"))
    path: Path = parser.parse_args().data
    if not path.exists():
        sys.stderr.write(f"{path} is not there: give the path of UCI's spambase.data\n")
        return 2
    points = np.loadtxt(path, delimiter=",")[:, :57]
    _one_run(points[:200], 2, 0, trials=1)  # compile first
    sys.stdout.write(
        "median final cost / 1e5\n   k  published  plain  greedy  scikit-learn  greedy, s a run\n"
    )
    for k, published in PUBLISHED.items():
        plain = np.median([_one_run(points, k, seed, trials=1) for seed in range(RUNS)])
        start = time.perf_counter()
        greedy = np.median([_one_run(points, k, seed, trials=None) for seed in range(RUNS)])
        seconds = (time.perf_counter() - start) / RUNS
        theirs = np.median([KMeans(k, n_init=1, random_state=s).fit(points).inertia_ for s in range(RUNS)])
        costs = f"{published:>10.0f} {plain / 1e5:>6.1f} {greedy / 1e5:>7.1f} {theirs / 1e5:>13.1f}"
        sys.stdout.write(f"{k:>4} {costs} {seconds:>16.3f}\n")
    return 0


def _one_run(points: NDArray[np.float64], k: int, seed: int, *, trials: int | None) -> float:
    weights = np.ones(len(points))
    rng = np.random.default_rng(seed)
    return lloyd(points, weights, greedy_kmeans_plus_plus(points, weights, k, rng, trials=trials)).cost


if __name__ == "__main__":
    sys.exit(main())
