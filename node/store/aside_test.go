package store_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
	"github.com/grapevine-p2p/grapevine/node/store"
)

// damagedDisk is a disk that can be crashed, with a store of which the manifest is damaged: all else
// can be read.
func damagedDisk(t *testing.T, from *vfs.MemFS) *crashdisk.Disk {
	t.Helper()
	disk := crashdisk.New()
	_, err := vfs.Clone(from, disk, "data", "data", vfs.CloneSync)
	require.NoError(t, err)
	root, err := disk.OpenDir("/")
	require.NoError(t, err)
	require.NoError(t, root.Sync())
	require.NoError(t, root.Close())
	names, err := disk.List("data")
	require.NoError(t, err)
	for _, name := range names {
		if strings.HasPrefix(name, "MANIFEST-") {
			spoil(t, disk, "data/"+name)
		}
	}
	return disk
}

// spoil flips bits in the middle of a file, durably.
func spoil(t *testing.T, files vfs.FS, name string) {
	t.Helper()
	f, err := files.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	info, err := f.Stat()
	require.NoError(t, err)
	if info.Size() == 0 {
		require.NoError(t, f.Close())
		return
	}
	b := make([]byte, 1)
	_, err = f.ReadAt(b, info.Size()/2)
	require.NoError(t, err)
	b[0] ^= 0xff
	_, err = f.WriteAt(b, info.Size()/2)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
}

// TestARescueGoesOnWhereItWasInterrupted loses power before each write of a rescue, and damages the new
// database besides. The next opening loses nothing, and there is one folder.
//
// R131: a rescue that is interrupted goes on, whatever becomes of the new store meanwhile, and loses
// nothing that it could read.
func TestARescueGoesOnWhereItWasInterrupted(t *testing.T) {
	rng := rand.New(rand.NewPCG(seed(t), 0))
	step := 1
	if testing.Short() {
		step = 7
	}
	closed, killed := worn(t)
	for name, from := range map[string]*vfs.MemFS{"closed": closed, "killed": killed} {
		t.Run(name, func(t *testing.T) {
			interrupted, spoilt := 0, 0
			for k, done := 1, false; !done; k += step {
				disk := damagedDisk(t, from)
				faults := crashdisk.WithFaults(disk)
				var crashed *crashdisk.Disk
				faults.Before(k, func() {
					crashed = disk.Crash(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * rng.IntN(3), RNG: rng})
				})
				s, err := store.Open("data", rescuing(faults))
				require.NoError(t, err)
				done = crashed == nil
				faults.Before(0, nil)
				require.NoError(t, s.Close())
				if done {
					continue
				}
				interrupted++
				what := fmt.Sprintf("before write %d", k)
				renamedOnce(t, crashed, rng)
				if names, err := crashed.List("data"); err == nil && k%2 == 0 && contains(names, "damaged-1.unread") {
					if at := slices.IndexFunc(names, func(name string) bool { return strings.HasPrefix(name, "MANIFEST-") }); at >= 0 {
						spoil(t, crashed, "data/"+names[at])
						spoilt++
						what += ", and the new database is damaged"
					}
				}
				again, err := store.Open("data", rescuing(crashed))
				require.NoError(t, err, what)
				missing, err := accounted(again)
				require.NoError(t, err, what)
				require.Zero(t, missing, what)
				require.Len(t, again.Aside(), 1, what)
				rescue, was := again.Rescued()
				if was {
					require.Equal(t, again.Aside()[0], rescue.Aside, what)
					require.Equal(t, rescueLocals-rescueLocals/3, rescue.Live, what)
					for _, name := range rescue.Unread { // pebble had begun to write it
						_, err := from.Stat("data/" + name)
						require.ErrorIs(t, err, fs.ErrNotExist, what)
					}
				}
				kept, err := crashed.List(again.Aside()[0])
				require.NoError(t, err)
				require.True(t, contains(kept, "MANIFEST-"), "%s: %v", what, kept)
				require.NoError(t, again.Close())
			}
			t.Logf("interrupted %d times, %d times with a damaged new database", interrupted, spoilt)
			require.NotZero(t, spoilt)
		})
	}
}

