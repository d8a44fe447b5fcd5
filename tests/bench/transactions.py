"""How long Kafka takes by each client: transactions back to back, records in and records out.

Run from the repository: `python -m tests.bench.transactions`; it starts a Kafka of its own. A transaction of
one record with its offset should take at most 40 ms (median) on both clients; with the clients' own back-off
of 100 ms between attempts it takes 113 to 122.
"""

from __future__ import annotations

import statistics
import sys
import time
import uuid
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

from stream_seg.adapters.kafka import KafkaClient, connect
from stream_seg.adapters.kafka_python.admin import KafkaPythonAdmin
from stream_seg.adapters.kafka_topics import TopicSpec
from stream_seg.adapters.local import local_servers
from stream_seg.engine.ports import Committed, Records, Transaction
from stream_seg.settings import KafkaSettings

if TYPE_CHECKING:
    from stream_seg.engine.ports import Membership, Source

CLIENTS = ("kafka-python", "confluent")
TRANSACTIONS = 100
RECORDS = 200_000
BATCH = 10_000
VALUE = b'{"customer_id":"17850","invoice":"536365","invoice_date":"2011-01-05T08:26:00Z","revenue":139.12}'


def main() -> int:
    with local_servers() as servers:
        for name in CLIENTS:
            _measure(name, servers.bootstrap_servers)
    return 0


def _measure(name: str, address: str) -> None:
    settings = KafkaSettings.model_validate({"bootstrap_servers": address, "client": name})
    with ExitStack() as stack:
        client: KafkaClient = stack.enter_context(closing(connect(settings)))
        topic, output = (_topic(settings) for _ in range(2))
        source = stack.enter_context(closing(client.source(topic, topic)))
        membership = _joined(source)
        log = stack.enter_context(closing(client.log(f"{topic}-tx", "exactly_once", topic=topic)))
        each = []
        for number in range(TRANSACTIONS):
            began = time.perf_counter()
            log.commit(
                Transaction(
                    columns=[Records(output, 0, [b"k"], [VALUE], [1])],
                    offsets={0: Committed(number, f"{number}:batch")},
                    membership=membership,
                )
            )
            each.append((time.perf_counter() - began) * 1000)
        _say(name, "one record and its offset, ms a transaction", statistics.median(each))
        _say(name, "the slowest of them, ms", max(each))
        batch = Records(topic, 0, [b"17850"] * BATCH, [VALUE] * BATCH, [1] * BATCH)
        log.commit(Transaction(columns=[batch]))  # what is compiled is compiled now
        began = time.perf_counter()
        for _ in range(RECORDS // BATCH):
            log.commit(Transaction(columns=[batch]))
        _say(name, "records out, µs each", (time.perf_counter() - began) / RECORDS * 1e6)
        source.seek(0, 0)
        began, read = time.perf_counter(), 0
        while read < RECORDS:
            read += sum(len(records) for records in source.poll(1.0).records.values())
        _say(name, "records in, µs each", (time.perf_counter() - began) / read * 1e6)


def _topic(settings: KafkaSettings) -> str:
    name = f"bench-{uuid.uuid4().hex[:12]}"
    with closing(KafkaPythonAdmin(settings.model_copy(update={"client": "kafka-python"}))) as admin:
        admin.create([TopicSpec(name, 1, {"retention.ms": "-1"})])
    return name


def _joined(source: Source) -> Membership:
    while (polled := source.poll(1.0)).membership is None or not polled.assigned:
        pass
    return polled.membership


def _say(client: str, what: str, value: float) -> None:
    sys.stdout.write(f"{client:>14}  {what:<46} {value:8.2f}\n")


if __name__ == "__main__":
    sys.exit(main())
