package peerscore

import "time"

// QuotaShare is the part of a node's peers, one in so many, that may be banned
// within a window on evidence that is merely inferred: a fault of its own could
// make every peer look bad, and a node without peers cannot find out.
const QuotaShare = 4

// Quota counts bans on inferred evidence. The zero value has seen none. It is
// not safe for concurrent use.
type Quota struct {
	Window time.Duration // constant; a minute at least, for the promise to hold

	taken []time.Time // within the last window; bounded by a QuotaShare of the peers
}

// Take says whether one more ban is within the share of the peers there are
// now, and counts it if so.
func (q *Quota) Take(now time.Time, peers int) bool {
	for len(q.taken) > 0 && now.Sub(q.taken[0]) >= q.Window {
		q.taken = q.taken[1:]
	}
	// Those that were banned are peers no more.
	if QuotaShare*(len(q.taken)+1) > peers+len(q.taken) {
		return false
	}
	q.taken = append(q.taken, now)
	return true
}
