package compact

import "time"

// roundTrip estimates the round trip of a link as TCP does (RFC 6298), but that the first
// measurement is trusted more: the transport has smoothed it.
type roundTrip struct {
	smooth, swing time.Duration
}

// guessRTT stands for a link that nobody has measured: that of an intercontinental line.
const guessRTT = 200 * time.Millisecond

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

func (r *roundTrip) mean() time.Duration {
	if r.smooth == 0 {
		return guessRTT
	}
	return r.smooth
}

// patience is how long an answer may take beside the time for its bytes.
func (r *roundTrip) patience() time.Duration {
	if r.smooth == 0 {
		return 3 * guessRTT
	}
	return r.smooth + 4*r.swing
}
