package overlay

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/wire"
)

// maxFirsts bounds the transactions of which it is known who gave them first. At 100 a
// second it is those of the last ten minutes.
const maxFirsts = 1 << 16

// firsts remembers which peer was the first to deliver each transaction that we believed,
// until a block takes it.
type firsts struct {
	mu    sync.Mutex // guards what follows
	by    map[wire.TxID]peer.ID
	order []wire.TxID // of all that were noted, oldest first
}

func newFirsts() *firsts { return &firsts{by: make(map[wire.TxID]peer.ID)} }

func (f *firsts) note(id wire.TxID, from peer.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.by[id]; known {
		return
	}
	f.by[id] = from
	f.order = append(f.order, id)
	if len(f.order) > maxFirsts {
		delete(f.by, f.order[0])
		f.order = f.order[1:]
	}
}

// take returns who delivered a transaction first, once.
func (f *firsts) take(id wire.TxID) (peer.ID, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p, ok := f.by[id]
	delete(f.by, id)
	return p, ok
}

// Included says that a block took transactions: whoever delivered them first earns.
func (o *Overlay) Included(ids []wire.TxID) {
	for _, id := range ids {
		if p, ok := o.txs.firsts.take(id); ok {
			o.court.earn(p)
		}
	}
}
