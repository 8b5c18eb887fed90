package store_test

import (
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node/store"
)

// TestAFileIsTheOldOrTheNewOne crashes at every operation of a write, with what was
// not synced lost.
func TestAFileIsTheOldOrTheNewOne(t *testing.T) {
	for k := 1; k <= 6; k++ { // create, write, sync, rename, sync the folder; and none
		disk := crashdisk.New()
		faults := crashdisk.WithFaults(disk)
		s := open(t, faults)
		require.NoError(t, s.WriteFile(store.PeersFile, []byte("old")))
		faults.FailAt(k, syscall.EIO)
		err := s.WriteFile(store.PeersFile, []byte("new"))
		faults.Heal()
		crashed := open(t, disk.Crash(vfs.CrashCloneCfg{}))
		got, readErr := crashed.ReadFile(store.PeersFile, 100)
		require.NoError(t, readErr)
		if err == nil {
			require.Equal(t, "new", string(got))
		} else {
			require.Contains(t, []string{"old", "new"}, string(got), "failed at %d", k)
		}
	}
}

func TestAFileIsBoundedAndSetAside(t *testing.T) {
	s := open(t, vfs.NewMem())
	b, err := s.ReadFile(store.PeersFile, 10)
	require.NoError(t, err)
	require.Nil(t, b)
	require.NoError(t, s.WriteFile(store.PeersFile, make([]byte, 11)))
	_, err = s.ReadFile(store.PeersFile, 10)
	require.ErrorContains(t, err, "10 bytes")
	aside, err := s.SetAside(store.PeersFile)
	require.NoError(t, err)
	require.Contains(t, aside, "peers.damaged")
	b, err = s.ReadFile(store.PeersFile, 10)
	require.NoError(t, err)
	require.Nil(t, b)
	_, err = s.SetAside(store.PeersFile)
	require.Error(t, err, "there is none")
}

// TestFilesAreNotForeign: a store whose database never came to be may have them, and lie at the root of
// a file system.
func TestFilesAreNotForeign(t *testing.T) {
	files := vfs.NewMem()
	require.NoError(t, files.MkdirAll("data", 0o700))
	for _, name := range []string{"peers", "peers.new", "peers.damaged", "lost+found"} {
		f, err := files.Create("data/"+name, vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
	open(t, files)
}
