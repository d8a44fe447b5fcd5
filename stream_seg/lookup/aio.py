"""Look-ups for programs on asyncio."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from stream_seg.lookup.plans import Command, Plan, Plans
from stream_seg.lookup.results import CustomerSegment, Record, SegmentInfo
from stream_seg.redis_server import POOL_CONNECTIONS, address_of, checked, opened, options, our_errors

__all__ = ["AsyncSegmentLookup"]

T = TypeVar("T")


class AsyncSegmentLookup:
    """``SegmentLookup`` with ``await``; safe to share between the tasks of one event loop."""

    def __init__(self, client: Redis, address: str, model: str) -> None:
        """Use a client as ``from_url`` makes it."""
        self._client: Any = client
        self._address = address
        self._plans = Plans(model)

    @classmethod
    def from_url(cls, url: str, model: str, *, timeout_s: float = 1.0) -> Self:
        """Look up in the Redis at ``url``; it is connected to with the first question.

        ``timeout_s`` is how long to wait for a free connection, for connecting and for an answer, each.
        Raises ``UsageError`` where the URL is no good.
        """
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

    async def get(self, customer: str) -> CustomerSegment | None:
        """Return one customer's segment, ``None`` for an unknown customer; one round trip."""
        return await self._run(self._plans.customer(customer))

    async def get_many(self, customers: Iterable[str]) -> list[CustomerSegment | None]:
        """Return many customers' segments in the same order, ``None`` for unknown ones; one round trip."""
        return await self._run(self._plans.customers(customers))

    async def records(self, customers: Iterable[str]) -> list[Record | None]:
        """As ``get_many``, with every field of the hashes, JSON-ready."""
        return await self._run(self._plans.records(customers))

    async def segments(self) -> list[SegmentInfo]:
        """Return all segments by id, with sizes as of one moment; two round trips."""
        return await self._run(self._plans.segments())

    async def segment_records(self) -> list[Record]:
        """As ``segments``, with every field of the hashes, JSON-ready."""
        return await self._run(self._plans.segment_records())

    async def model(self, version: int | None = None) -> Record | None:
        """Return a version as published, the current one by default; ``None`` where there is none."""
        return await self._run(self._plans.model(version))

    async def status(self) -> Record:
        """Return how the model stands, JSON-ready; see ``SegmentLookup.status``."""
        return await self._run(self._plans.status())

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        """Use as a context manager, which closes at the end."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close all connections."""
        await self.close()

    async def _run(self, plan: Plan[T]) -> T:
        try:
            commands = next(plan)
            while True:
                commands = plan.send(await self._replies(commands))
        except StopIteration as done:
            result: T = done.value
            return result

    async def _replies(self, commands: Sequence[Command]) -> list[Any]:
        with our_errors(self._address):
            pipeline = self._client.pipeline(transaction=False)
            for command in commands:
                pipeline.execute_command(*command)
            return checked(await pipeline.execute(raise_on_error=False))
