package local

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/node/config"
)

// asDaemon makes the test binary a daemon: what is behind it is `run --home DIR`.
const asDaemon = "-as-daemon"

// TestMain makes the test binary the daemon that networks of the tests are made
// of; the command is on a higher floor.
func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == asDaemon {
		if err := daemon(os.Args[4]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func daemon(home string) error {
	if mark := os.Getenv("LOCAL_TEST_BROKEN"); mark == filepath.Base(home) {
		return fmt.Errorf("%s is broken on purpose", mark)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	settings, err := config.Load(config.Sources{File: node.ConfigPath(home)})
	if err != nil {
		return err
	}
	n, err := node.New(node.Configure(home, settings.Config))
	if err != nil {
		return err
	}
	return n.Run(ctx)
}

// program is what starts a daemon in a test.
func program(t *testing.T) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts daemons")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{self, asDaemon}
}

// shortDir is a folder whose name leaves room for those of sockets.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gv")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
