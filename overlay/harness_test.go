package overlay_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	patience = 30 * time.Second // until something that must happen has happened
	pulse    = 10 * time.Millisecond

	slotMillis = 1000
	balance    = 1 << 40
)

// key derives a key from a name, so that runs can be compared.
func key(name string) ed25519.PrivateKey {
	seed := sha256.Sum256([]byte(name))
	return ed25519.NewKeyFromSeed(seed[:])
}

func address(k ed25519.PrivateKey) wire.Address {
	return wire.Address(k.Public().(ed25519.PublicKey))
}

// testGenesis is a network with two producers and a few rich wallets.
func testGenesis(name string) *wire.Genesis {
	g := &wire.Genesis{
		Network: name, AddressPrefix: "gv", Time: 1_700_000_000_000, SlotMillis: slotMillis,
		Producers: []wire.ProducerSet{{Producers: []wire.Address{address(key("producer 0")), address(key("producer 1"))}}},
		Rules:     []wire.RuleChange{{Version: 1}},
		Limits:    wire.DefaultLimits(),
	}
	for i := range 8 {
		g.Allocations = append(g.Allocations, wire.Allocation{Address: address(key(fmt.Sprint("wallet ", i))), Amount: balance})
	}
	slices.SortFunc(g.Allocations, func(a, b wire.Allocation) int { return a.Address.Compare(b.Address) })
	return g
}

// transfer makes a signed transaction.
func transfer(g *wire.Genesis, wallet string, nonce uint64, change ...func(*wire.TxBody)) *wire.Transaction {
	k := key(wallet)
	body := &wire.TxBody{
		Version: 1, Sender: address(k), Nonce: nonce, Fee: 10_000,
		To: address(key("somebody")), Amount: 1, Payload: bytes.Repeat([]byte{byte(nonce)}, 100),
	}
	for _, f := range change {
		f(body)
	}
	return wire.SignTx(g.ID(), k, body)
}

// clock is the time of a test network: it stands at a slot until it is moved.
type clock struct{ slot atomic.Uint64 }

func newClock() *clock {
	c := new(clock)
	c.slot.Store(1000)
	return c
}

func (c *clock) now(g *wire.Genesis) time.Time {
	return time.UnixMilli(int64(g.SlotStart(c.slot.Load())))
}

// chain is a node's chain and pool without a disk: the real ledger and the real pool.
type chain struct {
	g *wire.Genesis
	c *clock

	slow atomic.Pointer[chan struct{}] // while it is set and open, transactions are not answered for

	mu     sync.Mutex
	l      *ledger.Ledger
	pool   *mempool.Pool
	bodies map[wire.BlockID]*wire.Block
	at     map[uint64]wire.BlockID
}

func newChain(t testing.TB, g *wire.Genesis, c *clock) *chain {
	t.Helper()
	n := &chain{g: g, c: c, bodies: make(map[wire.BlockID]*wire.Block), at: make(map[uint64]wire.BlockID)}
	var err error
	n.l, err = ledger.New(g, stored{n})
	require.NoError(t, err)
	n.pool, err = mempool.New(mempool.DefaultConfig())
	require.NoError(t, err)
	return n
}

// stored is the chain's bodies as the ledger reads them, under the chain's lock.
type stored struct{ n *chain }

func (s stored) Block(id wire.BlockID) (*wire.Block, error) {
	if b := s.n.bodies[id]; b != nil {
		return b, nil
	}
	return nil, overlay.NotFound
}

func (n *chain) DescribeTx(tx *wire.Transaction) (validation.TxTerms, error) {
	return n.l.DescribeTx(tx)
}

