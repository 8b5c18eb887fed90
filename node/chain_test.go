package node_test

import (
	"bytes"
	"crypto/ed25519"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

func producerFile(t *testing.T, key ed25519.PrivateKey) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "producer.key")
	require.NoError(t, keyfile.Create(path, key, ""))
	return path
}

// headers collects what a producer signs, over its restarts.
type headers struct {
	mu   sync.Mutex
	seen map[uint64]wire.BlockID // by slot
	bad  []uint64
}

func (h *headers) observe() node.Observe {
	return node.Observe{BlockAdded: func(b validation.CheckedBlock, own bool) {
		h.mu.Lock()
		defer h.mu.Unlock()
		slot := b.Header().Body().Slot
		if id, twice := h.seen[slot]; own && twice && id != b.ID() {
			h.bad = append(h.bad, slot)
		}
		h.seen[slot] = b.ID()
	}}
}

// TestNoSlotIsSignedTwice kills a producer again and again in the middle of its
// work, with a disk that lost all that was not synced and a clock that was set
// back over the slots that it signed.
//
// R28: a slot is on disk before it is signed for.
func TestNoSlotIsSignedTwice(t *testing.T) {
	producers := keys(1)
	g := genesisOf("twice", producers...)
	g.Time -= 10_000
	home := newHome(t, g, producers[0])
	disk := crashdisk.New()
	signed := &headers{seen: make(map[uint64]wire.BlockID)}
	for round := range 4 {
		cfg := configOf(t, home, disk)
		cfg.Observe = signed.observe()
		cfg.Now = func() time.Time { return time.Now().Add(-time.Duration(round) * 3 * slot) }
		n := start(t, cfg)
		height := n.head().Height
		eventually(t, "a block", func() bool { return n.head().Height > height+1 })
		disk = disk.Crash(vfs.CrashCloneCfg{})
		require.NoError(t, n.end())
	}
	signed.mu.Lock()
	defer signed.mu.Unlock()
	require.Empty(t, signed.bad)
	require.GreaterOrEqual(t, len(signed.seen), 8)
}

func TestAnAbsentProducerLeavesItsSlotsEmpty(t *testing.T) {
	producers := keys(3)
	g := genesisOf("absent", producers...)
	a := start(t, configOf(t, newHome(t, g, producers[0]), vfs.NewMem()))
	cfg := configOf(t, newHome(t, g, producers[1]), vfs.NewMem())
	cfg.Bootstrap = []string{a.addr()}
	b := start(t, cfg)
	tx := payment(g, 0, 0)
	b.submit(tx)
	eventually(t, "the chain goes on", func() bool { return a.settled([]*wire.Transaction{tx}) && a.head().Height > 8 })
	head, err := a.Backend().Head(t.Context())
	require.NoError(t, err)
	require.Greater(t, head.Head.Slot, head.Head.Height, "the slots of the absent one are empty")
	require.NotZero(t, head.Final.Height, "two of three are enough")
	gone := keyfile.Address(producers[2])
	for h := uint64(1); h <= head.Head.Height; h++ {
		stored, err := a.Backend().BlockAt(t.Context(), h)
		require.NoError(t, err)
		require.NotEqual(t, gone, stored.Block.Header.Body().Producer)
	}
}

// journal is a log that tests can read while it is written.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) has(parts ...string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.buf.String()) {
		all := true
		for _, part := range parts {
			all = all && strings.Contains(line, part)
		}
		if all {
			return true
		}
	}
	return false
}

func TestAnotherGenesisIsRefusedAtHelloOnBothSides(t *testing.T) {
	var logs [2]journal
	var nodes [2]*running
	for i, name := range []string{"ours", "theirs"} {
		cfg := configOf(t, newHome(t, genesisOf(name, keys(1)...), nil), vfs.NewMem())
		cfg.Logger = slog.New(slog.NewTextHandler(&logs[i], nil))
		if i > 0 {
			cfg.Bootstrap = []string{nodes[0].addr()}
		}
		nodes[i] = start(t, cfg)
	}
	for i := range logs {
		other := nodes[1-i].ID().String()
		eventually(t, "a line that says so", func() bool { return logs[i].has(other, "network") })
		eventually(t, "no peer", func() bool {
			peers, err := nodes[i].Backend().Peers(t.Context())
			require.NoError(t, err)
			return len(peers) == 0
		})
	}
}
