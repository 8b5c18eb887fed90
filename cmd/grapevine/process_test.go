package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/wire"
)

// settleTime is the longest wait for something that a healthy network does in
// a few slots; a loaded machine with two cores gets the rest.
const settleTime = 45 * time.Second

const pollPause = 50 * time.Millisecond

// command runs the command line to its end and returns its standard output.
func command(t *testing.T, args ...string) []byte {
	t.Helper()
	var out, errs bytes.Buffer
	cmd := exec.Command("grapevine", args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(t, cmd.Run(), "grapevine %s\n%s%s", strings.Join(args, " "), &out, &errs)
	return out.Bytes()
}

// commandJSON runs the command line under --json and reads the document.
func commandJSON(t *testing.T, into any, args ...string) {
	t.Helper()
	out := command(t, append(args, "--json")...)
	require.NoError(t, json.Unmarshal(out, into), "%s", out)
}

// logFile collects what a daemon says, over its restarts.
type logFile struct {
	mu   sync.Mutex // guards what follows
	text bytes.Buffer
}

func (l *logFile) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logFile) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// daemon is a `grapevine run` of its own, in a home of its own.
type daemon struct {
	name string
	home string
	addr string // what others bootstrap from
	args []string
	api  *api.Client
	log  *logFile
	life *testing.T // the test that it does not outlive

	cmd  *exec.Cmd     // nil while it is off
	done chan struct{} // closed when cmd has ended
	err  error         // of the process; valid after done
}

func (d *daemon) start(t *testing.T) {
	t.Helper()
	require.NoError(t, d.launch())
}

// launch starts the process. It does not outlive the test.
func (d *daemon) launch() error {
	d.cmd = exec.Command("grapevine", append([]string{"run", "--home", d.home}, d.args...)...)
	d.cmd.Env = slices.DeleteFunc(os.Environ(), func(s string) bool { // no settings of a daemon, which would refuse them
		return strings.HasPrefix(s, "GRAPEVINE_SOAK=") || strings.HasPrefix(s, "GRAPEVINE_SEED=")
	})
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	if err := d.cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	d.done = done
	cmd := d.cmd
	go func() {
		d.err = cmd.Wait()
		close(done)
	}()
	d.life.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-done
	})
	return nil
}

// end sends a signal and waits for the process to be gone.
func (d *daemon) end(t *testing.T, sig syscall.Signal) {
	t.Helper()
	require.NoError(t, d.cmd.Process.Signal(sig))
	select {
	case <-d.done:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s did not end within 10 s of %v", d.name, sig)
	}
	d.cmd = nil
}

// awaitAPI waits until the daemon answers.
func (d *daemon) awaitAPI(t *testing.T) api.Status {
	t.Helper()
	var s api.Status
	d.until(t, "answer", func() bool {
		var err error
		s, err = d.api.Status(t.Context())
		return err == nil
	})
	return s
}

// until polls a condition that the daemon should soon fulfil.
func (d *daemon) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(settleTime); !ok(); time.Sleep(pollPause) { //nolint:forbidigo // other processes are polled
		if time.Now().After(deadline) {
			s, err := d.api.Status(t.Context())
			t.Fatalf("%s did not %s within %v; its status: %+v, %v; it said:\n%s", d.name, what, settleTime, s, err, tail(d.log.String()))
		}
	}
}

func tail(s string) string {
	const keep = 8 << 10
	if len(s) > keep {
		return "…" + s[len(s)-keep:]
	}
	return s
}

// nonce is the confirmed nonce of an account, as this daemon sees it.
func (d *daemon) nonce(t *testing.T, address string) uint64 {
	a, err := d.api.Account(t.Context(), address)
	if err != nil {
		return 0
	}
	return uint64(a.Nonce)
}

// chain lists the best chain from the first block to height.
func (d *daemon) chain(t *testing.T, height uint64) []api.Block {
	t.Helper()
	var chain []api.Block
	for h := uint64(1); h <= height; h++ {
		b, err := d.api.Block(t.Context(), fmt.Sprint(h), false)
		require.NoError(t, err, "%s: block %d", d.name, h)
		chain = append(chain, b)
	}
	return chain
}

