package store_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TestEveryFileMayBeDamaged flips a bit, cuts or removes, in turn, every file of
// a store that was closed and of one that was killed. What comes of it is that
// the store is refused, with what to do; or that reading says what is damaged;
// or that nothing is missing. It is never another datum, and never silence.
func TestEveryFileMayBeDamaged(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed(t), 0))
	each := 12
	if soak() {
		each = 400
	}
	if testing.Short() {
		each = 3
	}
	files := vfs.NewMem()
	s := open(t, files)
	require.NoError(t, s.Init(genesis()))
	var chain []*wire.Block
	parent := network.GenesisBlock()
	for h := range uint64(30) {
		b := block(h+1, h+1, parent, tx(1000+h, 3_000+int(h)*2_000), tx(2000+h, 30))
		require.NoError(t, s.Commit(extend(b, genesis().Final, 1000-(h+1)), b))
		require.NoError(t, s.PutLocalTx(tx(h, 3_000), time.UnixMilli(int64(h))))
		chain, parent = append(chain, b), b.ID()
	}
	require.NoError(t, s.SetSignedSlot(30))
	killed := cloneOf(t, files)
	require.NoError(t, s.Close())

	counts := make(map[string]int)
	var closing sync.WaitGroup // a store that noticed may take its time to close
	defer closing.Wait()
	for state, files := range map[string]*vfs.MemFS{"closed": files, "killed": killed} {
		names, err := files.List("data")
		require.NoError(t, err)
		for _, name := range names {
			for round := range each {
				clone := cloneOf(t, files)
				what := damage(t, clone, "data/"+name, round, rng)
				outcome, err := examine(clone, chain, &closing)
				require.NoError(t, err, "%s store, %s, %s", state, name, what)
				counts[outcome]++
			}
		}
	}
	t.Logf("%v", counts)
	require.NotZero(t, counts["refused"])
	require.NotZero(t, counts["harmless"])
}

func cloneOf(t *testing.T, files *vfs.MemFS) *vfs.MemFS {
	t.Helper()
	clone := vfs.NewMem()
	_, err := vfs.Clone(files, clone, "data", "data")
	require.NoError(t, err)
	return clone
}

// damage does one thing to a file and says what: the kinds take turns.
func damage(t *testing.T, files *vfs.MemFS, name string, round int, rng *rand.Rand) string {
	t.Helper()
	info, err := files.Stat(name)
	require.NoError(t, err)
	size := info.Size()
	if round == 0 || size == 0 {
		require.NoError(t, files.Remove(name))
		return "removed"
	}
	f, err := files.Open(name)
	require.NoError(t, err)
	content := make([]byte, size)
	_, err = f.ReadAt(content, 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	at := rng.Int64N(size)
	what := fmt.Sprintf("cut from %d to %d", size, at)
	if round%2 == 0 {
		content = content[:at]
	} else {
		content[at] ^= 1 << rng.IntN(8)
		what = fmt.Sprintf("a bit flipped at %d of %d", at, size)
	}
	f, err = files.Create(name, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = f.Write(content)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return what
}

// examine opens a damaged store and asks for all that was acknowledged.
func examine(files vfs.FS, chain []*wire.Block, closing *sync.WaitGroup) (outcome string, err error) {
	s, err := store.Open("data", options(files))
	if err != nil {
		if !strings.Contains(err.Error(), "open store data") || !strings.Contains(err.Error(), "restore the folder from a backup") {
			return "", fmt.Errorf("refused without a remedy: %w", err)
		}
		return "refused", nil
	}
	defer func() { closing.Go(func() { _ = s.Close() }) }()
	said := 0
	answer := func(ok bool, err error) error {
		switch {
		case errors.Is(err, store.Damaged):
			said++
		case err != nil:
			return err
		case !ok:
			return errors.New("it is gone, and nobody said so")
		}
		return nil
	}
	saved, found, err := s.Load()
	if err := answer(found && (err != nil || saved.Head == ref(chain[len(chain)-1])), err); err != nil {
		return "", fmt.Errorf("head: %w", err)
	}
	slot, err := s.SignedSlot()
	if err := answer(slot == 30, err); err != nil {
		return "", fmt.Errorf("slot: %w", err)
	}
	for n, b := range chain {
		got, err := s.Block(b.ID())
		if err := answer(err != nil || got.ID() == b.ID() && got.Size() == b.Size(), err); err != nil {
			return "", fmt.Errorf("block %d: %w", n+1, err)
		}
		at, ok, err := s.TxBlock(b.Txs[0].ID())
		if err := answer(ok && at == b.ID(), err); err != nil {
			return "", fmt.Errorf("index of block %d: %w", n+1, err)
		}
		_, ok, err = s.LocalTx(tx(uint64(n), 3_000).ID())
		if err := answer(ok, err); err != nil {
			return "", fmt.Errorf("local transaction %d: %w", n, err)
		}
	}
	if said > 0 {
		return "said when read", nil
	}
	return "harmless", nil
}
