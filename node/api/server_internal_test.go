package api

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TestEveryEndpoint asks for everything through the client, on both roads.
func TestEveryEndpoint(t *testing.T) {
	n := start(t, nil)
	for name, c := range map[string]*Client{"tcp": n.client(t, Submit), "socket": n.socketClient(t)} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			tx := transfer(n.genesis, func(b *wire.TxBody) { b.Payload = []byte(name) })
			st, err := c.SubmitRaw(ctx, tx.Bytes())
			require.NoError(t, err)
			require.Equal(t, TxStatus{ID: tx.ID(), State: Pending, Local: true}, st)
			again, err := c.SubmitRaw(ctx, tx.Bytes())
			require.NoError(t, err)
			require.Equal(t, st, again, "A17: the same bytes give the same answer")
			st, err = c.TxStatus(ctx, tx.ID())
			require.NoError(t, err)
			require.Equal(t, Pending, st.State)
			st, err = c.TxStatus(ctx, wire.TxID{1})
			require.NoError(t, err)
			require.Equal(t, TxStatus{ID: wire.TxID{1}, State: Unknown}, st)

			address := addressOf(key(2)).Encode("gvt")
			a, err := c.Account(ctx, address)
			require.NoError(t, err)
			require.Equal(t, Account{Address: address, Balance: 1<<63 + 1, Nonce: 7, NextNonce: 9}, a)
			h, err := c.Head(ctx)
			require.NoError(t, err)
			require.EqualValues(t, 12, h.Head.Height)
			p, err := c.Peers(ctx)
			require.NoError(t, err)
			require.Equal(t, "12D3KooWpeer", p[0].ID)
			members, err := c.Members(ctx)
			require.NoError(t, err)
			require.Equal(t, 3, members.NetworkSize)
			require.Equal(t, Amount(1<<60), members.Members[0].Incarnation)
			m, err := c.Mempool(ctx)
			require.NoError(t, err)
			require.Equal(t, 3, m.Count)
			f, err := c.Fees(ctx)
			require.NoError(t, err)
			require.Equal(t, Amount(375), f.Suggest(250))
			s, err := c.Status(ctx)
			require.NoError(t, err)
			require.Equal(t, n.genesis.ID(), s.NetworkID)
			require.NoError(t, c.Ready(ctx))
			g, err := c.Genesis(ctx)
			require.NoError(t, err)
			require.Equal(t, n.genesis, g)
		})
	}
}

func TestBlocks(t *testing.T) {
	n := start(t, nil)
	c := n.client(t, Read)
	want := n.blocks[1]
	byHeight, err := c.Block(t.Context(), "1", false)
	require.NoError(t, err)
	byID, err := c.Block(t.Context(), want.ID().String(), false)
	require.NoError(t, err)
	require.Equal(t, byHeight, byID)
	require.Equal(t, want.TxIDs(), byID.IDs)
	require.Empty(t, byID.Txs)
	require.Equal(t, want.Size(), byID.Size)
	require.True(t, byID.Best)

	full, err := c.Block(t.Context(), "1", true)
	require.NoError(t, err)
	require.Empty(t, full.IDs)
	require.Len(t, full.Txs, 2)
	require.Equal(t, hex.EncodeToString([]byte("hello")), full.Txs[0].Body.Payload)
	require.Equal(t, hex.EncodeToString([]byte("another application")), full.Txs[1].Raw)

	for name, code := range map[string]string{
		"0": CodeNotFound, "2": CodeNotFound, strings.Repeat("ab", 32): CodeNotFound,
		"-1": CodeBadRequest, "latest": CodeBadRequest, "..%2f..%2fetc": CodeBadRequest, "99999999999999999999": CodeBadRequest,
	} {
		_, err := c.Block(t.Context(), name, false)
		require.Equal(t, code, codeOf(t, err), name)
	}
	_, err = c.Block(t.Context(), "2", false)
	require.ErrorIs(t, err, ErrNotFound)
	require.Equal(t, http.StatusBadRequest, n.do(t, Read, "GET", "/v1/blocks/1?txs=all", nil, nil).status)
}

// codeOf is the code that the client got.
func codeOf(t *testing.T, err error) string {
	t.Helper()
	var e *Error
	require.ErrorAs(t, err, &e)
	require.NotEmpty(t, e.Message)
	require.NotEmpty(t, e.Remedy)
	require.Contains(t, refusals, e.Code)
	require.Equal(t, refusals[e.Code].status, e.Status, e.Code)
	return e.Code
}

