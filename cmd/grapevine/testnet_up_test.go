package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/testnet/local"
)

// testnetDir is where a test's network goes. Whatever the test does, nothing of
// the network outlives it.
func testnetDir(t *testing.T) string {
	t.Helper()
	if testing.Short() {
		t.Skip("starts daemons")
	}
	if _, err := exec.LookPath("grapevine"); err != nil {
		t.Skip("the test binary is not installed as grapevine")
	}
	// Not t.TempDir: with the test's name in it, paths of sockets get too long.
	top, err := os.MkdirTemp("", "gv")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(top)) })
	dir := filepath.Join(top, "net")
	t.Cleanup(func() { _ = exec.Command("grapevine", "testnet", "down", "--dir", dir).Run() })
	return dir
}

func lookAt(t *testing.T, dir string) local.Status {
	t.Helper()
	var s local.Status
	commandJSON(t, &s, "testnet", "status", "--dir", dir)
	return s
}

// eventually polls for what other processes should soon do.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, settleTime, pollPause, what)
}

// requireGone demands that no process of the network is left and that nobody
// holds a lock.
func requireGone(t *testing.T, dir string, pids ...int) {
	t.Helper()
	for _, pid := range pids {
		eventually(t, fmt.Sprintf("process %d is gone", pid), func() bool { return !running(pid) })
	}
	locks, err := filepath.Glob(filepath.Join(dir, "*", "lock"))
	require.NoError(t, err)
	for _, path := range append(locks, filepath.Join(dir, "lock")) {
		// The threads of a dead process may hold its files a moment longer.
		eventually(t, "nobody holds "+path, func() bool {
			l := flock.New(path)
			ok, err := l.TryLock()
			return err == nil && ok && l.Close() == nil
		})
	}
}

// running says whether a process is alive; one that only waits for its parent
// to notice its death is not.
func running(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || !bytes.Contains(stat, []byte(") Z "))
}

func pidsOf(s local.Status) []int {
	pids := []int{s.Supervisor}
	for _, d := range s.Daemons {
		pids = append(pids, d.PID)
	}
	return pids
}

// TestTestnetLife is what scripts do: bring a network up, read all of it from
// the status, pay somebody, lose a node, stop it, and bring it up again.
func TestTestnetLife(t *testing.T) {
	dir := testnetDir(t)
	var up local.Status
	commandJSON(t, &up, "testnet", "up", "--detach", "--dir", dir, "--nodes", "4", "--producers", "2", "--slot", "500ms")
	require.True(t, up.Ready)
	require.Equal(t, local.On, up.Phase)
	require.Len(t, up.Daemons, 4)
	require.NotEqual(t, os.Getpid(), up.Supervisor)
	for i, d := range up.Daemons {
		require.True(t, d.Alive && d.Ready, "%+v", d)
		require.True(t, running(d.PID))
		require.Equal(t, 3, d.Peers, "three dials join all four")
		require.Len(t, d.Addresses, 2)
		require.Equal(t, i < 2, d.Producer != "")
		require.NotNil(t, d.Head)
		require.NotNil(t, d.Mempool)
		require.NotNil(t, d.CPUS)
		require.Positive(t, *d.CPUS)
		for _, path := range []string{d.Log, d.APISocket, d.TokenFile} {
			require.FileExists(t, filepath.Dir(path)+"/"+filepath.Base(path))
		}
		require.NotContains(t, string(must1(os.ReadFile(d.TokenFile))), d.Wallet)
	}

	out, err := exec.Command("grapevine", "testnet", "up", "--dir", dir).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "is running")

	// The wallet of every home has money at once.
	to := up.Daemons[3].Wallet
	command(t, "tx", "send", "--home", up.Daemons[0].Home, "--to", to, "--amount", "5", "--wait")

	victim := up.Daemons[2]
	require.NoError(t, syscall.Kill(victim.PID, syscall.SIGKILL))
	eventually(t, "the status says that it is dead", func() bool { return !lookAt(t, dir).Daemons[2].Alive })
	s := lookAt(t, dir)
	require.False(t, s.Ready)
	require.Equal(t, "signal: killed", s.Daemons[2].Ended)
	require.True(t, s.Daemons[0].Alive && s.Daemons[1].Alive && s.Daemons[3].Alive)
	waited := exec.Command("grapevine", "testnet", "status", "--dir", dir, "--wait", "300ms")
	require.Equal(t, exitFailed, exitStatus(waited.Run()), "nobody brings it back by itself")

	var down testnetDownReport
	commandJSON(t, &down, "testnet", "down", "--dir", dir)
	require.Equal(t, 3, down.Stopped)
	requireGone(t, dir, pidsOf(up)...)
	s = lookAt(t, dir)
	require.Equal(t, local.Off, s.Phase)
	require.Zero(t, s.Supervisor)
	commandJSON(t, &down, "testnet", "down", "--dir", dir)
	require.Zero(t, down.Stopped)

	// Another plan is not quietly overruled; the same one, or none, is fine.
	out, err = exec.Command("grapevine", "testnet", "up", "--detach", "--dir", dir, "--nodes", "5").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "its nodes is 4, not 5")
	var again local.Status
	commandJSON(t, &again, "testnet", "up", "--detach", "--dir", dir, "--nodes", "4")
	require.Equal(t, up.NetworkID, again.NetworkID)
	require.Empty(t, again.Daemons[2].Ended)
	for i, d := range again.Daemons {
		require.Equal(t, up.Daemons[i].PeerID, d.PeerID)
		require.Equal(t, up.Daemons[i].Addresses, d.Addresses)
	}
	require.GreaterOrEqual(t, again.Daemons[3].Head.Height, uint64(1), "it still has its chain")
	commandJSON(t, &down, "testnet", "down", "--dir", dir)
	require.Equal(t, 4, down.Stopped)
	requireGone(t, dir, pidsOf(again)...)
}

