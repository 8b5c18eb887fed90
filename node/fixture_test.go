package node_test

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/wire"
)

// patience bounds every wait of these tests: far more than a busy machine needs.
const patience = 30 * time.Second

// slot is long enough for a busy machine to make a block in, most of the time.
const slot = 250 * time.Millisecond

func keyOf(name string, i int) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	copy(seed, fmt.Sprintf("%s %d", name, i))
	return ed25519.NewKeyFromSeed(seed)
}

const wallets = 4

// genesisOf is a network whose slots began a moment ago.
func genesisOf(name string, producers ...ed25519.PrivateKey) *wire.Genesis {
	g := &wire.Genesis{
		Network: name, AddressPrefix: "gvt", Time: uint64(time.Now().UnixMilli()), SlotMillis: uint32(slot.Milliseconds()),
		Rules: []wire.RuleChange{{Height: 0, Version: 1}}, Limits: wire.DefaultLimits(),
	}
	for i := range wallets {
		g.Allocations = append(g.Allocations, wire.Allocation{Address: keyfile.Address(keyOf("wallet", i)), Amount: 1_000_000_000})
	}
	sortAllocations(g.Allocations)
	set := wire.ProducerSet{}
	for _, p := range producers {
		set.Producers = append(set.Producers, keyfile.Address(p))
	}
	g.Producers = []wire.ProducerSet{set}
	return g
}

func sortAllocations(a []wire.Allocation) {
	for i := range a {
		for j := range i {
			if a[i].Address.Compare(a[j].Address) < 0 {
				a[i], a[j] = a[j], a[i]
			}
		}
	}
}

// payment is a transaction of wallet i.
func payment(g *wire.Genesis, i int, nonce uint64) *wire.Transaction {
	key := keyOf("wallet", i)
	return wire.SignTx(g.ID(), key, &wire.TxBody{
		Version: wire.TxVersion, Sender: keyfile.Address(key), Nonce: nonce, Fee: 1_000,
		To: keyfile.Address(keyOf("wallet", (i+1)%wallets)), Amount: 1,
	})
}

// newHome makes a home, with a producer's key if there is one.
func newHome(t *testing.T, g *wire.Genesis, producer ed25519.PrivateKey) string {
	t.Helper()
	home := filepath.Join(t.TempDir(), "home")
	require.NoError(t, node.InitHome(home, node.InitOptions{Genesis: g, Producer: producer}))
	return home
}

// configOf is that of a small node on loopback.
func configOf(t *testing.T, home string, fs vfs.FS) node.Config {
	t.Helper()
	cfg := node.DefaultConfig(home)
	cfg.Profile = "testnet"
	cfg.ListenAddrs = []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}
	cfg.API.Disabled = true
	cfg.CacheBytes = 1 << 20
	cfg.EventLog = 1 << 12
	cfg.FS = fs
	if testing.Verbose() {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("node", filepath.Base(filepath.Dir(home)))
	}
	return cfg
}

// running is a node at work.
type running struct {
	*node.Node
	t    *testing.T
	stop context.CancelFunc
	done chan struct{}
	err  error // readable once done is closed
}

func start(t *testing.T, cfg node.Config) *running {
	t.Helper()
	n, err := node.New(cfg)
	require.NoError(t, err)
	r := launch(t, n)
	select {
	case <-n.Ready():
	case <-r.done:
		require.NoError(t, r.err)
	case <-time.After(patience):
		require.FailNow(t, "the node is not ready")
	}
	return r
}

func launch(t *testing.T, n *node.Node) *running {
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{Node: n, t: t, stop: cancel, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		r.err = n.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.done
	})
	return r
}

// end stops the node and returns what Run returned.
func (r *running) end() error {
	r.stop()
	select {
	case <-r.done:
	case <-time.After(patience):
		require.FailNow(r.t, "the node does not stop")
	}
	return r.err
}

// addr is an address to dial, with the peer id.
func (r *running) addr() string { return fmt.Sprintf("%s/p2p/%s", r.Addrs()[0], r.ID()) }

func (r *running) submit(tx *wire.Transaction) api.TxStatus {
	r.t.Helper()
	s, err := r.Backend().Submit(r.t.Context(), tx.Bytes())
	require.NoError(r.t, err)
	return s
}

func (r *running) state(id wire.TxID) api.State {
	r.t.Helper()
	s, err := r.Backend().TxStatus(context.Background(), id)
	require.NoError(r.t, err)
	return s.State
}

func (r *running) head() api.Ref {
	h, err := r.Backend().Head(context.Background())
	require.NoError(r.t, err)
	return h.Head
}

// settled tells whether every transaction is in a block of the best chain.
func (r *running) settled(txs []*wire.Transaction) bool {
	for _, tx := range txs {
		if s := r.state(tx.ID()); s != api.Included && s != api.Final {
			return false
		}
	}
	return true
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	require.Eventually(t, f, patience, 20*time.Millisecond, what)
}

func keys(n int) []ed25519.PrivateKey {
	list := make([]ed25519.PrivateKey, n)
	for i := range list {
		list[i] = keyOf("producer", i)
	}
	return list
}
