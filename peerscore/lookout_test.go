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
	key := uint64(1 << 20)
	for ; ; key++ { // the youngest of what is open
		if _, held := l.Hold(now, "a", key, 0); held {
			break
		}
	}
	now = now.Add(time.Minute)
	l.Heard(now, "a", key) // what came meanwhile is read before a tick says how long that was
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

// heldOf is how many of six hundred messages are held back from each, where there are a
// hundred a second: six of who is settled, 24 of who is not, 48 of a suspect.
func heldOf(l *peerscore.Lookout, now time.Time, peers ...peerscore.PeerID) map[peerscore.PeerID]int {
	held := map[peerscore.PeerID]int{}
	for key := range uint64(600) {
		for _, p := range peers {
			if _, ok := l.Hold(now, p, 1<<32+key, 0); ok && l.Heard(now, p, 1<<32+key) {
				held[p]++
			}
		}
	}
	return held
}

// Sybils that crowd a new node's mesh are to be found in its first seconds, and who comes and
// goes is to be found although it never stays for long.
func TestWhoGaveNothingOrCameBackIsAskedMore(t *testing.T) {
	l, now := meshOf(t, 5)
	c := peerscore.DefaultLookoutConfig()
	settle(t, l, now, "a")
	settle(t, l, now, "b")
	ask(l, now, "c", 1)
	for _, p := range []peerscore.PeerID{"c", "d"} {
		l.Left(now, p)
		l.Joined(now, p, start)
	}
	now = now.Add(c.LiveFor)
	for _, p := range []peerscore.PeerID{"a", "c", "d"} {
		l.First(now, p)
	}
	asked := map[peerscore.PeerID]int{}
	for key := range uint64(1_000) {
		for _, p := range []peerscore.PeerID{"a", "b", "c", "d"} {
			if _, ok := l.Hold(now, p, 1<<32+key, 0); ok {
				asked[p]++
			}
		}
	}
	require.Positive(t, asked["a"], "it is settled")
	require.Greater(t, asked["b"], 2*asked["a"], "it gave nothing for six seconds")
	require.Greater(t, asked["c"], 2*asked["a"], "it left before it had answered")
	require.Less(t, asked["d"], 2*asked["a"], "it left, and nothing was asked of it")
}

// TestWhoFallsSilentIsAskedMore: before the verdicts are in, once an answer is overdue; of who has
// just come, once two are, and it is asked no more than who gives nothing.
func TestWhoFallsSilentIsAskedMore(t *testing.T) {
	l, now := meshOf(t, 5)
	c := peerscore.DefaultLookoutConfig()
	l.Left(now, "d")
	now = now.Add(c.Introduction / 2)
	l.Joined(now, "d", start)
	now = now.Add(c.Introduction / 2) // a, b and c are known, and d is not
	for _, p := range []peerscore.PeerID{"a", "b", "c", "d"} {
		settle(t, l, now, p)
	}
	ask(l, now, "a", 2)
	ask(l, now, "b", 1)
	ask(l, now, "d", 1)
	now = now.Add(c.Patience + time.Millisecond)
	held := heldOf(l, now, "a", "b", "c", "d")
	require.Positive(t, held["c"], "it is settled")
	require.Greater(t, held["b"], 2*held["c"], "one is overdue")
	require.Greater(t, held["a"], held["b"]*3/2, "two are")
	require.Less(t, held["d"], 2*held["c"], "one is, of who is new")
}

// However long the pause was: whoever is asked for sure, because chance spared it, is spared as many
// messages, not as much time. In the first messages after a pause all nodes would ask all peers
// at once, and both ends of a link would wait for each other.
func TestPausesMakeNoQuestionSure(t *testing.T) {
	l, now := meshOf(t, 4)
	asked, messages := 0, 0
	for range 400 { // two messages every hour
		now = now.Add(time.Hour)
		for range 10 {
			now = now.Add(time.Second / 2)
			l.Tick(now)
		}
		for range 2 {
			now = now.Add(time.Second / 2)
			l.First(now, "a")
			l.Tick(now)
			messages++
			key := uint64(messages)
			if _, ok := l.Hold(now, "a", key, 0); ok {
				asked++
				l.Heard(now, "a", key)
			}
		}
	}
	require.Positive(t, asked)
	require.LessOrEqual(t, asked, messages/3, "a quarter of them, and some luck")
}

