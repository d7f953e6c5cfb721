import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.ArrayList;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.stream.Collectors;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.CommitFailedException;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.RebalanceInProgressException;
import org.apache.kafka.common.errors.TimeoutException;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** Kafka's own client, with its defaults: an idempotent producer, assignors range and cooperative-sticky. */
public final class JavaClient {
  private static String bootstrap;

  public static void main(String[] words) throws Exception {
    bootstrap = words[0];
    switch (words[1]) {
      case "create" -> create(words[2], Integer.parseInt(words[3]));
      case "describe" -> describe(words[2]);
      case "delete" -> delete(words[2]);
      case "produce" -> produce(words[2], Integer.parseInt(words[3]), Integer.parseInt(words[4]));
      case "tour" -> tour(words[2]);
      case "consume" -> consume(words[2], words[3]);
      default -> throw new IllegalArgumentException(words[1]);
    }
  }

  private static Admin admin() {
    return Admin.create(Map.of("bootstrap.servers", bootstrap));
  }

  private static void create(String topic, int partitions) throws Exception {
    try (Admin admin = admin()) {
      admin.createTopics(List.of(new NewTopic(topic, Optional.of(partitions), Optional.empty()))).all().get();
    }
    System.out.println("created");
  }

  private static void describe(String topic) throws Exception {
    try (Admin admin = admin()) {
      int partitions = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic).partitions().size();
      System.out.println("partitions " + partitions);
    } catch (ExecutionException failed) {
      if (!(failed.getCause() instanceof UnknownTopicOrPartitionException)) throw failed;
      System.out.println("gone");
    }
  }

  private static void delete(String topic) throws Exception {
    try (Admin admin = admin()) {
      admin.deleteTopics(List.of(topic)).all().get();
    }
    System.out.println("deleted");
  }

  /** What else tools of operators ask for, on a topic with records that the group `app` has read. */
  private static void tour(String topic) throws Exception {
    ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
    TopicPartition first = new TopicPartition(topic, 0);
    try (Admin admin = admin()) {
      System.out.println("topics " + admin.listTopics().names().get());
      System.out.println("nodes " + admin.describeCluster().nodes().get().size());
      var change = new AlterConfigOp(new ConfigEntry("retention.ms", "60000"), AlterConfigOp.OpType.SET);
      admin.incrementalAlterConfigs(Map.of(resource, List.of(change))).all().get();
      var configs = admin.describeConfigs(List.of(resource)).all().get().get(resource);
      System.out.println("retention.ms " + configs.get("retention.ms").value());
      admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(5))).all().get();
      var grown = admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
      System.out.println("partitions " + grown.partitions().size());
      System.out.println("end " + offset(admin, first, OffsetSpec.latest()));
      System.out.println("newest " + offset(admin, first, OffsetSpec.maxTimestamp()));
      admin.deleteRecords(Map.of(first, RecordsToDelete.beforeOffset(3))).all().get();
      System.out.println("start " + offset(admin, first, OffsetSpec.earliest()));
      System.out.println("groups " + admin.listGroups().all().get().stream().map(group -> group.groupId()).toList());
      var group = admin.describeConsumerGroups(List.of("app")).all().get().get("app");
      System.out.println("group " + group.groupState() + " " + group.members().size());
      admin.alterConsumerGroupOffsets("app", Map.of(first, new OffsetAndMetadata(4))).all().get();
      System.out.println("committed " + committed(admin).get(first).offset());
      admin.deleteConsumerGroupOffsets("app", Set.of(first)).all().get();
      System.out.println("forgotten " + !committed(admin).containsKey(first));
      admin.deleteConsumerGroups(List.of("app")).all().get();
      System.out.println("groups " + admin.listGroups().all().get().size());
      System.out.println("features " + admin.describeFeatures().featureMetadata().get().finalizedFeatures());
    }
  }

  private static long offset(Admin admin, TopicPartition partition, OffsetSpec spec) throws Exception {
    return admin.listOffsets(Map.of(partition, spec)).all().get().get(partition).offset();
  }

  private static Map<TopicPartition, OffsetAndMetadata> committed(Admin admin) throws Exception {
    return admin.listConsumerGroupOffsets("app").partitionsToOffsetAndMetadata().get();
  }

  private static void produce(String topic, int first, int count) throws Exception {
    Map<String, Object> settings = Map.of("bootstrap.servers", bootstrap);
    try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new StringSerializer())) {
      List<Future<?>> sent = new ArrayList<>();
      for (int n = first; n < first + count; n++) sent.add(producer.send(new ProducerRecord<>(topic, "k" + n, "v" + n)));
      for (Future<?> each : sent) each.get();
    }
    System.out.println("produced " + count);
  }

  private static void consume(String group, String topic) {
    AtomicBoolean stopped = new AtomicBoolean();
    Thread watch = new Thread(() -> {
      try {
        while (System.in.read() >= 0) {
          // anything but the end means nothing
        }
      } catch (java.io.IOException failed) {
        // as the end
      }
      stopped.set(true);
    });
    watch.setDaemon(true);
    watch.start();
    Map<String, Object> settings = Map.of(
        "bootstrap.servers", bootstrap, "group.id", group, "auto.offset.reset", "earliest", "enable.auto.commit", false);
    try (var consumer = new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer())) {
      consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> revoked) {}

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> assigned) {
          System.out.println("assigned " + consumer.assignment().stream().map(TopicPartition::partition).sorted()
              .map(String::valueOf).collect(Collectors.joining(" ")));
        }
      });
      while (!stopped.get()) {
        var records = consumer.poll(Duration.ofMillis(200));
        records.forEach(record ->
            System.out.println("record " + record.partition() + " " + record.offset() + " " + record.value()));
        if (records.isEmpty()) continue;
        try {
          consumer.commitSync();
        } catch (CommitFailedException | RebalanceInProgressException | TimeoutException moved) {
          // the group has moved on: what was printed comes again
        }
      }
    }
  }
}
