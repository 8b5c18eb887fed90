package sim

import (
	"crypto/ed25519"
	"math/rand/v2"
	"sync"

	"github.com/grapevine-p2p/grapevine/testnet/scenario"
	"github.com/grapevine-p2p/grapevine/testnet/shapes"
	"github.com/grapevine-p2p/grapevine/wire"
)

// source is where the load comes from. It returns the next transaction and who
// sends it, nil where nobody can just now; whoever could not publish it says so
// with undo. Next is called by one goroutine.
type source interface {
	next() (tx *wire.Transaction, at *place, undo func())
}

// newSource is the load that the scenario describes.
func (g *stage) newSource(rng *rand.Rand) (source, error) {
	if g.s.Txs.Shapes == scenario.ShapesMainnet {
		return g.newCrowd()
	}
	return &plain{g, rng, &mint{g.genesis.ID(), rng}}, nil
}

// plain are transactions of one size, each of a sender of its own, at
// random places that are up.
type plain struct {
	stage *stage
	rng   *rand.Rand
	mint  *mint
}

func (s *plain) next() (*wire.Transaction, *place, func()) {
	t := s.stage.s.Txs
	tx := s.mint.load(t.Size)
	most := t.Origins
	if most == 0 {
		most = -1
	}
	origins := s.stage.up(most)
	if len(origins) == 0 {
		return nil, nil, nil
	}
	return tx, origins[s.rng.IntN(len(origins))], func() {}
}

// crowdSize is more than the senders of any real block.
const crowdSize = 512

// crowdWallets are the senders of load that looks like real blocks. No other
// key of a run is among them: seeds of scenarios have fewer bits.
func crowdWallets(seed uint64) []ed25519.PrivateKey { return shapes.Wallets(seed|1<<62, crowdSize) }

// crowd sends what the wallets of real blocks sent: their sizes, as many of one
// sender in a row, and fees in their order. A wallet uses one place, so that its
// nonces come in order.
type crowd struct {
	drafts *shapes.Load
	homes  []*place // honest ones; wallets have them in turns

	mu     sync.Mutex // guards what follows
	nonces []uint64   // by wallet
}

func (g *stage) newCrowd() (*crowd, error) {
	samples, err := shapes.Mainnet()
	if err != nil {
		return nil, err
	}
	c := &crowd{nonces: make([]uint64, crowdSize)}
	for _, p := range g.places {
		if p.honest && (g.s.Txs.Origins == 0 || len(c.homes) < g.s.Txs.Origins) {
			c.homes = append(c.homes, p)
		}
	}
	c.drafts, err = shapes.New(shapes.Config{
		Seed: g.s.Seed, Samples: samples, Wallets: crowdWallets(g.s.Seed), Network: g.genesis.ID(), MinFeePerByte: 1,
	})
	return c, err
}

func (c *crowd) next() (*wire.Transaction, *place, func()) {
	d := c.drafts.Next()
	home := c.homes[d.Wallet%len(c.homes)]
	if home.participant() == nil {
		return nil, nil, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	nonce := c.nonces[d.Wallet]
	c.nonces[d.Wallet]++
	return c.drafts.Sign(d, nonce), home, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.nonces[d.Wallet] = min(c.nonces[d.Wallet], nonce)
	}
}
