package peerscore_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func newBook(t require.TestingT, c peerscore.Config) *peerscore.Book {
	b, err := peerscore.New(c)
	require.NoError(t, err)
	return b
}

// naive is a Book as its definition reads: every past offence is kept and
// decays on its own. It has no bounds.
type naive struct {
	config   peerscore.Config
	offences map[peerscore.PeerID][]past
	bans     map[peerscore.PeerID]time.Time
}

type past struct {
	at     time.Time
	guilt  float64
	proven bool
}

func (n *naive) guilt(now time.Time, p peerscore.PeerID, proven bool) float64 {
	sum := 0.0
	for _, o := range n.offences[p] {
		if o.proven == proven {
			sum += o.guilt * math.Pow(0.5, now.Sub(o.at).Seconds()/n.config.HalfLife.Seconds())
		}
	}
	return sum
}

func (n *naive) record(now time.Time, p peerscore.PeerID, o peerscore.Offence) {
	adds := n.config.Weights[o]
	if room := n.config.MaxInferred - n.guilt(now, p, false); !o.Proven() {
		adds = min(adds, max(0, room))
	}
	n.offences[p] = append(n.offences[p], past{now, adds, o.Proven()})
	if o.Proven() && n.guilt(now, p, true) >= n.config.BanAt*(1-1e-9) {
		n.ban(p, now.Add(n.config.BanFor))
	}
}

func (n *naive) ban(p peerscore.PeerID, until time.Time) {
	if until.After(n.bans[p]) {
		n.bans[p] = until
	}
}

func (n *naive) proven(now time.Time, p peerscore.PeerID) float64 {
	guilt := n.guilt(now, p, true)
	if guilt >= n.config.Stands {
		return -guilt - n.config.TopicScoreCap
	}
	return -guilt
}

func (n *naive) score(now time.Time, p peerscore.PeerID) float64 {
	score := n.proven(now, p) - n.guilt(now, p, false)
	if n.bans[p].After(now) {
		score += n.config.Thresholds.Graylist - n.config.TopicScoreCap - 1
	}
	return score
}

var (
	drawPeer = rapid.Map(rapid.IntRange(0, 4), func(i int) peerscore.PeerID { return peerscore.PeerID(rune('a' + i)) })
	drawWait = rapid.Map(rapid.IntRange(0, 3600*4), func(s int) time.Duration { return time.Duration(s) * time.Second })
	drawTold = rapid.Map(rapid.IntRange(1, peerscore.Offences), func(i int) peerscore.Offence { return peerscore.Offence(i) })
)

// TestAgainstNaive compares the incremental book with the definition: the sum
// of every past offence, each decayed on its own.
func TestAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := peerscore.DefaultConfig()
		now := start
		book := newBook(t, c)
		model := &naive{c, map[peerscore.PeerID][]past{}, map[peerscore.PeerID]time.Time{}}
		t.Repeat(map[string]func(*rapid.T){
			"record": func(t *rapid.T) {
				p, o := drawPeer.Draw(t, "peer"), drawTold.Draw(t, "offence")
				book.Record(now, p, o)
				model.record(now, p, o)
			},
			"ban": func(t *rapid.T) {
				p, d := drawPeer.Draw(t, "peer"), drawWait.Draw(t, "for")
				book.Ban(now, p, now.Add(d), "test")
				model.ban(p, now.Add(d))
			},
			"forget": func(t *rapid.T) {
				p := drawPeer.Draw(t, "peer")
				book.Forget(p)
				delete(model.offences, p)
				delete(model.bans, p)
			},
			"wait": func(t *rapid.T) { now = now.Add(drawWait.Draw(t, "wait")) },
			"": func(t *rapid.T) {
				for _, p := range []peerscore.PeerID{"a", "b", "c", "d", "e"} {
					// What is negligible may be dropped before each record. So close to
					// where an offence begins to stand, the two may differ over that.
					if math.Abs(model.guilt(now, p, true)-c.Stands) > 2*c.Negligible {
						require.InDelta(t, model.score(now, p), book.Score(now, p), 2*c.Negligible, "peer %s", p)
						require.InDelta(t, model.proven(now, p), book.Proven(now, p), c.Negligible, "peer %s", p)
					}
					require.Equal(t, model.bans[p].After(now), book.Banned(now, p), "peer %s", p)
				}
			},
		})
	})
}

