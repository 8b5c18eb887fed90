package validation_test

import (
	"context"
	"fmt"
	"log"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
)

// A node puts every message before a Checker and does what the verdict says.
func Example() {
	g := testGenesis()
	chain, err := ledger.New(g, nil)
	if err != nil {
		log.Fatal(err)
	}
	checker, err := validation.NewChecker(g, chain)
	if err != nil {
		log.Fatal(err)
	}

	sound := signed(g, 0, payment(0, 0)).Bytes()
	rich := payment(1, 0)
	rich.Amount = 2_000_000
	for _, raw := range [][]byte{sound, sound[:20], forged(g, 0, 0).Bytes(), signed(g, 1, rich).Bytes()} {
		_, err := checker.Tx(context.Background(), now, raw)
		fmt.Printf("%v: %q\n", validation.Judge(err), validation.RuleBroken(err))
	}
	// Output:
	// accept: ""
	// reject: "truncated"
	// reject: "bad_signature"
	// ignore: "overdraft"
}
