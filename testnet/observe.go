package testnet

import (
	"errors"
	"time"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// hooks are what node i tells the watch by.
func (w *watch) hooks(i int) node.Observe {
	return node.Observe{
		Overlay: overlay.Hooks{
			TxArrived: func(id wire.TxID, _ peerscore.PeerID, v validation.Verdict, err error) {
				w.copy()
				switch {
				case v == validation.Accept:
					w.knows(i, id, time.Now())
				case errors.Is(err, validation.PoolFull), errors.Is(err, validation.Unavailable):
					w.dropped()
				}
			},
			TxDuplicate:       func(wire.TxID, peerscore.PeerID) { w.copy() },
			RPCDropped:        func(peerscore.PeerID, string) { w.dropped() },
			ValidationDropped: func(peerscore.PeerID, string) { w.dropped() },
			BlockRebuilt: func(_ wire.BlockID, how overlay.Rebuilt) {
				w.rebuilt(how)
			},
			Offence: func(peerscore.PeerID, peerscore.Offence, error) { w.blamed() },
		},
		BlockAdded: func(b validation.CheckedBlock, own bool) {
			w.added(i, b.ID(), b.Block().TxIDs(), own, time.Now())
		},
		HeadChanged: func(c *ledger.Change) {
			w.moved(i, blockIDs(c.RolledBack), blockIDs(c.Applied), blockIDs(c.NewlyFinal))
		},
	}
}

func blockIDs(refs []ledger.Ref) []wire.BlockID {
	ids := make([]wire.BlockID, len(refs))
	for i, r := range refs {
		ids[i] = r.ID
	}
	return ids
}
