package attack

import "time"

// slowReader takes one frame in a while, so that what it is sent piles up at
// the senders.
type slowReader struct {
	honest
	every time.Duration
}

func newSlowReader(p *params) rule {
	return slowReader{every: time.Duration(p.number("seconds", "between two frames that it reads of a peer", 5, 1, 3600)) * time.Second}
}

func (s slowReader) patience() time.Duration { return s.every }
