"""Ids that a customer index under a known key takes for each other until it compares their bytes."""

from __future__ import annotations

import numpy as np

from stream_seg.engine.idtable import short
from stream_seg.engine.siphash import siphash
from stream_seg.engine.texts import Texts

KEY = (3, 5)
_TRIED = 200_000


def colliding() -> list[str]:
    """Ids whose hashes under ``KEY`` are those of another of them, in pairs."""
    ids = Texts.utf8([f"customer {i}" for i in range(_TRIED)])
    hashes = short(siphash(ids.data, ids.start, ids.end, np.array(KEY, np.uint64)))
    order = np.argsort(hashes, kind="stable")
    same = np.flatnonzero(np.diff(hashes[order]) == 0)
    return [f"customer {order[i + j]}" for i in same.tolist() for j in (0, 1)]
