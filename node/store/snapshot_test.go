package store_test

import (
	"slices"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node/store"
)

// TestSnapshot reads back what was written, whole, or nothing and an error:
// with every byte changed in turn, and cut at every place.
func TestSnapshot(t *testing.T) {
	files := vfs.NewMem()
	s := open(t, files)
	none, err := s.ReadSnapshot()
	require.NoError(t, err)
	require.Empty(t, none)
	messages := [][]byte{[]byte("one"), make([]byte, 200), []byte("three")}
	count, err := s.WriteSnapshot(slices.Values(messages))
	require.NoError(t, err)
	require.Equal(t, 3, count)
	got, err := s.ReadSnapshot()
	require.NoError(t, err)
	require.Equal(t, messages, got)

	f, err := files.Open("data/mempool")
	require.NoError(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	whole := make([]byte, info.Size())
	_, err = f.ReadAt(whole, 0)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	damaged := func(content []byte) {
		f, err := files.Create("data/mempool", vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		_, err = f.Write(content)
		require.NoError(t, err)
		require.NoError(t, f.Close())
		_, err = s.ReadSnapshot()
		require.ErrorIs(t, err, store.Damaged)
		none, err := s.ReadSnapshot()
		require.NoError(t, err, "it was dropped")
		require.Empty(t, none)
	}
	for i := range whole {
		flipped := slices.Clone(whole)
		flipped[i] ^= 1 << (i % 8)
		damaged(flipped)
		damaged(whole[:i])
	}
	damaged(append(whole, 0))
}

// TestASnapshotIsBounded writes more than there is room for.
func TestASnapshotIsBounded(t *testing.T) {
	s := open(t, vfs.NewMem())
	big := make([]byte, 1<<20)
	count, err := s.WriteSnapshot(func(yield func([]byte) bool) {
		for yield(big) {
		}
	})
	require.NoError(t, err)
	require.Equal(t, store.MaxSnapshot>>20-1, count)
	got, err := s.ReadSnapshot()
	require.NoError(t, err)
	require.Len(t, got, count)
}

// TestASnapshotThatFailsLeavesTheOldOne, and fails nothing else.
func TestASnapshotThatFailsLeavesTheOldOne(t *testing.T) {
	faults := crashdisk.WithFaults(vfs.NewMem())
	s := open(t, faults)
	_, err := s.WriteSnapshot(slices.Values([][]byte{[]byte("old")}))
	require.NoError(t, err)
	for k := 1; k <= 3; k++ { // create, write, rename
		faults.FailAt(k, 28)
		_, err = s.WriteSnapshot(slices.Values([][]byte{[]byte("new")}))
		require.ErrorContains(t, err, "no space left", "write %d", k)
		require.NoError(t, s.Err())
		got, err := s.ReadSnapshot()
		require.NoError(t, err)
		require.Equal(t, "old", string(got[0]))
	}
}
