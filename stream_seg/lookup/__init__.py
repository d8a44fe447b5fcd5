"""Customers' segments, for other services: one customer or many in one round trip to Redis.

    from stream_seg.lookup import SegmentLookup

    lookup = SegmentLookup.from_url("redis://127.0.0.1:6379/0", model="retail")
    customer = lookup.get("17850")    # CustomerSegment, or None where there is no such customer
    many = lookup.get_many(["17850", "13047"])    # a list in the same order

``AsyncSegmentLookup`` is the same with ``await``. Time-outs are on. A Redis that does not answer raises
``ServerUnavailable``, one that says no ``ServerRefused``. Of all libraries only redis-py is needed.
"""

from __future__ import annotations

from stream_seg.errors import ServerError, ServerRefused, ServerUnavailable, StateError
from stream_seg.lookup.aio import AsyncSegmentLookup
from stream_seg.lookup.client import SegmentLookup
from stream_seg.lookup.results import CustomerSegment, SegmentInfo

__all__ = [
    "AsyncSegmentLookup",
    "CustomerSegment",
    "SegmentInfo",
    "SegmentLookup",
    "ServerError",
    "ServerRefused",
    "ServerUnavailable",
    "StateError",
]
