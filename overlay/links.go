package overlay

import (
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
)

// links are the peers in one mesh, as the router tells. It outlives connections: the
// router says that a link is gone after the peer is.
type links struct {
	mu    sync.Mutex
	peers map[peer.ID]struct{}
}

func newLinks() *links { return &links{peers: make(map[peer.ID]struct{})} }

func (l *links) set(p peer.ID, in bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if in {
		l.peers[p] = struct{}{}
	} else {
		delete(l.peers, p)
	}
}

func (l *links) has(p peer.ID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, ok := l.peers[p]
	return ok
}

func (l *links) len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.peers)
}
