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
)

// rescueSlot is the slot that is now in these tests.
const rescueSlot = 100

func rescuing(files vfs.FS) store.Options {
	o := options(files)
	o.Slot = func() uint64 { return rescueSlot }
	return o
}

const rescueLocals = 60

// worn makes a store that has tables and a log: a chain, accepted transactions of which every
// third has ended, and a signed slot.
func worn(t *testing.T) (closed, killed *vfs.MemFS) {
	t.Helper()
	files := vfs.NewMem()
	s := open(t, files)
	require.NoError(t, s.Init(genesis()))
	parent := network.GenesisBlock()
	for n := range uint64(rescueLocals) {
		b := block(n+1, n+1, parent, tx(1000+n, 3_000+int(n)*500), tx(2000+n, 30))
		require.NoError(t, s.Commit(extend(b, genesis().Final, 1000-(n+1)), b))
		require.NoError(t, s.PutLocalTx(tx(n, 3_000), time.UnixMilli(int64(n))))
		if n%3 == 2 {
			require.NoError(t, s.EndLocalTx(tx(n, 3_000).ID(), "final"))
		}
		require.NoError(t, s.SetSignedSlot(n+1))
		parent = b.ID()
		if n == rescueLocals/2 {
			require.NoError(t, s.Close()) // what is in the log comes into tables
			s = open(t, files)
		}
	}
	killed = cloneOf(t, files)
	require.NoError(t, s.Close())
	return files, killed
}

// TestADamagedStoreIsSetAside does to every file what TestEveryFileMayBeDamaged does, and has the
// store opened all the same. Nothing that was accepted is missing without a word, and where a bit
// was flipped the file is named; nothing is another datum; no slot is signed twice; and the damaged
// files are still there.
//
// R148: a node starts whatever its disk did to its store, and forgets nothing silently.
func TestADamagedStoreIsSetAside(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed(t), 0))
	each := 12
	if soak() {
		each = 400
	}
	if testing.Short() {
		each = 3
	}
	var closing sync.WaitGroup // a store that noticed may take its time to close
	defer closing.Wait()
	closed, killed := worn(t)
	rescues, found, lost := 0, 0, 0
	for state, files := range map[string]*vfs.MemFS{"closed": closed, "killed": killed} {
		names, err := files.List("data")
		require.NoError(t, err)
		for _, name := range names {
			for round := range each {
				clone := cloneOf(t, files)
				what := fmt.Sprintf("%s store, %s, %s", state, name, damage(t, clone, "data/"+name, round, rng))
				s, err := openDespite(clone, &closing)
				require.NoError(t, err, what)
				rescue, was := s.Rescued()
				if was {
					rescues++
				}
				missing, err := accounted(s)
				require.NoError(t, err, what)
				if missing > 0 {
					require.True(t, was, what)
					if strings.Contains(what, "flipped") {
						require.NotEmpty(t, rescue.Unread, "%s: %d missing, %+v", what, missing, rescue)
					}
				}
				found, lost = found+rescueLocals-missing, lost+missing
				require.Equal(t, was, len(s.Aside()) > 0, what)
				if was {
					require.Contains(t, s.Aside(), rescue.Aside)
					require.NoError(t, s.PutLocalTx(tx(7_000, 30), time.UnixMilli(1)), what)
					require.NoError(t, s.EndLocalTx(tx(7_000, 30).ID(), "final"), what)
					if strings.HasSuffix(name, ".sst") && round > 0 {
						_, err := clone.Stat(clone.PathJoin(rescue.Aside, name))
						require.NoError(t, err, what)
					}
				}
				closing.Go(func() { _ = s.Close() })
			}
		}
	}
	t.Logf("%d set aside; of %d accepted %d could not be read", rescues, found+lost, lost)
	require.NotZero(t, rescues)
}

// openDespite opens a store as a node does: where reading says that it is damaged, it is condemned
// and opened again.
func openDespite(files vfs.FS, closing *sync.WaitGroup) (*store.Store, error) {
	s, err := store.Open("data", rescuing(files))
	if err != nil {
		return nil, err
	}
	_, bad := accounted(s)
	if _, _, err := s.Load(); err != nil {
		bad = errors.Join(bad, err)
	}
	if bad == nil {
		return s, nil
	}
	if !errors.Is(bad, store.Damaged) {
		return nil, bad
	}
	if err := s.Condemn(bad); err != nil {
		return nil, err
	}
	_ = s.Close()
	return store.Open("data", rescuing(files))
}

// accounted counts accepted transactions that are missing. Those that are there are what they were,
// or live again although they had ended.
func accounted(s *store.Store) (missing int, err error) {
	for n := range uint64(rescueLocals) {
		id := tx(n, 3_000).ID()
		local, ok, err := s.LocalTx(id)
		switch {
		case err != nil:
			return 0, err
		case !ok:
			missing++
		case local.End == "" && local.Tx.ID() != id, local.End != "" && (n%3 != 2 || local.End != "final"):
			return 0, fmt.Errorf("transaction %d is %v", n, local)
		}
	}
	_, rescued := s.Rescued()
	slot, err := s.SignedSlot()
	if err == nil && (slot < rescueLocals || rescued && slot < rescueSlot) {
		err = fmt.Errorf("slot %d could be signed again", slot+1)
	}
	return missing, err
}
