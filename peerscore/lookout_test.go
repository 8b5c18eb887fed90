package peerscore_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// meshOf is a Lookout that asks as often as it may, over so many peers, past its grace.
func meshOf(t *testing.T, peers int) (*peerscore.Lookout, time.Time) {
	t.Helper()
	c := peerscore.DefaultLookoutConfig()
	require.NoError(t, c.Validate(peerscore.DefaultConfig()))
	l := peerscore.NewLookout(c, rand.New(rand.NewPCG(1, 1)))
	for i := range peers {
		l.Joined(start, peerscore.PeerID(rune('a'+i)), start)
	}
	now := start
	for range 20 {
		now = now.Add(time.Second / 2)
		for range 50 {
			l.First(now, "elsewhere")
		}
		l.Tick(now)
	}
	return l, now
}

// ask holds messages back from p until n are open.
func ask(l *peerscore.Lookout, now time.Time, p peerscore.PeerID, n int) {
	for key := uint64(0); n > 0 && key < 100_000; key++ {
		if _, held := l.Hold(now, p, key, 0); held {
			n--
		}
	}
}

func TestMissedQuestionsConvict(t *testing.T) {
	l, now := meshOf(t, 4)
	ask(l, now, "a", 20)
	require.Zero(t, l.Score(now, "a"))
	for convicted := false; !convicted; {
		now = now.Add(time.Second)
		require.Less(t, now.Sub(start), time.Minute)
		convicted = len(l.Tick(now)) > 0
	}
	require.Negative(t, l.Score(now, "a"))
	require.Zero(t, l.Score(now, "b"))
	l.Left(now, "a") // leaving and coming back changes nothing
	require.Negative(t, l.Score(now, "a"))
	l.Joined(now, "a", start)
	require.Negative(t, l.Score(now.Add(2*time.Minute-time.Second), "a"))
	require.Zero(t, l.Score(now.Add(2*time.Minute), "a"))
}

// R153: who leaves the mesh before each verdict, and comes back, is judged by what it should have
// answered by then.
func TestWhoLeavesBeforeTheVerdictIsJudged(t *testing.T) {
	c := peerscore.DefaultLookoutConfig()
	l, now := meshOf(t, 4)
	for cycle := 0; l.Score(now, "a") == 0; cycle++ {
		require.Less(t, cycle, 4)
		ask(l, now, "a", 3)
		now = now.Add(c.Patience + 500*time.Millisecond)
		l.Tick(now)
		left := l.Left(now, "a")
		require.Equal(t, left, l.Score(now, "a") < 0)
		now = now.Add(time.Second)
		l.Tick(now)
		l.Joined(now, "a", start)
		now = now.Add(c.GraftGrace)
		l.Tick(now)
	}

	// What there was no time to answer counts for nothing, nor does what a stall of ours fell into.
	for _, stall := range []time.Duration{0, 10 * time.Second} {
		l, now = meshOf(t, 4)
		for range 20 {
			ask(l, now, "a", 10)
			require.False(t, l.Left(now.Add(stall), "a"))
			now = now.Add(stall + time.Second)
			l.Tick(now)
			l.Joined(now, "a", start)
			for range 8 {
				now = now.Add(c.MaxStall / 2)
				l.Tick(now)
			}
		}
		require.Zero(t, l.Score(now, "a"))
	}
}

// R154: a peer says itself how long its answers take, and is given no longer than an honest one needs.
func TestFeignedRoundTripsAreNotBelieved(t *testing.T) {
	c := peerscore.DefaultLookoutConfig()
	l, now := meshOf(t, 4)
	for key := range uint64(1000) {
		if until, held := l.Hold(now, "a", key, time.Minute); held {
			require.Equal(t, c.Patience+2*c.MaxRTT, until.Sub(now))
			return
		}
	}
	t.Fatal("nothing was held back")
}

func TestAStallOfOursVoidsWhatIsOpen(t *testing.T) {
	l, now := meshOf(t, 4)
	ask(l, now, "a", 20)
	now = now.Add(time.Minute)
	require.Empty(t, l.Tick(now))
	require.Zero(t, l.Score(now, "a"))
	_, held := l.Hold(now, "a", 1<<40, 0)
	require.False(t, held, "what was buffered meanwhile comes in no order")
	for range 8 {
		now = now.Add(time.Second)
		require.Empty(t, l.Tick(now))
	}
}

// TestWhoGaveNothingYetIsAskedMore: Sybils that crowd a new node's mesh are to be
// found in its first seconds.
func TestWhoGaveNothingYetIsAskedMore(t *testing.T) {
	l, now := meshOf(t, 4)
	l.First(now, "b")
	var held [2]int
	for key := range uint64(1_000) { // at a hundred messages a second: 40 and 10
		for i, p := range []peerscore.PeerID{"a", "b"} {
			if _, ok := l.Hold(now, p, key, 0); ok {
				held[i]++
			}
		}
	}
	require.Greater(t, held[0], 2*held[1])
	require.Positive(t, held[1])
}

// TestWhoFallsSilentIsAskedMore: before the verdicts are in, once two answers are overdue.
func TestWhoFallsSilentIsAskedMore(t *testing.T) {
	l, now := meshOf(t, 4)
	for _, p := range []peerscore.PeerID{"a", "b"} {
		l.First(now, p)
	}
	for range 20 { // both answered well for as long as is remembered
		for _, p := range []peerscore.PeerID{"a", "b"} {
			for key := uint64(1); ; key++ {
				if _, ok := l.Hold(now, p, key, 0); ok {
					require.True(t, l.Heard(now, p, key))
					break
				}
			}
		}
	}
	ask(l, now, "a", 2)
	now = now.Add(peerscore.DefaultLookoutConfig().Patience + time.Millisecond)
	var held [2]int
	for key := range uint64(1_000) { // at a hundred messages a second: 40 and 10
		for i, p := range []peerscore.PeerID{"a", "b"} {
			if _, ok := l.Hold(now, p, 1<<32+key, 0); ok {
				held[i]++
			}
		}
	}
	require.Greater(t, held[0], 2*held[1])
	require.Positive(t, held[1])
}

