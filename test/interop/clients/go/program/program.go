// Package program is what all Go clients here have in common: the command line and what is printed.
package program

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Record to be written.
type Record struct{ Key, Value string }

// Client is what a library must do.
type Client interface {
	Create(topic string, partitions int32) error
	// Describe gives the number of partitions, 0 where the topic is not there.
	Describe(topic string) (int, error)
	Delete(topic string) error
	Produce(topic string, records []Record) error
	// Consume goes on until stop is done, then leaves the group.
	Consume(stop context.Context, group, topic string) error
}

// Check ends the program.
func Check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	Check(err)
	return value
}

// Run does what the command line says.
func Run(open func(bootstrap string) Client) {
	client, words := open(os.Args[1]), os.Args[3:]
	switch os.Args[2] {
	case "create":
		Check(client.Create(words[0], int32(number(words[1]))))
		fmt.Println("created")
	case "describe":
		partitions, err := client.Describe(words[0])
		Check(err)
		if partitions == 0 {
			fmt.Println("gone")
		} else {
			fmt.Println("partitions", partitions)
		}
	case "delete":
		Check(client.Delete(words[0]))
		fmt.Println("deleted")
	case "produce":
		first, count := number(words[1]), number(words[2])
		records := make([]Record, count)
		for i := range records {
			records[i] = Record{fmt.Sprintf("k%d", first+i), fmt.Sprintf("v%d", first+i)}
		}
		Check(client.Produce(words[0], records))
		fmt.Println("produced", count)
	case "consume":
		stop, cancel := context.WithCancel(context.Background())
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
		Check(client.Consume(stop, words[0], words[1]))
	default:
		Check(fmt.Errorf("unknown command %s", os.Args[2]))
	}
}

var output sync.Mutex

// SayAssigned prints the partitions that a member has.
func SayAssigned(partitions []int32) {
	slices.Sort(partitions)
	texts := make([]string, len(partitions))
	for i, each := range partitions {
		texts[i] = strconv.Itoa(int(each))
	}
	output.Lock()
	defer output.Unlock()
	fmt.Println("assigned", strings.Join(texts, " "))
}

// SayRecord prints a record.
func SayRecord(partition int32, offset int64, value []byte) {
	output.Lock()
	defer output.Unlock()
	fmt.Println("record", partition, offset, string(value))
}

var (
	heldLock sync.Mutex
	held     = map[int32]bool{}
)

func changed(partitions []int32, isHeld bool) {
	heldLock.Lock()
	defer heldLock.Unlock()
	for _, each := range partitions {
		if isHeld {
			held[each] = true
		} else {
			delete(held, each)
		}
	}
	all := make([]int32, 0, len(held))
	for each := range held {
		all = append(all, each)
	}
	SayAssigned(all)
}

// CooperativeAssigned prints all that a member has when it was given some more.
func CooperativeAssigned(topic string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, given map[string][]int32) { changed(given[topic], true) }
}

// CooperativeRevoked prints all that a member still has.
func CooperativeRevoked(topic string) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, taken map[string][]int32) { changed(taken[topic], false) }
}
