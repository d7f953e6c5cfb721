"""Produces or fetches through librdkafka and prints one line of JSON.

python3 librdkafka-load.py '{"mode": "produce" | "fetch", "brokers": "host:port", "topic": "...", ...}'
produce: 1 KiB records in batches of 64 KiB with acks=all; fetch: every record from the start, counted by partition.
"""
import json
import resource
import sys
import time

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition, libversion

options = json.loads(sys.argv[1])
topic = options["topic"]
record_bytes = options["recordBytes"]
count = options["count"]


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def produce():
    producer = Producer(
        {
            "bootstrap.servers": options["brokers"],
            "acks": "all",
            "compression.type": "none",
            "batch.size": options["batchBytes"],
            "linger.ms": 5,
            "queue.buffering.max.messages": 100_000,
            "queue.buffering.max.kbytes": 1 << 20,
        }
    )
    failed = []
    value = bytes(97 + index % 26 for index in range(record_bytes))
    # connected, and the topic made, before the clock starts
    producer.produce(topic, value, partition=0)
    producer.flush()
    started, cpu = time.monotonic(), cpu_seconds()
    partitions = options["partitions"]
    for number in range(count):
        while True:
            try:
                # in runs: a client fills a batch before it begins another
                producer.produce(topic, value, partition=number // 64 % partitions, on_delivery=None)
                break
            except BufferError:
                producer.poll(0.01)
    left = producer.flush(120)
    elapsed = time.monotonic() - started
    return {"records": count - left, "seconds": elapsed, "loadCore": (cpu_seconds() - cpu) / elapsed, "failed": left}


def fetch():
    consumer = Consumer(
        {
            "bootstrap.servers": options["brokers"],
            "group.id": "bench",
            "enable.auto.commit": False,
            "auto.offset.reset": "earliest",
            "fetch.wait.max.ms": 100,
            "queued.max.messages.kbytes": 1 << 20,
            "queued.min.messages": 1_000_000,
            "check.crcs": True,
        }
    )
    consumer.assign([TopicPartition(topic, partition, 0) for partition in range(options["partitions"])])
    records, wrong, started = 0, 0, None
    next_offsets = {}
    while records < count:
        messages = consumer.consume(min(10_000, count - records), 10)
        if not messages:
            break
        if started is None:
            # the first answer waits for connections and metadata
            started, cpu, before = time.monotonic(), cpu_seconds(), len(messages)
        for message in messages:
            if message.error() is not None:
                if message.error().code() != KafkaError._PARTITION_EOF:
                    wrong += 1
                continue
            partition = message.partition()
            if message.offset() != next_offsets.get(partition, 0) or len(message.value()) != record_bytes:
                wrong += 1
            next_offsets[partition] = message.offset() + 1
            records += 1
    elapsed = time.monotonic() - started
    return {
        "records": records,
        "timed": records - before,
        "seconds": elapsed,
        "loadCore": (cpu_seconds() - cpu) / elapsed,
        "failed": wrong,
    }


result = produce() if options["mode"] == "produce" else fetch()
print(json.dumps({**result, "librdkafka": libversion()[0]}))