// TestABannedPeerIsBelowTheGraylist holds for every configuration that is
// accepted, whatever the peer did and whatever topics can add.
//
// R40: a ban is below the graylist threshold.
func TestABannedPeerIsBelowTheGraylist(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := peerscore.DefaultConfig()
		c.TopicScoreCap = rapid.Float64Range(1e-3, 1e6).Draw(t, "cap")
		c.Thresholds.Graylist = rapid.Float64Range(-1e6, -100).Draw(t, "graylist")
		c.BanAt = rapid.Float64Range(1, 1e6).Draw(t, "ban at")
		book, now := newBook(t, c), start
		for range rapid.IntRange(0, 40).Draw(t, "events") {
			now = now.Add(drawWait.Draw(t, "wait"))
			if rapid.IntRange(0, 9).Draw(t, "kind") == 0 {
				book.Ban(now, "p", now.Add(drawWait.Draw(t, "for")), "")
			} else {
				book.Record(now, "p", drawTold.Draw(t, "offence"))
			}
			if book.Banned(now, "p") {
				require.Less(t, book.Score(now, "p")+c.TopicScoreCap, c.Thresholds.Graylist)
			}
		}
	})
}

func TestScoresOfOffendersAreNegativeAndDecayToZero(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		book, now := newBook(t, peerscore.DefaultConfig()), start
		for range rapid.IntRange(1, 50).Draw(t, "events") {
			now = now.Add(drawWait.Draw(t, "wait"))
			book.Record(now, "p", drawTold.Draw(t, "offence"))
			require.Negative(t, book.Score(now, "p"))
		}
		last := book.Score(now, "p")
		for range 100 {
			now = now.Add(30 * time.Minute)
			score := book.Score(now, "p")
			require.GreaterOrEqual(t, score, last)
			last = score
		}
		require.Zero(t, last)
		require.False(t, math.Signbit(last), "a clean record is 0, not -0")
		for s := range book.All(now) {
			t.Fatalf("%+v is still known", s)
		}
	})
}

// TestInferredOffencesDoNotCutAPeer: a stall of ours that makes every peer
// look broken for a day costs nobody the connection.
func TestInferredOffencesDoNotCutAPeer(t *testing.T) {
	c := peerscore.DefaultConfig()
	book, now := newBook(t, c), start
	for o := peerscore.Offence(1); int(o) <= peerscore.Offences; o++ {
		if o.Proven() {
			continue
		}
		for range 10_000 {
			now = now.Add(time.Second)
			require.False(t, book.Record(now, "p", o))
		}
		require.Greater(t, book.Score(now, "p"), c.Thresholds.Graylist)
	}
}

func TestBoundsHoldAndTheLeastGuiltyYield(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := peerscore.DefaultConfig()
		c.MaxRecords = rapid.IntRange(1, 6).Draw(t, "records")
		c.MaxBans = rapid.IntRange(1, 4).Draw(t, "bans")
		book, now := newBook(t, c), start
		for range rapid.IntRange(1, 100).Draw(t, "events") {
			now = now.Add(drawWait.Draw(t, "wait") / 100)
			p := peerscore.PeerID(fmt.Sprint(rapid.IntRange(0, 30).Draw(t, "peer")))
			before := slices.Collect(book.All(now))
			book.Record(now, p, drawTold.Draw(t, "offence"))
			records, bans := book.Len()
			require.LessOrEqual(t, records, c.MaxRecords)
			require.LessOrEqual(t, bans, c.MaxBans)
			for _, s := range before {
				if lost := s.Peer != p && s.Guilt > 0 && book.Standing(now, s.Peer).Guilt == 0; !lost {
					continue
				}
				for other := range book.All(now) {
					if other.Peer != p && other.Guilt > 0 {
						require.GreaterOrEqual(t, other.Guilt, s.Guilt, "%s was forgotten before %s", s.Peer, other.Peer)
					}
				}
			}
		}
	})
}

// TestFreshIDsDoNotFlushARecord: minted ids with the cheapest offence leave the
// record of a real offender where it was, and bans that were earned leave the
// longer one of the operator.
func TestFreshIDsDoNotFlushARecord(t *testing.T) {
	c := peerscore.DefaultConfig()
	c.MaxRecords, c.MaxBans = 100, 10
	book := newBook(t, c)
	book.Record(start, "mallory", peerscore.InvalidTx)
	guilty := book.Score(start, "mallory")
	for i := range 10_000 {
		book.Record(start, peerscore.PeerID(fmt.Sprint("sybil", i)), peerscore.Avoidable)
	}
	require.Equal(t, guilty, book.Score(start, "mallory"))

	book.Ban(start, "enemy", start.Add(2*c.BanFor), "operator")
	for i := range 1_000 {
		for range 4 {
			book.Record(start, peerscore.PeerID(fmt.Sprint("sybil", i)), peerscore.InvalidBlock)
		}
	}
	require.True(t, book.Banned(start, "enemy"))
}

