package overlay

import (
	"context"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/discovery/mdns"
)

// maxLocal is how many peers of the local network are taken, in all: whoever is in it can
// invent more.
const maxLocal = 64

// neighbours takes note of peers that multicast DNS finds. It is mdns.Notifee.
type neighbours struct {
	keeper *keeper // constant

	mu   sync.Mutex // guards what follows
	seen map[peer.ID]struct{}
}

// HandlePeerFound implements mdns.Notifee.
func (n *neighbours) HandlePeerFound(info peer.AddrInfo) {
	n.mu.Lock()
	_, again := n.seen[info.ID]
	full := len(n.seen) >= maxLocal
	if !again && !full {
		n.seen[info.ID] = struct{}{}
	}
	n.mu.Unlock()
	k := n.keeper
	if info.ID == k.host.ID() || full && !again {
		return
	}
	found := k.told(info.ID, info.Addrs)
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range found {
		k.core.Found(time.Now(), a)
	}
}

// service is what nodes of one network call themselves in the local one. A name of
// DNS-SD has at most fifteen bytes.
func (k *keeper) service() string { return "_gv" + k.network.Short()[:12] + "._udp" }

// lookAround finds peers in the local network until ctx ends.
func (k *keeper) lookAround(ctx context.Context) {
	if !k.cfg.Local || k.cfg.Outbound == 0 {
		return
	}
	s := mdns.NewMdnsService(k.host, k.service(), &neighbours{keeper: k, seen: make(map[peer.ID]struct{})})
	if err := s.Start(); err != nil {
		k.log.Warn("peers of the local network cannot be found by multicast DNS", "err", err)
		return
	}
	<-ctx.Done()
	_ = s.Close()
}
