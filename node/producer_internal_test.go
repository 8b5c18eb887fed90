package node

import (
	"context"
	"crypto/ed25519"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// bench is a node that is never run, with a clock that tests set.
type bench struct {
	*Node
	clock time.Time
	keys  []ed25519.PrivateKey // the producers
	added int
}

func newBench(t *testing.T, producers int, fs vfs.FS) *bench {
	t.Helper()
	b := &bench{clock: time.UnixMilli(1_700_000_000_000)}
	g := &wire.Genesis{
		Network: "bench", AddressPrefix: "gvt", Time: uint64(b.clock.UnixMilli()), SlotMillis: 1000,
		Rules: []wire.RuleChange{{Height: 0, Version: 1}}, Limits: wire.DefaultLimits(),
		Allocations: []wire.Allocation{{Address: keyfile.Address(benchKey(100)), Amount: 1_000_000_000}},
		Producers:   []wire.ProducerSet{{}},
	}
	for i := range producers {
		b.keys = append(b.keys, benchKey(byte(i)))
		g.Producers[0].Producers = append(g.Producers[0].Producers, keyfile.Address(b.keys[i]))
	}
	home := filepath.Join(t.TempDir(), "home")
	require.NoError(t, InitHome(home, InitOptions{Genesis: g, Producer: b.keys[0]}))
	cfg := DefaultConfig(home)
	cfg.Profile, cfg.FS, cfg.API.Disabled, cfg.CacheBytes = "testnet", fs, true, 1<<20
	cfg.Now = func() time.Time { return b.clock }
	cfg.Observe.BlockAdded = func(validation.CheckedBlock, bool) { b.added++ }
	n, err := New(cfg)
	require.NoError(t, err)
	b.Node = n
	t.Cleanup(func() { _ = n.Close() })
	return b
}

func benchKey(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), n+1))
}

// payment is a transaction of the one wallet.
func (b *bench) payment(nonce, fee uint64) *wire.Transaction {
	key := benchKey(100)
	return wire.SignTx(b.Genesis().ID(), key, &wire.TxBody{
		Version: wire.TxVersion, Sender: keyfile.Address(key), Nonce: nonce, Fee: fee, To: wire.Address{7}, Amount: 1,
	})
}

// at sets the clock into the slot.
func (b *bench) at(slot uint64) *bench {
	b.clock = time.UnixMilli(int64(b.Genesis().SlotStart(slot) + 10))
	return b
}

func (b *bench) maker(t *testing.T) *producer {
	t.Helper()
	h, err := newHost(Config{Profile: "testnet", ListenAddrs: []string{"/ip4/127.0.0.1/tcp/0"}, Logger: b.cfg.Logger}, b.home.key, new(gate), nil)
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	o, err := b.newOverlay(h)
	require.NoError(t, err)
	return newProducer(b.Node, o)
}

func TestASignedSlotIsNotSignedAgain(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	p := b.maker(t)
	require.NoError(t, b.store.SetSignedSlot(5)) // and then the machine died
	for slot := uint64(4); slot <= 7; slot++ {
		b.at(slot).turnOf(t, p)
	}
	require.Equal(t, 2, b.added, "slots 6 and 7 only")
	require.EqualValues(t, 7, b.chain.Head().Slot)
}

func (b *bench) turnOf(t *testing.T, p *producer) {
	p.turn(t.Context(), validation.UnixMillis(b.clock))
}

// TestNothingIsSignedThatTheDiskCouldForget: a slot whose note fails gives no
// block.
//
// R28: no signature without the slot on disk.
func TestNothingIsSignedThatTheDiskCouldForget(t *testing.T) {
	var full atomic.Bool
	b := newBench(t, 1, errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
			return errors.New("no space left")
		}
		return nil
	})))
	p := b.maker(t)
	full.Store(true)
	b.at(3)
	b.turnOf(t, p)
	require.ErrorIs(t, b.store.Err(), store.Failed)
	require.Zero(t, b.added)
	require.Zero(t, b.chain.Head().Height)
}

func TestABlockIsFilledToItsLimit(t *testing.T) {
	b := newBench(t, 1, vfs.NewMem())
	p := b.maker(t)
	key := benchKey(100)
	for nonce := range uint64(60) { // 7.5 MB of them
		tx := wire.SignTx(b.Genesis().ID(), key, &wire.TxBody{
			Version: wire.TxVersion, Sender: keyfile.Address(key), Nonce: nonce, Fee: 200_000, Payload: make([]byte, 125_000),
		})
		_, err := b.Submit(t.Context(), tx.Bytes())
		require.NoError(t, err)
	}
	b.at(1).turnOf(t, p)
	require.Equal(t, 1, b.added)
	block, err := b.store.Block(b.chain.Head().ID)
	require.NoError(t, err)
	require.LessOrEqual(t, block.Size(), int(b.Genesis().Limits.MaxBlockBytes))
	require.Greater(t, block.Size(), int(b.Genesis().Limits.MaxBlockBytes)-2*125_000)
	b.at(2).turnOf(t, p)
	b.at(3).turnOf(t, p)
	require.Zero(t, b.mempool().Count)
}

// R102: the overlay hears of a block of ours shortly before its slot begins.
func TestAwaitExpectsTheBlock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now().Truncate(time.Millisecond)
		g := &wire.Genesis{Time: uint64(start.UnixMilli()), SlotMillis: uint32((longestNap + time.Second).Milliseconds())}
		p := &producer{chain: &chain{genesis: g}, now: time.Now}
		var expected []time.Duration
		expect := func() { expected = append(expected, time.Since(start)) }

		require.True(t, p.await(t.Context(), 1, expect))
		require.Equal(t, longestNap, time.Since(start))
		require.Empty(t, expected)
		require.True(t, p.await(t.Context(), 1, expect))
		require.Equal(t, longestNap+time.Second, time.Since(start))
		require.Equal(t, []time.Duration{longestNap + time.Second - overlay.BlockLead}, expected)

		require.True(t, p.await(t.Context(), 1, expect), "it has begun")
		require.Equal(t, longestNap+time.Second, time.Since(start))
		over, cancel := context.WithCancel(t.Context())
		cancel()
		require.False(t, p.await(over, 2, expect))
		require.Len(t, expected, 1)
	})
}
