package store_test

import (
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/store"
)

// TestALogThatLostItsEndIsRefused damages the write-ahead log of a store that
// was killed. Pebble itself would open what is left as if nothing had happened.
func TestALogThatLostItsEndIsRefused(t *testing.T) {
	fs := vfs.NewMem()
	s := open(t, fs)
	require.NoError(t, s.Init(genesis()))
	parent := network.GenesisBlock()
	for h := range uint64(20) {
		b := block(h+1, h+1, parent, tx(h, 3_000))
		require.NoError(t, s.Commit(extend(b, genesis().Final, 1000), b))
		parent = b.ID()
	}
	killed := func() *vfs.MemFS {
		clone := vfs.NewMem()
		_, err := vfs.Clone(fs, clone, "data", "data")
		require.NoError(t, err)
		return clone
	}
	log := func(fs *vfs.MemFS) (name string, content []byte) {
		names, err := fs.List("data")
		require.NoError(t, err)
		for _, n := range names {
			if strings.HasSuffix(n, ".log") {
				name = "data/" + n
			}
		}
		f, err := fs.Open(name)
		require.NoError(t, err)
		info, err := f.Stat()
		require.NoError(t, err)
		content = make([]byte, info.Size())
		_, err = f.ReadAt(content, 0)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		return name, content
	}
	write := func(fs *vfs.MemFS, name string, content []byte) {
		f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		_, err = f.Write(content)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}

	for name, damage := range map[string]func(*vfs.MemFS){
		"cut to half": func(fs *vfs.MemFS) {
			name, content := log(fs)
			write(fs, name, content[:len(content)/2])
		},
		"overwritten in the middle": func(fs *vfs.MemFS) {
			name, content := log(fs)
			copy(content[len(content)/3:], "sixteen bytes!!!")
			write(fs, name, content)
		},
		"gone": func(fs *vfs.MemFS) {
			name, _ := log(fs)
			require.NoError(t, fs.Remove(name))
		},
	} {
		t.Run(name, func(t *testing.T) {
			fs := killed()
			damage(fs)
			_, err := store.Open("data", options(fs))
			require.ErrorIs(t, err, store.Damaged)
			require.ErrorContains(t, err, "restore the folder from a backup")
			_, err = store.Open("data", options(fs))
			require.ErrorIs(t, err, store.Damaged, "and nothing was changed")
		})
	}

	t.Run("intact", func(t *testing.T) {
		s := open(t, killed())
		saved, found, err := s.Load()
		require.NoError(t, err)
		require.True(t, found)
		require.EqualValues(t, 20, saved.Head.Height)
		require.NoError(t, s.Close())
	})
	t.Run("a mark that was torn is not believed", func(t *testing.T) {
		fs := killed()
		write(fs, "data/synced", []byte("torn"))
		s := open(t, fs)
		require.NoError(t, s.SetSignedSlot(7), "and is written anew")
		require.NoError(t, s.Close())
	})
	require.NoError(t, s.Close())
}
