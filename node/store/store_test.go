package store_test

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

var network = wire.NetworkID{1, 2, 3}

const smallCache = 1 << 20

func options(fs vfs.FS) store.Options {
	return store.Options{FS: fs, Network: network, CacheBytes: smallCache}
}

func open(t *testing.T, fs vfs.FS) *store.Store {
	t.Helper()
	s, err := store.Open("data", options(fs))
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func seed(t *testing.T) uint64 {
	s, err := strconv.ParseUint(os.Getenv("GRAPEVINE_SEED"), 10, 64)
	if err != nil {
		s = rand.Uint64()
	}
	t.Logf("replay: GRAPEVINE_SEED=%d go test -run '^%s$'", s, t.Name())
	return s
}

// tx returns a transaction of which n decides everything.
func tx(n uint64, size int) *wire.Transaction {
	payload := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(n), byte(n >> 8), byte(n >> 16)}).Read(payload)
	body := &wire.TxBody{Version: 1, Sender: wire.Address{9}, Nonce: n, Payload: payload}
	return wire.NewTransaction(body.AppendTo(nil), wire.Signature{1})
}

// block returns a block that only its arguments decide.
func block(height, slot uint64, parent wire.BlockID, txs ...*wire.Transaction) *wire.Block {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	b := &wire.Block{Txs: txs}
	b.Header = wire.SignHeader(network, key, &wire.HeaderBody{
		Version: 1, Height: height, Parent: parent, Slot: slot, Time: slot * 1000,
		Producer: wire.Address(key.Public().(ed25519.PublicKey)), TxRoot: wire.TxRoot(b.TxIDs()), TxCount: uint32(len(txs)),
	})
	return b
}

func ref(b *wire.Block) ledger.Ref {
	h := b.Header.Body()
	return ledger.Ref{ID: b.ID(), Height: h.Height, Slot: h.Slot, Time: h.Time}
}

func genesis() ledger.Saved {
	r := ledger.Ref{ID: network.GenesisBlock()}
	return ledger.Saved{Head: r, Final: r, Accounts: []ledger.AccountState{{Address: wire.Address{1}, Account: ledger.Account{Balance: 1000}}}}
}

// extend is the change by which b becomes the head, with finality unmoved.
func extend(b *wire.Block, final ledger.Ref, balance uint64) *ledger.Change {
	return &ledger.Change{
		Block: ref(b), Applied: []ledger.Ref{ref(b)}, Head: ref(b), Final: final,
		Accounts: []ledger.AccountState{{Address: wire.Address{1}, Account: ledger.Account{Balance: balance, Nonce: b.Header.Body().Height}}},
	}
}

func TestWhatIsCommittedIsLoaded(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	_, found, err := s.Load()
	require.NoError(t, err)
	require.False(t, found)
	require.NoError(t, s.Init(genesis()))
	require.Error(t, s.Init(genesis()), "a state is not written over")

	one := block(1, 1, network.GenesisBlock(), tx(1, 50), tx(2, 50))
	two := block(2, 2, one.ID(), tx(3, 50))
	rival := block(1, 3, network.GenesisBlock(), tx(2, 50))
	for _, b := range []*wire.Block{one, two} {
		require.NoError(t, s.PutBlock(b))
		require.NoError(t, s.Commit(extend(b, genesis().Final, 1000-b.Header.Body().Height)))
	}
	require.NoError(t, s.PutBlock(rival))
	require.NoError(t, s.Commit(&ledger.Change{Block: ref(rival), Head: ref(two), Final: genesis().Final}))
	orphan := block(2, 9, rival.ID())
	require.NoError(t, s.PutBlock(orphan), "put, never committed")

	require.NoError(t, s.Close())
	s = open(t, fs)
	saved, found, err := s.Load()
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, ref(two), saved.Head)
	require.Equal(t, genesis().Final, saved.Final)
	require.Equal(t, []ledger.AccountState{{Address: wire.Address{1}, Account: ledger.Account{Balance: 998, Nonce: 2}}}, saved.Accounts)
	var tree []wire.BlockID
	for _, h := range saved.Tree {
		tree = append(tree, h.ID())
	}
	require.ElementsMatch(t, []wire.BlockID{one.ID(), two.ID(), rival.ID()}, tree)

	got, err := s.Block(one.ID())
	require.NoError(t, err)
	require.Equal(t, one.AppendTo(nil), got.AppendTo(nil))
	_, err = s.Block(wire.BlockID{7})
	require.ErrorIs(t, err, store.NotFound)
	id, ok, err := s.BlockAt(2)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, two.ID(), id)
	_, ok, err = s.BlockAt(3)
	require.NoError(t, err)
	require.False(t, ok)
	place, ok, err := s.TxPlace(tx(2, 50).ID())
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, store.Place{Block: one.ID(), Height: 1}, place)
}