func TestRestoreContinuesTheDecay(t *testing.T) {
	c := peerscore.DefaultConfig()
	first := newBook(t, c)
	first.Record(start, "mallory", peerscore.BadFrame)
	first.Ban(start, "eve", start.Add(time.Hour), "operator")
	first.Ban(start, "trudy", start.Add(time.Minute), "operator")

	second, later := newBook(t, c), start.Add(c.HalfLife)
	for s := range first.All(start) {
		second.Restore(start, later, s)
	}
	require.InDelta(t, first.Score(later, "mallory"), second.Score(later, "mallory"), 1e-9)
	require.True(t, second.Banned(later, "eve"))
	require.Equal(t, "operator", second.Standing(later, "eve").Reason)
	require.False(t, second.Banned(later, "trudy"))

	for _, bad := range []float64{math.NaN(), math.Inf(1), -1} {
		second.Restore(start, later, peerscore.Standing{Peer: "x", Guilt: bad})
		require.Zero(t, second.Score(later, "x"))
	}
}

func TestTimeThatRunsBackwardsChangesNothing(t *testing.T) {
	book := newBook(t, peerscore.DefaultConfig())
	book.Record(start, "p", peerscore.BadFrame)
	require.Equal(t, book.Score(start, "p"), book.Score(start.Add(-time.Hour), "p"))
}

func TestOffences(t *testing.T) {
	for o := peerscore.Offence(1); int(o) <= peerscore.Offences; o++ {
		back, err := peerscore.ParseOffence(o.String())
		require.NoError(t, err)
		require.Equal(t, o, back)
	}
	for _, o := range []peerscore.Offence{0, peerscore.Offence(peerscore.Offences + 1)} {
		_, err := peerscore.ParseOffence(o.String())
		require.Error(t, err)
		book := newBook(t, peerscore.DefaultConfig())
		book.Record(start, "p", o)
		require.Zero(t, book.Score(start, "p"))
	}
}

func TestConfigIsRefusedWithEveryReason(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, spoil := range map[string]func(*peerscore.Config){
		"half-life 0":         func(c *peerscore.Config) { c.HalfLife = 0 },
		"weight NaN":          func(c *peerscore.Config) { c.Weights[peerscore.BadFrame] = nan },
		"weight 0":            func(c *peerscore.Config) { c.Weights[peerscore.BadFrame] = 0 },
		"weight infinite":     func(c *peerscore.Config) { c.Weights[peerscore.BadFrame] = inf },
		"weight of nothing":   func(c *peerscore.Config) { c.Weights[0] = 1 },
		"ban at NaN":          func(c *peerscore.Config) { c.BanAt = nan },
		"ban at 0":            func(c *peerscore.Config) { c.BanAt = 0 },
		"ban for no time":     func(c *peerscore.Config) { c.BanFor = 0 },
		"negligible NaN":      func(c *peerscore.Config) { c.Negligible = nan },
		"negligible too much": func(c *peerscore.Config) { c.Negligible = c.BanAt },
		"inferred NaN":        func(c *peerscore.Config) { c.MaxInferred = nan },
		"inferred cuts":       func(c *peerscore.Config) { c.MaxInferred = -c.Thresholds.Graylist },
		"no records":          func(c *peerscore.Config) { c.MaxRecords = 0 },
		"no bans":             func(c *peerscore.Config) { c.MaxBans = 0 },
		"cap NaN":             func(c *peerscore.Config) { c.TopicScoreCap = nan },
		"cap 0 is no cap":     func(c *peerscore.Config) { c.TopicScoreCap = 0 },
		"gossip NaN":          func(c *peerscore.Config) { c.Thresholds.Gossip = nan },
		"publish over gossip": func(c *peerscore.Config) { c.Thresholds.Publish = c.Thresholds.Gossip + 1 },
		"graylist infinite":   func(c *peerscore.Config) { c.Thresholds.Graylist = -inf },
		"graylist NaN":        func(c *peerscore.Config) { c.Thresholds.Graylist = nan },
		"px NaN":              func(c *peerscore.Config) { c.Thresholds.AcceptPX = nan },
		"graft negative":      func(c *peerscore.Config) { c.Thresholds.OpportunisticGraft = -1 },
	} {
		t.Run(name, func(t *testing.T) {
			c := peerscore.DefaultConfig()
			spoil(&c)
			_, err := peerscore.New(c)
			require.Error(t, err)
		})
	}
	var c peerscore.Config
	require.GreaterOrEqual(t, len(splitErrors(c.Validate())), 10, "one reason for each zero field")
}

func splitErrors(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

func BenchmarkScore(b *testing.B) {
	c := peerscore.DefaultConfig()
	book := newBook(b, c)
	ids := make([]peerscore.PeerID, c.MaxRecords)
	for i := range ids {
		ids[i] = peerscore.PeerID(fmt.Sprintf("peer-%037d", i))
		book.Record(start, ids[i], peerscore.Avoidable)
	}
	now := start.Add(time.Minute)
	for i := 0; b.Loop(); i++ {
		book.Score(now, ids[i%len(ids)])
	}
}