// network is some daemons of one genesis, and a wallet with all the money.
type network struct {
	daemons []*daemon
	wallet  string // home with the key default
	address string // of that key
	to      string // somebody to pay
}

// newNetwork makes homes for n daemons, of which the first producers make
// blocks, each on an address of its own and knowing all others by --bootstrap.
// Nothing runs yet. Each of rich has money, too.
func newNetwork(t *testing.T, n, producers int, slot time.Duration, rich ...wire.Address) *network {
	t.Helper()
	if _, err := exec.LookPath("grapevine"); err != nil {
		t.Skip("the test binary is not installed as grapevine")
	}
	dir := t.TempDir()
	var key keyReport
	nw := &network{wallet: filepath.Join(dir, "wallet")}
	commandJSON(t, &key, "key", "new", "default", "--plain", "--home", nw.wallet)
	nw.address = key.Address
	commandJSON(t, &key, "key", "new", "payee", "--plain", "--home", nw.wallet)
	nw.to = key.Address

	genesis := filepath.Join(dir, "genesis.json")
	args := []string{"genesis", "new", "--network", "process-test", "--slot", slot.String(), "--out", genesis, "--alloc", nw.address + "=1000000000000"}
	for _, a := range rich {
		args = append(args, "--alloc", a.Encode("gv")+"=1000000000000")
	}
	for i := range producers {
		commandJSON(t, &key, "key", "new", "producer", "--plain", "--out", filepath.Join(dir, fmt.Sprintf("producer%d.key", i)))
		args = append(args, "--producer", key.Address)
	}
	command(t, args...)

	for i := range n {
		nw.daemons = append(nw.daemons, newDaemon(t, dir, genesis, i, i < producers))
	}
	for _, d := range nw.daemons {
		for _, other := range nw.daemons {
			if other != d {
				d.args = append(d.args, "--bootstrap", other.addr)
			}
		}
	}
	return nw
}

func newDaemon(t *testing.T, dir, genesis string, i int, producer bool) *daemon {
	t.Helper()
	name := string(rune('a' + i))
	d := &daemon{name: name, home: filepath.Join(dir, name), log: &logFile{}, life: t}
	args := []string{"init", "--home", d.home, "--genesis", genesis}
	if producer {
		args = append(args, "--producer-key", filepath.Join(dir, fmt.Sprintf("producer%d.key", i)))
	}
	var home initReport
	commandJSON(t, &home, args...)

	ip, port := loopback(t, i+2)
	d.addr = fmt.Sprintf("/ip4/%s/tcp/%d/p2p/%s", ip, port, home.Node)
	d.args = []string{
		"--listen", fmt.Sprintf("/ip4/%s/tcp/%d", ip, port),
		"--listen", fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", ip, port),
		"--api-listen", "", "--profile", "testnet",
		// Less than a wallet here sends at once: it has to wait for room.
		"--mempool-max-per-sender", "700",
	}
	client, err := api.NewClient(api.Options{Socket: filepath.Join(d.home, "api.sock")})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	d.api = client
	return d
}

// loopback finds a free port on 127.0.0.n, or on 127.0.0.1 where a system has
// no other.
func loopback(t *testing.T, n int) (ip string, port int) {
	t.Helper()
	for _, ip := range []string{fmt.Sprintf("127.0.0.%d", n), "127.0.0.1"} {
		l, err := net.Listen("tcp4", ip+":0")
		if err != nil {
			continue
		}
		defer l.Close()
		return ip, l.Addr().(*net.TCPAddr).Port
	}
	t.Fatal("no loopback address to listen on")
	return "", 0
}

