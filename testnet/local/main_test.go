package local

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/grapevine-p2p/grapevine/node"
	"github.com/grapevine-p2p/grapevine/node/config"
	"github.com/grapevine-p2p/grapevine/testnet/attack"
)

// asDaemon makes the test binary a daemon: what is behind it is `run --home DIR`.
const asDaemon = "-as-daemon"

// TestMain makes the test binary the daemon that networks of the tests are made
// of; the command is on a higher floor.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == asDaemon { // testnet attacker
		if err := actor(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) == 5 && os.Args[1] == asDaemon {
		if err := daemon(os.Args[4]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// actor plays an attacker.
func actor() error {
	if os.Getenv("LOCAL_TEST_BROKEN") != "attacker" {
		return attack.Play(context.Background(), os.Stdin)
	}
	// It takes its cue, and breaks.
	in, out := io.Pipe()
	go func() {
		said := bufio.NewReader(os.Stdin)
		part, _ := said.ReadBytes('\n')
		_, _ = out.Write(part)
		_, _ = said.ReadBytes('\n')
		out.CloseWithError(errors.New("attacker is broken on purpose"))
	}()
	return attack.Play(context.Background(), in)
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
	cfg := node.Configure(home, settings.Config)
	if os.Getenv("LOCAL_TEST_LENIENT") != "" {
		lenient(&cfg)
	}
	n, err := node.New(cfg)
	if err != nil {
		return err
	}
	return n.Run(ctx)
}

// lenient daemons hold nothing against anybody: what an attack does to them is
// what the defence is for.
func lenient(c *node.Config) {
	for o := 1; o < len(c.Score.Weights); o++ {
		c.Score.Weights[o] = 1e-9
	}
	c.Score.Negligible, c.Score.BanAt, c.Score.TopicScoreCap, c.Score.MaxInferred = 1e-12, 1e9, 1e-9, 1e-3
	// The penalty for what the router sees follows from the first threshold, and
	// a ban must be below the last.
	c.Score.Thresholds.Gossip, c.Score.Thresholds.Publish, c.Score.Thresholds.Graylist = -100, -1e12, -1e12
	c.Score.Thresholds.OpportunisticGraft = 0
	c.Limits.ChargesForgiven, c.Limits.BombsPerMinute = 1e9, 1e9 // nor cut anybody off for more than their share
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
