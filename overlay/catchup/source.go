package catchup

import (
	"cmp"
	"time"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// Source is a peer as it stands.
type Source struct {
	Peer   peerscore.PeerID
	RTT    time.Duration // round-trip time; 0 if not known
	Height uint64        // of its chain, as far as it has borne that out
}

// source is a peer and what is known of it.
type source struct {
	Source
	rank    uint64 // among equals the lowest is used first
	told    int    // headers in the tree that it was the first to tell
	probed  bool   // asked for headers since it was last of no use
	sought  bool   // said to have what we lack, however high it is
	deep    bool   // its chain parts from ours further back than a short locator reaches
	more    bool   // its last headers did not reach its head
	at      Ref    // the last block of its chain, as far as that is known, that is in ours
	vouched *node  // the highest block that it is known to have
	lacks   []lack

	rate     float64 // bytes a second; 0 if not measured
	got      int     // bytes of blocks that it was asked for
	given    int     // requests that it answered well
	strikes  int     // failures, less half with each success
	refusals int     // requests, or ends of them, that it turned away, which blames nobody; less half with each given in full
	rests    time.Time
	tokens   float64 // requests that it may get
	filled   time.Time

	headers *request
	bodies  int // requests for blocks

	goal    *path // the branch on which it is used
	version uint64
	stale   bool // the goal must be looked for again
}

// lack is a block that a source did not have when it was asked.
type lack struct {
	node  *node
	until time.Time
}

// good says whether a source gave what it was asked for, and nothing less since.
func (s *source) good() bool { return s.given > 0 && s.doubts() == 0 }

// able says whether what a source gave tells how much it can be asked for. To have turned requests
// away since does not change that.
func (s *source) able() bool { return s.given > 0 && s.strikes == 0 }

// doubts is how often a source did not give what it was asked for, for whatever reason. Whose
// fault it was matters for how long it rests; who is to be asked before others, by the time
// that asking it may cost, is another question.
func (s *source) doubts() int { return min(s.strikes+s.refusals, maxStrikes) }

// class orders sources by what is known of them, the best first.
func (s *source) class() int {
	switch {
	case s.good():
		return 0
	case s.doubts() == 0:
		return 1
	}
	return 2
}

// before orders sources: who is to be asked sooner is less. Among those of whom there is as much
// doubt it is whoever waits longest, so that all are tried in turn when nobody gives anything.
func (s *source) before(o *source) int {
	order := cmp.Or(cmp.Compare(s.class(), o.class()), cmp.Compare(s.doubts(), o.doubts()))
	if order == 0 && s.doubts() > 0 {
		order = s.rests.Compare(o.rests)
	}
	return cmp.Or(order, cmp.Compare(o.rate, s.rate), cmp.Compare(s.rank, o.rank))
}

// reach is how high a source can be asked for blocks.
func (s *source) reach() uint64 {
	if s.vouched.live() {
		return max(s.Height, s.vouched.Height)
	}
	return s.Height
}

// reaches says whether there is a block of a branch that a source can be asked for. One that
// is used on a branch keeps the branch's place in the window.
func (s *source) reaches(p *path) bool {
	return p.left() == 0 || p.nodes[p.done].Height <= s.reach()
}

// refill counts the requests that time allows.
func (s *source) refill(now time.Time, c Config) {
	s.tokens = min(float64(c.AsksBurst), s.tokens+now.Sub(s.filled).Seconds()*float64(c.AsksPerSecond))
	s.filled = now
}

// gave notes a request for blocks that was answered. The rate is of all that the peer gave since it
// was asked: requests that are out at a time share its line, and their own bytes since the last of
// them ended would be any rate where two end at once. A rate that falls is believed at
// once, so that who is quick only now and then is not taken for quick. Who gave a part alone is
// doubted as before: a block of each request would keep its record as good as that of who gives all.
func (s *source) gave(now time.Time, r *request) {
	s.given++
	s.strikes /= 2
	if r.came == len(r.nodes) {
		s.refusals /= 2
	}
	rate := float64(s.got-r.before) / max(now.Sub(r.at), time.Millisecond).Seconds()
	if s.rate > 0 && rate > s.rate {
		rate = (rate + s.rate) / 2
	}
	s.rate = rate
}

// strike has a source rest, longer each time in a row.
func (s *source) strike(now time.Time, c Config) {
	rest := c.Rest
	for range s.strikes {
		rest = min(2*rest, c.MaxRest)
	}
	s.strikes = min(s.strikes+1, maxStrikes)
	s.rate /= 2
	s.rests = now.Add(rest)
	s.probed, s.vouched, s.at, s.stale = false, nil, Ref{}, true
}

// refused has a source asked after those that give, until it gives itself what it is asked for. It
// may be honest, so that it rests for what the reason asks for and no longer, unless it rests for
// a failure: what it refused it may give soon.
func (s *source) refused(now time.Time, rest time.Duration) {
	s.refusals = min(s.refusals+1, maxStrikes)
	if until := now.Add(rest); until.After(s.rests) {
		s.rests = until
	}
}

// lied has a source rest as if it had failed many times in a row.
func (s *source) lied(now time.Time, c Config) {
	s.strikes = max(s.strikes, liesStrikes)
	s.strike(now, c)
}

// liesStrikes is how many failures a lie weighs.
const liesStrikes = 8

// maxStrikes keeps the count of failures where it still matters.
const maxStrikes = 16

// settle notes that the highest block that a source is known to have is in the chain.
func (s *source) settle() {
	if s.vouched == nil || s.vouched.live() {
		return
	}
	if s.vouched.state == stored {
		s.at = Ref{s.vouched.ID, s.vouched.Height}
	}
	s.vouched, s.stale = nil, true
}

// mayHave says whether a source may be on a branch, by what it told: its chain passes the
// block that it vouched for, or leaves ours not below the last block of ours that it has.
func (s *source) mayHave(p *path) bool {
	if s.vouched.live() {
		return p.has(s.vouched)
	}
	return p.left() > 0 && p.nodes[p.done].Height > s.at.Height
}

// lacking says whether a source is known to lack a block of a branch.
func (s *source) lacking(p *path, now time.Time) bool {
	for _, l := range s.lacks {
		if now.Before(l.until) && p.has(l.node) {
			return true
		}
	}
	return false
}

// maxLacks bounds what a source is known to lack; the oldest is forgotten.
const maxLacks = 16

func (s *source) lack(n *node, until time.Time) {
	if len(s.lacks) == maxLacks {
		s.lacks = s.lacks[1:]
	}
	s.lacks = append(s.lacks, lack{n, until})
	s.stale = true
}