// TestKillAndRestart is three daemons, a wallet that sends 2,000 transactions
// through one of them, and a kill -9 half-way: of another daemon, then of the
// very one the wallet talks to. No transaction that was answered "accepted"
// may be missing anywhere.
func TestKillAndRestart(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons")
	}
	const count = 2_000
	nw := newNetwork(t, 3, 2, time.Second)
	a, b, c := nw.daemons[0], nw.daemons[1], nw.daemons[2]
	for _, d := range nw.daemons {
		d.start(t)
	}
	for _, d := range nw.daemons {
		d.awaitAPI(t)
		d.until(t, "find its peers", func() bool {
			s, err := d.api.Status(t.Context())
			return err == nil && s.Peers >= 2
		})
	}
	var accepted []wire.TxID
	for i, victim := range []*daemon{b, a} {
		t.Run("kill "+victim.name, func(t *testing.T) {
			accepted = append(accepted, nw.sendThroughKill(t, a, victim, i*count, count)...)
			t.Cleanup(func() {
				if t.Failed() {
					nw.tellOfTheFirstMissing(t, accepted)
				}
			})
			for _, d := range nw.daemons {
				d.until(t, "include everything", func() bool { return d.nonce(t, nw.address) == uint64((i+1)*count) })
			}
		})
		if t.Failed() {
			return
		}
	}
	nw.requireSameChain(t, accepted)
	a.requireMetricsInHandbook(t)
	for _, d := range []*daemon{c, b, a} {
		d.end(t, syscall.SIGTERM)
		require.NoError(t, d.err, "%s: a clean stop has exit status 0; it said:\n%s", d.name, tail(d.log.String()))
	}
}

// tellOfTheFirstMissing logs what each daemon knows of the first transaction that it has not
// included, of those with nonces from 0 on.
func (nw *network) tellOfTheFirstMissing(t *testing.T, ids []wire.TxID) {
	for _, d := range nw.daemons {
		account, err := d.api.Account(context.Background(), nw.address)
		t.Logf("%s has the sender at %+v, %v", d.name, account, err)
		if err == nil && int(account.Nonce) < len(ids) {
			status, err := d.api.TxStatus(context.Background(), ids[account.Nonce])
			t.Logf("%s has the transaction of that nonce at %+v, %v", d.name, status, err)
		}
	}
}

// sendThroughKill sends count transactions through the daemon at, kills victim
// when half of them are accepted, starts it again, and returns what was
// accepted.
func (nw *network) sendThroughKill(t *testing.T, at, victim *daemon, before, count int) []wire.TxID {
	t.Helper()
	var out, errs bytes.Buffer
	wallet := exec.Command("grapevine", "tx", "send", "--home", nw.wallet, "--api", filepath.Join(at.home, "api.sock"),
		"--to", nw.to, "--amount", "1", "--count", fmt.Sprint(count), "--patience", settleTime.String(), "--json")
	wallet.Stdout, wallet.Stderr = &out, &errs
	require.NoError(t, wallet.Start())
	t.Cleanup(func() {
		_ = wallet.Process.Kill()
		if t.Failed() {
			t.Logf("the wallet said:\n%s", tail(out.String()+errs.String()))
		}
	})

	at.until(t, "accept half of the transactions", func() bool {
		account, err := at.api.Account(t.Context(), nw.address)
		return err == nil && int(account.NextNonce) >= before+count/2
	})
	victim.end(t, syscall.SIGKILL)
	at.until(t, "go on for a moment", func() bool {
		if at == victim {
			return true
		}
		account, err := at.api.Account(t.Context(), nw.address)
		return err == nil && int(account.NextNonce) >= before+count*3/4
	})
	victim.start(t)
	victim.awaitAPI(t)
	require.NoError(t, wallet.Wait(), "the wallet:\n%s%s", &out, &errs)

	var report sendReport
	require.NoError(t, json.Unmarshal(out.Bytes(), &report))
	require.Equal(t, count, report.Accepted)
	ids := make([]wire.TxID, 0, count)
	for _, tx := range report.Txs {
		ids = append(ids, tx.ID)
	}
	return ids
}

// requireSameChain demands that every daemon has the same blocks, and that each
// of ids is in exactly one of them.
func (nw *network) requireSameChain(t *testing.T, ids []wire.TxID) {
	t.Helper()
	height := ^uint64(0)
	for _, d := range nw.daemons {
		head, err := d.api.Head(t.Context())
		require.NoError(t, err)
		height = min(height, head.Head.Height)
	}
	// The newest blocks may still be replaced; what holds the transactions is
	// below them for sure only if their nonces are confirmed, which the caller
	// has waited for.
	first := nw.daemons[0]
	var chain []api.Block
	for _, d := range nw.daemons {
		d.until(t, "agree on the chain", func() bool {
			theirs, ours := d.chain(t, height), first.chain(t, height)
			chain = ours
			return slices.EqualFunc(theirs, ours, func(a, b api.Block) bool { return a.ID == b.ID })
		})
	}
	times := make(map[wire.TxID]int)
	for _, b := range chain {
		for _, id := range b.IDs {
			times[id]++
		}
	}
	for _, id := range ids {
		require.Equal(t, 1, times[id], "transaction %s was accepted", id)
	}
}