func (n *chain) CheckTxs(ctx context.Context, now time.Time, txs []validation.CheckedTx) []error {
	if slow := n.slow.Load(); slow != nil {
		select {
		case <-*slow:
		case <-ctx.Done():
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.l.CheckTxs(ctx, now, txs)
}

func (n *chain) CheckHeader(ctx context.Context, now time.Time, h *wire.HeaderBody, r validation.Road) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.l.CheckHeader(ctx, now, h, r)
}

func (n *chain) Head() ledger.Ref {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.l.Head()
}

func (n *chain) HasBlock(id wire.BlockID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return id == n.g.ID().GenesisBlock() || n.bodies[id] != nil
}

func (n *chain) Block(id wire.BlockID) (*wire.Block, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return stored{n}.Block(id)
}

func (n *chain) BlockAt(height uint64) (wire.BlockID, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	id, ok := n.at[height]
	return id, ok
}

func (n *chain) AddBlock(_ context.Context, b validation.CheckedBlock, _ peerscore.PeerID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	c, err := n.l.Prepare(b)
	if err != nil {
		return err
	}
	n.bodies[b.ID()] = b.Block()
	n.l.Apply(c)
	for _, r := range c.RolledBack {
		delete(n.at, r.Height)
	}
	for _, r := range c.Applied {
		n.at[r.Height] = r.ID
	}
	var touched []mempool.Touched
	for _, a := range c.Accounts {
		touched = append(touched, mempool.Touched{Address: a.Address, Account: mempool.Account{Nonce: a.Nonce, Balance: a.Balance}})
	}
	var included []wire.TxID
	for _, tx := range b.Txs() {
		included = append(included, tx.ID())
	}
	n.pool.Settle(n.c.now(n.g), touched, included)
	return nil
}

// force makes a block part of the best chain without asking the ledger: on sync/1 the node
// claims to have checked it.
func (n *chain) force(b *wire.Block) {
	n.keep(b)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.at[b.Header.Body().Height] = b.ID()
}

// keep stores a block without asking the ledger, so that it can be given to who asks for it
// by its id. The best chain stays as it is.
func (n *chain) keep(b *wire.Block) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.bodies[b.ID()] = b
}

func (n *chain) Observe(h validation.CheckedHeader) (bool, *wire.Evidence) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.l.Observe(h)
}

func (n *chain) AddEvidence(ev *wire.Evidence) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.l.AddEvidence(ev)
}

func (n *chain) evidence() []wire.Evidence {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.l.Evidence()
}

func (n *chain) AddTx(_ context.Context, tx validation.CheckedTx, from peerscore.PeerID) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	a := n.l.Account(tx.Terms().Sender)
	_, err := n.pool.Add(n.c.now(n.g), tx, mempool.Account{Nonce: a.Nonce, Balance: a.Balance}, mempool.Source(from))
	return err
}

func (n *chain) Match(salt wire.Salt, want []wire.ShortID) []validation.CheckedTx {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Collect(n.pool.Match(salt, want))
}

func (n *chain) pooled() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pool.Len()
}

// HasTx implements overlay.TxHolder.
func (n *chain) HasTx(id wire.TxID) bool { return n.has(id) }

func (n *chain) has(id wire.TxID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pool.Has(id)
}

// seal makes a block of the producer of a slot.
func seal(g *wire.Genesis, parent ledger.Ref, slot uint64, txs []*wire.Transaction, change ...func(*wire.HeaderBody)) *wire.Block {
	height := parent.Height + 1
	producer := key(fmt.Sprint("producer ", slot%2))
	h := &wire.HeaderBody{
		Version: 1, Height: height, Parent: parent.ID, Producer: address(producer), FeeRecipient: address(producer),
		Slot: slot, Time: g.SlotStart(slot), TxCount: uint32(len(txs)),
		Salt: wire.Salt(sha256.New().Sum(fmt.Append(nil, height, "/", slot, "salt of sixteen"))[:16]),
	}
	var ids []wire.TxID
	for _, tx := range txs {
		ids = append(ids, tx.ID())
		h.Size += uint32(tx.Size())
	}
	h.TxRoot = wire.TxRoot(ids)
	for _, f := range change {
		f(h)
	}
	h.ShortIDsHash = wire.ShortIDsHash(wire.ShortIDs(h.Salt, ids))
	return &wire.Block{Header: wire.SignHeader(g.ID(), producer, h), Txs: txs}
}

func refOf(b *wire.Block) ledger.Ref {
	h := b.Header.Body()
	return ledger.Ref{ID: b.ID(), Height: h.Height, Slot: h.Slot, Time: h.Time}
}

// node is an overlay on a real host.
type node struct {
	*overlay.Overlay
	t       testing.TB
	g       *wire.Genesis
	host    host.Host
	chain   *chain
	checker *validation.Checker
	log     *logBook
	seen    *sightings
	stop    func()
}

// sightings is what a node's hooks told.
type sightings struct {
	mu       sync.Mutex
	offences map[peerscore.PeerID][]peerscore.Offence
	arrived  map[validation.Verdict][]error
	rebuilt  map[wire.BlockID]overlay.Rebuilt
	failed   []error
	invalid  []validation.CheckedHeader // of what failed
	evidence int
	refused  []string
	dropped  int
	unjudged int
	shed     map[overlay.Shed]int
	echoed   []wire.TxID
	cut      []string
}