func must1[T any](v T, err error) T {
	must(err)
	return v
}

// foreground is a `testnet up` in a terminal of its own.
type foreground struct {
	cmd  *exec.Cmd
	out  *logFile
	done chan struct{}
	err  error // valid after done
}

func upInForeground(t *testing.T, args ...string) *foreground {
	t.Helper()
	f := &foreground{cmd: exec.Command("grapevine", append([]string{"testnet", "up"}, args...)...), out: &logFile{}, done: make(chan struct{})}
	f.cmd.Stdout, f.cmd.Stderr = f.out, f.out
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, f.cmd.Start())
	go func() {
		f.err = f.cmd.Wait()
		close(f.done)
	}()
	t.Cleanup(func() {
		_ = f.cmd.Process.Kill()
		<-f.done
	})
	return f
}

// ctrlC does what a terminal does: the whole process group gets the signal.
func (f *foreground) ctrlC(t *testing.T) {
	t.Helper()
	require.NoError(t, syscall.Kill(-f.cmd.Process.Pid, syscall.SIGINT))
	select {
	case <-f.done:
	case <-time.After(settleTime):
		t.Fatalf("it did not end; it said:\n%s", f.out)
	}
}

// TestTestnetCtrlC stops a network by Ctrl-C, when it is ready and before.
func TestTestnetCtrlC(t *testing.T) {
	dir := testnetDir(t)
	args := []string{"--dir", dir, "--nodes", "3", "--slot", "500ms"}

	// Before anything is ready: as soon as a first daemon is there.
	f := upInForeground(t, args...)
	eventually(t, "a daemon is there", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, local.StateFile))
		var s local.State
		return err == nil && json.Unmarshal(text, &s) == nil && s.Nodes[0].PID != 0
	})
	early := lookAt(t, dir)
	f.ctrlC(t)
	if !strings.Contains(f.out.String(), "\nready ") { // else the machine was too fast for us
		require.Equal(t, exitFailed, exitStatus(f.err), "%s", f.out)
		require.Contains(t, f.out.String(), "ended before the network was ready")
	}
	requireGone(t, dir, f.cmd.Process.Pid, early.Daemons[0].PID)

	// The same folder comes up then, and ends cleanly.
	f = upInForeground(t, args...)
	eventually(t, "the line that scripts wait for", func() bool { return strings.Contains(f.out.String(), "\nready ") })
	command(t, "testnet", "status", "--dir", dir, "--wait", "30s")
	s := lookAt(t, dir)
	require.True(t, s.Ready)
	require.Equal(t, f.cmd.Process.Pid, s.Supervisor)
	f.ctrlC(t)
	require.NoError(t, f.err, "a clean stop has exit status 0; it said:\n%s", f.out)
	requireGone(t, dir, pidsOf(s)...)
	for _, d := range s.Daemons {
		log := string(must1(os.ReadFile(d.Log)))
		require.NotContains(t, log, "panic")
		require.NoFileExists(t, d.APISocket)
	}

	// Down ends it in another terminal, too.
	f = upInForeground(t, args...)
	eventually(t, "ready again", func() bool { return strings.Contains(f.out.String(), "\nready ") })
	command(t, "testnet", "down", "--dir", dir)
	<-f.done
	require.NoError(t, f.err, "%s", f.out)
}

