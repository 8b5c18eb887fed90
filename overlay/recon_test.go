package overlay_test

import (
	"bufio"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/overlay/recon"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// sourceChain is a chain that tells what is pooled.
type sourceChain struct {
	*chain

	mu      sync.Mutex // guards what follows, and that changes are told in order
	changed func(added, removed []wire.TxID)
	fetched map[wire.TxID]int // how often each came in
}

var _ overlay.TxSource = (*sourceChain)(nil)

func (s *sourceChain) ids() (ids []wire.TxID) {
	s.chain.mu.Lock()
	defer s.chain.mu.Unlock()
	for tx := range s.pool.All() {
		ids = append(ids, tx.ID())
	}
	return ids
}

// tell reports what f changed.
func (s *sourceChain) tell(f func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.ids()
	err := f()
	after := s.ids()
	gone := slices.DeleteFunc(slices.Clone(before), func(id wire.TxID) bool { return slices.Contains(after, id) })
	came := slices.DeleteFunc(after, func(id wire.TxID) bool { return slices.Contains(before, id) })
	if s.changed != nil {
		s.changed(came, gone)
	}
	return err
}

func (s *sourceChain) AddTx(ctx context.Context, tx validation.CheckedTx, from peerscore.PeerID) error {
	return s.tell(func() error {
		if from != "" {
			s.fetched[tx.ID()]++
		}
		return s.chain.AddTx(ctx, tx, from)
	})
}

func (s *sourceChain) AddBlock(ctx context.Context, b validation.CheckedBlock, from peerscore.PeerID) error {
	return s.tell(func() error { return s.chain.AddBlock(ctx, b, from) })
}

func (s *sourceChain) Tx(id wire.TxID) (validation.CheckedTx, bool) {
	s.chain.mu.Lock()
	defer s.chain.mu.Unlock()
	return s.pool.Get(id)
}

func (s *sourceChain) WatchTxs(changed func(added, removed []wire.TxID)) (pooled []wire.TxID, stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed = changed
	return s.ids(), func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.changed = nil
	}
}

func (s *sourceChain) times(id wire.TxID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fetched[id]
}

// startSource runs a node that reconciles.
func startSource(t *testing.T, g *wire.Genesis, c *clock, options ...option) (*node, *sourceChain) {
	t.Helper()
	s := &sourceChain{chain: newChain(t, g, c), fetched: make(map[wire.TxID]int)}
	n := startOn(t, newHost(t), s.chain, append(options, func(cfg *overlay.Config) { cfg.Chain, cfg.Pool = s, s })...)
	return n, s
}

// pool puts transactions into a node's pool that nobody hears of.
func (s *sourceChain) pooling(n *node, txs ...*wire.Transaction) {
	for _, tx := range txs {
		checked, err := n.checker.Tx(n.t.Context(), n.chain.c.now(n.g), tx.Bytes())
		require.NoError(n.t, err)
		require.NoError(n.t, s.AddTx(n.t.Context(), checked, ""))
	}
}

func transfers(g *wire.Genesis, wallet string, count int) (txs []*wire.Transaction) {
	for i := range count {
		txs = append(txs, transfer(g, wallet, uint64(i)))
	}
	return txs
}

// R65: peers end up with what either has pooled, however it got there.
func TestPoolsBecomeEqual(t *testing.T) {
	g, c := testGenesis("recon"), newClock()
	a, as := startSource(t, g, c)
	b, bs := startSource(t, g, c)
	as.pooling(a, transfers(g, "wallet 0", 40)...)
	as.pooling(a, transfers(g, "wallet 1", 20)...)
	bs.pooling(b, transfers(g, "wallet 1", 20)...)
	bs.pooling(b, transfers(g, "wallet 2", 50)...)
	began := time.Now()
	a.join(b)
	eventually(t, func() bool { return a.chain.pooled() == 110 && b.chain.pooled() == 110 }, "equal pools")
	t.Logf("equal after %v", time.Since(began))

	// What comes later without being told is found too, and passed on to who is behind.
	d, ds := startSource(t, g, c)
	d.join(b)
	eventually(t, func() bool { return d.chain.pooled() == 110 }, "a joiner learns all")
	ds.pooling(d, transfers(g, "wallet 3", 30)...)
	eventually(t, func() bool { return a.chain.pooled() == 140 }, "over two hops")
	require.Zero(t, a.seen.blamed()+b.seen.blamed()+d.seen.blamed())
	require.False(t, slices.ContainsFunc(as.ids(), func(id wire.TxID) bool { return as.times(id) > 1 }), "each is fetched once")
}

