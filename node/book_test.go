package node_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/internal/crashdisk"
)

// logged is what a node logs, safe for concurrent use.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func readFile(t *testing.T, fs vfs.FS, path string) []byte {
	t.Helper()
	f, err := fs.Open(path)
	require.NoError(t, err)
	content, err := io.ReadAll(f)
	require.NoError(t, errors.Join(err, f.Close()))
	return content
}

func writeFile(t *testing.T, fs vfs.FS, path string, content []byte) {
	t.Helper()
	f, err := fs.Create(path, vfs.WriteCategoryUnspecified)
	require.NoError(t, err)
	_, err = f.Write(content)
	require.NoError(t, errors.Join(err, f.Close()))
}

// R80: without bootstrap peers a node finds those of its last life,
// even though the machine lost what was not synced.
func TestTheBookOutlivesTheNode(t *testing.T) {
	g := genesisOf("address book", keys(1)...)
	a := start(t, configOf(t, newHome(t, g, nil), vfs.NewMem()))
	disk := crashdisk.New()
	cfg := configOf(t, newHome(t, g, nil), disk)
	cfg.Bootstrap = []string{a.addr()}
	b := start(t, cfg)
	eventually(t, "joined", func() bool { return len(b.Overlay().Peers()) == 1 })
	require.Equal(t, "bootstrap", b.Overlay().Peers()[0].Why)
	// One of its two addresses will do, and on a busy machine it is one.
	eventually(t, "in the book", func() bool { return b.Overlay().Book().New > 0 })
	require.NoError(t, b.end())

	cfg.FS = disk.Crash(vfs.CrashCloneCfg{})
	cfg.Bootstrap = nil
	back := start(t, cfg)
	eventually(t, "found again", func() bool { return len(back.Overlay().Peers()) == 1 })
	require.Equal(t, "book", back.Overlay().Peers()[0].Why) // it has another port now, where a cannot find it
}

// R80: a damaged address book is worth a warning, and never a node that does not start.
func TestD12DamagedBookIsSetAside(t *testing.T) {
	g := genesisOf("damaged book", keys(1)...)
	files := vfs.NewMem()
	cfg := configOf(t, newHome(t, g, nil), files)
	n := start(t, cfg)
	require.NoError(t, n.end())
	path := filepath.Join(cfg.Home, "data", "peers")
	whole := readFile(t, files, path)
	flipped := slices.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for name, content := range map[string][]byte{
		"garbage":     []byte("garbage that is long enough to have a key and a checksum"),
		"too large":   make([]byte, 8<<20),
		"cut":         whole[:len(whole)-1],
		"cut short":   whole[:3],
		"one bit off": flipped,
	} {
		writeFile(t, files, path, content)
		log := new(logged)
		cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
		n = start(t, cfg)
		require.Contains(t, log.String(), "the address book cannot be used", name)
		_, err := files.Stat(path + ".damaged")
		require.NoError(t, err, name)
		require.NoError(t, files.Remove(path+".damaged"))
		require.NoError(t, n.end())
		_, err = files.Stat(path)
		require.NoError(t, err, "a new one is written")
	}
	writeFile(t, files, path, nil) // as after a crash; that costs no word
	require.NoError(t, start(t, cfg).end())
}

// D12: the book of a node of another network is no damage. Who is in it is dialled and refused, and
// keeps nobody of this network from being found.
func TestD12BookOfAnotherNetworkLeadsNowhere(t *testing.T) {
	theirs := start(t, configOf(t, newHome(t, genesisOf("their book", keys(1)...), nil), vfs.NewMem()))
	files := vfs.NewMem()
	cfg := configOf(t, newHome(t, theirs.Genesis(), nil), files)
	cfg.Bootstrap = []string{theirs.addr()}
	b := start(t, cfg)
	eventually(t, "in the book", func() bool { return b.Overlay().Book().New > 0 })
	require.NoError(t, b.end())
	book := readFile(t, files, filepath.Join(cfg.Home, "data", "peers"))

	g := genesisOf("our book", keys(1)...)
	ours := start(t, configOf(t, newHome(t, g, nil), vfs.NewMem()))
	cfg = configOf(t, newHome(t, g, nil), files)
	cfg.Bootstrap = []string{ours.addr()}
	require.NoError(t, start(t, cfg).end())
	writeFile(t, files, filepath.Join(cfg.Home, "data", "peers"), book)
	log := new(logged)
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	n := start(t, cfg)
	eventually(t, "the foreign one is dialled and refused", func() bool { return strings.Contains(log.String(), "peer refused") })
	eventually(t, "one of ours is found", func() bool { return len(n.Overlay().Peers()) == 1 })
	require.Equal(t, ours.ID(), n.Overlay().Peers()[0].ID)
	require.NotContains(t, log.String(), "the address book cannot be used")
	require.Empty(t, theirs.Overlay().Peers())
}