// TestGraceIsForNewConnections: whose mesh formed long ago has no need of it.
func TestGraceIsForNewConnections(t *testing.T) {
	l, now := meshOf(t, 4)
	c := peerscore.DefaultLookoutConfig()
	asked := func(p peerscore.PeerID, after time.Duration) bool {
		for key := range uint64(1_000) {
			if _, held := l.Hold(now.Add(after), p, key, 0); held {
				return true
			}
		}
		return false
	}
	l.Joined(now, "old", now.Add(-time.Minute))
	l.Joined(now, "new", now.Add(-time.Second))
	require.False(t, asked("old", c.GraftGrace-time.Millisecond))
	require.True(t, asked("old", c.GraftGrace))
	require.False(t, asked("new", c.Grace-time.Second-time.Millisecond))
	require.True(t, asked("new", c.Grace-time.Second))
}

func TestNobodyIsAskedInASmallMesh(t *testing.T) {
	l, now := meshOf(t, 3)
	for key := range uint64(10_000) {
		_, held := l.Hold(now, "a", key, 0)
		require.False(t, held)
	}
}

func TestNoPeerHasMoreOpenQuestionsThanTheBound(t *testing.T) {
	l, now := meshOf(t, 4)
	open := 0
	for key := range uint64(100_000) {
		if _, held := l.Hold(now, "a", key, 0); held {
			open++
		}
	}
	require.Equal(t, peerscore.DefaultLookoutConfig().MaxOpen, open)
}

func TestLookoutSettingsAreRefused(t *testing.T) {
	book := peerscore.DefaultConfig()
	for name, spoil := range map[string]func(*peerscore.LookoutConfig){
		"merits outweigh":      func(c *peerscore.LookoutConfig) { c.Penalty = book.TopicScoreCap + book.MaxMerit },
		"silence costs gossip": func(c *peerscore.LookoutConfig) { c.Penalty = 1 - book.Thresholds.Gossip },
		"asks too much":        func(c *peerscore.LookoutConfig) { c.MaxShare = 0.5 },
		"never convicts":       func(c *peerscore.LookoutConfig) { c.Convict = 0 },
		"sentences shrink":     func(c *peerscore.LookoutConfig) { c.MaxSentence = time.Second },
	} {
		t.Run(name, func(t *testing.T) {
			c := peerscore.DefaultLookoutConfig()
			spoil(&c)
			require.Error(t, c.Validate(book))
		})
	}
}

// R81: whoever gives what it has, however late its line makes that, is not convicted for having
// been out of the mesh in between, which is our own router's doing as often as not.
func TestSlowLinesAreNotSilence(t *testing.T) {
	const hour = time.Hour // it stays
	for _, late := range []time.Duration{200 * time.Millisecond, 600 * time.Millisecond, 1500 * time.Millisecond} {
		for _, share := range []float64{1, 0.75, 0.5} {
			for _, stays := range []time.Duration{hour, time.Minute, 20 * time.Second} {
				l := slowLine{late: late, share: share, stays: stays, away: 8 * time.Second}
				require.Zero(t, l.convicted(t, 10*time.Minute), "%+v", l)
			}
		}
	}
}

// slowLine is the line of peer a, which is in the mesh for a time and out of it for another. A
// share of the copies it owes comes so late after ours was let go, and the others in time.
type slowLine struct {
	late, stays, away time.Duration
	share             float64
}

// convicted is after how long that peer is below zero, among four others that are never late; 0:
// not within that time.
func (s slowLine) convicted(t *testing.T, within time.Duration) time.Duration {
	t.Helper()
	const tick, message = 50 * time.Millisecond, 100 * time.Millisecond
	l, began := meshOf(t, 5)
	rng := rand.New(rand.NewPCG(7, 7))
	due := make(map[time.Time][]uint64)
	in, since := true, began
	for key := uint64(1 << 40); key < 1<<40+uint64(within/tick); key++ {
		now := began.Add(time.Duration(key-1<<40) * tick)
		for _, owed := range due[now] {
			l.Heard(now, "a", owed)
		}
		delete(due, now)
		if now.Sub(began)%(500*time.Millisecond) == 0 {
			l.Tick(now)
		}
		switch {
		case in && now.Sub(since) >= s.stays:
			l.Left(now, "a")
			in, since = false, now
		case !in && now.Sub(since) >= s.away:
			l.Joined(now, "a", start)
			in, since = true, now
		}
		if now.Sub(began)%message != 0 {
			continue
		}
		first := peerscore.PeerID(rune('b' + rng.IntN(4)))
		if in && now.Sub(began)%(3*time.Second) == 0 {
			first = "a"
		}
		l.First(now, first)
		for _, p := range []peerscore.PeerID{"a", "b", "c", "d", "e"} {
			until, asked := time.Time{}, false
			if p != first {
				until, asked = l.Hold(now, p, key, 100*time.Millisecond)
			}
			switch {
			case !asked:
			case p != "a":
				l.Heard(now, p, key)
			case rng.Float64() < s.share:
				at := until.Add(s.late)
				due[at] = append(due[at], key)
			default:
				at := now.Add(5 * tick)
				due[at] = append(due[at], key)
			}
		}
		if l.Score(now, "a") < 0 {
			return now.Sub(began)
		}
	}
	return 0
}
