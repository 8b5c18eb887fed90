package compact

import "time"

// roundTrip estimates the round trip of a link as TCP does (RFC 6298), but that the first
// measurement is trusted more: the transport has smoothed it.
type roundTrip struct {
	smooth, swing time.Duration
}

const (
	// guessRTT stands for a link that nobody has measured: that of an intercontinental line.
	guessRTT = 200 * time.Millisecond
	// maxPatience is how long at most others are not asked for the sake of a round trip: what it
	// is measured by, a peer can be late with. No line but by satellite is as long.
	maxPatience = 3 * guessRTT
)

func (r *roundTrip) sample(d time.Duration) {
	if d <= 0 {
		return
	}
	if r.smooth == 0 {
		r.smooth, r.swing = d, d/4
		return
	}
	r.swing += ((d - r.smooth).Abs() - r.swing) / 4
	r.smooth += (d - r.smooth) / 8
}

// mean is about how long an answer takes, at most maxPatience.
func (r *roundTrip) mean() time.Duration {
	if r.smooth == 0 {
		return guessRTT
	}
	return min(r.smooth, maxPatience)
}

// patience is how long an answer may take beside the time for its bytes before others are
// asked, at most maxPatience.
func (r *roundTrip) patience() time.Duration {
	if r.smooth == 0 {
		return maxPatience
	}
	return min(r.smooth+4*r.swing, maxPatience)
}