func TestARollbackMovesTheIndexes(t *testing.T) {
	s := open(t, vfs.NewMem())
	require.NoError(t, s.Init(genesis()))
	one := block(1, 1, network.GenesisBlock(), tx(1, 50), tx(2, 50))
	a, b := block(1, 2, network.GenesisBlock(), tx(2, 50)), (*wire.Block)(nil)
	b = block(2, 3, a.ID(), tx(4, 50))
	require.NoError(t, s.PutBlock(one))
	require.NoError(t, s.Commit(extend(one, genesis().Final, 10)))
	require.NoError(t, s.PutBlock(a))
	require.NoError(t, s.Commit(&ledger.Change{Block: ref(a), Head: ref(one), Final: genesis().Final}))
	require.NoError(t, s.PutBlock(b))
	require.NoError(t, s.Commit(&ledger.Change{
		Block: ref(b), RolledBack: []ledger.Ref{ref(one)}, Applied: []ledger.Ref{ref(a), ref(b)}, Head: ref(b), Final: ref(a),
		NewlyFinal: []ledger.Ref{ref(a)}, Accounts: []ledger.AccountState{{Address: wire.Address{1}}},
	}))

	_, ok, err := s.TxBlock(tx(1, 50).ID())
	require.NoError(t, err)
	require.False(t, ok)
	id, _, err := s.TxBlock(tx(2, 50).ID())
	require.NoError(t, err)
	require.Equal(t, a.ID(), id)
	id, _, err = s.BlockAt(1)
	require.NoError(t, err)
	require.Equal(t, a.ID(), id)
	_, err = s.Block(one.ID())
	require.ErrorIs(t, err, store.NotFound, "it lost to a final block")
	saved, _, err := s.Load()
	require.NoError(t, err)
	require.Empty(t, saved.Accounts, "a zero account is no account")
	require.Len(t, saved.Tree, 1)
	require.Equal(t, b.ID(), saved.Tree[0].ID())
}

func TestLocalTransactions(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	at := time.UnixMilli(1_700_000_000_000)
	for n := range uint64(5) {
		require.NoError(t, s.PutLocalTx(tx(n, 20), at.Add(time.Duration(5-n)*time.Second)))
		require.NoError(t, s.PutLocalTx(tx(n, 20), at.Add(time.Hour)), "again")
	}
	require.NoError(t, s.EndLocalTxs("expired", tx(1, 20).ID(), tx(1, 20).ID(), tx(77, 20).ID()))
	require.NoError(t, s.EndLocalTx(tx(1, 20).ID(), "again"), "the first end stands")
	require.Error(t, s.EndLocalTx(tx(2, 20).ID(), ""))
	require.NoError(t, s.EndLocalTx(tx(3, 20).ID(), "evicted"))
	require.NoError(t, s.PutLocalTx(tx(3, 20), at.Add(time.Minute)))

	require.NoError(t, s.Close())
	s = open(t, fs)
	list, err := s.LocalTxs()
	require.NoError(t, err)
	var order []uint64
	for _, l := range list {
		body, err := wire.DecodeTxBody(l.Tx.Body())
		require.NoError(t, err)
		order = append(order, body.Nonce)
	}
	require.Equal(t, []uint64{4, 2, 0, 3}, order, "by acceptance; one that came back starts anew")
	l, ok, err := s.LocalTx(tx(1, 20).ID())
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "expired", l.End)
	require.True(t, l.At.Equal(at.Add(4*time.Second)))
}

