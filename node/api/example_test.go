package api_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/grapevine-p2p/grapevine/node/api"
)

// A program tells by the error whether the node refused or is not there.
func ExampleNewClient() {
	c, err := api.NewClient(api.Options{Socket: "/nonexistent/api.sock"})
	if err != nil {
		panic(err)
	}
	defer c.Close()

	_, err = c.Head(context.Background())
	var refused *api.Error
	switch {
	case errors.As(err, &refused):
		fmt.Println("refused:", refused.Code, refused.Remedy)
	case errors.Is(err, api.ErrUnreachable):
		fmt.Println("no node there")
	}
	// Output: no node there
}

// A node publishes; a wallet resumes where it was.
func ExampleFeed() {
	feed, err := api.NewFeed(2)
	if err != nil {
		panic(err)
	}
	sub := feed.Subscribe(nil)
	place := sub.Cursor()
	for height := range uint64(3) {
		feed.Publish(api.Event{Kind: api.BlockAdded, Block: &api.BlockEvent{Height: height}})
	}
	sub = feed.Subscribe(&place)
	for range 3 {
		e, err := sub.Next(context.Background())
		if err != nil {
			panic(err)
		}
		if e.Gap != nil {
			fmt.Println("missed", e.Gap.Lost)
			continue
		}
		fmt.Println("block", e.Block.Height)
	}
	// Output:
	// missed 1
	// block 1
	// block 2
}
