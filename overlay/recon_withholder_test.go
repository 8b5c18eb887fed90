package overlay_test

import (
	"bufio"
	"crypto/rand"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/overlay/recon"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/wire"
)

// teller is a plain host that answers sessions as if a set were pooled there, and gives of it
// what it has.
type teller struct {
	host.Host

	asked, sent atomic.Int64 // transactions
	each        time.Duration

	mu       sync.Mutex // guards what follows
	set      []wire.TxID
	txs      map[wire.TxID][]byte
	sessions map[*recon.Responder]bool
}

func newTeller(t *testing.T, g *wire.Genesis) *teller {
	t.Helper()
	f := &teller{Host: newHost(t), txs: make(map[wire.TxID][]byte), sessions: make(map[*recon.Responder]bool)}
	f.SetStreamHandler(overlay.FetchProtocol(g.ID()), f.give)
	f.SetStreamHandler(overlay.ReconProtocol(g.ID()), f.tell)
	return f
}

// invented is a teller of that many ids of nothing.
func invented(t *testing.T, g *wire.Genesis, count int) *teller {
	t.Helper()
	f := newTeller(t, g)
	for range count {
		var id wire.TxID
		_, _ = rand.Read(id[:]) // never fails
		f.add(id, nil)
	}
	return f
}

func (f *teller) add(id wire.TxID, raw []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.set = append(f.set, id)
	if raw != nil {
		f.txs[id] = raw
	}
	for s := range f.sessions {
		s.Add(id)
	}
}

// give answers a request for transactions, and takes its time for each.
func (f *teller) give(s network.Stream) {
	defer s.Close()
	raw, err := readRaw(bufio.NewReader(s))
	if err != nil {
		return
	}
	raw = raw[len(raw)%32:]
	f.asked.Add(int64(len(raw) / 32))
	for id := range slices.Chunk(raw, 32) {
		f.mu.Lock()
		tx := f.txs[wire.TxID(id)]
		f.mu.Unlock()
		if tx != nil {
			time.Sleep(f.each)
		}
		if _, err := s.Write(announcement(tx)); err != nil {
			return
		}
		if tx != nil {
			f.sent.Add(1)
		}
	}
}

func (f *teller) tell(s network.Stream) {
	defer s.Close()
	var salt recon.Salt
	_, _ = rand.Read(salt[:]) // never fails
	machine, err := recon.NewResponder(recon.DefaultConfig(), new(recon.Large), salt)
	if err != nil {
		return
	}
	f.mu.Lock()
	f.sessions[machine] = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.sessions, machine)
	}()
	for in := bufio.NewReader(s); ; {
		raw, err := readRaw(in)
		if err != nil {
			return
		}
		got, err := recon.Decode(raw)
		if err != nil {
			return
		}
		for _, b := range f.step(machine, got) {
			_, _ = s.Write(b)
		}
	}
}

func (f *teller) step(machine *recon.Responder, got recon.Frame) (out [][]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for todo := []recon.Event{recon.Received{Frame: got}}; len(todo) > 0; todo = todo[1:] {
		for _, a := range machine.Step(time.Now(), todo[0], nil) {
			switch a := a.(type) {
			case recon.Send:
				out = append(out, frame(recon.Encode(nil, a.Frame)))
			case recon.RunScan:
				a.Scan.Run(slices.Values(f.set))
				todo = append(todo, recon.Scanned(a))
			}
		}
	}
	return out
}

// R175: who tells ids and gives nothing, again and again, loses reputation, and is soon asked
// for little of what it tells.
func TestInventedIDsCostReputation(t *testing.T) {
	g, c := testGenesis("invented"), newClock()
	n, _ := startSource(t, g, c)
	f := invented(t, g, 4000)
	greet(t, f, n)
	eventually(t, func() bool { return len(n.seen.offencesOf(f.ID())) > 0 }, "an offence")
	require.Equal(t, peerscore.BrokenPromise, n.seen.offencesOf(f.ID())[0])
	t.Logf("asked for %d in vain", f.asked.Load())
	require.Less(t, f.asked.Load(), int64(8500), "some 50,000 where nothing came of it")
}

