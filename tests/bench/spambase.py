"""Spambase, the classic k-means table: the median final cost after k-means++ and Lloyd, raw columns.

Bahmani et al., "Scalable k-means++", PVLDB 5(7), 2012, Table 2 gives 233, 68 and 24 (x 10**5) for k = 20, 50 and
100. Ours is the greedy variant, which starts better, so its costs are not above those. Run from the repository:
`python -m tests.bench.spambase [path of spambase.data]`.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.cluster import KMeans

from stream_seg.clustering.lloyd import batch_kmeans

PUBLISHED = {20: 233.0, 50: 68.0, 100: 24.0}
RUNS = 11


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("data", nargs="?", type=Path, default=Path("../shared/data/spambase.data"))
    path: Path = parser.parse_args().data
    if not path.exists():
        sys.stderr.write(f"{path} is not there: give the path of UCI's spambase.data\n")
        return 2
    points = np.loadtxt(path, delimiter=",")[:, :57]
    weights = np.ones(len(points))
    batch_kmeans(points[:200], weights[:200], 2, restarts=1, seed=0)  # compile first
    sys.stdout.write(
        "k    published   ours (median)   scikit-learn, random k-means++ (median)   ours, s a run\n"
    )
    for k, published in PUBLISHED.items():
        start = time.perf_counter()
        ours = [batch_kmeans(points, weights, k, restarts=1, seed=seed).cost for seed in range(RUNS)]
        seconds = (time.perf_counter() - start) / RUNS
        theirs = [KMeans(k, n_init=1, random_state=seed).fit(points).inertia_ for seed in range(RUNS)]
        sys.stdout.write(
            f"{k:<4} {published:>9.0f} {np.median(ours) / 1e5:>15.1f} {np.median(theirs) / 1e5:>43.1f} {seconds:>15.3f}\n"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