// TestEveryRefusalOfASubmission is what the wallet sees, judged by the real rules.
func TestEveryRefusalOfASubmission(t *testing.T) {
	n := start(t, nil)
	g := n.genesis
	c := n.client(t, Submit)

	sound := transfer(g, nil)
	broken := wire.NewTransaction(sound.Body(), wire.Signature{1})
	elsewhere := *g
	elsewhere.Network = "elsewhere"
	extra := append(append([]byte(nil), sound.Bytes()...), 0x98, 0x06, 1)
	long := transfer(g, func(b *wire.TxBody) {
		b.Fee = 200_000
		b.Payload = make([]byte, wire.MaxTx-sound.Size()-7)
	})
	for long.Size() <= wire.MaxTx { // exactly one byte too long
		long = transfer(g, func(b *wire.TxBody) {
			b.Fee = 200_000
			b.Payload = make([]byte, wire.MaxTx-sound.Size()-7+wire.MaxTx+1-long.Size())
		})
	}
	require.Equal(t, wire.MaxTx+1, long.Size())
	for code, raw := range map[string][]byte{
		"bad_signature": broken.Bytes(),
		"overdraft":     transfer(g, func(b *wire.TxBody) { b.Amount = 1_000_000 }).Bytes(),
		"unknown_field": extra,
		"too_large":     long.Bytes(),
		"truncated":     sound.Bytes()[:sound.Size()-1],
		"fee_too_low":   transfer(g, func(b *wire.TxBody) { b.Fee = 1 }).Bytes(),
		"expired":       transfer(g, func(b *wire.TxBody) { b.ExpiresAt = uint64(now.Add(-time.Hour).UnixMilli()) }).Bytes(),
	} {
		_, err := c.SubmitRaw(t.Context(), raw)
		require.Equal(t, code, codeOf(t, err), "%v", err)
		t.Log(err)
	}

	// A stale nonce needs a chain that moved; the sentence is what is tested.
	n.set(func(f *fake) { f.err = fmt.Errorf("%w: nonce 3, the next one is 5", validation.StaleNonce) })
	_, err := c.SubmitRaw(t.Context(), sound.Bytes())
	require.Equal(t, "stale_nonce", codeOf(t, err))
	require.ErrorContains(t, err, "nonce 3, the next one is 5")
	n.set(func(f *fake) { f.err = nil })

	// A wrong network is found by the signature, and named where it is claimed.
	foreign := wire.SignTx(elsewhere.ID(), key(1), mustBody(t, sound))
	_, err = c.SubmitRaw(t.Context(), foreign.Bytes())
	require.Equal(t, "bad_signature", codeOf(t, err))
	other, err := NewClient(Options{URL: n.url, Token: n.tokens.For(Submit), Network: elsewhere.ID()})
	require.NoError(t, err)
	defer other.Close()
	_, err = other.SubmitRaw(t.Context(), foreign.Bytes())
	require.Equal(t, "wrong_network", codeOf(t, err))
	s, err := NewSubmission(foreign, "gvt")
	require.NoError(t, err)
	s.Network = elsewhere.ID().Short()
	_, err = c.SubmitBody(t.Context(), s)
	require.Equal(t, "wrong_network", codeOf(t, err))
	require.Empty(t, n.order, "nothing was accepted")
}

func mustBody(t *testing.T, tx *wire.Transaction) *wire.TxBody {
	t.Helper()
	b, err := wire.DecodeTxBody(tx.Body())
	require.NoError(t, err)
	return b
}

// JSON and bytes are two ways to say the same transaction.
func TestSubmitAsJSON(t *testing.T) {
	n := start(t, nil)
	c := n.client(t, Submit)
	tx := transfer(n.genesis, func(b *wire.TxBody) { b.Payload, b.ExpiresAt = []byte{0, 255}, uint64(now.Add(time.Hour).UnixMilli()) })
	s, err := NewSubmission(tx, "gvt")
	require.NoError(t, err)
	for _, network := range []string{"", n.genesis.ID().Short(), n.genesis.ID().String(), strings.ToUpper(n.genesis.ID().Short())} {
		s.Network = network
		st, err := c.SubmitBody(t.Context(), s)
		require.NoError(t, err)
		require.Equal(t, tx.ID(), st.ID)
	}
	_, err = NewSubmission(n.blocks[1].Txs[1], "gvt")
	require.ErrorIs(t, err, wire.UnknownField)
}

// 202 says that it waits, 200 that it is in a block or has ended.
func TestSubmitStatus(t *testing.T) {
	n := start(t, nil)
	tx := transfer(n.genesis, nil)
	for state, status := range map[State]int{Accepted: 202, Pending: 202, Included: 200, Final: 200, Expired: 200} {
		n.set(func(f *fake) { f.txs[tx.ID()] = TxStatus{ID: tx.ID(), State: state} })
		r := n.do(t, Submit, "POST", "/v1/transactions", strings.NewReader(string(tx.Bytes())), func(r *http.Request) {
			r.Header.Set("Content-Type", typeRaw)
		})
		require.Equal(t, status, r.status, "%s: %s", state, r.body)
	}
}

