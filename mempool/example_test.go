package mempool_test

import (
	"fmt"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/validation"
)

func Example() {
	pool, err := mempool.New(mempool.DefaultConfig())
	if err != nil {
		panic(err)
	}
	alice := mempool.Account{Nonce: 7, Balance: 1_000}
	add := func(nonce, fee uint64) {
		tx := mintOne(validation.TxTerms{Sender: addressOf(1), Nonce: nonce, Fee: fee, Spends: fee})
		change, err := pool.Add(start, tx, alice, mempool.Own)
		fmt.Printf("nonce %d, fee %d: added %d, removed %d, refused %q\n",
			nonce, fee, len(change.Added), len(change.Removed), validation.RuleBroken(err))
	}
	add(7, 300)
	add(9, 100) // waits for nonce 8
	add(7, 310) // wants the place of the first, for too little
	add(7, 330)
	add(8, 900) // more than alice has left
	fmt.Println("next block:", len(pool.Template(start, 1<<20, 100)), "waiting:", pool.Stats().Waiting)
	// Output:
	// nonce 7, fee 300: added 1, removed 0, refused ""
	// nonce 9, fee 100: added 1, removed 0, refused ""
	// nonce 7, fee 310: added 0, removed 0, refused "underpriced"
	// nonce 7, fee 330: added 1, removed 1, refused ""
	// nonce 8, fee 900: added 0, removed 0, refused "overdraft"
	// next block: 1 waiting: 1
}
