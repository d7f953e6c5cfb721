// segmentio/kafka-go. It has no idempotent producer.
package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"brooklet/interop/program"

	"github.com/segmentio/kafka-go"
)

type client struct{ bootstrap string }

func (c client) raw() *kafka.Client { return &kafka.Client{Addr: kafka.TCP(c.bootstrap), Timeout: 10 * time.Second} }

func (c client) Create(topic string, partitions int32) error {
	answer, err := c.raw().CreateTopics(context.Background(), &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: int(partitions), ReplicationFactor: 1}},
	})
	if err != nil {
		return err
	}
	return answer.Errors[topic]
}

func (c client) Describe(topic string) (int, error) {
	answer, err := c.raw().Metadata(context.Background(), &kafka.MetadataRequest{})
	if err != nil {
		return 0, err
	}
	for _, each := range answer.Topics {
		if each.Name == topic {
			return len(each.Partitions), nil
		}
	}
	return 0, nil
}

func (c client) Delete(topic string) error {
	answer, err := c.raw().DeleteTopics(context.Background(), &kafka.DeleteTopicsRequest{Topics: []string{topic}})
	if err != nil {
		return err
	}
	return answer.Errors[topic]
}

func (c client) Produce(topic string, records []program.Record) error {
	writer := &kafka.Writer{
		Addr: kafka.TCP(c.bootstrap), Topic: topic, Balancer: kafka.Murmur2Balancer{}, RequiredAcks: kafka.RequireAll,
		Compression: kafka.Zstd, BatchTimeout: 10 * time.Millisecond,
	}
	made := make([]kafka.Message, len(records))
	for i, each := range records {
		made[i] = kafka.Message{Key: []byte(each.Key), Value: []byte(each.Value)}
	}
	if err := writer.WriteMessages(context.Background(), made...); err != nil {
		return err
	}
	return writer.Close()
}

// The consumer group below the library's Reader, which does not say what it was assigned.
func (c client) Consume(stop context.Context, group, topic string) error {
	members, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: group, Brokers: []string{c.bootstrap}, Topics: []string{topic}, StartOffset: kafka.FirstOffset,
	})
	if err != nil {
		return err
	}
	defer members.Close()
	for {
		generation, err := members.Next(stop)
		if errors.Is(err, context.Canceled) {
			return nil
		}
		if err != nil {
			fmt.Println("note", err)
			continue
		}
		assigned := generation.Assignments[topic]
		partitions := make([]int32, len(assigned))
		for i, each := range assigned {
			partitions[i] = int32(each.ID)
			generation.Start(func(ended context.Context) { c.read(ended, generation, topic, each) })
		}
		program.SayAssigned(partitions)
	}
}

func (c client) read(ended context.Context, generation *kafka.Generation, topic string, from kafka.PartitionAssignment) {
	reader := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{c.bootstrap}, Topic: topic, Partition: from.ID, MaxWait: 200 * time.Millisecond,
	})
	defer reader.Close()
	program.Check(reader.SetOffset(from.Offset))
	for {
		record, err := reader.ReadMessage(ended)
		if err != nil {
			if ended.Err() == nil && !errors.Is(err, kafka.ErrGenerationEnded) {
				fmt.Println("note", err)
				continue
			}
			return
		}
		program.SayRecord(int32(record.Partition), record.Offset, record.Value)
		offsets := map[string]map[int]int64{topic: {record.Partition: record.Offset + 1}}
		if err := generation.CommitOffsets(offsets); err != nil {
			fmt.Println("note", err)
		}
	}
}

func main() { program.Run(func(bootstrap string) program.Client { return client{bootstrap} }) }
