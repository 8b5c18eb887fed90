package member

import (
	"errors"
	"fmt"
	"time"
)

// Config holds the times and bounds of a [Machine]. Start from [DefaultConfig].
type Config struct {
	// QuietMost is how long a link is quiet before its peer is probed; in a network
	// so small that all are linked, less: QuietEach for each member.
	QuietEach, QuietMost time.Duration
	// PingEvery is the time to wait for an answer before the next ping, and Pings
	// how many of them go unanswered in a probe that failed.
	PingEvery time.Duration
	Pings     int
	// Indirect is how many others are asked to probe for us at a time.
	Indirect int
	// SuspectMin and SuspectMax bound the time of suspicion: the first with Confirm
	// accusers besides the first one, the second with none.
	SuspectMin, SuspectMax time.Duration
	Confirm                int
	// Grace is the time after a proof of life in which accusations are not heard.
	Grace time.Duration
	// Fanout is how many links a rumour is passed on to.
	Fanout int
	// SynEvery is the time from one exchange of digests to the next.
	SynEvery time.Duration
	// RefreshEvery is the age at which we renew our own record, and ExpireAfter the
	// age at which the record of another is dropped.
	RefreshEvery, ExpireAfter time.Duration
	// RefuteEvery is the least time from one refutation to the next.
	RefuteEvery time.Duration
	// MaxMembers bounds the view, and MaxPerGroup the members of one group in it.
	MaxMembers, MaxPerGroup int
}

// DefaultConfig fits networks up to MaxMembers on the open internet. The times
// are chosen for deaths to be known to all within 10 s at 500 B/s of idle cost
// in a network of 200; docs/figures/member.md has what was measured.
func DefaultConfig() Config {
	return Config{
		QuietEach:    300 * time.Millisecond, // small networks may have few links for each node
		QuietMost:    6 * time.Second,        // with ten dials each, who falls silent is asked by somebody within a third of a second on average
		PingEvery:    500 * time.Millisecond, // the round trip of the longest path on earth, and a half
		Pings:        4,
		Indirect:     3, // SWIM, memberlist
		SuspectMin:   3 * time.Second,
		SuspectMax:   6 * time.Second, // memberlist: 6 times the least; here deaths must be known within 10 s
		Confirm:      3,               // Lifeguard, memberlist
		Grace:        3 * time.Second,
		Fanout:       4,
		SynEvery:     10 * time.Second,
		RefreshEvery: time.Hour, ExpireAfter: 3 * time.Hour,
		RefuteEvery: time.Second,
		MaxMembers:  4096, MaxPerGroup: 256,
	}
}

// maxMembers bounds MaxMembers; maxPerBucket, the members of one bucket: with ourselves
// their entries fit a frame.
const (
	maxMembers   = buckets * maxEntries
	maxPerBucket = maxEntries - 1
)

// Validate lists everything that is wrong with c.
func (c Config) Validate() error {
	var errs []error
	for _, f := range []struct {
		name string
		have time.Duration
	}{
		{"QuietEach", c.QuietEach},
		{"PingEvery", c.PingEvery},
		{"SuspectMin", c.SuspectMin},
		{"Grace", c.Grace},
		{"SynEvery", c.SynEvery},
		{"RefreshEvery", c.RefreshEvery},
		{"RefuteEvery", c.RefuteEvery},
	} {
		if f.have <= 0 {
			errs = append(errs, fmt.Errorf("%s is %v, want > 0", f.name, f.have))
		}
	}
	for _, f := range []struct {
		name       string
		have, most int
	}{
		{"Pings", c.Pings, 64},
		{"Indirect", c.Indirect, 64},
		{"Confirm", c.Confirm, maxAccusers - 1},
		{"Fanout", c.Fanout, 64},
		{"MaxMembers", c.MaxMembers, maxMembers},
		{"MaxPerGroup", c.MaxPerGroup, maxMembers},
	} {
		if f.have < 1 || f.have > f.most {
			errs = append(errs, fmt.Errorf("%s is %d, want 1 to %d", f.name, f.have, f.most))
		}
	}
	if c.QuietMost < c.QuietEach {
		errs = append(errs, fmt.Errorf("QuietMost is %v, want at least QuietEach, %v", c.QuietMost, c.QuietEach))
	}
	if c.SuspectMax < c.SuspectMin {
		errs = append(errs, fmt.Errorf("SuspectMax is %v, want at least SuspectMin, %v", c.SuspectMax, c.SuspectMin))
	}
	if c.ExpireAfter < 2*c.RefreshEvery {
		errs = append(errs, fmt.Errorf("ExpireAfter is %v, want at least twice RefreshEvery, %v", c.ExpireAfter, c.RefreshEvery))
	}
	return errors.Join(errs...)
}
