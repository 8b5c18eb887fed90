package node_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/grapevine-p2p/grapevine/node"
)

// A home is made once, then a node runs in it until its context ends.
func Example() {
	dir, err := os.MkdirTemp("", "grapevine")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	home := filepath.Join(dir, "home")
	producer := keyOf("producer", 0)
	if err := node.InitHome(home, node.InitOptions{Genesis: genesisOf("example", producer), Producer: producer}); err != nil {
		fmt.Println(err)
		return
	}

	cfg := node.DefaultConfig(home)
	cfg.ListenAddrs = []string{"/ip4/127.0.0.1/tcp/0"}
	cfg.API.Disabled = true
	n, err := node.New(cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		<-n.Ready()
		fmt.Println("ready, with", len(n.Addrs()), "address")
		stop()
	}()
	fmt.Println(n.Run(ctx))
	// Output:
	// ready, with 1 address
	// <nil>
}
