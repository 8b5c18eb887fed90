package node

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/keyfile"
	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TestNoDamageKeepsANodeFromStarting flips bits in, cuts or removes each file of a node's store in
// turn, and sometimes a second one. The node starts, what was accepted is there or a store was set
// aside, nothing is said to have ended that had not, and what is submitted now is accepted.
//
// R148: a node starts whatever its disk did to its store, and forgets nothing silently.
func TestNoDamageKeepsANodeFromStarting(t *testing.T) {
	rng := newRNG(t)
	each := 12
	switch {
	case os.Getenv("GRAPEVINE_SOAK") != "":
		each = 200
	case testing.Short():
		each = 1
	}
	files := vfs.NewMem()
	b := newBench(t, 1, files)
	dir := dataDir(b.cfg.Home)
	p := b.maker(t)
	var accepted []*wire.Transaction
	for slot := uint64(1); slot <= 12; slot++ {
		b.at(slot)
		tx := b.payment(slot-1, 10_000)
		require.Equal(t, api.Pending, b.submit(t, tx))
		accepted = append(accepted, tx)
		if slot == 6 {
			b.restart(t) // what is in the log comes into tables
			p = b.maker(t)
		}
		if slot <= 8 {
			b.turnOf(t, p)
		}
	}
	require.NoError(t, b.fromPeer(t, b.sign(100, wire.TxBody{Nonce: 12})))
	b.saveSnapshot(snapshotEvery)
	require.NoError(t, b.store.WriteFile(store.PeersFile, []byte("peers")))
	require.NoError(t, b.store.WriteFile(store.ReputationFile, []byte("reputation")))
	require.NoError(t, b.chain.locals.flush())
	killed := cloneOf(t, files, dir)
	require.NoError(t, b.Node.Close())

	var closing sync.WaitGroup // a store that noticed may take its time to close
	defer closing.Wait()
	starts, aside := 0, 0
	for state, from := range map[string]*vfs.MemFS{"closed": files, "killed": killed} {
		names, err := from.List(dir)
		require.NoError(t, err)
		for _, name := range names {
			for range each {
				clone := cloneOf(t, from, dir)
				what := state + ": " + harm(t, clone, clone.PathJoin(dir, name), rng)
				// The small file that tells a log which lost its end from one that a crash cut is
				// worth nothing without the log.
				if other := names[rng.IntN(len(names))]; rng.IntN(4) == 0 && name != "synced" && other != "synced" {
					what += ", " + harm(t, clone, clone.PathJoin(dir, other), rng)
				}
				cfg := b.cfg
				cfg.FS = clone
				n, err := New(cfg)
				require.NoError(t, err, what)
				starts++
				b.Node = n
				set := len(n.store.Aside()) > 0
				if set {
					aside++
				}
				for _, tx := range accepted {
					switch s := b.state(t, tx); s {
					case api.Accepted, api.Pending, api.Included, api.Final:
					case api.Unknown:
						require.True(t, set, "%s: %s is forgotten", what, tx.ID())
					default:
						require.Fail(t, "ended", "%s: %s is %s", what, tx.ID(), s)
					}
				}
				n.loadSnapshot(t.Context())
				_, err = n.Backend().Status(t.Context())
				require.NoError(t, err, what)
				next, _ := n.chain.ofSender(keyfile.Address(benchKey(100)))
				if _, err = n.Submit(t.Context(), b.payment(next.Nonce, 20_000).Bytes()); err != nil {
					// Found out only now: the next start sets it aside.
					require.ErrorIs(t, err, store.Damaged, what)
				}
				closing.Go(func() { _ = n.store.Close() })
				require.NoError(t, n.home.lock.Close())
			}
		}
	}
	t.Logf("%d starts, %d with a store that was set aside", starts, aside)
	require.NotZero(t, aside)
}

func newRNG(t *testing.T) *rand.Rand {
	t.Helper()
	s, err := parseSeed(os.Getenv("GRAPEVINE_SEED"))
	if err != nil {
		s = rand.Uint64()
	}
	t.Logf("replay: GRAPEVINE_SEED=%d go test -run '^%s$'", s, t.Name())
	return rand.New(rand.NewPCG(s, 0))
}

func parseSeed(text string) (s uint64, err error) {
	if text == "" {
		return 0, errors.New("none")
	}
	_, err = fmt.Sscan(text, &s)
	return s, err
}

func cloneOf(t *testing.T, files *vfs.MemFS, dir string) *vfs.MemFS {
	t.Helper()
	clone := vfs.NewMem()
	require.NoError(t, clone.MkdirAll(dir, 0o700))
	_, err := vfs.Clone(files, clone, dir, dir)
	require.NoError(t, err)
	return clone
}

// harm removes, cuts or flips some bits of a file, and says what it did.
func harm(t *testing.T, files *vfs.MemFS, name string, rng *rand.Rand) string {
	t.Helper()
	f, err := files.Open(name)
	if err != nil {
		return "nothing to " + name
	}
	content, err := io.ReadAll(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	kind := rng.IntN(4)
	if kind == 0 || len(content) == 0 {
		require.NoError(t, files.Remove(name))
		return "removed " + name
	}
	at := rng.IntN(len(content))
	what := fmt.Sprintf("cut %s from %d to %d", name, len(content), at)
	if kind == 1 {
		content = content[:at]
	} else {
		what = fmt.Sprintf("flipped bits of %s from %d of %d", name, at, len(content))
		for range 1 + rng.IntN(3) {
			content[min(at+rng.IntN(8), len(content)-1)] ^= 1 << rng.IntN(8)
		}
	}
	f, err = files.Create(name, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = f.Write(content)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return what
}
