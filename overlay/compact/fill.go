package compact

import (
	"slices"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// tellers says how many links are known to have each transaction at hand.
type tellers struct {
	txs   []*wire.Transaction // by place; nil is missing
	count []uint8             // of the links
}

// toldBy asks about the links given, of which there are fewer than 256.
func toldBy(known Known, links []peerscore.PeerID, txs []*wire.Transaction) tellers {
	t := tellers{txs: txs, count: make([]uint8, len(txs))}
	for i, tx := range txs {
		if tx == nil {
			continue
		}
		for _, l := range links {
			if known.Known(l, tx.ID()) {
				t.count[i]++
			}
		}
	}
	return t
}

// lacking lists the places of the transactions at hand that a link is not known to have,
// and their bytes: first those that no link has, which only this node can give, in the
// order of the block, then the others, in that order from a place that turn, in [0, 1),
// says: several nodes may be about to send the same, and each window holds a part. Only
// what the link likely lacks is listed if the caller says so.
func (t tellers) lacking(known Known, link peerscore.PeerID, turn float64, likely bool) (places []uint32, size int) {
	var shared []uint32
	for i, tx := range t.txs {
		switch {
		case tx == nil || known.Known(link, tx.ID()):
			continue
		case likely && known.Common(tx.ID()):
			continue
		case t.count[i] == 0:
			places = append(places, uint32(i))
		default:
			shared = append(shared, uint32(i))
		}
		size += tx.Size()
	}
	first := int(turn * float64(len(shared)))
	return slices.Concat(places, shared[first:], shared[:first]), size
}

// within returns the first places whose transactions fit into window bytes. One that does
// not fit is passed over for smaller ones.
func within(places []uint32, txs []*wire.Transaction, window int) (fit []uint32) {
	size := 0
	for _, i := range places {
		if n := txs[i].Size(); size+n <= window && len(fit) < MaxPlaces {
			fit = append(fit, i)
			size += n
		}
	}
	return fit
}
