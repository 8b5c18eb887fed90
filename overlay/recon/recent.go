package recon

import "github.com/grapevine-p2p/grapevine/wire"

// maxRecent is how many of the ids that entered the set last can be found without
// a Scan. Between exchanges of connected nodes it is what is under way that
// differs: some seconds' worth of transactions.
const maxRecent = 1024

// recent finds the ids that entered the set last by their short ids.
type recent struct {
	ids  map[Short]wire.TxID
	ring []Short // in order of entry, from next on
	next int
}

func (r *recent) add(short Short, id wire.TxID) {
	if r.ids == nil {
		r.ids = make(map[Short]wire.TxID)
	}
	if len(r.ring) < maxRecent {
		r.ring = append(r.ring, short)
	} else {
		delete(r.ids, r.ring[r.next])
		r.ring[r.next] = short
		r.next = (r.next + 1) % maxRecent
	}
	r.ids[short] = id
}

func (r *recent) remove(short Short) { delete(r.ids, short) }

// find returns the ids of all the short ids, or false if it does not know one.
func (r *recent) find(shorts []Short) ([]wire.TxID, bool) {
	if len(shorts) > len(r.ids) {
		return nil, false
	}
	ids := make([]wire.TxID, len(shorts))
	for i, s := range shorts {
		id, ok := r.ids[s]
		if !ok {
			return nil, false
		}
		ids[i] = id
	}
	return ids, true
}
