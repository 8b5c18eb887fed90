package api

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// key gives the same key for the same number, always.
func key(n byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed(bytes.Repeat([]byte{n}, ed25519.SeedSize))
}

func addressOf(k ed25519.PrivateKey) (a wire.Address) {
	copy(a[:], k.Public().(ed25519.PublicKey))
	return a
}

// now is the time of every test that needs one: two hours into the network.
var now = time.UnixMilli(1_700_007_200_000)

// newGenesis has one producer and one rich account, that of key(1).
func newGenesis(t testing.TB) *wire.Genesis {
	t.Helper()
	g := &wire.Genesis{
		Network:       "api-test",
		AddressPrefix: "gvt",
		Time:          uint64(now.Add(-2 * time.Hour).UnixMilli()),
		SlotMillis:    1000,
		Allocations:   []wire.Allocation{{Address: addressOf(key(1)), Amount: 1_000_000}},
		Producers:     []wire.ProducerSet{{Height: 0, Producers: []wire.Address{addressOf(key(9))}}},
		Rules:         []wire.RuleChange{{Height: 0, Version: 1}},
		Limits:        wire.DefaultLimits(),
	}
	require.NoError(t, g.Validate())
	return g
}

// transfer is a sound transaction of key(1), unless change makes it another.
func transfer(g *wire.Genesis, change func(*wire.TxBody)) *wire.Transaction {
	body := &wire.TxBody{
		Version: wire.TxVersion,
		Sender:  addressOf(key(1)),
		Fee:     1000,
		To:      addressOf(key(2)),
		Amount:  5,
	}
	if change != nil {
		change(body)
	}
	return wire.SignTx(g.ID(), key(1), body)
}

// fake is a backend that judges by the real rules and otherwise says what it is
// told to.
type fake struct {
	*Feed
	checker *validation.Checker

	mu     sync.Mutex
	err    error         // what every method fails with
	hold   chan struct{} // what every method waits for
	held   chan struct{} // told each time one waits
	txs    map[wire.TxID]TxStatus
	blocks map[uint64]*wire.Block
	status Status
	order  []wire.TxID
	bans   []Ban
}

func newFake(t testing.TB, g *wire.Genesis) *fake {
	t.Helper()
	l, err := ledger.New(g, nil)
	require.NoError(t, err)
	checker, err := validation.NewChecker(g, l)
	require.NoError(t, err)
	feed, err := NewFeed(64)
	require.NoError(t, err)
	header := wire.SignHeader(g.ID(), key(9), &wire.HeaderBody{
		Version: 1, Height: 1, Parent: g.ID().GenesisBlock(), Producer: addressOf(key(9)),
		FeeRecipient: addressOf(key(9)), Slot: 3, Time: g.SlotStart(3), TxCount: 2,
	})
	block := &wire.Block{Header: header, Txs: []*wire.Transaction{
		transfer(g, func(b *wire.TxBody) { b.Payload = []byte("hello") }),
		wire.NewTransaction([]byte("another application"), wire.Signature{1}),
	}}
	return &fake{
		Feed:    feed,
		checker: checker,
		held:    make(chan struct{}, 1),
		txs:     map[wire.TxID]TxStatus{},
		blocks:  map[uint64]*wire.Block{1: block},
		status:  Status{Network: g.Network, NetworkID: g.ID(), PeerID: "12D3KooWtest", Ready: true},
	}
}

