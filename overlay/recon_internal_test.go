package overlay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/overlay/fetch"
	"github.com/grapevine-p2p/grapevine/overlay/recon"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

func testID(n int) (id wire.TxID) {
	copy(id[:], fmt.Sprint(n))
	return id
}

// A version of an idSet stays what it was, whatever the set becomes.
func TestIDSetVersions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		set, model := newIDSet(), make(map[wire.TxID]bool)
		type held struct {
			ids  func(func(wire.TxID) bool)
			want map[wire.TxID]bool
		}
		var versions []held
		for n := range rapid.IntRange(0, 3*idChunk).Draw(t, "size") {
			set.add(testID(n))
			model[testID(n)] = true
		}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			id := testID(rapid.IntRange(0, 3*idChunk).Draw(t, "id"))
			switch {
			case rapid.IntRange(0, 20).Draw(t, "hold") == 0:
				versions = append(versions, held{set.version(), maps.Clone(model)})
			case model[id]:
				set.remove(id)
				delete(model, id)
			default:
				set.add(id)
				model[id] = true
			}
		}
		versions = append(versions, held{set.version(), model})
		for _, v := range versions {
			got := make(map[wire.TxID]bool)
			for id := range v.ids {
				require.False(t, got[id], "twice")
				got[id] = true
			}
			require.Equal(t, v.want, got)
		}
		for id := range model {
			require.True(t, set.has(id))
		}
	})
}

func TestLatelyForgets(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	l := newLately(3, time.Minute)
	for n := range 3 {
		l.put(now.Add(time.Duration(n)*time.Second), testID(n))
	}
	l.drop(testID(1))
	require.False(t, l.has(now, testID(1)))
	l.put(now.Add(4*time.Second), testID(3))
	require.False(t, l.has(now, testID(0)), "the oldest makes room")
	l.put(now.Add(5*time.Second), testID(4))
	require.True(t, l.has(now, testID(2)), "what was dropped was no longer there to make room")
	require.True(t, l.has(now.Add(30*time.Second), testID(2)))
	require.False(t, l.has(now.Add(2*time.Minute), testID(2)))
	l.put(now.Add(2*time.Minute), testID(5))
	require.Len(t, l.until, 1)
	require.Len(t, l.order, 1)
}

// bag is a session's machine that counts what it was told.
type bag map[wire.TxID]int

func (b bag) Add(id wire.TxID)    { b[id]++ }
func (b bag) Remove(id wire.TxID) { b[id]-- }

func (bag) Step(_ time.Time, _ recon.Event, out []recon.Action) []recon.Action { return out }
func (bag) Next() (time.Time, bool)                                            { return time.Time{}, false }
func (bag) Leave(time.Time)                                                    {}
func (bag) End()                                                               {}

// The set is what is pooled. A session has that, and what its peer told that was refused or
// has left, each once: a sketch forgets what it is told twice.
//
// R65, R66: what policy refused is told once a session.
func TestSessionsCountWhatIsPooledOrAgreed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_700_000_000, 0)
		machine := make(bag)
		s := &reconSession{machine: machine}
		r := &reconciler{known: newKnownTxs(), sessions: map[reconKey]*reconSession{{}: s}, roster: newRoster(Limits{}, nil, time.Now, nil, nil), holders: newHolders(time.Now)}
		r.known.refused = newLately(5, time.Minute)
		var err error
		r.tracker, err = fetch.New(fetch.DefaultConfig(), fetch.Key{})
		require.NoError(t, err)
		pooled, dealt := make(map[wire.TxID]bool), make(map[wire.TxID]bool) // dealt: pooled or refused at some time
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(0, 20).Draw(t, "seconds")) * time.Second)
			id := testID(rapid.IntRange(0, 20).Draw(t, "id"))
			switch kind := rapid.IntRange(0, 3).Draw(t, "kind"); {
			case kind == 3:
				r.learned(now, s, []wire.TxID{id})
				require.False(t, !dealt[id] && machine[id] > 0, "what we never saw is not agreed, but fetched")
				continue
			case reconKind(kind) == wasRemoved && !pooled[id]:
				continue
			default:
				r.note(now, reconNews{id, reconKind(kind)})
				pooled[id] = reconKind(kind) == wasPooled || reconKind(kind) == wasRefused && pooled[id]
				dealt[id] = true
			}
			for n := range 21 {
				id := testID(n)
				require.Equal(t, pooled[id], r.known.set.has(id))
				want := 0
				if pooled[id] || s.agreed[id] {
					want = 1
				}
				require.Equal(t, want, machine[id])
				require.False(t, pooled[id] && s.agreed[id])
				require.False(t, pooled[id] && r.known.wanted(now, id))
			}
		}
	})
}

