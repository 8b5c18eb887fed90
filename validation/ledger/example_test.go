package ledger_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// A block is checked, prepared, made durable and then applied.
func Example() {
	g := testGenesis(1)
	blocks := &store{blocks: make(map[wire.BlockID]*wire.Block)}
	chain, err := ledger.New(g, blocks)
	if err != nil {
		log.Fatal(err)
	}
	checker, err := validation.NewChecker(g, chain)
	if err != nil {
		log.Fatal(err)
	}

	block := blockOn(g, nil, 3, pay(g, 0, 0, wallet(1), 250, 500))
	now := time.UnixMilli(int64(g.SlotStart(3)))
	header, err := checker.Header(context.Background(), now, block.Header, validation.Gossip)
	if err != nil {
		log.Fatal(err)
	}
	checked, err := checker.Block(header, []validation.Part{{Tx: block.Txs[0]}})
	if err != nil {
		log.Fatal(err)
	}
	change, err := chain.Prepare(checked)
	if err != nil {
		log.Fatal(err)
	}
	blocks.blocks[block.ID()] = block // here a node writes to its disk
	chain.Apply(change)

	fmt.Println("head", chain.Head().Height, "in slot", chain.Head().Slot)
	fmt.Println("changed accounts", len(change.Accounts))
	fmt.Println("received", chain.Account(wallet(1)).Balance-wealth)
	// Output:
	// head 1 in slot 3
	// changed accounts 3
	// received 250
}
