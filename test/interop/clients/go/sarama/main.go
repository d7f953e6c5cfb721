// sarama.
package main

import (
	"context"
	"errors"
	"fmt"

	"brooklet/interop/program"

	"github.com/IBM/sarama"
)

type client struct{ brokers []string }

func config() *sarama.Config {
	made := sarama.NewConfig()
	made.Version = sarama.MaxVersion
	return made
}

func (c client) admin() sarama.ClusterAdmin {
	made, err := sarama.NewClusterAdmin(c.brokers, config())
	program.Check(err)
	return made
}

func (c client) Create(topic string, partitions int32) error {
	return c.admin().CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false)
}

func (c client) Describe(topic string) (int, error) {
	found, err := c.admin().ListTopics()
	return int(found[topic].NumPartitions), err
}

func (c client) Delete(topic string) error { return c.admin().DeleteTopic(topic) }

func (c client) Produce(topic string, records []program.Record) error {
	settings := config()
	settings.Producer.Idempotent = true
	settings.Producer.RequiredAcks = sarama.WaitForAll
	settings.Producer.Compression = sarama.CompressionSnappy
	settings.Producer.Return.Successes = true
	settings.Net.MaxOpenRequests = 1
	producer, err := sarama.NewSyncProducer(c.brokers, settings)
	if err != nil {
		return err
	}
	made := make([]*sarama.ProducerMessage, len(records))
	for i, each := range records {
		made[i] = &sarama.ProducerMessage{
			Topic: topic, Key: sarama.StringEncoder(each.Key), Value: sarama.StringEncoder(each.Value),
		}
	}
	if err := producer.SendMessages(made); err != nil {
		return err
	}
	return producer.Close()
}

type handler struct{ topic string }

func (h handler) Setup(session sarama.ConsumerGroupSession) error {
	program.SayAssigned(session.Claims()[h.topic])
	return nil
}

func (handler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (handler) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for record := range claim.Messages() {
		program.SayRecord(record.Partition, record.Offset, record.Value)
		session.MarkMessage(record, "")
	}
	return nil
}

func (c client) Consume(stop context.Context, group, topic string) error {
	settings := config()
	settings.Consumer.Offsets.Initial = sarama.OffsetOldest
	settings.Consumer.Return.Errors = true
	consumer, err := sarama.NewConsumerGroup(c.brokers, group, settings)
	if err != nil {
		return err
	}
	go func() {
		for err := range consumer.Errors() {
			fmt.Println("note", err)
		}
	}()
	for stop.Err() == nil {
		if err := consumer.Consume(stop, []string{topic}, handler{topic}); err != nil && !errors.Is(err, context.Canceled) {
			fmt.Println("note", err)
		}
	}
	return consumer.Close()
}

func main() { program.Run(func(bootstrap string) program.Client { return client{[]string{bootstrap}} }) }
