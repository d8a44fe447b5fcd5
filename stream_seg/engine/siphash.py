"""SipHash-1-3 of texts: a keyed hash, so that nobody who does not know the key can choose texts that collide.

Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012, with one round a word and three at the end:
what CPython and Rust hash strings with.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stream_seg.compiled import kernel

__all__ = ["siphash"]

_WORD = 8


@kernel
def _turned(word: np.uint64, bits: int) -> np.uint64:
    return (word << np.uint64(bits)) | (word >> np.uint64(64 - bits))


@kernel
def _round(
    a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    a += b
    b = _turned(b, 13) ^ a
    a = _turned(a, 32)
    c += d
    d = _turned(d, 16) ^ c
    a += d
    d = _turned(d, 21) ^ a
    c += b
    b = _turned(b, 17) ^ c
    return a, b, _turned(c, 32), d


@kernel
def siphash(
    data: NDArray[np.uint8],
    start: NDArray[np.int64],
    end: NDArray[np.int64],
    key: NDArray[np.uint64],
) -> NDArray[np.uint64]:
    """Hashes uint64 [n] of the texts ``data[start[i]:end[i]]`` under ``key`` uint64 [2]."""
    hashes = np.empty(len(start), np.uint64)
    for i in range(len(start)):
        a = key[0] ^ np.uint64(0x736F6D6570736575)
        b = key[1] ^ np.uint64(0x646F72616E646F6D)
        c = key[0] ^ np.uint64(0x6C7967656E657261)
        d = key[1] ^ np.uint64(0x7465646279746573)
        at, stop = np.uint64(start[i]), np.uint64(end[i])  # unsigned: none counts from the end
        last = (stop - at) << np.uint64(56)
        while stop - at >= np.uint64(_WORD):
            word = np.uint64(0)
            for j in range(_WORD):
                word |= np.uint64(data[at + np.uint64(j)]) << np.uint64(8 * j)
            d ^= word
            a, b, c, d = _round(a, b, c, d)
            a ^= word
            at += np.uint64(_WORD)
        for j in range(stop - at):
            last |= np.uint64(data[at + j]) << (np.uint64(8) * j)
        d ^= last
        a, b, c, d = _round(a, b, c, d)
        a ^= last
        c ^= np.uint64(0xFF)
        a, b, c, d = _round(a, b, c, d)
        a, b, c, d = _round(a, b, c, d)
        a, b, c, d = _round(a, b, c, d)
        hashes[i] = a ^ b ^ c ^ d
    return hashes