// renamedOnce has a folder of a damaged store no more than one name after a crash: a disk in memory
// does not know that a rename is atomic.
func renamedOnce(t *testing.T, files vfs.FS, rng *rand.Rand) {
	t.Helper()
	for _, pair := range [][2]string{{".filling", ".unread"}, {".unread", ""}} {
		one, other := "data/damaged-1"+pair[0], "data/damaged-1"+pair[1]
		_, noOne := files.Stat(one)
		_, noOther := files.Stat(other)
		if noOne == nil && noOther == nil {
			require.NoError(t, files.RemoveAll([]string{one, other}[rng.IntN(2)]))
		}
	}
}

func contains(names []string, prefix string) bool {
	for _, name := range names {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// TestWhatIsAcceptedAfterARescueStays: a loss of power soon after a rescue does not begin it anew, and
// if it did, what was accepted since would not be lost.
//
// R131.
func TestWhatIsAcceptedAfterARescueStays(t *testing.T) {
	closed, _ := worn(t)
	disk := damagedDisk(t, closed)
	s, err := store.Open("data", rescuing(disk))
	require.NoError(t, err)
	_, was := s.Rescued()
	require.True(t, was)
	later := tx(7_000, 30)
	require.NoError(t, s.PutLocalTx(later, time.UnixMilli(1)))
	require.NoError(t, s.SetSignedSlot(rescueSlot+5))
	crashed := disk.Crash(vfs.CrashCloneCfg{})
	require.NoError(t, s.Close())
	for _, again := range []bool{false, true} {
		if again {
			require.NoError(t, crashed.Rename("data/damaged-1", "data/damaged-1.unread"))
		}
		s, err := store.Open("data", rescuing(crashed))
		require.NoError(t, err)
		_, found, err := s.LocalTx(later.ID())
		require.NoError(t, err)
		require.True(t, found)
		slot, err := s.SignedSlot()
		require.NoError(t, err)
		require.EqualValues(t, rescueSlot+5, slot)
		_, was := s.Rescued()
		require.Equal(t, again, was)
		require.Len(t, s.Aside(), 1)
		require.NoError(t, s.Close())
	}
}

// TestDamagedStoresAreBounded damages one store after the other. The newest stay, in number and in
// bytes, and what is removed is said.
//
// R132: of damaged stores a bounded number and size is kept, the newest; none is removed before what
// only it has was read and is on disk elsewhere.
func TestDamagedStoresAreBounded(t *testing.T) {
	for _, c := range []struct {
		name string
		each int64 // bytes that each file of a damaged store seems to have
		kept []string
	}{
		{"small", 0, []string{"damaged-10", "damaged-11", "damaged-12"}},
		{"large", 1 << 31, []string{"damaged-12"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := vfs.NewMem()
			o := rescuing(&inflated{files, c.each})
			var log bytes.Buffer
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
			s, err := store.Open("data", o)
			require.NoError(t, err)
			require.NoError(t, s.Init(genesis()))
			require.NoError(t, files.MkdirAll("data/damaged-mine", 0o700)) // a person's
			for n := range uint64(12) {
				require.NoError(t, s.PutLocalTx(tx(n, 300), time.UnixMilli(int64(n))))
				require.NoError(t, s.Condemn(store.Damaged))
				require.NoError(t, s.Close())
				s, err = store.Open("data", o)
				require.NoError(t, err)
				for m := range n + 1 {
					_, found, err := s.LocalTx(tx(m, 300).ID())
					require.NoError(t, err)
					require.True(t, found, "transaction %d after rescue %d", m, n)
				}
			}
			var kept []string
			for _, dir := range s.Aside() {
				kept = append(kept, files.PathBase(dir))
			}
			require.Equal(t, c.kept, kept)
			require.Equal(t, 12-len(c.kept), strings.Count(log.String(), "an old damaged store was removed"))
			_, err = files.Stat("data/damaged-mine")
			require.NoError(t, err)
			require.NoError(t, s.Close())
		})
	}
}

// inflated is a disk on which the files of damaged stores seem larger than they are.
type inflated struct {
	vfs.FS
	by int64
}

func (i *inflated) Stat(name string) (vfs.FileInfo, error) {
	info, err := i.FS.Stat(name)
	if err == nil && strings.Contains(name, "damaged-") {
		return inflatedInfo{info, i.by}, nil
	}
	return info, err
}

type inflatedInfo struct {
	vfs.FileInfo
	by int64
}

func (i inflatedInfo) Size() int64 { return i.FileInfo.Size() + i.by }

var _ fs.FileInfo = inflatedInfo{}
