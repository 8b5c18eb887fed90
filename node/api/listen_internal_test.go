package api

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOnlyLoopback(t *testing.T) {
	for hostport, want := range map[string]string{
		"127.0.0.1:7780": "127.0.0.1:7780",
		"127.0.0.3:0":    "127.0.0.3:0",
		"[::1]:7780":     "[::1]:7780",
		"localhost:7780": "127.0.0.1:7780",
	} {
		got, err := loopback(hostport)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, hostport := range []string{
		"", ":7780", "0.0.0.0:7780", "[::]:7780", "192.168.0.1:7780", "10.0.0.1:1", "example.org:80", "127.0.0.1", "localhost",
		"127.0.0.1.example.org:80", "[fe80::1]:80", "[::ffff:8.8.8.8]:80",
	} {
		_, err := loopback(hostport)
		require.ErrorContains(t, err, "listen address ", hostport)
	}
}

// A port that is taken is named, with what to do.
func TestOccupiedPort(t *testing.T) {
	n := start(t, nil)
	cfg := n.cfg
	cfg.Listen = n.url[len("http://"):]
	cfg.Socket = filepath.Join(filepath.Dir(cfg.Socket), "second.sock")
	s, err := NewServer(cfg, n.fake)
	require.NoError(t, err)
	err = s.Run(t.Context())
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.ErrorContains(t, err, cfg.Listen)
	require.ErrorContains(t, err, "api.listen")
	require.NoFileExists(t, cfg.Socket, "what was bound before it is unbound")
}

func TestSocketIsOursAlone(t *testing.T) {
	n := start(t, nil)
	info, err := os.Lstat(n.cfg.Socket)
	require.NoError(t, err)
	require.Equal(t, os.ModeSocket|0o600, info.Mode())
	left, err := os.ReadDir(filepath.Dir(n.cfg.Socket))
	require.NoError(t, err)
	require.Len(t, left, 2, "api.sock and api.token, no staging directory: %v", left)

	// A live daemon's socket is not taken away.
	s, err := NewServer(n.cfg, n.fake)
	require.NoError(t, err)
	err = s.Listen(t.Context())
	require.ErrorContains(t, err, "another daemon answers on "+n.cfg.Socket)
	require.NoError(t, n.socketClient(t).Ready(t.Context()))

	n.stop()
	require.NoFileExists(t, n.cfg.Socket)
}

// The socket of a daemon that was killed is replaced.
func TestStaleSocket(t *testing.T) {
	path := filepath.Join(shortDir(t), "api.sock")
	dead, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	dead.SetUnlinkOnClose(false)
	require.NoError(t, dead.Close())
	require.FileExists(t, path)
	n := start(t, func(c *Config) { c.Socket, c.Listen = path, "" })
	require.NoError(t, n.socketClient(t).Ready(t.Context()))
	require.Empty(t, n.server.URL())
	require.NoFileExists(t, n.cfg.TokenFile, "no TCP, no tokens")
}

func TestWhatIsNoSocketStays(t *testing.T) {
	dir := shortDir(t)
	file := filepath.Join(dir, "api.sock")
	require.NoError(t, os.WriteFile(file, []byte("precious"), 0o600))
	_, err := listenUnix(t.Context(), file)
	require.ErrorContains(t, err, file+" exists and is not a socket")
	require.Equal(t, "precious", readFile(t, file))

	link := filepath.Join(dir, "link.sock")
	require.NoError(t, os.Symlink(file, link))
	_, err = listenUnix(t.Context(), link)
	require.ErrorContains(t, err, "not a socket")

	_, err = listenUnix(t.Context(), filepath.Join(dir, strings.Repeat("a", 100)))
	require.ErrorContains(t, err, "too long")
	_, err = listenUnix(t.Context(), filepath.Join(dir, "missing", "api.sock"))
	require.ErrorContains(t, err, "check that the directory exists")

	// One that took our place since is not removed when we close.
	l, err := listenUnix(t.Context(), filepath.Join(dir, "s.sock"))
	require.NoError(t, err)
	require.NoError(t, os.Remove(l.path))
	require.NoError(t, os.WriteFile(l.path, nil, 0o600))
	require.NoError(t, l.Close())
	require.FileExists(t, l.path)
}

// A server that listened and is never run leaves nothing, and nothing runs twice.
func TestServerLife(t *testing.T) {
	n := start(t, nil)
	require.NoError(t, n.client(t, Read).Ready(t.Context()))
	require.ErrorIs(t, n.server.Run(t.Context()), errSpent)
	n.stop()
	require.ErrorIs(t, n.server.Listen(t.Context()), errSpent)
	require.ErrorIs(t, n.server.Run(t.Context()), errSpent)

	n.run(t) // the same home again
	n.stop()

	s, err := NewServer(n.cfg, n.fake)
	require.NoError(t, err)
	require.NoError(t, s.Listen(t.Context()))
	require.NoError(t, s.Listen(t.Context()), "twice is once")
	require.FileExists(t, n.cfg.Socket)
	require.NoError(t, s.Close())
	require.NoFileExists(t, n.cfg.Socket)
}

// A request in flight is finished; one that does not finish is cut off in time.
func TestStopWaitsWithinABound(t *testing.T) {
	for _, finishes := range []bool{true, false} {
		n := start(t, func(c *Config) { c.Limits.StopTimeout = 300 * time.Millisecond })
		hold := make(chan struct{})
		n.set(func(f *fake) { f.hold = hold })
		c := n.client(t, Read)
		got := make(chan error, 1)
		go func() {
			_, err := c.Head(context.Background())
			got <- err
		}()
		<-n.held
		time.AfterFunc(100*time.Millisecond, func() {
			if finishes {
				close(hold)
			}
		})
		began := time.Now()
		n.stop()
		require.Less(t, time.Since(began), 3*time.Second)
		if finishes {
			require.NoError(t, <-got)
			continue
		}
		require.ErrorIs(t, <-got, ErrUnreachable)
		close(hold)
	}
}
