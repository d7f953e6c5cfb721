"""Reads a topic from its end on through librdkafka, as records come, and tells how old they are.

python3 latency-consumer.py '{"brokers": "host:port", "topic": "...", "partitions": 4}'
Prints "ready" when it waits for records, and one line of JSON when none has come for two seconds. The first 8 bytes of a value are nanoseconds of the
machine's monotonic clock.
"""
import json
import sys
import time

from confluent_kafka import OFFSET_END, Consumer, KafkaError, TopicPartition

options = json.loads(sys.argv[1])
quiet_seconds = 2
consumer = Consumer(
    {"bootstrap.servers": options["brokers"], "group.id": "bench", "enable.auto.commit": False, "fetch.wait.max.ms": 500}
)
partitions = range(options["partitions"])
consumer.assign([TopicPartition(options["topic"], partition, OFFSET_END) for partition in partitions])
# its first fetches are on their way
consumer.consume(1, 3)
print("ready", flush=True)

ages = []
deadline = None
while deadline is None or time.monotonic() < deadline:
    messages = consumer.consume(1000, 0.001)
    now = time.monotonic_ns()
    for message in messages:
        if message.error() is None:
            ages.append((now - int.from_bytes(message.value()[:8], "big", signed=True)) / 1e6)
        elif message.error().code() != KafkaError._PARTITION_EOF:
            raise RuntimeError(message.error())
    if messages:
        deadline = time.monotonic() + quiet_seconds
consumer.close()
ages.sort()
at = lambda part: ages[min(len(ages) - 1, int(len(ages) * part))]
print(json.dumps({"records": len(ages), "p50": at(0.5), "p99": at(0.99)}))