func TestEndedTransactionsAreBounded(t *testing.T) {
	s := open(t, vfs.NewMem())
	const over = 300
	ids := make([]wire.TxID, 0, store.MaxEnded+over)
	for n := range uint64(store.MaxEnded + over) {
		one := wire.NewTransaction((&wire.TxBody{Version: 1, Nonce: n}).AppendTo(nil), wire.Signature{1})
		ids = append(ids, one.ID())
		if n < over || n >= store.MaxEnded {
			require.NoError(t, s.PutLocalTx(one, time.UnixMilli(int64(n))))
		}
	}
	kept := 0
	for _, id := range ids[:over] {
		require.NoError(t, s.EndLocalTx(id, "first"))
	}
	// Fill up to the bound with one batch of the same few, put again each time.
	for range (store.MaxEnded - over) / over {
		for n := range uint64(over) {
			require.NoError(t, s.PutLocalTx(wire.NewTransaction((&wire.TxBody{Version: 1, Nonce: n}).AppendTo(nil), wire.Signature{1}), time.UnixMilli(1)))
		}
		require.NoError(t, s.EndLocalTxs("again", ids[:over]...))
	}
	require.NoError(t, s.EndLocalTxs("last", ids[store.MaxEnded:]...))
	for _, id := range ids[:over] {
		if _, ok, err := s.LocalTx(id); err == nil && ok {
			kept++
		}
	}
	require.Equal(t, over, kept, "those that ended anew are not pruned for their first end")
}

// What has ended is remembered without its bytes: a wallet that sends the largest transactions must
// not fill the disk with what nobody needs.
func TestEndedTransactionsTakeLittle(t *testing.T) {
	files := vfs.NewMem()
	s := open(t, files)
	const count, large = 50, 100_000
	var ids []wire.TxID
	for n := range uint64(count) {
		require.NoError(t, s.PutLocalTx(tx(n, large), time.UnixMilli(1)))
		ids = append(ids, tx(n, large).ID())
	}
	require.NoError(t, s.EndLocalTxs("final", ids...))
	require.NoError(t, s.Close())
	s = open(t, files)
	for _, id := range ids {
		local, ok, err := s.LocalTx(id)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, "final", local.End)
		require.Nil(t, local.Tx)
	}
	require.NoError(t, s.PutLocalTx(tx(0, large), time.UnixMilli(2)))
	local, _, err := s.LocalTx(ids[0])
	require.NoError(t, err)
	require.Equal(t, ids[0], local.Tx.ID(), "it lives again")
}

func TestTheSignedSlotStays(t *testing.T) {
	fs := crashdisk.New()
	s := open(t, fs)
	slot, err := s.SignedSlot()
	require.NoError(t, err)
	require.Zero(t, slot)
	require.NoError(t, s.SetSignedSlot(77))
	s = open(t, fs.Crash(vfs.CrashCloneCfg{}))
	slot, err = s.SignedSlot()
	require.NoError(t, err)
	require.EqualValues(t, 77, slot)
}

func TestTheFolderItselfSurvivesACrash(t *testing.T) {
	fs := crashdisk.New()
	s, err := store.Open("/some/deep/home/data", options(fs))
	require.NoError(t, err)
	require.NoError(t, s.SetSignedSlot(5))
	s, err = store.Open("/some/deep/home/data", options(fs.Crash(vfs.CrashCloneCfg{})))
	require.NoError(t, err)
	slot, err := s.SignedSlot()
	require.NoError(t, err)
	require.EqualValues(t, 5, slot)
}