// TestTestnetWithoutSupervisor kills the one who runs the network: its daemons
// end by themselves where the system can promise it, and by `down` elsewhere.
func TestTestnetWithoutSupervisor(t *testing.T) {
	dir := testnetDir(t)
	f := upInForeground(t, "--dir", dir, "--nodes", "3", "--slot", "500ms")
	eventually(t, "ready", func() bool { return strings.Contains(f.out.String(), "\nready ") })
	s := lookAt(t, dir)
	require.NoError(t, f.cmd.Process.Kill())
	<-f.done
	if runtime.GOOS != "linux" {
		command(t, "testnet", "down", "--dir", dir)
	}
	requireGone(t, dir, pidsOf(s)...)
	after := lookAt(t, dir)
	require.Equal(t, local.Off, after.Phase, "whatever the state file says")
	for _, d := range after.Daemons {
		require.False(t, d.Alive)
	}
}

// TestTestnetAdoptsNobody starts a home of the network by hand: `up` says that
// it runs, the status shows it, and `down` stops it.
func TestTestnetAdoptsNobody(t *testing.T) {
	dir := testnetDir(t)
	command(t, "testnet", "up", "--detach", "--dir", dir, "--nodes", "1", "--producers", "1")
	command(t, "testnet", "down", "--dir", dir)
	stray := exec.Command("grapevine", "run", "--home", filepath.Join(dir, "node-00"))
	require.NoError(t, stray.Start())
	ended := make(chan error, 1)
	go func() { ended <- stray.Wait() }()
	t.Cleanup(func() { _ = stray.Process.Kill() })
	eventually(t, "it is seen", func() bool { return lookAt(t, dir).Daemons[0].Ready })
	s := lookAt(t, dir)
	require.Equal(t, stray.Process.Pid, s.Daemons[0].PID)
	require.Equal(t, local.Off, s.Phase)

	out, err := exec.Command("grapevine", "testnet", "up", "--dir", dir).CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), "node-00 runs without anybody who runs the network")

	command(t, "testnet", "down", "--dir", dir)
	require.NoError(t, <-ended)
	requireGone(t, dir, stray.Process.Pid)
}

// TestTestnetRunLocal runs the shipped scenario as the command does, and leaves
// nothing behind.
func TestTestnetRunLocal(t *testing.T) {
	dir := testnetDir(t)
	t.Setenv("TMPDIR", filepath.Dir(dir))
	out := command(t, "testnet", "run", "local-smoke", "--json", "-")
	var r struct {
		World string
		Tx    struct{ Published, Expected, Delivered, Included int }
		Block struct{ Published int }
	}
	require.NoError(t, json.Unmarshal(out, &r))
	require.Equal(t, "local", r.World)
	require.Greater(t, r.Tx.Published, 5)
	require.Equal(t, 2*r.Tx.Published, r.Tx.Expected)
	require.Equal(t, r.Tx.Expected, r.Tx.Delivered)
	require.Equal(t, r.Tx.Published, r.Tx.Included)
	require.Greater(t, r.Block.Published, 2)
	left, err := filepath.Glob(filepath.Join(filepath.Dir(dir), "grapevine-*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// TestTestnetDetachInterrupted ends `testnet up --detach` before the network is
// ready: the process that it left running goes, too.
func TestTestnetDetachInterrupted(t *testing.T) {
	dir := testnetDir(t)
	f := upInForeground(t, "--dir", dir, "--nodes", "6", "--detach")
	var s local.Status
	eventually(t, "a daemon is there", func() bool {
		out, err := exec.Command("grapevine", "testnet", "status", "--dir", dir, "--json").Output()
		return err == nil && json.Unmarshal(out, &s) == nil && s.Supervisor != 0 && s.Daemons[0].PID != 0
	})
	f.ctrlC(t)
	if !strings.Contains(f.out.String(), "\nready ") { // else the machine was too fast for us
		require.Equal(t, exitFailed, exitStatus(f.err), "%s", f.out)
		requireGone(t, dir, s.Supervisor, s.Daemons[0].PID)
	}
}

// TestTestnetDownTwice stops one network from two terminals at once: neither
// stops the other.
func TestTestnetDownTwice(t *testing.T) {
	dir := testnetDir(t)
	var up local.Status
	commandJSON(t, &up, "testnet", "up", "--detach", "--dir", dir, "--nodes", "3")
	var both [2]*exec.Cmd
	for i := range both {
		both[i] = exec.Command("grapevine", "testnet", "down", "--dir", dir)
		require.NoError(t, both[i].Start())
	}
	for _, cmd := range both {
		require.NoError(t, cmd.Wait())
	}
	requireGone(t, dir, pidsOf(up)...)
}
