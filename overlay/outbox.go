package overlay

import (
	"errors"
	"fmt"
	"sync"

	"github.com/grapevine-p2p/grapevine/validation"
)

// errOutboxFull says that too many of our own transactions wait for a peer. The transaction
// was not taken.
var errOutboxFull = errors.New("overlay: too many transactions wait for a first peer; see that this node has a connection")

// outbox keeps our own transactions while nobody would hear them. A publication into an
// empty mesh would be lost: the router does not keep it for those who join later than a
// few heartbeats, and a second publication is a no-op for as long as the first is
// remembered as seen.
type outbox struct {
	maxCount, maxBytes int // constant

	mu    sync.Mutex // guards what follows
	queue []validation.CheckedTx
	bytes int
}

func (o *outbox) put(tx validation.CheckedTx) (waiting int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) >= o.maxCount || o.bytes+tx.Size() > o.maxBytes {
		return len(o.queue), fmt.Errorf("overlay: publish %s: %w", tx.ID(), errOutboxFull)
	}
	o.queue = append(o.queue, tx)
	o.bytes += tx.Size()
	return len(o.queue), nil
}

// take removes the oldest.
func (o *outbox) take() (tx validation.CheckedTx, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.queue) == 0 {
		o.queue = nil
		return tx, false
	}
	tx = o.queue[0]
	o.queue[0] = validation.CheckedTx{}
	o.queue = o.queue[1:]
	o.bytes -= tx.Size()
	return tx, true
}

func (o *outbox) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.queue)
}
