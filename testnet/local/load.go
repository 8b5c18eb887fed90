package local

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// loadWallets is more than the senders of any sample of shapes.
	loadWallets = 512

	// workers submit to one daemon side by side, each for wallets of its own,
	// so that a wallet's nonces come in order.
	workers = 8

	// queued drafts per worker outlast a slow write to disk; beyond them the
	// load falls behind, and says so.
	queued = 64

	// submitWithin is far beyond what a healthy daemon takes.
	submitWithin = 15 * time.Second
)

// load is what is sent, and where.
type load struct {
	txs     scenario.Txs
	seed    uint64
	drafts  *shapes.Load
	tally   *tally
	clients []*api.Client // of the origins
	nonces  []uint64      // by wallet; each owned by one worker

	mu   sync.Mutex // guards what follows
	late time.Duration
}

// newLoad makes the load of a scenario. close lets go of its clients.
func newLoad(s *scenario.Scenario, state *State, wallets []ed25519.PrivateKey, t *tally) (*load, error) {
	samples, err := samplesOf(s.Txs)
	if err != nil {
		return nil, err
	}
	l := &load{txs: s.Txs, seed: s.Seed, tally: t, nonces: make([]uint64, len(wallets))}
	if l.drafts, err = shapes.New(shapes.Config{
		Seed: s.Seed, Samples: samples, Wallets: wallets,
		Network: state.NetworkID, MinFeePerByte: wire.DefaultLimits().MinFeePerByte * uint64(max(1, s.Txs.Fee)),
	}); err != nil {
		return nil, err
	}
	origins := s.Txs.Origins
	if origins == 0 {
		origins = len(state.Nodes)
	}
	for _, d := range state.Nodes[:origins] {
		c, err := api.NewClient(api.Options{Socket: d.APISocket, Network: state.NetworkID, Timeout: submitWithin})
		if err != nil {
			l.close()
			return nil, err
		}
		l.clients = append(l.clients, c)
	}
	return l, nil
}

func (l *load) close() {
	for _, c := range l.clients {
		c.Close()
	}
}

// samplesOf are the blocks that the load looks like: real ones, or one in which
// each wallet sends one transaction of the given size.
func samplesOf(t scenario.Txs) ([]shapes.Sample, error) {
	if t.Shapes == scenario.ShapesMainnet {
		return shapes.Mainnet()
	}
	rows := make([]shapes.Row, loadWallets)
	for i := range rows {
		rows[i] = shapes.Row{Sender: i, Size: t.Size}
	}
	return []shapes.Sample{{Name: fmt.Sprintf("%d bytes each", t.Size), Rows: rows}}, nil
}

// send puts the load on the network until its time is over or ctx ends, and
// returns when every submission was answered.
func (l *load) send(ctx context.Context) {
	if l.txs.PerSecond == 0 {
		return
	}
	queues := make([]chan shapes.Draft, len(l.clients)*workers)
	var sending sync.WaitGroup
	for i := range queues {
		queues[i] = make(chan shapes.Draft, queued)
		sending.Go(func() { l.work(ctx, i%len(l.clients), queues[i]) })
	}
	l.pace(ctx, queues)
	for _, q := range queues {
		close(q)
	}
	sending.Wait()
}

// pace hands out drafts at random times, as wallets do that know nothing of
// each other.
func (l *load) pace(ctx context.Context, queues []chan shapes.Draft) {
	rng := rand.New(rand.NewPCG(l.seed, 1))
	began := time.Now()
	for due := began; ; {
		due = due.Add(time.Duration(rng.ExpFloat64() / l.txs.PerSecond * float64(time.Second)))
		if due.After(began.Add(l.txs.For)) || pause(ctx, time.Until(due)) != nil {
			return
		}
		draft := l.drafts.Next()
		select {
		case queues[draft.Wallet%len(queues)] <- draft:
		case <-ctx.Done():
			return
		}
		l.mu.Lock()
		l.late = max(l.late, time.Since(due))
		l.mu.Unlock()
	}
}

// work submits what comes to one daemon. When ctx ends, drafts that still wait
// are dropped: nobody has heard of them.
func (l *load) work(ctx context.Context, origin int, queue <-chan shapes.Draft) {
	for draft := range queue {
		if ctx.Err() != nil {
			continue
		}
		tx := l.drafts.Sign(draft, l.nonces[draft.Wallet])
		l.tally.submitting(tx.ID(), origin, tx.Size(), time.Now())
		status, err := l.clients[origin].SubmitRaw(ctx, tx.Bytes())
		if err == nil && status.State.Ended() {
			err = fmt.Errorf("accepted, but already %s: %s", status.State, status.Reason)
		}
		l.tally.submitted(tx.ID(), err)
		if err == nil {
			l.nonces[draft.Wallet]++
		}
	}
}

// behind is how late the load was at worst.
func (l *load) behind() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.late
}
