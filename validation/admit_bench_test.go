//go:build unix

package validation_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	admitBatch   = 64 // transactions that arrive together, each of another sender
	admitBatches = 32 // of one round; no sender comes twice in a round
	admitPeers   = 8  // the mesh degree: who sends what is honest
	admitSize    = 250
)

// BenchmarkAdmit is what a node pays for a transaction on its way from bytes to
// pooled: decoding, stateless checks, signature, application, mempool.
//
// It reports CPU time (of all threads, the garbage collector's too) per honest
// transaction, in ns and as the multiple of what crypto/ed25519.Verify takes.
// The yardstick is measured between the batches, so that a busy machine slows
// both. What bad signatures cost is charged to the honest transactions.
//
// With bad signatures, all of one peer, the rounds are as the overlay has them:
// after the batch that it spoilt the peer's messages are verified apart, and once
// peerscore bans it they are refused. In the rounds "strangers" every batch is
// spoilt by a peer that nobody has met, so that nothing that was learnt helps, and
// every equation of it ([wire.TxBatch]) has a bad signature: all are verified twice.
// Only a larger share of bad ones would cost the honest ones more. A run fails
// that costs more than it may; docs/figures/admit.md has the last figures.
func BenchmarkAdmit(b *testing.B) {
	for _, bc := range []struct {
		name      string
		bad       int // percent
		strangers bool
		atMost    float64 // x-std-verify
	}{
		{name: "good", atMost: 0.75},
		{name: "bad=1%", bad: 1, atMost: 1},
		{name: "bad=10%", bad: 10, atMost: 1},
		{name: "strangers=10%", bad: 10, strangers: true, atMost: 1},
	} {
		b.Run(bc.name, func(b *testing.B) {
			r := newAdmitRounds(b, bc.bad, bc.strangers)
			b.ReportAllocs()
			for b.Loop() {
				r.round(b)
			}
			honest := float64(r.honest)
			perTx := float64(r.ours.Nanoseconds()) / honest
			perVerify := float64(r.yardstick.Nanoseconds()) / float64(r.verified)
			b.ReportMetric(0, "ns/op") // a round is no unit
			b.ReportMetric(perTx, "ns/tx")
			b.ReportMetric(perTx/perVerify, "x-std-verify")
			if perTx/perVerify > bc.atMost {
				b.Errorf("a transaction costs %.2f of a bare verification, want at most %.2f", perTx/perVerify, bc.atMost)
			}
			if bc.bad > 0 {
				b.ReportMetric(float64(r.refused)/float64(r.bad), "refused/bad")
			}
		})
	}
}

type admitRounds struct {
	checker   *validation.Checker // constant
	ledger    *ledger.Ledger
	batches   [][]validation.Arrival
	strangers bool

	pool     *mempool.Pool // of this round
	book     *peerscore.Book
	suspects *validation.Suspects

	honest, bad, refused, verified int // so far
	ours, yardstick                time.Duration
}

const badPeer peerscore.PeerID = "mallory"

func newAdmitRounds(b *testing.B, badPercent int, strangers bool) *admitRounds {
	g := testGenesis()
	g.Limits = wire.DefaultLimits()
	g.Allocations = nil
	var keys []ed25519.PrivateKey
	for i := range admitBatch * admitBatches {
		keys = append(keys, keyOf("sender", i))
		g.Allocations = append(g.Allocations, wire.Allocation{Address: addressOf(keys[i]), Amount: 1_000_000})
	}
	sortAllocations(g)
	network := g.ID() // a hash of all allocations
	r := &admitRounds{strangers: strangers}
	var err error
	r.ledger, err = ledger.New(g, nil)
	require.NoError(b, err)
	r.checker, err = validation.NewChecker(g, r.ledger)
	require.NoError(b, err)

	for i := range admitBatches {
		batch := make([]validation.Arrival, admitBatch)
		for k := range batch {
			n := i*admitBatch + k
			signer, from := keys[n], peerscore.PeerID("peer "+strconv.Itoa(k%admitPeers))
			if n*badPercent/100 != (n+1)*badPercent/100 { // every tenth or hundredth
				signer, from = keyOf("mallory", 0), badPeer
			}
			body := payment(0, 0)
			body.Sender, body.Fee = addressOf(keys[n]), 1_000
			body.Payload = make([]byte, 100)
			tx := wire.SignTx(network, signer, body)
			require.InDelta(b, admitSize, tx.Size(), 25)
			batch[k] = validation.Arrival{Raw: tx.Bytes(), From: from}
		}
		r.batches = append(r.batches, batch)
	}
	return r
}

// round admits everything once, as a node that starts afresh.
func (r *admitRounds) round(b *testing.B) {
	b.StopTimer()
	defer b.StartTimer()
	var err error
	r.pool, err = mempool.New(mempool.DefaultConfig())
	require.NoError(b, err)
	r.book, err = peerscore.New(peerscore.DefaultConfig())
	require.NoError(b, err)
	r.suspects = new(validation.Suspects)
	for i, batch := range r.batches {
		b.StartTimer()
		began := cpuTime()
		pooled, bad, refused := r.admit(batch, i)
		r.ours += cpuTime() - began
		b.StopTimer()

		require.Equal(b, admitBatch, pooled+bad, "an honest transaction was dropped")
		r.honest, r.bad, r.refused = r.honest+pooled, r.bad+bad, r.refused+refused
		r.measureYardstick()
	}
	if r.bad > 0 && !r.strangers {
		require.True(b, r.book.Banned(now, badPeer), "the peer is not cut")
	}
}

// admit does what the overlay does with a batch of arrivals.
func (r *admitRounds) admit(arrivals []validation.Arrival, n int) (pooled, bad, refused int) {
	var together []validation.Arrival
	var results []validation.TxResult
	for _, a := range arrivals {
		if r.strangers && a.From == badPeer {
			a.From = peerscore.PeerID(fmt.Sprintf("stranger %d", n))
		}
		switch {
		case r.book.Banned(now, a.From):
			refused++
			bad++
		case r.suspects.Has(now, a.From):
			results = r.checker.Txs(context.Background(), now, []validation.Arrival{a})
			p, b := r.take([]validation.Arrival{a}, results)
			pooled, bad = pooled+p, bad+b
		default:
			together = append(together, a)
		}
	}
	p, b := r.take(together, r.checker.Txs(context.Background(), now, together))
	return pooled + p, bad + b, refused
}

func (r *admitRounds) take(arrivals []validation.Arrival, results []validation.TxResult) (pooled, bad int) {
	for i, res := range results {
		from := arrivals[i].From
		r.suspects.Note(now, from, res.Err)
		if res.Err != nil {
			r.book.Record(now, from, peerscore.InvalidTx)
			bad++
			continue
		}
		account := r.ledger.Account(res.Checked.Terms().Sender)
		_, err := r.pool.Add(now, res.Checked, mempool.Account{Nonce: account.Nonce, Balance: account.Balance}, mempool.Source(from))
		if err == nil {
			pooled++
		}
	}
	return pooled, bad
}

// measureYardstick verifies some messages of the same size with the standard library.
func (r *admitRounds) measureYardstick() {
	key, message := keyOf("yardstick", 0), make([]byte, admitSize-64)
	public, sig := key.Public().(ed25519.PublicKey), ed25519.Sign(key, message)
	began := cpuTime()
	for range 16 {
		if !ed25519.Verify(public, message, sig) {
			panic("refused")
		}
		r.verified++
	}
	r.yardstick += cpuTime() - began
}

// cpuTime is what this process has used so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