// R65: who opens a session has to begin it in time, and may rest then.
func TestASessionThatDoesNotBeginIsFreed(t *testing.T) {
	g, c := testGenesis("silent session"), newClock()
	const first = 300 * time.Millisecond
	n, _ := startSource(t, g, c, func(cfg *overlay.Config) { cfg.Limits.FirstFrame = first })
	open := func(greets bool) network.Stream {
		h := greetedHost(t, n)
		s, err := h.NewStream(t.Context(), n.host.ID(), overlay.ReconProtocol(g.ID()))
		require.NoError(t, err)
		var raw []byte // nothing, but for the protocol
		if greets {
			raw = frame(recon.Encode(nil, recon.Greeting{Salt: recon.Salt{1}}))
		}
		_, err = s.Write(raw)
		require.NoError(t, err)
		return s
	}
	began := open(true)
	_, err := readRaw(bufio.NewReader(began))
	require.NoError(t, err, "the greeting is returned")
	silent := open(false)
	_ = silent.SetReadDeadline(time.Now().Add(patience))
	_, err = silent.Read(make([]byte, 1))
	require.ErrorIs(t, err, network.ErrReset)
	time.Sleep(2 * first) //nolint:forbidigo // which the other one rests
	require.Equal(t, 1, overlay.Serving(n.Overlay, overlay.ReconProtocol(g.ID())))
	require.Zero(t, n.seen.blamed(), "silence proves nothing")
}

// R65: a difference beyond the symbols that are kept is found as well.
func TestManyDifferences(t *testing.T) {
	g, c := testGenesis("many"), newClock()
	a, as := startSource(t, g, c)
	b, bs := startSource(t, g, c)
	for i := range 6 {
		as.pooling(a, transfers(g, fmt.Sprint("wallet ", i), 50)...)
	}
	bs.pooling(b, transfers(g, "wallet 7", 50)...)
	b.join(a)
	eventually(t, func() bool { return a.chain.pooled() == 350 && b.chain.pooled() == 350 }, "equal pools")
	require.Zero(t, a.seen.blamed()+b.seen.blamed())
}

// R66: what policy refused is told once a session, and not fetched again.
func TestConflictIsFetchedOnce(t *testing.T) {
	g, c := testGenesis("conflict"), newClock()
	var equal atomic.Int32 // exchanges
	count := func(cfg *overlay.Config) {
		cfg.Hooks.ReconCompared = func(_ peerscore.PeerID, theirs, ours int) {
			if theirs+ours == 0 {
				equal.Add(1)
			}
		}
	}
	a, as := startSource(t, g, c, count)
	b, bs := startSource(t, g, c, count)
	one := transfer(g, "wallet 0", 0)
	other := transfer(g, "wallet 0", 0, func(b *wire.TxBody) { b.Amount = 2 })
	as.pooling(a, one)
	bs.pooling(b, other)
	a.join(b)
	eventually(t, func() bool { return as.times(other.ID()) > 0 && bs.times(one.ID()) > 0 }, "each is fetched")
	eventually(t, func() bool { return equal.Load() >= 2 }, "nothing differs any more")
	require.Equal(t, 1, as.times(other.ID()))
	require.Equal(t, 1, bs.times(one.ID()))
	require.Zero(t, a.seen.blamed()+b.seen.blamed())
}

