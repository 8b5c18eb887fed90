package node_test

import (
	"bytes"
	"log/slog"
	"path/filepath"
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
	for _, content := range []string{"", "garbage that is long enough to have a key and a checksum", string(make([]byte, 8<<20))} {
		f, err := files.Create(path, vfs.WriteCategoryUnspecified)
		require.NoError(t, err)
		_, err = f.Write([]byte(content))
		require.NoError(t, err)
		require.NoError(t, f.Close())
		log := new(logged)
		cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
		n = start(t, cfg)
		if content != "" {
			require.Contains(t, log.String(), "the address book cannot be used")
			_, err = files.Stat(path + ".damaged")
			require.NoError(t, err)
		}
		require.NoError(t, n.end())
		_, err = files.Stat(path)
		require.NoError(t, err, "a new one is written")
	}
}
