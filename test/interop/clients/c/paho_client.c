/*
 * Paho's C client, asynchronous, led by lines on stdin: paho_client URI VERSION [CA_FILE], where VERSION is 3, 4 or 5.
 *
 *   subscribe QOS FILTER              subscribed FILTER
 *   publish QOS RETAIN TOPIC PAYLOAD  delivered PAYLOAD, when the exchange is complete
 *
 * Prints as well: connected, lost, received TOPIC PAYLOAD QOS RETAINED, with MQTT 5 followed by the user properties. What is published
 * without a connection waits in the client. Its session is kept; the end of stdin disconnects it.
 */
#include <MQTTAsync.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static MQTTAsync client;
static int version;
static volatile int was_connected, disconnected;

static void check(int code, const char *what) {
  if (code == MQTTASYNC_SUCCESS) return;
  fprintf(stderr, "%s: %s\n", what, MQTTAsync_strerror(code));
  exit(1);
}

static void say(const char *what, char *about) {
  printf("%s %s\n", what, about);
  free(about);
}

static void on_connected(void *context, char *cause) {
  was_connected = 1;
  puts("connected");
}

static void on_lost(void *context, char *cause) { puts("lost"); }

static int on_arrived(void *context, char *topic, int topic_length, MQTTAsync_message *arrived) {
  char line[4096];
  int at = snprintf(line, sizeof line, "received %s %.*s %d %d", topic, arrived->payloadlen, (char *)arrived->payload, arrived->qos,
                    arrived->retained);
  for (int i = 0; i < arrived->properties.count; i++) {
    MQTTProperty *one = &arrived->properties.array[i];
    if (one->identifier != MQTTPROPERTY_CODE_USER_PROPERTY) continue;
    at += snprintf(line + at, sizeof line - at, " %.*s=%.*s", one->value.data.len, one->value.data.data, one->value.value.len,
                   one->value.value.data);
  }
  puts(line);
  MQTTAsync_freeMessage(&arrived);
  MQTTAsync_free(topic);
  return 1;
}

/* Called for each attempt; the client itself tries again once it was connected. */
static void fail_to_connect(int code, const char *cause) {
  if (was_connected) return;
  fprintf(stderr, "cannot connect: %s\n", cause ? cause : MQTTAsync_strerror(code));
  _exit(1);
}

static void on_connect_failure(void *context, MQTTAsync_failureData *failure) { fail_to_connect(failure->code, failure->message); }
static void on_connect_failure5(void *context, MQTTAsync_failureData5 *failure) { fail_to_connect(failure->code, failure->message); }

static void on_subscribed(void *context, MQTTAsync_successData *answer) { say("subscribed", context); }
static void on_subscribed5(void *context, MQTTAsync_successData5 *answer) { say("subscribed", context); }
static void on_delivered(void *context, MQTTAsync_successData *answer) { say("delivered", context); }
static void on_delivered5(void *context, MQTTAsync_successData5 *answer) { say("delivered", context); }
static void on_disconnected(void *context, MQTTAsync_successData *answer) { disconnected = 1; }
static void on_disconnected5(void *context, MQTTAsync_successData5 *answer) { disconnected = 1; }

static void add_user_property(MQTTProperties *properties, char *name, char *value) {
  MQTTProperty property = {.identifier = MQTTPROPERTY_CODE_USER_PROPERTY};
  property.value.data = (MQTTLenString){(int)strlen(name), name};
  property.value.value = (MQTTLenString){(int)strlen(value), value};
  MQTTProperties_add(properties, &property);
}

static void subscribe(int qos, const char *filter) {
  MQTTAsync_responseOptions answer = MQTTAsync_responseOptions_initializer;
  if (version == 5) answer.onSuccess5 = on_subscribed5;
  else answer.onSuccess = on_subscribed;
  answer.context = strdup(filter);
  check(MQTTAsync_subscribe(client, filter, qos, &answer), "subscribe");
}