// R175: invented ids do not hold up what honest peers tell, on its way over a node that has many
// such peers.
func TestInventedIDsDoNotHoldUpRepair(t *testing.T) {
	g, c := testGenesis("hold up"), newClock()
	n, _ := startSource(t, g, c)
	var liars []*teller
	for range 6 {
		f := invented(t, g, 3000)
		greet(t, f, n)
		liars = append(liars, f)
	}
	eventually(t, func() bool {
		asked := 0
		for _, f := range liars {
			if f.asked.Load() >= 1000 {
				asked++
			}
		}
		return asked >= 3 // as many as it reconciles with that are not in the mesh
	}, "liars are asked for what they told")
	a, as := startSource(t, g, c)
	b, _ := startSource(t, g, c)
	b.join(n)
	for w := range 8 {
		as.pooling(a, transfers(g, fmt.Sprint("wallet ", w), 40)...)
	}
	time.Sleep(3 * time.Second) // what is between b and n is settled
	began := time.Now()
	a.join(n)
	eventually(t, func() bool { return b.chain.pooled() == 320 }, "all of it, over two hops")
	took := time.Since(began)
	t.Logf("over two hops in %v", took)
	require.Less(t, took, 4*time.Second) // 0.8 s without liars, and 6.8 s where they held it up
}

// R67: who tells what it does not give raises no alarm.
func TestInventedIDsRaiseNoAlarm(t *testing.T) {
	g, c := testGenesis("wolf"), newClock()
	n, _ := startSource(t, g, c)
	greet(t, invented(t, g, 100), n)
	never(t, func() bool { return n.OneSidedLinks() > 0 }, 30*time.Second, 100*time.Millisecond)
}

// R64, R176: four honest peers on lines of 4 Mbit/s have the same large transactions, and each of
// these comes over one of the lines.
func TestSlowPeersAreNotAskedBesideEachOther(t *testing.T) {
	g, c := testGenesis("slow lines"), newClock()
	n, _ := startSource(t, g, c)
	const count, size = 150, 20_000
	var peers []*teller
	for range 4 {
		f := newTeller(t, g)
		f.each = size * 8 * time.Second / 4_000_000
		peers = append(peers, f)
	}
	for w := range 5 {
		for i := range count / 5 {
			tx := transfer(g, fmt.Sprint("wallet ", w), uint64(i), func(b *wire.TxBody) {
				b.Payload, b.Fee = make([]byte, size), 50_000
			})
			for _, f := range peers {
				f.add(tx.ID(), tx.Bytes())
			}
		}
	}
	for _, f := range peers {
		greet(t, f, n)
	}
	eventually(t, func() bool { return n.chain.pooled() == count }, "all of it")
	sent := int64(0)
	for _, f := range peers {
		sent += f.sent.Load()
	}
	t.Logf("%d transactions came %d times", count, sent)
	require.Less(t, sent, int64(count)*6/5) // 658, where expiry knew nothing of their size
	require.Zero(t, n.seen.blamed())
}

// R67: where the mesh hides everything, and several peers outside of it share what they give.
func TestAnEclipseIsSeenByAllWhoAreOutside(t *testing.T) {
	g, c := testGenesis("eclipse"), newClock()
	n, _ := startSource(t, g, c)
	var outside []*teller
	for range 3 {
		f := newTeller(t, g)
		greet(t, f, n)
		outside = append(outside, f)
	}
	count := 0
	for began := time.Now(); time.Since(began) < 2*patience && n.OneSidedLinks() == 0; time.Sleep(20 * time.Millisecond) {
		for ; count < int(time.Since(began).Seconds()*6); count++ {
			tx := transfer(g, fmt.Sprint("wallet ", count%8), uint64(count/8))
			for _, f := range outside {
				f.add(tx.ID(), tx.Bytes())
			}
		}
	}
	t.Logf("%d links after %d transactions", n.OneSidedLinks(), count)
	require.Positive(t, n.OneSidedLinks())
	require.Zero(t, n.seen.blamed())
}
