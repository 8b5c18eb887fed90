package compact_test

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/wire"
)

// A node that knows nine of ten transactions asks the sender of the header for the tenth.
func Example() {
	b, _ := block(transactions(0, 10, 250), nil)
	sent := wire.Compact(b.Block())

	m, err := compact.New(compact.DefaultConfig(), compact.NewKnownSet([16]byte{1}, 64, 16_384), rand.New(rand.NewPCG(1, 1)))
	if err != nil {
		panic(err)
	}
	if err := m.SetLink(compact.Link{ID: "alice"}); err != nil {
		panic(err)
	}
	now := start
	actions := m.Open(now, "alice", b.Header(), sent.ShortIDs, slices.Values(b.Txs()[:9]))
	for len(actions) > 0 {
		action := actions[0]
		actions = actions[1:]
		switch a := action.(type) {
		case compact.Send: // goes out on a stream to a.To
			frame, err := compact.Decode(a.Frame.AppendTo(nil))
			if err != nil {
				panic(err)
			}
			ask := frame.(*compact.Ask)
			fmt.Println("asked", a.To, "for", ask.Places)
			fill := &compact.Fill{Block: ask.Block, ID: ask.ID, Places: ask.Places, Txs: [][]byte{b.Block().Txs[9].Bytes()}, Proved: true}
			actions = append(actions, m.Receive(now, a.To, fill)...)
		case compact.Built: // goes to the checker, and then into the chain
			fmt.Println("built from", a.How.Known, "known and", a.How.Asked, "asked for, by way of", a.How.Way)
		}
	}
	// Output:
	// asked alice for [9]
	// built from 9 known and 1 asked for, by way of rounds
}