func (s *sightings) hooks() overlay.Hooks {
	locked := func(f func()) {
		s.mu.Lock()
		defer s.mu.Unlock()
		f()
	}
	return overlay.Hooks{
		Offence: func(p peerscore.PeerID, o peerscore.Offence, _ error) {
			locked(func() { s.offences[p] = append(s.offences[p], o) })
		},
		TxArrived: func(_ wire.TxID, _ peerscore.PeerID, v validation.Verdict, err error) {
			locked(func() { s.arrived[v] = append(s.arrived[v], err) })
		},
		BlockRebuilt: func(id wire.BlockID, how overlay.Rebuilt) { locked(func() { s.rebuilt[id] = how }) },
		BlockFailed: func(h validation.CheckedHeader, err error) {
			locked(func() { s.failed, s.invalid = append(s.failed, err), append(s.invalid, h) })
		},
		EvidenceSeen:      func(*wire.Evidence) { locked(func() { s.evidence++ }) },
		HelloRefused:      func(_ peer.ID, why string) { locked(func() { s.refused = append(s.refused, why) }) },
		ValidationDropped: func(peerscore.PeerID, string) { locked(func() { s.unjudged++ }) },
		RPCDropped:        func(peerscore.PeerID, string) { locked(func() { s.dropped++ }) },
		TxEchoed:          func(id wire.TxID) { locked(func() { s.echoed = append(s.echoed, id) }) },
		PeerCut:           func(_ peerscore.PeerID, why string) { locked(func() { s.cut = append(s.cut, why) }) },
		TxShed: func(_ peerscore.PeerID, n int, why overlay.Shed) {
			locked(func() {
				if s.shed == nil {
					s.shed = make(map[overlay.Shed]int)
				}
				s.shed[why] += n
			})
		},
	}
}

func (s *sightings) offencesOf(p peer.ID) []peerscore.Offence {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.offences[peerscore.PeerID(p)])
}

func (s *sightings) blamed() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range s.offences {
		n += len(o)
	}
	return n
}

// lost is how many RPCs with messages the router dropped because a queue was full.
func (s *sightings) lost() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

func (s *sightings) count(v validation.Verdict) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.arrived[v])
}

func (s *sightings) how(id wire.BlockID) (overlay.Rebuilt, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, ok := s.rebuilt[id]
	return r, ok
}

// logBook keeps what a node logs.
type logBook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBook) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBook) has(text string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Contains(l.buf.String(), text)
}

func (l *logBook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

type option func(*overlay.Config)

func bootstrap(to ...*node) option {
	return func(c *overlay.Config) {
		for _, n := range to {
			c.Bootstrap = append(c.Bootstrap, n.addr())
		}
	}
}

var hosts atomic.Uint32

// newHost makes a host on loopback with TCP and QUIC.
func newHost(t testing.TB) host.Host {
	t.Helper()
	rm, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(rcmgr.InfiniteLimits),
		rcmgr.WithLimitPerSubnet([]rcmgr.ConnLimitPerSubnet{{PrefixLength: 32, ConnCount: 1024}}, nil))
	require.NoError(t, err)
	addrs := []string{"/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"}
	if hosts.Add(1)%2 == 0 { // both transports are used: who listens to one only is dialled by it
		slices.Reverse(addrs)
	}
	h, err := libp2p.New(libp2p.ListenAddrStrings(addrs[0]), libp2p.ResourceManager(rm),
		libp2p.DisableRelay(), libp2p.DisableMetrics())
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// start runs a node until the test ends or it is stopped.
func start(t testing.TB, g *wire.Genesis, c *clock, options ...option) *node {
	t.Helper()
	return startOn(t, newHost(t), newChain(t, g, c), options...)
}

func startOn(t testing.TB, h host.Host, ch *chain, options ...option) *node {
	t.Helper()
	n := &node{
		t: t, g: ch.g, host: h, chain: ch, log: new(logBook),
		seen: &sightings{
			offences: make(map[peerscore.PeerID][]peerscore.Offence),
			arrived:  make(map[validation.Verdict][]error),
			rebuilt:  make(map[wire.BlockID]overlay.Rebuilt),
		},
	}
	var err error
	n.checker, err = validation.NewChecker(ch.g, ch)
	require.NoError(t, err)
	cfg := overlay.DefaultConfig()
	cfg.Host, cfg.Genesis, cfg.Checker, cfg.Chain, cfg.Pool = h, ch.g, n.checker, ch, ch
	cfg.Hooks = n.seen.hooks()
	cfg.Dial.Outbound = 0 // the topology is the test's
	cfg.Logger = slog.New(slog.NewTextHandler(n.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cfg.Now = func() time.Time { return ch.c.now(ch.g) }
	for _, o := range options {
		o(&cfg)
	}
	n.Overlay, err = overlay.New(cfg)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			require.NoError(t, err)
		case <-time.After(patience):
			t.Error("Run did not end with its context")
		}
		if t.Failed() && testing.Verbose() {
			t.Logf("log of %s:\n%s", h.ID(), n.log)
		}
	})
	t.Cleanup(n.stop)
	select {
	case <-n.Ready():
	case <-time.After(patience):
		require.Fail(t, "the node does not become ready")
	}
	return n
}