static void publish(int qos, int retain, const char *topic, char *payload) {
  MQTTAsync_responseOptions answer = MQTTAsync_responseOptions_initializer;
  MQTTAsync_message publish = MQTTAsync_message_initializer;
  publish.payload = payload;
  publish.payloadlen = (int)strlen(payload);
  publish.qos = qos;
  publish.retained = retain;
  if (version == 5) {
    answer.onSuccess5 = on_delivered5;
    add_user_property(&publish.properties, "unit", "C");
    add_user_property(&publish.properties, "unit", "F");
  } else {
    answer.onSuccess = on_delivered;
  }
  answer.context = strdup(payload);
  check(MQTTAsync_sendMessage(client, topic, &publish, &answer), "publish");
  MQTTProperties_free(&publish.properties);
}

static void start(const char *uri, char *ca_file) {
  MQTTAsync_createOptions kept = MQTTAsync_createOptions_initializer5;
  kept.MQTTVersion = version;
  kept.sendWhileDisconnected = 1;
  kept.maxBufferedMessages = 1000;
  check(MQTTAsync_createWithOptions(&client, uri, "paho-c", MQTTCLIENT_PERSISTENCE_NONE, NULL, &kept), "create");
  check(MQTTAsync_setCallbacks(client, NULL, on_lost, on_arrived, NULL), "callbacks");
  check(MQTTAsync_setConnected(client, NULL, on_connected), "callbacks");

  MQTTAsync_connectOptions plain = MQTTAsync_connectOptions_initializer, five = MQTTAsync_connectOptions_initializer5;
  MQTTAsync_connectOptions options = version == 5 ? five : plain;
  MQTTAsync_SSLOptions ssl = MQTTAsync_SSLOptions_initializer;
  MQTTProperties properties = MQTTProperties_initializer;
  options.MQTTVersion = version;
  options.keepAliveInterval = 30;
  options.automaticReconnect = 1;
  options.minRetryInterval = 1;
  options.maxRetryInterval = 1;
  if (version == 5) {
    MQTTProperty expiry = {.identifier = MQTTPROPERTY_CODE_SESSION_EXPIRY_INTERVAL, .value.integer4 = 3600};
    MQTTProperties_add(&properties, &expiry);
    options.connectProperties = &properties;
    options.cleanstart = 0;
    options.onFailure5 = on_connect_failure5;
  } else {
    options.cleansession = 0;
    options.onFailure = on_connect_failure;
  }
  if (ca_file) {
    ssl.trustStore = ca_file;
    ssl.verify = 1;
    options.ssl = &ssl;
  }
  check(MQTTAsync_connect(client, &options), "connect");
  MQTTProperties_free(&properties);
}

static void stop(void) {
  MQTTAsync_disconnectOptions plain = MQTTAsync_disconnectOptions_initializer, five = MQTTAsync_disconnectOptions_initializer5;
  MQTTAsync_disconnectOptions options = version == 5 ? five : plain;
  if (version == 5) options.onSuccess5 = on_disconnected5;
  else options.onSuccess = on_disconnected;
  options.timeout = 1000;
  if (MQTTAsync_disconnect(client, &options) == MQTTASYNC_SUCCESS)
    for (int tenths = 0; !disconnected && tenths < 100; tenths++) usleep(100000);
  MQTTAsync_destroy(&client);
}

int main(int count, char **words) {
  if (count < 3) return 2;
  version = atoi(words[2]);
  setvbuf(stdout, NULL, _IOLBF, 0);
  start(words[1], count > 3 ? words[3] : NULL);
  char line[4096], topic[1024], payload[2048];
  int qos, retain;
  while (fgets(line, sizeof line, stdin)) {
    if (sscanf(line, "subscribe %d %1023s", &qos, topic) == 2) subscribe(qos, topic);
    else if (sscanf(line, "publish %d %d %1023s %2047s", &qos, &retain, topic, payload) == 4) publish(qos, retain, topic, payload);
    else return 2;
  }
  stop();
  return 0;
}