// requireMetricsInHandbook demands that docs/operations.md names every metric
// that this daemon has by now.
func (d *daemon) requireMetricsInHandbook(t *testing.T) {
	t.Helper()
	handbook, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, "unix", filepath.Join(d.home, "api.sock"))
	}}}
	defer client.CloseIdleConnections()
	resp, err := client.Get("http://node/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	names := regexp.MustCompile(`(?m)^# TYPE (grapevine_\w+) `).FindAllStringSubmatch(string(text), -1)
	require.Greater(t, len(names), 10, "%s", text)
	var missing []string
	for _, name := range names {
		if !bytes.Contains(handbook, []byte("`"+name[1]+"`")) && !bytes.Contains(handbook, []byte("`"+name[1]+"{")) {
			missing = append(missing, name[1])
		}
	}
	require.Empty(t, missing, "docs/operations.md does not name them")
}

// TestProducerOff switches one of two producers off: its slots stay empty and
// the chain goes on. Back again, it produces again.
func TestProducerOff(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons")
	}
	nw := newNetwork(t, 2, 2, 500*time.Millisecond)
	a, b := nw.daemons[0], nw.daemons[1]
	a.start(t)
	b.start(t)
	mine := a.awaitAPI(t).Producer
	theirs := b.awaitAPI(t).Producer
	require.NotNil(t, mine)
	require.NotNil(t, theirs)

	// newest lists the producers of the blocks above a height, oldest first.
	newest := func(above uint64) (blocks []api.Block) {
		head, err := a.api.Head(t.Context())
		require.NoError(t, err)
		for h := above + 1; h <= head.Head.Height; h++ {
			block, err := a.api.Block(t.Context(), fmt.Sprint(h), false)
			require.NoError(t, err)
			blocks = append(blocks, block)
		}
		return blocks
	}
	made := func(blocks []api.Block, by string) int {
		n := 0
		for _, block := range blocks {
			if block.Producer == by {
				n++
			}
		}
		return n
	}
	a.until(t, "see blocks of both producers", func() bool {
		blocks := newest(0)
		return made(blocks, mine.Address) >= 2 && made(blocks, theirs.Address) >= 2
	})

	b.end(t, syscall.SIGTERM)
	require.NoError(t, b.err)
	head, err := a.api.Head(t.Context())
	require.NoError(t, err)
	off := head.Head.Height
	a.until(t, "go on alone", func() bool { return len(newest(off)) >= 4 })
	alone := newest(off)
	require.Equal(t, len(alone), made(alone, mine.Address))
	for i := 1; i < len(alone); i++ {
		// Two producers take turns, so every second slot was the other's.
		require.Zero(t, (alone[i].Slot-alone[i-1].Slot)%2, "block %d is in a slot of the absent producer", alone[i].Height)
	}

	back := alone[len(alone)-1].Height
	b.start(t)
	b.awaitAPI(t)
	a.until(t, "see the other producer again", func() bool { return made(newest(back), theirs.Address) >= 2 })
	b.until(t, "have caught up", func() bool {
		theirs, err := b.api.Block(t.Context(), fmt.Sprint(back), false)
		return err == nil && theirs.ID == alone[len(alone)-1].ID
	})
}

// TestOtherGenesisIsRefused joins a daemon to one of another network: both say
// why they part.
func TestOtherGenesisIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("starts daemons")
	}
	a := newNetwork(t, 1, 1, time.Second).daemons[0]
	b := newNetwork(t, 1, 1, time.Second).daemons[0]
	b.args = append(b.args, "--bootstrap", a.addr)
	a.start(t)
	a.awaitAPI(t)
	b.start(t)
	for _, d := range []*daemon{a, b} {
		d.until(t, "say that the other is of another network", func() bool {
			return strings.Contains(d.log.String(), "it is on network")
		})
	}
	s, err := a.api.Status(t.Context())
	require.NoError(t, err)
	require.Zero(t, s.Peers)
	_ = os.Stdout
}
