"""Look-ups for programs that wait for the answer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from redis import BlockingConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

from stream_seg.lookup.plans import Command, Plan, Plans
from stream_seg.lookup.results import CustomerSegment, Record, SegmentInfo
from stream_seg.redis_server import POOL_CONNECTIONS, address_of, checked, opened, options, our_errors

__all__ = ["SegmentLookup"]

T = TypeVar("T")


class SegmentLookup:
    """Customers' and segments' state as a model has published it in Redis; safe to share between threads.

    Every method raises ``ServerUnavailable`` where Redis does not answer, ``ServerRefused`` where it says
    no, and ``StateError`` where what is stored cannot be read.
    """

    def __init__(self, client: Redis, address: str, model: str) -> None:
        """Use a client as ``from_url`` makes it."""
        self._client: Any = client  # redis-py types every reply as maybe awaitable
        self._address = address
        self._plans = Plans(model)

    @classmethod
    def from_url(cls, url: str, model: str, *, timeout_s: float = 1.0) -> Self:
        """Look up in the Redis at ``url``; it is connected to with the first question.

        ``timeout_s`` is how long to wait for a free connection, for connecting and for an answer, each.
        Raises ``UsageError`` where the URL is no good.
        """
        # A connection that a restarted server has closed is found with the first try; a time-out is final.
        retry = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
        pool = opened(
            BlockingConnectionPool,
            url,
            max_connections=POOL_CONNECTIONS,
            timeout=timeout_s,
            retry=retry,
            **options(timeout_s),
        )
        return cls(Redis.from_pool(pool), address_of(url), model)

    def get(self, customer: str) -> CustomerSegment | None:
        """Return one customer's segment, ``None`` for an unknown customer; one round trip."""
        return self._run(self._plans.customer(customer))

    def get_many(self, customers: Iterable[str]) -> list[CustomerSegment | None]:
        """Return many customers' segments in the same order, ``None`` for unknown ones; one round trip."""
        return self._run(self._plans.customers(customers))

    def records(self, customers: Iterable[str]) -> list[Record | None]:
        """As ``get_many``, with every field of the hashes, JSON-ready (``stream-seg lookup --json``)."""
        return self._run(self._plans.records(customers))

    def segments(self) -> list[SegmentInfo]:
        """Return all segments by id, with sizes as of one moment; two round trips."""
        return self._run(self._plans.segments())

    def segment_records(self) -> list[Record]:
        """As ``segments``, with every field of the hashes, JSON-ready (``stream-seg segments --json``)."""
        return self._run(self._plans.segment_records())

    def model(self, version: int | None = None) -> Record | None:
        """Return a version as published, the current one by default; ``None`` where there is none."""
        return self._run(self._plans.model(version))

    def status(self) -> Record:
        """Return how the model stands, JSON-ready.

        ``meta`` (empty: no such model), ``version``, ``quality``, and ``partitions``: each one's last report.
        """
        return self._run(self._plans.status())

    def close(self) -> None:
        """Close all connections."""
        self._client.close()

    def __enter__(self) -> Self:
        """Use as a context manager, which closes at the end."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        self.close()

    def _run(self, plan: Plan[T]) -> T:
        try:
            commands = next(plan)
            while True:
                commands = plan.send(self._replies(commands))
        except StopIteration as done:
            result: T = done.value
            return result

    def _replies(self, commands: Sequence[Command]) -> list[Any]:
        with our_errors(self._address):
            pipeline = self._client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            return checked(pipeline.execute(raise_on_error=False))
