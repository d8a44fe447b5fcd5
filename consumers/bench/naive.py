"""The naive loop that teams write first: one event at a time through kafka-python, river and redis-py."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from redis import Redis
from river import cluster, compose, preprocessing

from consumers.bench.figures import Run
from consumers.bench.processes import Clock
from stream_seg.adapters.kafka_python.connection import open_consumer, open_producer

if TYPE_CHECKING:
    from consumers.bench.stand import Stand

__all__ = ["naive"]

TIMEOUT_S: Final = 10.0
SEGMENTS: Final = 6
DAY_S: Final = 86_400.0


def naive(stand: Stand, topic: str, events: int) -> Run:
    """Label so many events one by one: count in a dict, learn and predict, write a hash, send a label.

    At least once, with the clients' defaults; clusters events, not customers.
    """
    kafka, clock, done = stand.kafka("kafka-python"), Clock(), 0
    model = compose.Pipeline(preprocessing.StandardScaler(), cluster.KMeans(n_clusters=SEGMENTS, seed=7))
    customers: dict[str, tuple[int, float, float]] = {}
    consumer = open_consumer(kafka, TIMEOUT_S, group_id=stand.name("naive"), auto_offset_reset="earliest")
    producer = open_producer(kafka, TIMEOUT_S)
    with stand.topic(1) as target, closing(Redis.from_url(stand.redis_url)) as redis:
        redis_cpu = stand.redis_cpu_s()
        consumer.subscribe([topic])
        for record in consumer:
            clock.start()
            event = json.loads(record.value)
            customer, moment = event["customer_id"], datetime.fromisoformat(event["order_time"]).timestamp()
            orders, spend, last = customers.get(customer, (0, 0.0, moment))
            orders, spend = orders + 1, spend + event["revenue"]
            customers[customer] = orders, spend, moment
            x = {"recency": (moment - last) / DAY_S, "orders": orders, "spend": spend}
            model.learn_one(x)
            segment = model.predict_one(x)
            fields: Any = {"segment": segment, **x, "event_time": moment}
            redis.hset(f"{stand.prefix}:{customer}", mapping=fields)
            label = json.dumps({"customer_id": customer, "event_id": event["order_id"], "segment": segment})
            producer.send(target, label.encode(), record.key)
            done += 1
            if done == events:
                break
        producer.flush()
        consumer.commit()
        clock.stop()
        redis_cpu = stand.redis_cpu_s() - redis_cpu
        producer.close()
        consumer.close()
        redis.unlink(*(f"{stand.prefix}:{customer}" for customer in customers))
    return Run(done, clock.seconds, clock.cpu_s, redis_cpu)