// A peer cannot make a session remember more than so much.
func TestAgreedIsBounded(t *testing.T) {
	machine := make(bag)
	s := &reconSession{machine: machine}
	for n := range maxAgreed + 10 {
		s.agree(testID(n))
	}
	require.Len(t, machine, maxAgreed)
	require.Len(t, s.agreed, maxAgreed)
	require.LessOrEqual(t, MaxReconciled+maxAgreed, recon.MaxSize)
}

// R66: what policy refused of all that a peer can tell is not fetched again for a while.
func TestRefusalsOfAWholePoolAreRemembered(t *testing.T) {
	k, now := newKnownTxs(), time.Unix(1_700_000_000, 0)
	for n := range recon.MaxSize {
		k.note(now, reconNews{testID(n), wasRefused})
	}
	wanted := func(now time.Time) (count int) {
		for n := range recon.MaxSize {
			if k.wanted(now, testID(n)) {
				count++
			}
		}
		return count
	}
	require.Zero(t, wanted(now.Add(refusedFor-1)))
	require.Equal(t, recon.MaxSize, wanted(now.Add(refusedFor)))
}

// What policy refused is kept in mind. What found no place among others of its sender is not: a block
// frees those, and it is fetched again then.
//
// R141: a transaction for which its sender had no place left is asked of who tells it again, as soon as
// it may have been judged.
func TestOnlyPolicyMakesKnown(t *testing.T) {
	for _, err := range append(slices.Collect(func(yield func(error) bool) {
		for _, r := range validation.Refusals() {
			if !yield(fmt.Errorf("while doing: %w", r)) {
				return
			}
		}
	}), nil, errors.New("disk full"), validation.BadSignature,
		fmt.Errorf("while doing: %w", mempool.ErrSenderFull), fmt.Errorf("while doing: %w", mempool.ErrGivingBack)) {
		var b reconInbox
		b.judged(testID(1), err)
		policy := errors.Is(err, validation.Underpriced) || errors.Is(err, validation.FeeTooLow) || errors.Is(err, validation.PoolFull)
		policy = policy && !errors.Is(err, mempool.ErrSenderFull) && !errors.Is(err, mempool.ErrGivingBack)
		require.Equal(t, policy, len(b.news) == 1, "%v", err)
	}
}

func TestReconInboxIsBounded(t *testing.T) {
	var b reconInbox
	ids := make([]wire.TxID, maxReconNews)
	b.changed(ids, nil)
	news, _, lost := b.take()
	require.Len(t, news, maxReconNews)
	require.False(t, lost)
	b.changed(ids, ids[:1])
	b.changed(ids, nil)
	news, _, lost = b.take()
	require.Empty(t, news)
	require.True(t, lost)
	_, _, lost = b.take()
	require.False(t, lost)
}

// Who did what in a session is charged by one table, and a stop of ours or theirs by none.
func TestOffencesOfSessions(t *testing.T) {
	for fault, want := range map[error]peerscore.Offence{
		recon.OutOfTurn: peerscore.LyingAnswer, recon.BadRange: peerscore.LyingAnswer, recon.NotAsked: peerscore.LyingAnswer,
		recon.TooOften: peerscore.BudgetBreach, recon.Stalled: 0,
		recon.Overworked: peerscore.BrokenPromise, recon.Inconsistent: peerscore.BrokenPromise,
		recon.Undecodable: peerscore.BrokenPromise, recon.Invented: peerscore.BrokenPromise, recon.Withheld: peerscore.BrokenPromise,
		recon.Oversize: peerscore.BadFrame, recon.UnknownFrame: peerscore.BadFrame, recon.Truncated: peerscore.BadFrame,
		recon.ErrAge: 0, recon.ErrOverrun: 0, recon.ErrTooLarge: 0, recon.ErrLate: 0, recon.ErrOutOfStep: 0,
	} {
		check(t, fmt.Errorf("while doing: %w", fault), want)
		if f, ok := fault.(recon.Fault); ok && want != 0 { //nolint:errorlint // the key itself
			require.Equal(t, f.Proven(), want.Proven(), "%v", f)
		}
	}
}

// A fault that is not proven counts once it comes in session after session.
func TestDoubtsCountInARow(t *testing.T) {
	r := &reconciler{pauses: make(map[peer.ID]reconPeer)}
	for _, step := range []struct {
		err    error
		counts bool
		pause  time.Duration
	}{
		{recon.Withheld, false, reconPause},
		{recon.Undecodable, false, 2 * reconPause},
		{nil, true, 0},
		{recon.Undecodable, false, reconPause},
		{recon.Stalled, false, 2 * reconPause},
		{recon.Inconsistent, true, 4 * reconPause},
		{recon.Withheld, true, 8 * reconPause},
		{recon.OutOfTurn, true, 16 * reconPause},
		{recon.Withheld, false, reconPauseMax},
		{errGone, true, reconPauseLine},
	} {
		require.Equal(t, step.counts, r.rest("p", step.err), "%v", step.err)
		require.Equal(t, step.pause, r.pauses["p"].pause, "%v", step.err)
	}
}

