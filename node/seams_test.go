package node_test

import (
	"context"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/validation"
)

// judge refuses everything when told to, and counts.
type judge struct {
	validation.Application
	refuse bool
	asked  chan int
}

func (j judge) CheckTxs(ctx context.Context, now time.Time, txs []validation.CheckedTx) []error {
	j.asked <- len(txs)
	errs := j.Application.CheckTxs(ctx, now, txs)
	if j.refuse {
		for i := range errs {
			errs[i] = validation.Unavailable
		}
	}
	return errs
}

// TestSimulatorsSeams runs a node on a host that somebody else made, with a
// judge between it and its chain and a pool that was filled beforehand.
func TestSimulatorsSeams(t *testing.T) {
	g := genesisOf("seams", keyOf("producer", 0))
	cfg := configOf(t, newHome(t, g, nil), vfs.NewMem())
	var made host.Host
	cfg.NewHost = func(identity crypto.PrivKey) (host.Host, error) {
		var err error
		made, err = libp2p.New(libp2p.Identity(identity), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"))
		return made, err
	}
	asked := make(chan int, 10)
	j := judge{asked: asked}
	cfg.Judge = func(chain validation.Application) validation.Application {
		j.Application = chain
		return j
	}
	n := start(t, cfg)
	require.Equal(t, n.ID(), made.ID(), "the host has the node's key")
	require.Equal(t, made.Addrs(), n.Addrs())

	tx := payment(g, 0, 0)
	n.submit(tx)
	require.Equal(t, 1, <-asked)

	checker, err := validation.NewChecker(g, j)
	require.NoError(t, err)
	checked, err := checker.Sound(payment(g, 1, 0).Bytes())
	require.NoError(t, err)
	require.NoError(t, n.Prefill([]validation.CheckedTx{checked}))
	require.Equal(t, api.Pending, n.state(checked.ID()))
	require.ErrorIs(t, n.Prefill([]validation.CheckedTx{checked}), validation.AlreadyKnown)

	require.NoError(t, n.end())
	require.Empty(t, made.Addrs(), "the node closes the host")
}

// TestJudgeRefuses shows that the judge's word counts.
func TestJudgeRefuses(t *testing.T) {
	g := genesisOf("refusing judge", keyOf("producer", 0))
	cfg := configOf(t, newHome(t, g, nil), vfs.NewMem())
	cfg.Judge = func(chain validation.Application) validation.Application {
		return judge{chain, true, make(chan int, 10)}
	}
	n, err := node.New(cfg)
	require.NoError(t, err)
	defer n.Close()
	_, err = n.Backend().Submit(t.Context(), payment(g, 0, 0).Bytes())
	require.ErrorIs(t, err, validation.Unavailable)
}
