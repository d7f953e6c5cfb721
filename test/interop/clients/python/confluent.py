"""confluent-kafka, which is librdkafka."""

import sys

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient, NewTopic
from until_end import say, stopped, watch

bootstrap, command, *rest = sys.argv[1:]
common = {'bootstrap.servers': bootstrap}


def create(topic, partitions):
    # the handle must outlive what it was asked
    admin = AdminClient(common)
    admin.create_topics([NewTopic(topic, int(partitions))])[topic].result()
    say('created')


def describe(topic):
    found = AdminClient(common).list_topics(timeout=10).topics.get(topic)
    say('gone' if found is None else f'partitions {len(found.partitions)}')


def delete(topic):
    admin = AdminClient(common)
    admin.delete_topics([topic])[topic].result()
    say('deleted')


def produce(topic, first, count):
    failures = []
    producer = Producer({**common, 'enable.idempotence': True, 'compression.type': 'lz4'})

    def delivered(error, _):
        if error is not None:
            failures.append(error)

    for n in range(int(first), int(first) + int(count)):
        producer.produce(topic, key=f'k{n}', value=f'v{n}', on_delivery=delivered)
        producer.poll(0)
    left = producer.flush(60)
    if failures or left:
        raise SystemExit(f'{len(failures)} failed ({failures[:1]}), {left} not delivered')
    say('produced', count)


def consume(group, topic):
    watch()
    consumer = Consumer({**common, 'group.id': group, 'auto.offset.reset': 'earliest', 'enable.auto.commit': False})
    consumer.subscribe(
        [topic], on_assign=lambda _, given: say('assigned', *sorted(each.partition for each in given))
    )
    while not stopped.is_set():
        records = consumer.consume(num_messages=500, timeout=0.2)
        for record in records:
            if record.error():
                raise KafkaException(record.error())
            say('record', record.partition(), record.offset(), record.value().decode())
        if records:
            try:
                consumer.commit(asynchronous=False)
            except KafkaException as error:
                # the group has moved on, or the gateway is away for a moment: what was printed comes again
                if error.args[0].code() not in (KafkaError.REBALANCE_IN_PROGRESS, KafkaError.ILLEGAL_GENERATION, KafkaError._NO_OFFSET):
                    raise
    consumer.close()


globals()[command](*rest)
