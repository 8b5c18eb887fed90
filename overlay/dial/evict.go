package dial

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// Inbound is what eviction looks at of one inbound link.
type Inbound struct {
	Peer   peerscore.PeerID
	IP     netip.Addr
	Since  time.Time
	RTT    time.Duration // least seen; 0 if not known
	Useful time.Time     // when it was last first to deliver a transaction that proved good; zero if never
	Block  time.Time     // the same for a block
	Guest  bool          // it does not speak our protocols, and is protected from nothing
}

// How many links each merit protects. The numbers are Bitcoin Core's
// (node/eviction.cpp), with its blocks-only class given to block deliverers.
// An attacker has to be better than our best in each of them.
const (
	protectGroups = 4
	protectRTT    = 8
	protectUseful = 4
	protectBlock  = 8
)

// Evict says which of the inbound links makes room for a newcomer, or false if
// none should. Protected are links of a few groups that only we
// can tell, those of lowest latency, the latest useful deliverers of
// transactions and of blocks, and of the rest the older half. Of what remains
// the youngest link of the group with most links goes: in the end an attacker
// displaces itself. Guests go before all others.
func (k *Keeper) Evict(inbound []Inbound) (peerscore.PeerID, bool) {
	left := slices.Clone(inbound)
	slices.SortFunc(left, func(a, b Inbound) int { return cmp.Compare(a.Peer, b.Peer) }) // the order of the argument does not count
	if guests := slices.DeleteFunc(slices.Clone(left), func(l Inbound) bool { return !l.Guest }); len(guests) > 0 {
		return youngestOfLargest(guests), true
	}
	keyed := func(l Inbound) []byte {
		return binary.BigEndian.AppendUint64(nil, k.book.key.hash('e', groupBytes(GroupOf(l.IP))))
	}
	never := func(t time.Time) bool { return t.IsZero() }
	left = protect(left, protectGroups, nil, func(a, b Inbound) int { return bytes.Compare(keyed(a), keyed(b)) })
	left = protect(left, protectRTT, func(l Inbound) bool { return l.RTT <= 0 },
		func(a, b Inbound) int { return cmp.Compare(a.RTT, b.RTT) })
	left = protect(left, protectUseful, func(l Inbound) bool { return never(l.Useful) },
		func(a, b Inbound) int { return b.Useful.Compare(a.Useful) })
	left = protect(left, protectBlock, func(l Inbound) bool { return never(l.Block) },
		func(a, b Inbound) int { return b.Block.Compare(a.Block) })
	left = protect(left, len(left)/2, nil, func(a, b Inbound) int { return a.Since.Compare(b.Since) })
	if len(left) == 0 {
		return "", false
	}
	return youngestOfLargest(left), true
}

// protect takes the best n of those that are not barred from links.
func protect(links []Inbound, n int, barred func(Inbound) bool, order func(a, b Inbound) int) []Inbound {
	ranked := slices.Clone(links)
	if barred != nil {
		ranked = slices.DeleteFunc(ranked, barred)
	}
	slices.SortStableFunc(ranked, order)
	safe := make(map[peerscore.PeerID]bool, n)
	for _, l := range ranked[:min(n, len(ranked))] {
		safe[l.Peer] = true
	}
	return slices.DeleteFunc(links, func(l Inbound) bool { return safe[l.Peer] })
}

func youngestOfLargest(links []Inbound) peerscore.PeerID {
	size := make(map[Group]int)
	youngest := make(map[Group]time.Time)
	for _, l := range links {
		g := GroupOf(l.IP)
		size[g]++
		if l.Since.After(youngest[g]) {
			youngest[g] = l.Since
		}
	}
	return slices.MaxFunc(links, func(a, b Inbound) int {
		ga, gb := GroupOf(a.IP), GroupOf(b.IP)
		return cmp.Or(
			cmp.Compare(size[ga], size[gb]),
			youngest[ga].Compare(youngest[gb]), // of groups of one size, the one with the youngest link
			ga.Compare(gb),
			a.Since.Compare(b.Since),
			cmp.Compare(a.Peer, b.Peer))
	}).Peer
}
