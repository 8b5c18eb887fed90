package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// listenTCP binds a loopback address.
func listenTCP(ctx context.Context, hostport string) (net.Listener, error) {
	addr, err := loopback(hostport)
	if err != nil {
		return nil, fmt.Errorf("api: %w", err)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("api: address %s is taken by another program: stop that one, or set api.listen to another port (port 0 picks a free one): %w", addr, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("api: no permission to listen on %s: choose a port above 1023: %w", addr, err)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("api: this computer has no address %s: set api.listen to 127.0.0.1 with a port: %w", addr, err)
	case err != nil:
		return nil, fmt.Errorf("api: listen on %s: %w", addr, err)
	}
	return l, nil
}

// maxSocketPath is what the smallest sun_path of the systems we run on holds,
// less the closing zero.
const maxSocketPath = 103

// stagingName is the pattern of the directory in which a socket is made, and
// stagingLen the most that it makes the path longer: a directory with a random
// number and a one-letter name in place of the final name.
const (
	stagingName = ".s"
	stagingLen  = len(stagingName) + 10 + len("/s")
)

// listenUnix binds a socket that only this user can connect to, at no moment
// anybody else. The socket of a dead daemon is replaced, that of a live one is
// not.
func listenUnix(ctx context.Context, path string) (*socketListener, error) {
	dir := filepath.Dir(path)
	if n := len(dir) + 1 + max(len(filepath.Base(path)), stagingLen); n > maxSocketPath {
		return nil, fmt.Errorf("api: socket path %s is too long for this system by %d bytes: use a shorter home directory or set api.socket", path, n-maxSocketPath)
	}
	if err := clearStale(ctx, path); err != nil {
		return nil, err
	}
	// A socket gets its mode only after it exists, so it is made where nobody
	// else can go and then moved.
	staging, err := os.MkdirTemp(dir, stagingName)
	if err != nil {
		return nil, fmt.Errorf("api: make socket %s: %w; check that the directory exists and is yours", path, err)
	}
	defer os.RemoveAll(staging)
	made := filepath.Join(staging, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: made, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("api: make socket %s: %w", path, err)
	}
	l.SetUnlinkOnClose(false) // it knows the old name only
	err = os.Chmod(made, 0o600)
	var info fs.FileInfo
	if err == nil {
		info, err = os.Lstat(made)
	}
	if err == nil {
		err = os.Rename(made, path)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("api: make socket %s: %w", path, err), l.Close())
	}
	return &socketListener{UnixListener: l, path: path, info: info}, nil
}

// clearStale makes way at path, unless something is there that is not ours to
// remove.
func clearStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("api: look at %s: %w", path, err)
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("api: %s exists and is not a socket: move it away, or set api.socket to another path", path)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", path)
	if err == nil {
		return errors.Join(fmt.Errorf("api: another daemon answers on %s: stop it, or give this one another home", path), c.Close())
	}
	if !errors.Is(err, syscall.ECONNREFUSED) { // a live but busy or foreign one
		return fmt.Errorf("api: cannot tell whether a daemon still uses %s: %w; if none runs, delete the file", path, err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("api: remove the socket %s of a dead daemon: %w", path, err)
	}
	return nil
}

// socketListener removes its socket when it closes, if it is still its own.
type socketListener struct {
	*net.UnixListener
	path string
	info fs.FileInfo
}

// Close stops listening and removes the socket.
func (l *socketListener) Close() error {
	err := l.UnixListener.Close()
	if errors.Is(err, net.ErrClosed) {
		return err
	}
	if now, statErr := os.Lstat(l.path); statErr == nil && os.SameFile(now, l.info) {
		err = errors.Join(err, os.Remove(l.path))
	}
	return err
}

// busyAnswer is for those who come when all limit places are taken.
func busyAnswer(limit int) []byte {
	e := newError(CodeTooManyConns, "all %d connections of this listener are in use", limit)
	body, _ := json.Marshal(e) // numbers and strings only
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nRetry-After: %s\r\nConnection: close\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s",
		e.Status, e.Title, e.GetHeaders().Get("Retry-After"), problemType, len(body), body)
}

// boundedListener turns connections away when limit of them are open, instead
// of letting them pile up or eat the file descriptors that gossip needs.
type boundedListener struct {
	net.Listener
	places chan struct{}
	busy   []byte
}

func newBoundedListener(l net.Listener, limit int) *boundedListener {
	return &boundedListener{Listener: l, places: make(chan struct{}, limit), busy: busyAnswer(limit)}
}

// Accept waits for a connection that there is a place for.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case l.places <- struct{}{}:
			return &placedConn{Conn: c, leave: sync.OnceFunc(func() { <-l.places })}, nil
		default:
			// It fits into an empty socket buffer. A reset can overtake it if the
			// request is already on its way; waiting for that would hold up others.
			_ = c.SetWriteDeadline(time.Now().Add(10 * time.Millisecond))
			_, _ = c.Write(l.busy)
			_ = c.Close()
		}
	}
}

// placedConn gives its place back when it closes.
type placedConn struct {
	net.Conn
	leave func()
}

// Close closes the connection and frees its place.
func (c *placedConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}