// steady is a mesh of peers that answer all that they are asked, each after a time of its own.
type steady struct {
	seed      uint64
	perSecond int
	rtt       time.Duration
	takes     func(p peerscore.PeerID, at time.Duration) time.Duration // to answer what is asked at that time
	away      [2]time.Duration                                         // "a" is out of the mesh from and to
}

// convicts says who of them is convicted first, and when.
func (s steady) convicts(within time.Duration) (who peerscore.PeerID, after time.Duration) {
	type answer struct {
		at   time.Time
		from peerscore.PeerID
		key  uint64
	}
	l := peerscore.NewLookout(peerscore.DefaultLookoutConfig(), rand.New(rand.NewPCG(s.seed, 8)))
	peers := []peerscore.PeerID{"a", "b", "c", "d", "e"}
	for _, p := range peers {
		l.Joined(start, p, start)
	}
	var answers []answer
	for key := uint64(1); ; key++ {
		at := time.Duration(key) * time.Second / time.Duration(s.perSecond)
		now := start.Add(at)
		if at > within {
			return "", 0
		}
		if s.away[0] <= at && at < s.away[1] {
			l.Left(now, "a")
		} else {
			l.Joined(now, "a", start)
		}
		l.First(now, "elsewhere")
		for _, p := range peers {
			if _, held := l.Hold(now, p, key, s.rtt); held {
				answers = append(answers, answer{now.Add(s.takes(p, at)), p, key})
			}
		}
		answers = slices.DeleteFunc(answers, func(a answer) bool {
			if a.at.After(now) {
				return false
			}
			l.Heard(now, a.from, a.key)
			return true
		})
		if key%uint64(max(1, s.perSecond/2)) == 0 {
			l.Tick(now)
		}
		for _, p := range peers {
			if l.Score(now, p) < 0 {
				return p, at
			}
		}
	}
}

// R81: who answered well, and then stands still for some seconds, as a process does whose machine is
// busy, is not convicted, however many questions that makes: what it missed is not more for their number.
func TestWhoStandsStillForSecondsIsNotConvicted(t *testing.T) {
	const from, to = 30 * time.Second, 35*time.Second + time.Second/2
	for _, perSecond := range []int{5, 10, 30, 100} {
		for _, rtt := range []time.Duration{time.Millisecond, 20 * time.Millisecond, 100 * time.Millisecond} {
			for seed := range uint64(10) {
				s := steady{seed: seed, perSecond: perSecond, rtt: rtt, takes: func(p peerscore.PeerID, at time.Duration) time.Duration {
					if answers := at + rtt; p == "a" && from < answers && answers < to {
						return to - at
					}
					return rtt
				}}
				who, after := s.convicts(50 * time.Second)
				require.Empty(t, who, "at %d a second, %v, seed %d: after %v", perSecond, rtt, seed, after)
			}
		}
	}
}

// R81: who answers late, but in the time that others have, is not given less of it for having been
// pruned by us in its first seconds.
func TestWhoWasPrunedEarlyIsGivenTime(t *testing.T) {
	for seed := range uint64(10) {
		s := steady{
			seed: seed, perSecond: 10, rtt: 200 * time.Millisecond, away: [2]time.Duration{5 * time.Second, 15 * time.Second},
			takes: func(peerscore.PeerID, time.Duration) time.Duration { return 600 * time.Millisecond },
		}
		who, after := s.convicts(3 * time.Minute)
		require.Empty(t, who, "seed %d: after %v", seed, after)
	}
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
