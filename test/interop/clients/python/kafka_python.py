"""kafka-python."""

import sys

from kafka import ConsumerRebalanceListener, KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.admin import NewTopic
from kafka.errors import CommitFailedError
from until_end import say, stopped, watch

bootstrap, command, *rest = sys.argv[1:]


def create(topic, partitions):
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    admin.create_topics([NewTopic(topic, num_partitions=int(partitions), replication_factor=1)])
    say('created')


def describe(topic):
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    if topic not in admin.list_topics():
        say('gone')
        return
    say('partitions', len(admin.describe_topics([topic])[0]['partitions']))


def delete(topic):
    KafkaAdminClient(bootstrap_servers=bootstrap).delete_topics([topic])
    say('deleted')


def produce(topic, first, count):
    producer = KafkaProducer(bootstrap_servers=bootstrap, acks='all', enable_idempotence=True, compression_type='gzip')
    sent = [
        producer.send(topic, key=f'k{n}'.encode(), value=f'v{n}'.encode())
        for n in range(int(first), int(first) + int(count))
    ]
    for each in sent:
        each.get(timeout=60)
    producer.close()
    say('produced', count)


def consume(group, topic):
    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked):
            pass

        def on_partitions_assigned(self, assigned):
            say('assigned', *sorted(each.partition for each in assigned))

    watch()
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, auto_offset_reset='earliest', enable_auto_commit=False
    )
    consumer.subscribe([topic], listener=Listener())
    while not stopped.is_set():
        polled = consumer.poll(timeout_ms=200)
        for records in polled.values():
            for record in records:
                say('record', record.partition, record.offset, record.value.decode())
        if polled:
            try:
                consumer.commit()
            except CommitFailedError:
                pass  # the group has moved on: what was printed comes again
    consumer.close()


globals()[command](*rest)
