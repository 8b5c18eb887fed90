package sim_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/testnet/sim"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// deafSeat is the seat of relay "deaf" whose node refuses the first transaction that its
// peers tell it of, as often as they do.
const deafSeat = 3

func withOneDeaf(seat sim.Seat) (sim.Participant, error) {
	if seat.Number != deafSeat {
		return sim.Gossip().New(seat)
	}
	return sim.Gossip(func(c *node.Config) {
		honest := c.Judge
		c.Judge = func(chain validation.Application) validation.Application {
			return &deaf{Application: honest(chain)}
		}
	}).New(seat)
}

type deaf struct {
	validation.Application

	mu   sync.Mutex // guards what follows
	to   wire.TxID
	told bool
}

func (d *deaf) CheckTxs(ctx context.Context, now time.Time, txs []validation.CheckedTx) []error {
	errs := d.Application.CheckTxs(ctx, now, txs)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, tx := range txs {
		if !d.told {
			d.to, d.told = tx.ID(), true
		}
		if tx.ID() == d.to {
			errs[i] = validation.Unavailable
		}
	}
	return errs
}

// TestWhatANodeRefusesIsNotDelivered: the report counts what the node at the other end says
// that it knows to be valid, and one message at one node less is one delivery less, whatever
// was sent there.
func TestWhatANodeRefusesIsNotDelivered(t *testing.T) {
	s := small()
	s.Relay = "deaf"
	s.Txs.Origins = 1 // and it is another
	r, err := sim.Run(t.Context(), s, sim.Options{})
	require.NoError(t, err)
	require.Positive(t, r.Tx.Expected)
	require.Equal(t, r.Tx.Expected-1, r.Tx.Delivered)
}