// R66: nor where the two halves of a network each bring one of two that conflict: nobody
// fetches the other more than once, whoever tells it.
func TestConflictOfTwoHalvesIsFetchedOnce(t *testing.T) {
	g, c := testGenesis("halves"), newClock()
	var equal [4]atomic.Int32 // exchanges
	txs := []*wire.Transaction{
		transfer(g, "wallet 0", 0),
		transfer(g, "wallet 0", 0, func(b *wire.TxBody) { b.Amount = 2 }),
	}
	nodes, sources := make([]*node, 4), make([]*sourceChain, 4)
	for i := range nodes {
		nodes[i], sources[i] = startSource(t, g, c, func(cfg *overlay.Config) {
			cfg.Hooks.ReconCompared = func(_ peerscore.PeerID, theirs, ours int) {
				if theirs+ours == 0 {
					equal[i].Add(1)
				}
			}
		})
		sources[i].pooling(nodes[i], txs[i/2])
	}
	nodes[0].join(nodes[1])
	nodes[2].join(nodes[3])
	for i := range 2 {
		nodes[i].join(nodes[2])
		nodes[i].join(nodes[3])
	}
	for i, s := range sources {
		other := txs[1-i/2].ID()
		eventually(t, func() bool { return s.times(other) > 0 }, "node %d fetches the other", i)
		eventually(t, func() bool { return equal[i].Load() >= 1 }, "nothing differs for node %d", i)
		require.Equal(t, 1, s.times(other), "node %d", i)
		require.True(t, nodes[i].chain.has(txs[i/2].ID()), "each keeps its own")
	}
}

// R65: who does not reconcile is left alone.
func TestReconSwitchedOff(t *testing.T) {
	g, c := testGenesis("off"), newClock()
	off := func(cfg *overlay.Config) { cfg.Recon = false }
	a, as := startSource(t, g, c)
	b, _ := startSource(t, g, c, off)
	as.pooling(a, transfer(g, "wallet 0", 0))
	a.join(b)
	never(t, func() bool { return b.chain.pooled() > 0 }, 3*time.Second, 50*time.Millisecond)
	require.Zero(t, a.seen.blamed()+b.seen.blamed())
}

// R61, R66: lies are offences, on the stream of a session and as the answer to a request.
func TestLyingReconPeers(t *testing.T) {
	g, c := testGenesis("recon liars"), newClock()
	n, _ := startSource(t, g, c)
	say := func(frames ...recon.Frame) (raw []byte) {
		for _, f := range frames {
			raw = append(raw, frame(recon.Encode(nil, f))...)
		}
		return raw
	}
	for name, test := range map[string]struct {
		raw     []byte
		offence peerscore.Offence
	}{
		"no frame":      {frame([]byte{77}), peerscore.BadFrame},
		"too large":     {[]byte{0xff, 0xff, 0x7f}, peerscore.BadFrame},
		"out of turn":   {say(recon.More{Upto: 8}), peerscore.LyingAnswer},
		"two greetings": {say(recon.Greeting{}, recon.Greeting{}), peerscore.LyingAnswer},
	} {
		t.Run(name, func(t *testing.T) {
			h := greetedHost(t, n)
			began := time.Now()
			poke(t, h, n, overlay.ReconProtocol(g.ID()), test.raw)
			require.Less(t, time.Since(began), patience/2, "the stream ends with the session")
			eventually(t, func() bool { return len(n.seen.offencesOf(h.ID())) > 0 }, "offence")
			require.Equal(t, test.offence, n.seen.offencesOf(h.ID())[0])
		})
	}
	h := greetedHost(t, n)
	poke(t, h, n, overlay.FetchProtocol(g.ID()), announcement([]byte{1, 2, 3}))
	eventually(t, func() bool { return len(n.seen.offencesOf(h.ID())) > 0 }, "offence")
	require.Equal(t, peerscore.BadFrame, n.seen.offencesOf(h.ID())[0])
}

// A node that reconciles leaves nothing behind.
func TestReconLeavesNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	g, c := testGenesis("leaves"), newClock()
	a, as := startSource(t, g, c)
	b, _ := startSource(t, g, c)
	as.pooling(a, transfers(g, "wallet 0", 50)...)
	a.join(b)
	eventually(t, func() bool { return b.chain.pooled() == 50 }, "equal")
	a.stop()
	b.stop()
	require.NoError(t, a.host.Close())
	require.NoError(t, b.host.Close())
	runtime.GC()
	goleak.VerifyNone(t, before)
}

