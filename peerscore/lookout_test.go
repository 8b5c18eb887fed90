package peerscore_test

import (
	"math"
	"math/rand/v2"
	"slices"
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
		ask(l, now, "a", 6) // in a second or two, of four to eight a second
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

// settle has p answer questions well for as long as is remembered.
func settle(t *testing.T, l *peerscore.Lookout, now time.Time, p peerscore.PeerID) {
	t.Helper()
	l.First(now, p)
	for range 20 {
		for key := uint64(1); ; key++ {
			if _, ok := l.Hold(now, p, key, 0); ok {
				require.True(t, l.Heard(now, p, key))
				break
			}
		}
	}
}

// heldOf is how many of a thousand messages are held back from each, where there are a
// hundred a second: ten of who is settled, forty of who is not, eighty of a suspect.
func heldOf(l *peerscore.Lookout, now time.Time, peers ...peerscore.PeerID) map[peerscore.PeerID]int {
	held := map[peerscore.PeerID]int{}
	for key := range uint64(1_000) {
		for _, p := range peers {
			if _, ok := l.Hold(now, p, 1<<32+key, 0); ok && l.Heard(now, p, 1<<32+key) {
				held[p]++
			}
		}
	}
	return held
}

// Sybils that crowd a new node's mesh are to be found in its first seconds, and who comes and
// goes before it has stayed for long.
func TestWhoIsNewOrGaveNothingIsAskedMore(t *testing.T) {
	l, now := meshOf(t, 4)
	for _, p := range []peerscore.PeerID{"a", "b", "c"} {
		settle(t, l, now, p)
	}
	c := peerscore.DefaultLookoutConfig()
	now = now.Add(c.LiveFor)
	l.First(now, "a")
	l.Left(now, "c")
	l.Joined(now, "c", start)
	now = now.Add(c.GraftGrace)
	l.First(now, "c")
	asked := map[peerscore.PeerID]int{}
	for key := range uint64(1_000) {
		for _, p := range []peerscore.PeerID{"a", "b", "c"} {
			if _, ok := l.Hold(now, p, 1<<32+key, 0); ok {
				asked[p]++
			}
		}
	}
	require.Positive(t, asked["a"], "it is settled")
	require.Greater(t, asked["b"], 2*asked["a"], "it gave nothing for six seconds")
	require.Greater(t, asked["c"], 2*asked["a"], "it is new")
}

// TestWhoFallsSilentIsAskedMore: before the verdicts are in, once an answer is overdue.
func TestWhoFallsSilentIsAskedMore(t *testing.T) {
	l, now := meshOf(t, 4)
	for _, p := range []peerscore.PeerID{"a", "b", "c"} {
		settle(t, l, now, p)
	}
	ask(l, now, "a", 2)
	ask(l, now, "b", 1)
	now = now.Add(peerscore.DefaultLookoutConfig().Patience + time.Millisecond)
	held := heldOf(l, now, "a", "b", "c")
	require.Positive(t, held["c"], "it is settled")
	require.Greater(t, held["b"], 2*held["c"], "one is overdue")
	require.Greater(t, held["a"], held["b"]*3/2, "two are")
}

// R81: who answered well, and then stands still for some seconds, as a process does whose machine is
// busy, is not convicted, however many questions that makes: what it missed is not more for their number.
func TestWhoStandsStillForSecondsIsNotConvicted(t *testing.T) {
	for _, perSecond := range []int{5, 10, 30, 100, 500} {
		for seed := range uint64(10) {
			c := peerscore.DefaultLookoutConfig()
			l := peerscore.NewLookout(c, rand.New(rand.NewPCG(seed, 8)))
			peers := []peerscore.PeerID{"a", "b", "c", "d"}
			for _, p := range peers {
				l.Joined(start, p, start)
			}
			const rtt = 100 * time.Millisecond
			var answers []answer
			still, wakes := start.Add(30*time.Second), start.Add(36*time.Second)
			key := uint64(0)
			for now := start; now.Before(start.Add(time.Minute)); now = now.Add(time.Second / time.Duration(perSecond)) {
				key++
				l.First(now, "elsewhere")
				for _, p := range peers {
					if _, held := l.Hold(now, p, key, rtt); held {
						at := now.Add(rtt)
						if p == "a" && at.After(still) && at.Before(wakes) {
							at = wakes
						}
						answers = append(answers, answer{at, p, key})
					}
				}
				answers = slices.DeleteFunc(answers, func(a answer) bool {
					if a.at.After(now) {
						return false
					}
					l.Heard(now, a.from, a.key)
					return true
				})
				if key%uint64(max(1, perSecond/2)) == 0 {
					l.Tick(now)
				}
				for _, p := range peers {
					require.Zero(t, l.Score(now, p), "%s at %d a second, seed %d, after %v", p, perSecond, seed, now.Sub(still))
				}
			}
		}
	}
}

type answer struct {
	at   time.Time
	from peerscore.PeerID
	key  uint64
}

// TestWhoLeavesEndsNoTrial: colluders that leave make the mesh too small to judge in, until others
// have taken their places or it is clear that nobody does.
func TestWhoLeavesEndsNoTrial(t *testing.T) {
	l, now := meshOf(t, 4)
	l.Left(now, "d")
	l.Left(now, "c")
	c := peerscore.DefaultLookoutConfig()
	require.Positive(t, heldOf(l, now.Add(c.Refill-1), "a")["a"])
	require.Zero(t, heldOf(l, now.Add(c.Refill), "a")["a"])
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
		"asks too much":        func(c *peerscore.LookoutConfig) { c.Unsure.Share = 0.5 },
		"asks for more":        func(c *peerscore.LookoutConfig) { c.Suspect.Share = 1.5 },
		"suspects less":        func(c *peerscore.LookoutConfig) { c.Suspect.PerSecond = 3 },
		"no number":            func(c *peerscore.LookoutConfig) { c.Unsure.Share = math.NaN() },
		"asks nobody":          func(c *peerscore.LookoutConfig) { c.Settled.Share = 0 },
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
				for seed := range uint64(5) {
					l := slowLine{late: late, share: share, stays: stays, away: 8 * time.Second, seed: seed}
					require.Zero(t, l.convicted(t, 10*time.Minute), "%+v", l)
				}
			}
		}
	}
}

// slowLine is the line of peer a, which is in the mesh for a time and out of it for another. A
// share of the copies it owes comes so late after ours was let go, and the others in time.
type slowLine struct {
	late, stays, away time.Duration
	share             float64
	seed              uint64
}

// convicted is after how long that peer is below zero, among four others that are never late; 0:
// not within that time.
func (s slowLine) convicted(t *testing.T, within time.Duration) time.Duration {
	t.Helper()
	const tick, message = 50 * time.Millisecond, 100 * time.Millisecond
	l, began := meshOf(t, 5)
	rng := rand.New(rand.NewPCG(s.seed, 7))
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