func TestWhatCannotBeUsedIsRefusedWithARemedy(t *testing.T) {
	fill := func(t *testing.T, dir string) {
		t.Helper()
		s, err := store.Open(dir, options(nil))
		require.NoError(t, err)
		require.NoError(t, s.Init(genesis()))
		for n := range uint64(200) {
			require.NoError(t, s.PutLocalTx(tx(n, 20_000), time.UnixMilli(1)))
		}
		require.NoError(t, s.Close())
	}
	remove := func(pattern string) func(t *testing.T, dir string) {
		return func(t *testing.T, dir string) {
			names, err := filepath.Glob(filepath.Join(dir, pattern))
			require.NoError(t, err)
			require.NotEmpty(t, names)
			for _, name := range names {
				require.NoError(t, os.Remove(name))
			}
		}
	}
	tests := []struct {
		name   string
		before func(t *testing.T, dir string)
		opt    store.Options
		want   store.Problem
		remedy string
	}{
		{"another network", fill, store.Options{Network: wire.NetworkID{9}}, store.WrongNetwork, "home of that network"},
		{"foreign files", func(t *testing.T, dir string) {
			require.NoError(t, os.MkdirAll(dir, 0o700))
			require.NoError(t, os.WriteFile(filepath.Join(dir, "holiday.jpg"), []byte("x"), 0o600))
		}, options(nil), store.Foreign, "another folder"},
		{"no manifest", func(t *testing.T, dir string) { fill(t, dir); remove("MANIFEST-*")(t, dir) }, options(nil), store.Damaged, "backup"},
		{"no markers", func(t *testing.T, dir string) { fill(t, dir); remove("marker.*")(t, dir) }, options(nil), store.Damaged, "backup"},
		{"a table is gone", func(t *testing.T, dir string) { fill(t, dir); remove("*.sst")(t, dir) }, options(nil), store.Damaged, "backup"},
		{"manifest cut", func(t *testing.T, dir string) {
			fill(t, dir)
			names, err := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
			require.NoError(t, err)
			require.NoError(t, os.Truncate(names[len(names)-1], 10))
		}, options(nil), store.Damaged, "backup"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			tt.before(t, dir)
			_, err := store.Open(dir, tt.opt)
			require.ErrorIs(t, err, tt.want)
			require.ErrorContains(t, err, dir)
			require.ErrorContains(t, err, tt.remedy)
		})
	}
}

func TestASecondOpenIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s, err := store.Open(dir, options(nil))
	require.NoError(t, err)
	_, err = store.Open(dir, options(nil))
	require.ErrorIs(t, err, store.Locked)
	require.ErrorContains(t, err, dir)
	require.NoError(t, s.Close())
	require.NoError(t, s.Close(), "twice")
	_, _, err = s.Load()
	require.ErrorIs(t, err, store.Closed)
	s, err = store.Open(dir, options(nil))
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// TestAFailingDiskIsSaidAndNothingAcknowledgedIsLost lets the file system refuse
// writes after a while, in turn for every kind of write there is.
func TestAFailingDiskIsSaidAndNothingAcknowledgedIsLost(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed(t), 0))
	var closing sync.WaitGroup // gives up after a while, so all at once
	defer closing.Wait()
	for round := range 25 {
		mem := crashdisk.New()
		left := rng.IntN(400)
		full := errorfs.InjectorFunc(func(op errorfs.Op) error {
			if op.Kind.ReadOrWrite() == errorfs.OpIsWrite {
				if left--; left < 0 {
					return &os.PathError{Op: "write", Path: op.Path, Err: syscall.ENOSPC}
				}
			}
			return nil
		})
		s, err := store.Open("data", store.Options{
			FS: errorfs.Wrap(mem, serial(full)), Network: network, CacheBytes: smallCache,
			Logger: slog.New(slog.DiscardHandler),
		})
		if err != nil {
			continue
		}
		var acknowledged []uint64
		for n := range uint64(300) {
			if err = s.PutLocalTx(tx(n, 20_000), time.UnixMilli(int64(n))); err != nil {
				break
			}
			acknowledged = append(acknowledged, n)
		}
		if err != nil {
			require.ErrorIs(t, err, store.Failed, "round %d", round)
			require.ErrorContains(t, err, "no space left", "round %d", round)
			require.ErrorIs(t, s.SetSignedSlot(1), store.Failed, "and from then on for good")
			require.ErrorIs(t, s.Err(), store.Failed)
		}
		again := open(t, mem.Crash(vfs.CrashCloneCfg{}))
		for _, n := range acknowledged {
			_, ok, err := again.LocalTx(tx(n, 20_000).ID())
			require.NoError(t, err)
			require.True(t, ok, "round %d: transaction %d was acknowledged", round, n)
		}
		require.NoError(t, again.Close())
		closing.Go(func() { _ = s.Close() })
	}
}

func serial(i errorfs.Injector) errorfs.Injector {
	lock := make(chan struct{}, 1)
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		lock <- struct{}{}
		defer func() { <-lock }()
		return i.MaybeError(op)
	})
}

func Example() {
	s, err := store.Open("data", store.Options{FS: vfs.NewMem(), Network: network})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	_, err = s.Block(wire.BlockID{1})
	fmt.Println(errors.Is(err, store.NotFound))
	// Output: true
}