// A13: each route with each scope, and who is let in.
func TestScopes(t *testing.T) {
	n := start(t, func(c *Config) {
		c.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "up 1\n") })
	})
	tx := string(transfer(n.genesis, nil).Bytes())
	for route, need := range map[string]Scope{
		"GET /livez":              None,
		"GET /readyz":             Read,
		"GET /metrics":            Read,
		"GET /openapi.json":       Read,
		"GET /v1/status":          Read,
		"GET /v1/peers":           Read,
		"GET /v1/members":         Read,
		"GET /v1/mempool":         Read,
		"GET /v1/fees":            Read,
		"GET /v1/head":            Read,
		"GET /v1/evidence":        Read,
		"GET /v1/producer-faults": Read,
		"GET /v1/genesis":         Read,
		"GET /v1/blocks/1":        Read,
		"GET /v1/transactions/" + wire.TxID{}.String():        Read,
		"GET /v1/accounts/" + addressOf(key(1)).Encode("gvt"): Read,
		"POST /v1/transactions":                               Submit,
		"GET /v1/scores":                                      Read,
		"GET /v1/scores/" + enemy:                             Read,
		"GET /v1/bans":                                        Read,
		"POST /v1/bans?subject=" + enemy:                      Admin,
		"GET /nothing":                                        Read,
		"DELETE /v1/head":                                     Read,
	} {
		method, path, _ := strings.Cut(route, " ")
		for _, have := range []Scope{None, Read, Submit, Admin} {
			r := n.do(t, have, method, path, strings.NewReader(tx), func(r *http.Request) {
				r.Header.Set("Content-Type", typeRaw)
			})
			switch {
			case have == None && need != None:
				require.Equal(t, http.StatusUnauthorized, r.status, route)
				require.Equal(t, `Bearer realm="grapevine"`, r.header.Get("WWW-Authenticate"))
			case have < need:
				require.Equal(t, http.StatusForbidden, r.status, route)
				require.Contains(t, r.body, "scope "+need.String())
			case path == "/nothing":
				require.Equal(t, http.StatusNotFound, r.status, route)
			case method == "DELETE":
				require.Equal(t, http.StatusMethodNotAllowed, r.status, route)
				require.Equal(t, "GET", r.header.Get("Allow"))
			default:
				require.Contains(t, []int{200, 202}, r.status, "%s: %s", route, r.body)
			}
			if r.status >= 400 {
				require.Equal(t, problemType, r.header.Get("Content-Type"), route)
			}
			require.Equal(t, "nosniff", r.header.Get("X-Content-Type-Options"))
		}
	}
}

func TestNotReady(t *testing.T) {
	n := start(t, nil)
	n.set(func(f *fake) { f.status.Ready, f.status.Waiting = false, []string{"no peers", "catching up"} })
	err := n.client(t, Read).Ready(t.Context())
	require.Equal(t, CodeNotReady, codeOf(t, err))
	require.ErrorContains(t, err, "no peers, catching up")
	require.Equal(t, 200, n.do(t, None, "GET", "/livez", nil, nil).status, "it lives all the same")
}

func TestBackendFailures(t *testing.T) {
	n := start(t, func(c *Config) { c.Limits.RequestTimeout = 50 * time.Millisecond })
	c := n.client(t, Admin)
	raw := transfer(n.genesis, nil).Bytes()
	for code, cause := range map[string]error{
		CodeStorage:     fmt.Errorf("write transaction: %w: no space left on device", ErrStorage),
		CodeStopping:    ErrStopping,
		CodeUnavailable: validation.Unavailable,
		CodeInternal:    errors.New("something else"),
		"pool_full":     validation.PoolFull,
	} {
		n.set(func(f *fake) { f.err = cause })
		_, err := c.SubmitRaw(t.Context(), raw)
		require.Equal(t, code, codeOf(t, err))
		_, err = c.Status(t.Context())
		require.Equal(t, code, codeOf(t, err))
	}
	hold := make(chan struct{})
	defer close(hold)
	n.set(func(f *fake) { f.err, f.hold = nil, hold })
	_, err := c.SubmitRaw(t.Context(), raw)
	require.Equal(t, CodeTimeout, codeOf(t, err))
}

type panicking struct{ *fake }

func (panicking) Head(context.Context) (Head, error) { panic("a bug with a secret") }

