package overlay

import (
	crand "crypto/rand"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// holderLinks and holderTxs bound what is remembered of links: as many as there are
	// links of blocks, and the transactions of the largest block of small ones.
	holderLinks = compactLinks
	holderTxs   = 1 << 14

	// commonAfter is when a transaction that came from a peer is taken to be with all: gossip
	// needs a fraction of it, and reconciliation repairs within a few.
	commonAfter = 2 * time.Second
	commonFor   = 10 * time.Minute
	maxCommon   = 1 << 16
	// Own transactions that nobody gave back are here alone, as far as we know.
	soleFor = time.Hour
	maxSole = 1 << 15
)

// holders says which transactions peers are known to have: what was sent and received on
// each link, and what they said in reconciliations. It implements compact.Known, and is
// safe for concurrent use.
type holders struct {
	now func() time.Time // constant

	mu     sync.Mutex // guards what follows
	links  *compact.KnownSet
	fresh  *lately // came from peers a moment ago
	common *lately // came from peers
	sole   *lately // our own, and never came from a peer
}

func newHolders(now func() time.Time) *holders {
	var key [16]byte
	_, _ = crand.Read(key[:]) // never fails
	return &holders{
		now: now, links: compact.NewKnownSet(key, holderLinks, holderTxs),
		fresh: newLately(maxCommon, commonAfter), common: newLately(maxCommon, commonFor), sole: newLately(maxSole, soleFor),
	}
}

// came notes that a peer has a transaction: it sent or told it.
func (h *holders) came(p peer.ID, id wire.TxID) {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.links.Note(peerscore.PeerID(p), id)
	h.sole.drop(id)
	if !h.common.has(now, id) {
		h.fresh.put(now, id)
		h.common.put(now, id)
	}
}

// holds notes that a peer was sent a transaction, or says that it has it. That counts for its
// own link alone.
func (h *holders) holds(p peer.ID, id wire.TxID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.links.Note(peerscore.PeerID(p), id)
}

// own notes that a transaction begins its way here.
func (h *holders) own(id wire.TxID) {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.common.has(now, id) {
		h.sole.put(now, id)
	}
}

func (h *holders) drop(p peer.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.links.Drop(peerscore.PeerID(p))
}

// keep forgets all peers but those that stay: a transaction may have been judged after who
// brought it was gone.
func (h *holders) keep(stays map[peer.ID]bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.links.Keep(func(link peerscore.PeerID) bool { return stays[peer.ID(link)] })
}

// Known implements compact.Known.
func (h *holders) Known(link peerscore.PeerID, id wire.TxID) bool {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.links.Known(link, id) || h.common.has(now, id) && !h.fresh.has(now, id)
}

// Common implements compact.Known. Of what a restart brought back nothing is known; that it
// was there before speaks for others to have it.
func (h *holders) Common(id wire.TxID) bool {
	now := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.fresh.has(now, id) && !h.sole.has(now, id)
}