func (n *node) addr() peer.AddrInfo { return peer.AddrInfo{ID: n.host.ID(), Addrs: n.host.Addrs()} }

// join connects n to others and waits until both see each other.
func (n *node) join(others ...*node) {
	n.t.Helper()
	for _, o := range others {
		require.NoError(n.t, n.Connect(n.t.Context(), o.addr()))
		eventually(n.t, func() bool { return n.knows(o.host.ID()) && o.knows(n.host.ID()) }, "hello of %s and %s", n.host.ID(), o.host.ID())
	}
}

func (n *node) knows(p peer.ID) bool {
	return slices.ContainsFunc(n.Peers(), func(i overlay.PeerInfo) bool { return i.ID == p })
}

func (n *node) peer(p peer.ID) overlay.PeerInfo {
	for _, i := range n.Peers() {
		if i.ID == p {
			return i
		}
	}
	return overlay.PeerInfo{}
}

// accept puts a transaction into n's own pool, as its API would.
func (n *node) accept(tx *wire.Transaction) validation.CheckedTx {
	n.t.Helper()
	checked, err := n.checker.Tx(n.t.Context(), n.chain.c.now(n.g), tx.Bytes())
	require.NoError(n.t, err)
	require.NoError(n.t, n.chain.AddTx(n.t.Context(), checked, ""))
	return checked
}

func (n *node) submit(txs ...*wire.Transaction) {
	n.t.Helper()
	for _, tx := range txs {
		require.NoError(n.t, n.PublishTx(n.t.Context(), n.accept(tx)))
	}
}

// add checks a block as one of n's own and adds it.
func (n *node) add(b *wire.Block) validation.CheckedBlock {
	n.t.Helper()
	h, err := n.checker.Header(n.t.Context(), n.chain.c.now(n.g), b.Header, validation.Own)
	require.NoError(n.t, err)
	parts := make([]validation.Part, len(b.Txs))
	for i, tx := range b.Txs {
		parts[i].Tx = tx
	}
	checked, err := n.checker.Block(h, parts)
	require.NoError(n.t, err)
	require.NoError(n.t, n.chain.AddBlock(n.t.Context(), checked, ""))
	return checked
}

func (n *node) produce(b *wire.Block) {
	n.t.Helper()
	require.NoError(n.t, n.PublishBlock(n.t.Context(), n.add(b), nil))
}

// grow adds blocks of one per slot, each with some transactions of a wallet.
func (n *node) grow(count int, wallet string, nonce uint64) (last *wire.Block) {
	n.t.Helper()
	head := n.chain.Head()
	for i := range count {
		var txs []*wire.Transaction
		if wallet != "" {
			txs = append(txs, transfer(n.g, wallet, nonce+uint64(i)))
		}
		last = seal(n.g, head, head.Slot+1, txs)
		n.add(last)
		head = refOf(last)
	}
	return last
}

func eventually(t testing.TB, ok func() bool, what string, args ...any) {
	t.Helper()
	require.Eventually(t, ok, patience, pulse, fmt.Sprintf(what, args...))
}

// never looks again and again for a while. The look is over when it returns, which that of
// require.Never need not be.
func never(t testing.TB, ok func() bool, lasting, pause time.Duration, what ...any) {
	t.Helper()
	for end := time.Now().Add(lasting); time.Now().Before(end); time.Sleep(pause) {
		require.False(t, ok(), what...)
	}
}

// meshed waits until the peers of each node are in its block and transaction mesh.
func meshed(t testing.TB, nodes ...*node) {
	t.Helper()
	for _, n := range nodes {
		eventually(t, func() bool {
			peers := n.Peers()
			return len(peers) > 0 && !slices.ContainsFunc(peers, func(p overlay.PeerInfo) bool { return !p.InTxMesh || !p.InBlockMesh })
		}, "mesh of %s", n.host.ID())
	}
}