// What is fetched, or only said to be there, keeps large exchanges waiting for a while, and
// then lets them begin for as long.
func TestFetchingKeepsThePlaceHalfOfTheTime(t *testing.T) {
	var k keeping
	now, kept := time.Unix(1_700_000_000, 0), time.Duration(0)
	const step, steps = 100 * time.Millisecond, 1200
	for range steps {
		if k.note(now, true) {
			kept += step
		}
		now = now.Add(step)
	}
	require.InDelta(t, (step * steps / 2).Seconds(), kept.Seconds(), fetchHold.Seconds())

	k = keeping{}
	require.True(t, k.note(now, true))
	require.False(t, k.note(now.Add(time.Second), false), "it is here")
	require.False(t, k.note(now.Add(time.Second), true), "not at once again")
	require.True(t, k.note(now.Add(2*time.Second), true))
	require.False(t, k.note(now.Add(2*time.Second+fetchHold), true), "not for ever")
}

// A rollback gives back more at once than gossip brings.
func TestReconInboxSaysThatMuchCame(t *testing.T) {
	var b reconInbox
	ids := make([]wire.TxID, recon.MaxSmall+1)
	for _, id := range ids {
		b.changed([]wire.TxID{id}, nil)
	}
	_, many, _ := b.take()
	require.False(t, many)
	b.changed(ids, nil)
	_, many, _ = b.take()
	require.True(t, many)
	_, many, _ = b.take()
	require.False(t, many)
}

// indexed is a source that knows what is in the chain.
type indexed struct {
	TxSource
	in wire.TxID
}

func (x indexed) Included(id wire.TxID) bool { return id == x.in }

// R65: what a block of our chain has is not fetched from those who rolled it back.
func TestWhatTheChainHasIsNotFetched(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	tracker, err := fetch.New(fetch.DefaultConfig(), fetch.Key{})
	require.NoError(t, err)
	machine := make(bag)
	s := &reconSession{machine: machine, key: reconKey{peer: "p"}}
	r := &reconciler{
		known: newKnownTxs(), source: indexed{in: testID(1)}, tracker: tracker,
		roster: newRoster(Limits{}, nil, time.Now, nil, nil), holders: newHolders(time.Now),
	}
	r.learned(now, s, []wire.TxID{testID(1), testID(2)})
	require.Equal(t, 1, tracker.Len())
	require.Equal(t, bag{testID(1): 1}, machine, "known to both, so that it is not told again")
	require.True(t, r.holders.Known("p", testID(1)) && r.holders.Known("p", testID(2)), "who tells them has them")
	require.False(t, r.holders.Known("q", testID(2)))
}

// R65: an honest peer whose sessions all fail is never turned away for beginning too many; one that
// begins a session each second soon is.
func TestOnlyTheGreedyBeginTooManySessions(t *testing.T) {
	now := time.Now()
	b, pause := newBudget(DefaultLimits()), time.Duration(0)
	for range 1000 {
		require.True(t, b.sessions.AllowN(now, 1))
		pause = pauseAfter(io.ErrUnexpectedEOF, pause)
		now = now.Add(pause)
	}
	b, served := newBudget(DefaultLimits()), 0
	for range 600 {
		now = now.Add(time.Second)
		if b.sessions.AllowN(now, 1) {
			served++
		}
	}
	require.LessOrEqual(t, served, sessionsBurst+120)
}

// A session that is over by the time its look at the pool would be taken costs none.
func TestSessionsThatAreOverAreNotLookedUp(t *testing.T) {
	r := &reconciler{
		pace: recon.DefaultConfig(), roster: newRoster(Limits{}, unplugged{}, time.Now, nil, nil), links: newLinks(), crew: new(crew),
		sessions: make(map[reconKey]*reconSession), pauses: make(map[peer.ID]reconPeer), known: newKnownTxs(),
		scans: make(chan struct{}, 1), wake: make(chan struct{}, 1), holders: newHolders(time.Now),
	}
	r.tracker, _ = fetch.New(fetch.DefaultConfig(), fetch.Key{})
	r.scans <- struct{}{} // another look is being taken all the time
	for range 60 {
		machine, err := recon.NewResponder(r.pace, &r.large, newSalt())
		require.NoError(t, err)
		ctx, cancel := context.WithCancelCause(t.Context())
		s := &reconSession{key: reconKey{peer: "greedy"}, machine: machine, out: make(chan []byte, reconQueue), cancel: cancel, done: ctx.Done()}
		require.True(t, r.begin(s))
		r.step(s, recon.Received{Frame: recon.Greeting{}})
		r.end(s, nil)
	}
	r.crew.wait() // none of them waits for its turn
}
