package peerscore_test

import (
	"fmt"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

func Example() {
	book, err := peerscore.New(peerscore.DefaultConfig())
	if err != nil {
		panic(err)
	}
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

	book.Record(noon, "mallory", peerscore.InvalidTx)
	fmt.Printf("%.0f\n", book.Score(noon, "mallory"))
	fmt.Printf("%.0f\n", book.Score(noon.Add(10*time.Minute), "mallory"))
	fmt.Printf("%.0f\n", book.Score(noon.Add(24*time.Hour), "mallory"))
	// Output:
	// -40
	// -30
	// 0
}

func ExampleConfig_Topic() {
	topic, err := peerscore.DefaultConfig().Topic(peerscore.Traffic{PerSecond: 100, Degree: 8, EveryCopy: true})
	if err != nil {
		panic(err)
	}
	fmt.Printf("a peer that is first with its share twice over earns %.0f\n", topic.FirstCap*topic.FirstWeight)
	fmt.Printf("an hour in the mesh earns %.0f, complete silence takes %.0f\n",
		topic.TimeInMeshCap*topic.TimeInMeshWeight, -topic.MeshWeight*topic.MeshThreshold*topic.MeshThreshold)
	// Output:
	// a peer that is first with its share twice over earns 16
	// an hour in the mesh earns 4, complete silence takes 4
}
