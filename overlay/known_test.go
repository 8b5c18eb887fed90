package overlay_test

import (
	"testing"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/wire"
)

// What a peer was sent, or said to have, beside the topic too, is not sent to it once more
// with a block.
func TestWhatPeersHaveIsKnown(t *testing.T) {
	g, c := testGenesis("known to peers"), newClock()

	t.Run("fetched", func(t *testing.T) {
		a, as := startSource(t, g, c)
		b, _ := startSource(t, g, c)
		tx := transfer(g, "wallet 0", 0)
		as.pooling(a, tx)
		a.join(b)
		eventually(t, func() bool { return b.chain.has(tx.ID()) }, "fetched")
		eventually(t, func() bool { return overlay.Holds(a.Overlay, b.host.ID(), tx.ID()) }, "who gave it knows")
		eventually(t, func() bool { return overlay.Holds(b.Overlay, a.host.ID(), tx.ID()) }, "who asked for it knows")
	})
	t.Run("announced", func(t *testing.T) {
		a, b := start(t, g, c, quick(1)), start(t, g, c)
		here, there := transfer(g, "wallet 1", 0), transfer(g, "wallet 2", 0)
		b.accept(there) // nobody hears of it
		a.join(b)
		meshed(t, a, b)
		a.Reannounce(a.accept(here), a.accept(there))
		for _, tx := range []*wire.Transaction{here, there} {
			eventually(t, func() bool { return overlay.Holds(a.Overlay, b.host.ID(), tx.ID()) }, "of one it took, of the other it had")
			eventually(t, func() bool { return overlay.Holds(b.Overlay, a.host.ID(), tx.ID()) }, "who was told knows")
		}
	})
	t.Run("by one that has left", func(t *testing.T) {
		a, b := start(t, g, c), start(t, g, c)
		a.join(b)
		meshed(t, a, b)
		overlay.NoteHolder(a.Overlay, "gone", wire.TxID{1}) // what it brought was judged that late
		c.slot.Add(1)
		a.produce(seal(g, a.chain.Head(), slotOf(c), nil))
		eventually(t, func() bool { return !overlay.Holds(a.Overlay, "gone", wire.TxID{1}) }, "it keeps no place")
	})
}
