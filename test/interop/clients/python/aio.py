"""aiokafka."""

import asyncio
import sys

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import CommitFailedError
from until_end import say, stopped, watch

bootstrap, command, *rest = sys.argv[1:]


async def with_admin(work):
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return await work(admin)
    finally:
        await admin.close()


async def create(topic, partitions):
    await with_admin(lambda admin: admin.create_topics([NewTopic(topic, int(partitions), 1)]))
    say('created')


async def describe(topic):
    if topic not in await with_admin(lambda admin: admin.list_topics()):
        say('gone')
        return
    found = await with_admin(lambda admin: admin.describe_topics([topic]))
    say('partitions', len(found[0]['partitions']))


async def delete(topic):
    await with_admin(lambda admin: admin.delete_topics([topic]))
    say('deleted')


async def produce(topic, first, count):
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True, compression_type='gzip')
    await producer.start()
    numbers = range(int(first), int(first) + int(count))
    sent = [await producer.send(topic, key=f'k{n}'.encode(), value=f'v{n}'.encode()) for n in numbers]
    await asyncio.gather(*sent)
    await producer.stop()
    say('produced', count)


async def consume(group, topic):
    class Listener(ConsumerRebalanceListener):
        def on_partitions_revoked(self, revoked):
            pass

        def on_partitions_assigned(self, assigned):
            say('assigned', *sorted(each.partition for each in assigned))

    watch()
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap, group_id=group, auto_offset_reset='earliest', enable_auto_commit=False
    )
    consumer.subscribe([topic], listener=Listener())
    await consumer.start()
    while not stopped.is_set():
        polled = await consumer.getmany(timeout_ms=200)
        for records in polled.values():
            for record in records:
                say('record', record.partition, record.offset, record.value.decode())
        if polled:
            try:
                await consumer.commit()
            except CommitFailedError:
                pass  # the group has moved on: what was printed comes again
    await consumer.stop()


asyncio.run(globals()[command](*rest))