// enter waits if the fake is held and says how to fail.
func (f *fake) enter(ctx context.Context) error {
	f.mu.Lock()
	hold, err := f.hold, f.err
	f.mu.Unlock()
	if hold != nil {
		select {
		case f.held <- struct{}{}:
		default:
		}
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

func (f *fake) set(change func(*fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fake) Submit(ctx context.Context, raw []byte) (TxStatus, error) {
	if err := f.enter(ctx); err != nil {
		return TxStatus{}, err
	}
	id := wire.NewTransaction(nil, wire.Signature{}).ID()
	if tx, err := wire.DecodeTransaction(raw); err == nil {
		id = tx.ID()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if st, ok := f.txs[id]; ok {
		return st, nil
	}
	tx, err := f.checker.Tx(ctx, now, raw)
	if err != nil {
		return TxStatus{}, err
	}
	st := TxStatus{ID: tx.ID(), State: Pending, Local: true}
	f.txs[id] = st
	f.order = append(f.order, id)
	return st, nil
}

func (f *fake) SubmitPrivately(ctx context.Context, raw []byte) (TxStatus, error) {
	st, err := f.Submit(ctx, raw)
	st.Reason = "private"
	return st, err
}

func (f *fake) TxStatus(ctx context.Context, id wire.TxID) (TxStatus, error) {
	if err := f.enter(ctx); err != nil {
		return TxStatus{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	st, ok := f.txs[id]
	if !ok {
		return st, ErrNotFound
	}
	return st, nil
}

func (f *fake) Account(ctx context.Context, a wire.Address) (Account, error) {
	return Account{Address: a.Encode("gvt"), Balance: 1<<63 + 1, Nonce: 7, NextNonce: 9}, f.enter(ctx)
}

func (f *fake) ProducerFaults(context.Context) ([]ProducerFault, error) {
	return []ProducerFault{{Producer: "gvt1producer", Slot: 8, Fault: InvalidBody, Why: "why"}}, nil
}

func (f *fake) Evidence(context.Context) ([]Equivocation, error) {
	return []Equivocation{{EvidenceEvent: EvidenceEvent{Producer: "gvt1producer", Slot: 7}, Found: 1_700_000_000_000, Proof: "1a"}}, nil
}

func (f *fake) Head(ctx context.Context) (Head, error) {
	return Head{Head: Ref{Height: 12, Slot: 15}, Final: Ref{Height: 10}}, f.enter(ctx)
}

func (f *fake) BlockByID(ctx context.Context, id wire.BlockID) (StoredBlock, error) {
	if f.blocks[1].ID() == id {
		return f.BlockAt(ctx, 1)
	}
	return StoredBlock{}, ErrNotFound
}

func (f *fake) BlockAt(ctx context.Context, height uint64) (StoredBlock, error) {
	if err := f.enter(ctx); err != nil {
		return StoredBlock{}, err
	}
	b, ok := f.blocks[height]
	if !ok {
		return StoredBlock{}, ErrNotFound
	}
	return StoredBlock{Block: b, Best: true, Final: true, Arrived: 77, Journey: &Journey{Way: "rounds", Known: 1, Asked: 2, Rounds: 1, Took: 3.5, Sender: "sender", From: []string{"peer"}}}, nil
}

func (f *fake) Status(ctx context.Context) (Status, error) {
	if err := f.enter(ctx); err != nil {
		return Status{}, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.status, nil
}

func (f *fake) Peers(ctx context.Context) ([]Peer, error) {
	return []Peer{{ID: "12D3KooWpeer", Addrs: []string{"/ip4/127.0.0.2/tcp/1"}, Direction: "inbound", Score: -1.5}}, f.enter(ctx)
}

func (f *fake) Members(ctx context.Context) (Members, error) {
	return Members{
		MemberCount: MemberCount{NetworkSize: 3, Alive: 1, Dead: 1},
		Members:     []Member{{ID: "12D3KooWmember", State: "alive", Incarnation: 1 << 60}},
	}, f.enter(ctx)
}

func (f *fake) Mempool(ctx context.Context) (Mempool, error) {
	return Mempool{Count: 3, Bytes: 700}, f.enter(ctx)
}

func (f *fake) Fees(ctx context.Context) (Fees, error) {
	return Fees{Floor: 1000, Enter: 1100, Medium: 1500}, f.enter(ctx)
}

// node is a running server with a fake behind it.
type node struct {
	*fake
	genesis *wire.Genesis
	server  *Server
	cfg     Config
	url     string
	tokens  Tokens
	stop    func() // ends Run and waits for it
}

// start runs a server on a socket and a free port until the test ends.
func start(t *testing.T, change func(*Config)) *node {
	t.Helper()
	g := newGenesis(t)
	home := shortDir(t)
	cfg := DefaultConfig()
	cfg.Socket = filepath.Join(home, "api.sock")
	cfg.Listen = "127.0.0.1:0"
	cfg.TokenFile = filepath.Join(home, "api.token")
	cfg.Genesis = g
	cfg.Logger = slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	if change != nil {
		change(&cfg)
	}
	n := &node{fake: newFake(t, g), genesis: g, cfg: cfg}
	n.run(t)
	return n
}

// run starts the server; once more after stop for a restart with the same home.
func (n *node) run(t *testing.T) {
	t.Helper()
	var err error
	n.server, err = NewServer(n.cfg, n.fake)
	require.NoError(t, err)
	require.NoError(t, n.server.Listen(t.Context()))
	n.url = n.server.URL()
	if n.cfg.Listen != "" {
		n.tokens, err = LoadTokens(n.cfg.TokenFile)
		require.NoError(t, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.server.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(n.stop)
}

// client talks over TCP with the token of that scope.
func (n *node) client(t *testing.T, s Scope) *Client {
	t.Helper()
	c, err := NewClient(Options{URL: n.url, Token: n.tokens.For(s), Timeout: 5 * time.Second})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// socketClient talks over the unix socket.
func (n *node) socketClient(t *testing.T) *Client {
	t.Helper()
	c, err := NewClient(Options{Socket: n.cfg.Socket, Timeout: 5 * time.Second})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

// reply is a whole answer.
type reply struct {
	status int
	header http.Header
	body   string
}

// do sends one request over TCP on a connection of its own; change may spoil it.
func (n *node) do(t *testing.T, s Scope, method, path string, body io.Reader, change func(*http.Request)) reply {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, n.url+path, body)
	require.NoError(t, err)
	if s != None {
		req.Header.Set("Authorization", "Bearer "+n.tokens.For(s))
	}
	if change != nil {
		change(req)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return reply{resp.StatusCode, resp.Header, string(b)}
}

// raw sends bytes as they are over TCP and gives all that comes back.
func (n *node) raw(t *testing.T, request string) string {
	t.Helper()
	c, err := net.Dial("tcp", n.server.URL()[len("http://"):])
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	_, _ = io.WriteString(c, request)
	b, _ := io.ReadAll(c) // a reset after the answer is fine
	return string(b)
}

// shortDir is a directory whose name leaves room for a socket's.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "gv")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

type testWriter struct{ t *testing.T }

func (w testWriter) Write(b []byte) (int, error) {
	w.t.Logf("%s", bytes.TrimSpace(b))
	return len(b), nil
}
