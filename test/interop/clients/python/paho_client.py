"""Paho's Python client against a broker: paho_client.py PORT VERSION, where VERSION is 3, 4 or 5.

A subscriber with a session gets publishes of every QoS live, is away, and gets what it missed; prints one line of JSON with both.
"""

import json
import sys
import threading

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.subscribeoptions import SubscribeOptions

port, version = int(sys.argv[1]), int(sys.argv[2])
is_5 = version == 5


def client(name, clean):
    more = {} if is_5 else {"clean_session": clean}
    made = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=name, protocol=version, **more)
    connected = threading.Event()
    made.on_connect = lambda *_: connected.set()
    made.got = []
    made.more = threading.Condition()

    def on_message(_client, _data, message):
        user = getattr(message.properties, "UserProperty", []) if is_5 else []
        with made.more:
            made.got.append([message.topic, message.payload.decode(), message.qos, message.retain, user])
            made.more.notify()

    made.on_message = on_message
    start = {}
    if is_5:
        start = {"clean_start": clean, "properties": Properties(PacketTypes.CONNECT)}
        start["properties"].SessionExpiryInterval = 3600
    made.connect("127.0.0.1", port, keepalive=30, **start)
    made.loop_start()
    assert connected.wait(20)
    return made


def take(subscriber, count):
    with subscriber.more:
        assert subscriber.more.wait_for(lambda: len(subscriber.got) >= count, 20), subscriber.got
    return subscriber.got


def end(made):
    made.disconnect()
    made.loop_stop()


def publish(made, payload, qos, retain=False):
    properties = None
    if is_5:
        properties = Properties(PacketTypes.PUBLISH)
        properties.UserProperty = [("unit", "C"), ("unit", "F"), ("site", "a")]
    made.publish("paho/x", payload, qos, retain, **({"properties": properties} if is_5 else {})).wait_for_publish(20)


subscriber = client("subscriber", True if is_5 else False)
done = threading.Event()
subscriber.on_subscribe = lambda *_: done.set()
if is_5:
    subscriber.subscribe("paho/#", options=SubscribeOptions(qos=2, retainAsPublished=True))
else:
    subscriber.subscribe("paho/#", 2)
assert done.wait(20)
publisher = client("publisher", True)
for qos in range(3):
    publish(publisher, f"live {qos}", qos)
live = take(subscriber, 3)
end(subscriber)
for qos in (1, 2):
    publish(publisher, f"missed {qos}", qos)
publish(publisher, "kept", 2, True)
subscriber = client("subscriber", False)
missed = take(subscriber, 3)
print(json.dumps({"live": live, "missed": missed}))
end(subscriber)
end(publisher)
