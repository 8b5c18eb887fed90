package overlay

import (
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// maxFetched bounds the fetched transactions that the topic may still bring.
const maxFetched = 1 << 14

// fetchedTxs remembers what was fetched lately. That was not passed on; when the topic brings it as
// well, it is, for those that hear of it from nobody else. It is safe for concurrent use.
type fetchedTxs struct {
	mu  sync.Mutex // guards ids
	ids *lately
}

// newFetchedTxs returns one whose memory is as long as a message travels.
func newFetchedTxs(while time.Duration) *fetchedTxs {
	return &fetchedTxs{ids: newLately(maxFetched, while)}
}

func (f *fetchedTxs) put(now time.Time, id wire.TxID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ids.put(now, id)
}

// take says whether a transaction was fetched lately, once.
func (f *fetchedTxs) take(now time.Time, id wire.TxID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer f.ids.drop(id)
	return f.ids.has(now, id)
}
