// franz-go.
package main

import (
	"context"
	"errors"
	"fmt"

	"brooklet/interop/program"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func client(bootstrap string, options ...kgo.Opt) *kgo.Client {
	made, err := kgo.NewClient(append(options, kgo.SeedBrokers(bootstrap))...)
	program.Check(err)
	return made
}

type franz struct{ bootstrap string }

func (f franz) Create(topic string, partitions int32) error {
	_, err := kadm.NewClient(client(f.bootstrap)).CreateTopic(context.Background(), partitions, -1, nil, topic)
	return err
}

func (f franz) Describe(topic string) (int, error) {
	found, err := kadm.NewClient(client(f.bootstrap)).ListTopics(context.Background(), topic)
	if err == nil && errors.Is(found[topic].Err, kerr.UnknownTopicOrPartition) {
		return 0, nil
	}
	return len(found[topic].Partitions), err
}

func (f franz) Delete(topic string) error {
	_, err := kadm.NewClient(client(f.bootstrap)).DeleteTopic(context.Background(), topic)
	return err
}

// Idempotent by default.
func (f franz) Produce(topic string, records []program.Record) error {
	producer := client(f.bootstrap)
	defer producer.Close()
	made := make([]*kgo.Record, len(records))
	for i, each := range records {
		made[i] = &kgo.Record{Topic: topic, Key: []byte(each.Key), Value: []byte(each.Value)}
	}
	return producer.ProduceSync(context.Background(), made...).FirstErr()
}

func (f franz) Consume(stop context.Context, group, topic string) error {
	consumer := client(f.bootstrap,
		kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.OnPartitionsAssigned(program.CooperativeAssigned(topic)),
		kgo.OnPartitionsRevoked(program.CooperativeRevoked(topic)),
		kgo.OnPartitionsLost(program.CooperativeRevoked(topic)))
	defer consumer.CloseAllowingRebalance()
	for stop.Err() == nil {
		fetches := consumer.PollFetches(stop)
		for _, failed := range fetches.Errors() {
			if !errors.Is(failed.Err, context.Canceled) {
				fmt.Println("note", failed.Err)
			}
		}
		fetches.EachRecord(func(record *kgo.Record) {
			program.SayRecord(record.Partition, record.Offset, record.Value)
		})
		// the group may have moved on: then what was printed comes again
		if err := consumer.CommitUncommittedOffsets(context.Background()); err != nil {
			fmt.Println("note", err)
		}
		consumer.AllowRebalance()
	}
	return nil
}

func main() { program.Run(func(bootstrap string) program.Client { return franz{bootstrap} }) }
