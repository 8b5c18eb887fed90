package ledger

import "github.com/grapevine-p2p/grapevine/wire"

// finalOn returns the highest block that is final once tip is the head: more
// than half of the producers appointed for its height have built on it. A block
// below the present final one is never returned.
func (l *Ledger) finalOn(tip *node) *node {
	built := make(map[wire.Address]struct{}) // the producers of the blocks above n
	final := l.final()
	for n := tip; n != final; n = n.parent {
		if supermajority(l.genesis.ProducersAt(n.ref.Height), built) {
			return n
		}
		built[n.header.Body().Producer] = struct{}{}
	}
	return final
}

// supermajority reports whether more than half of the set have built.
func supermajority(set []wire.Address, built map[wire.Address]struct{}) bool {
	if 2*len(built) <= len(set) {
		return false
	}
	votes := 0
	for _, producer := range set {
		if _, ok := built[producer]; ok {
			votes++
		}
	}
	return 2*votes > len(set)
}

// newlyFinal returns the blocks above the present final one up to and with
// final, lowest first.
func (l *Ledger) newlyFinal(final *node) []Ref {
	return refs(chain(l.final(), final))
}

func refs(nodes []*node) []Ref {
	if len(nodes) == 0 {
		return nil
	}
	out := make([]Ref, len(nodes))
	for i, n := range nodes {
		out[i] = n.ref
	}
	return out
}