func TestPanicIsAnAnswer(t *testing.T) {
	n := start(t, nil)
	g := newGenesis(t)
	cfg := n.cfg
	cfg.Socket = ""
	s, err := NewServer(cfg, panicking{newFake(t, g)})
	require.NoError(t, err)
	require.NoError(t, s.Listen(t.Context()))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	c, err := NewClient(Options{URL: s.URL(), Token: n.tokens.For(Read)})
	require.NoError(t, err)
	_, err = c.Head(ctx)
	require.Equal(t, CodeInternal, codeOf(t, err))
	require.NotContains(t, err.Error(), "secret")
	require.NoError(t, c.Ready(ctx), "the server goes on")
	c.Close()
	cancel()
	require.NoError(t, <-done)
}

var update = flag.Bool("update", false, "write openapi.json anew")

func TestOpenAPI(t *testing.T) {
	n := start(t, nil)
	got := n.do(t, Read, "GET", "/openapi.json", nil, nil).body
	if *update {
		require.NoError(t, os.WriteFile("openapi.json", []byte(got+"\n"), 0o644))
	}
	require.Equal(t, readFile(t, "openapi.json"), got+"\n", "run go test ./node/api -run TestOpenAPI -update and look at the difference")

	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]struct {
			OperationID string
			Summary     string
			Security    []map[string][]string
			Responses   map[string]struct{ Content map[string]any }
		}
		Components struct{ Schemas map[string]any }
	}
	require.NoError(t, json.Unmarshal([]byte(got), &doc))
	require.Equal(t, "3.1.0", doc.OpenAPI)
	var listed []string
	for path, methods := range doc.Paths {
		for method, op := range methods {
			listed = append(listed, strings.ToUpper(method)+" "+path)
			require.NotEmpty(t, op.Summary)
			require.Equal(t, path == "/livez", len(op.Security) == 0, path)
			require.Contains(t, op.Responses["default"].Content, problemType, path)
		}
	}
	require.ElementsMatch(t, []string{
		"GET /livez", "GET /readyz", "GET /metrics", "GET /openapi.json",
		"POST /v1/transactions", "GET /v1/transactions/{id}", "GET /v1/accounts/{address}", "GET /v1/head", "GET /v1/evidence", "GET /v1/producer-faults",
		"GET /v1/blocks/{block}", "GET /v1/peers", "GET /v1/members", "GET /v1/mempool", "GET /v1/fees", "GET /v1/status",
		"GET /v1/genesis", "GET /v1/events", "GET /v1/scores", "GET /v1/scores/{peer}", "GET /v1/bans", "POST /v1/bans", "POST /v1/bans/lift",
	}, listed)
	require.NotContains(t, doc.Components.Schemas, "ErrorModel")
	for _, ref := range strings.Split(got, `"$ref": "#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(ref, `"`)
		require.Contains(t, doc.Components.Schemas, name, "a dangling reference")
	}
}

func TestConfigIsRefusedWhole(t *testing.T) {
	_, err := NewServer(Config{Listen: "0.0.0.0:80"}, nil)
	for _, part := range []string{"loopback", "TokenFile", "Genesis", "MaxConns", "SubmitRate", "Heartbeat", "RequestTimeout"} {
		require.ErrorContains(t, err, part)
	}
	cfg := DefaultConfig()
	cfg.Genesis = newGenesis(t)
	_, err = NewServer(cfg, newFake(t, cfg.Genesis))
	require.ErrorContains(t, err, "no Socket and no Listen")
	cfg.Socket = "x"
	_, err = NewServer(cfg, nil)
	require.ErrorContains(t, err, "backend")
}

// Whether the origin is hidden is the sender's to say, and the node's where the sender does not.
func TestPrivateSubmissions(t *testing.T) {
	for name, tt := range map[string]struct {
		setting bool
		query   string
		private bool
	}{
		"asked for":     {false, "?private=true", true},
		"not asked for": {false, "", false},
		"the setting":   {true, "", true},
		"not here":      {true, "?private=false", false},
	} {
		t.Run(name, func(t *testing.T) {
			n := start(t, func(c *Config) { c.Private = tt.setting })
			tx := transfer(n.genesis, nil)
			got := n.do(t, Submit, "POST", "/v1/transactions"+tt.query, bytes.NewReader(tx.Bytes()), func(r *http.Request) { r.Header.Set("Content-Type", typeRaw) })
			require.Equal(t, http.StatusAccepted, got.status, got.body)
			require.Equal(t, tt.private, strings.Contains(got.body, `"reason":"private"`), got.body)
		})
	}
	n := start(t, nil)
	for _, query := range []string{"?private=", "?private=perhaps"} {
		status := n.do(t, Submit, "POST", "/v1/transactions"+query, nil, nil).status
		require.Contains(t, []int{http.StatusBadRequest, http.StatusUnprocessableEntity}, status, query)
	}
	st, err := n.client(t, Submit).SubmitRaw(t.Context(), transfer(n.genesis, nil).Bytes(), Private)
	require.NoError(t, err)
	require.Equal(t, "private", st.Reason)
}
