import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Reads so many records of a topic, and sends them again, whole: FROM TOPIC TO TOPIC COUNT [KEY=VALUE of the producer]... */
public final class CopyTopic {
  public static void main(String[] words) {
    int count = Integer.parseInt(words[4]);
    List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>(count);
    Map<String, Object> reading = Map.of("bootstrap.servers", words[0], "isolation.level", "read_committed");
    ByteArrayDeserializer bytes = new ByteArrayDeserializer();
    try (KafkaConsumer<byte[], byte[]> consumer = new KafkaConsumer<>(reading, bytes, bytes)) {
      List<TopicPartition> partitions =
          consumer.partitionsFor(words[1]).stream().map(one -> new TopicPartition(one.topic(), one.partition())).toList();
      consumer.assign(partitions);
      consumer.seekToBeginning(partitions);
      while (records.size() < count) consumer.poll(Duration.ofSeconds(1)).forEach(records::add);
    }
    Properties sending = new Properties();
    sending.put("bootstrap.servers", words[2]);
    for (int index = 5; index < words.length; index++) {
      String[] property = words[index].split("=", 2);
      sending.put(property[0], property[1]);
    }
    ByteArraySerializer serializer = new ByteArraySerializer();
    try (KafkaProducer<byte[], byte[]> producer = new KafkaProducer<>(sending, serializer, serializer)) {
      for (ConsumerRecord<byte[], byte[]> one : records) {
        producer.send(
            new ProducerRecord<>(words[3], one.partition(), one.timestamp(), one.key(), one.value(), one.headers()));
      }
    }
  }
}