// tellsOf makes a host answer sessions as if a set were pooled there, and requests for
// transactions as it likes.
func tellsOf(h host.Host, g *wire.Genesis, set []wire.TxID, answer func(n int) []byte) {
	h.SetStreamHandler(overlay.FetchProtocol(g.ID()), func(s network.Stream) {
		defer s.Close()
		raw, err := readRaw(bufio.NewReader(s))
		if err != nil {
			return
		}
		for i := range len(raw) / 32 {
			_, _ = s.Write(answer(i))
		}
	})
	h.SetStreamHandler(overlay.ReconProtocol(g.ID()), func(s network.Stream) {
		defer s.Close()
		machine, err := recon.NewResponder(recon.DefaultConfig(), new(recon.Large), recon.Salt{1})
		if err != nil {
			return
		}
		for in := bufio.NewReader(s); ; {
			raw, err := readRaw(in)
			if err != nil {
				return
			}
			f, err := recon.Decode(raw)
			if err != nil {
				return
			}
			for todo := []recon.Event{recon.Received{Frame: f}}; len(todo) > 0; todo = todo[1:] {
				for _, a := range machine.Step(time.Now(), todo[0], nil) {
					switch a := a.(type) {
					case recon.Send:
						_, _ = s.Write(frame(recon.Encode(nil, a.Frame)))
					case recon.RunScan:
						a.Scan.Run(slices.Values(set))
						todo = append(todo, recon.Scanned(a))
					}
				}
			}
		}
	})
}

// R66: another transaction than the one asked for is a lie, an invalid one is one everywhere,
// and who has none costs nobody anything: others are asked.
func TestLyingFetchPeers(t *testing.T) {
	g, c := testGenesis("fetch liars"), newClock()
	good, other, bad := transfer(g, "wallet 0", 0), transfer(g, "wallet 1", 0), forge(g, 0)
	badID := wire.NewTransaction(mustDecode(t, bad).Body(), mustDecode(t, bad).Signature()).ID()
	n, ns := startSource(t, g, c)
	for name, test := range map[string]struct {
		told    wire.TxID
		answer  []byte
		offence []peerscore.Offence
	}{
		"another transaction": {good.ID(), announcement(other.Bytes()), []peerscore.Offence{peerscore.LyingAnswer}},
		"an invalid one":      {badID, announcement(bad), []peerscore.Offence{peerscore.InvalidTx}},
		"no frame":            {good.ID(), []byte{0xff, 0xff, 0xff, 0x7f}, []peerscore.Offence{peerscore.BadFrame}},
		"nothing":             {good.ID(), announcement(nil), nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t)
			asked := make(chan struct{}, 100)
			tellsOf(h, g, []wire.TxID{test.told}, func(int) []byte {
				asked <- struct{}{}
				return test.answer
			})
			greet(t, h, n)
			select {
			case <-asked:
			case <-time.After(patience):
				require.Fail(t, "not asked")
			}
			if test.offence != nil {
				eventually(t, func() bool { return len(n.seen.offencesOf(h.ID())) > 0 }, "offence")
			}
			require.Equal(t, test.offence, n.seen.offencesOf(h.ID()))
			require.NoError(t, h.Close())
		})
	}
	require.Zero(t, n.chain.pooled())

	withholds := newHost(t)
	tellsOf(withholds, g, []wire.TxID{good.ID()}, func(int) []byte { return announcement(nil) })
	greet(t, withholds, n)
	honest, hs := startSource(t, g, c)
	hs.pooling(honest, good)
	honest.join(n)
	eventually(t, func() bool { return n.chain.has(good.ID()) }, "fetched from the honest one")
	require.Equal(t, 1, ns.times(good.ID()))
}

// R65: a peer that begins one session after the other is turned away, for each has all of the pool
// looked at; that is held against nobody.
func TestSessionsAreBegunAtAPace(t *testing.T) {
	g, c := testGenesis("pace of sessions"), newClock()
	n, _ := startSource(t, g, c)
	h := greetedHost(t, n)
	began, served, refused := time.Now(), 0, 0
	for range 20 {
		s, err := h.NewStream(t.Context(), n.host.ID(), overlay.ReconProtocol(g.ID()))
		require.NoError(t, err)
		_ = s.SetDeadline(time.Now().Add(patience))
		_, _ = s.Write(frame(recon.Encode(nil, recon.Greeting{})))
		if _, err := readRaw(bufio.NewReader(s)); err == nil {
			served++
		} else {
			refused++
		}
		_ = s.Reset()
		time.Sleep(50 * time.Millisecond) // for the other side to see that
	}
	require.GreaterOrEqual(t, served, 10)
	require.LessOrEqual(t, served, 11+int(time.Since(began)/(5*time.Second)))
	require.Positive(t, refused)
	require.Zero(t, n.seen.blamed())
}
