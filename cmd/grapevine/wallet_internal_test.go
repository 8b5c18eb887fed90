package main

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/wire"
)

// fakeNode takes transactions unless its refuse says otherwise.
type fakeNode struct {
	delay  func() time.Duration
	refuse func(n int, nonce uint64) error // n counts submissions; asked before the transaction is kept
	lose   func(n int) bool                // kept, but the answer gets lost

	mu   sync.Mutex // guards what follows
	n    int
	kept map[wire.TxID]uint64
	room int                // if not 0, how many fit; a late one pushes out the last
	how  []api.SubmitOption // of the last submission
	open int                // submissions in flight
	most int
}

func (f *fakeNode) SubmitRaw(ctx context.Context, raw []byte, how ...api.SubmitOption) (api.TxStatus, error) {
	tx, err := wire.DecodeTransaction(raw)
	if err != nil {
		return api.TxStatus{}, err
	}
	body, err := wire.DecodeTxBody(tx.Body())
	if err != nil {
		return api.TxStatus{}, err
	}
	f.mu.Lock()
	f.how = how
	f.open++
	f.most = max(f.most, f.open)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		f.open--
		f.mu.Unlock()
	}()
	if f.delay != nil {
		time.Sleep(f.delay()) // in the bubble's time
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n++
	if f.refuse != nil {
		if err := f.refuse(f.n, body.Nonce); err != nil {
			return api.TxStatus{}, err
		}
	}
	if f.kept == nil {
		f.kept = make(map[wire.TxID]uint64)
	}
	if f.room > 0 && len(f.kept) >= f.room {
		last := f.nonces()[len(f.kept)-1]
		if body.Nonce > last {
			return api.TxStatus{}, &api.Error{Status: http.StatusServiceUnavailable, Code: "pool_full", RetryAfter: time.Second}
		}
		maps.DeleteFunc(f.kept, func(_ wire.TxID, n uint64) bool { return n == last })
	}
	f.kept[tx.ID()] = body.Nonce
	if f.lose != nil && f.lose(f.n) {
		return api.TxStatus{}, fmt.Errorf("the connection broke: %w", api.ErrUnreachable)
	}
	return api.TxStatus{ID: tx.ID(), State: api.Pending}, nil
}

// Account counts what is kept without a hole.
func (f *fakeNode) Account(context.Context, string) (api.Account, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	next := uint64(firstNonce)
	for _, n := range f.nonces() {
		if n == next {
			next++
		}
	}
	return api.Account{NextNonce: api.Amount(next)}, nil
}

func (f *fakeNode) nonces() []uint64 {
	var list []uint64
	for _, n := range f.kept {
		list = append(list, n)
	}
	slices.Sort(list)
	return list
}

const firstNonce = 5

func someTransfers(node submitter, count int) *transfers {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	return &transfers{
		node: node, key: key, count: count, patience: 10 * time.Second,
		first: wire.TxBody{Version: wire.TxVersion, Sender: wire.Address(key.Public().(ed25519.PublicKey)), Nonce: firstNonce, Fee: 1, To: wire.Address{1}, Amount: 1},
	}
}

func seed(t *testing.T) uint64 {
	s, err := strconv.ParseUint(os.Getenv("GRAPEVINE_SEED"), 10, 64)
	if err != nil {
		s = rand.Uint64()
	}
	t.Logf("replay: GRAPEVINE_SEED=%d go test -run '^%s$'", s, t.Name())
	return s
}

// TestTransfersReachTheNodeOnce lets answers get lost and the node be full or
// away: every nonce arrives, with one transaction each.
func TestTransfersReachTheNodeOnce(t *testing.T) {
	s := seed(t)
	synctest.Test(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(s, 0)) // used with the fake's mutex held
		var delays sync.Mutex
		node := &fakeNode{
			delay: func() time.Duration {
				delays.Lock()
				defer delays.Unlock()
				return time.Duration(rng.IntN(5)) * time.Millisecond
			},
			refuse: func(n int, _ uint64) error {
				switch {
				case n > 200 && n < 300:
					return fmt.Errorf("dial: %w", api.ErrUnreachable)
				case n%17 == 0:
					return &api.Error{Status: http.StatusTooManyRequests, Code: api.CodeRateLimited, RetryAfter: time.Second}
				case n%19 == 0:
					return &api.Error{Status: http.StatusConflict, Code: codeNonceTooFar}
				}
				return nil
			},
			lose: func(n int) bool { return n%13 == 0 },
		}
		run := someTransfers(node, 500)
		sent, err := run.run(t.Context())
		require.NoError(t, err)
		require.Len(t, sent, 500)
		nonces := node.nonces()
		require.Len(t, nonces, 500, "a nonce was signed for twice")
		for i, s := range sent {
			require.Equal(t, uint64(firstNonce+i), s.Nonce)
			require.Equal(t, uint64(firstNonce+i), nonces[i])
			require.Equal(t, api.Pending, s.State)
		}
		require.LessOrEqual(t, node.most, window)
		require.Greater(t, node.most, window/2, "submissions hardly overlap")
	})
}

// TestTransfersThatWerePushedOutAreSentAgain fills a pool that evicts the last
// transaction of an account for one that comes late, and that grows slowly as
// blocks confirm. What was accepted and pushed out has to come again.
func TestTransfersThatWerePushedOutAreSentAgain(t *testing.T) {
	s := seed(t)
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		rng := rand.New(rand.NewPCG(s, 1))
		node := &fakeNode{room: 50, delay: func() time.Duration {
			mu.Lock()
			defer mu.Unlock()
			return time.Duration(rng.IntN(5)) * time.Millisecond
		}}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var blocks sync.WaitGroup
		blocks.Go(func() {
			for pause(ctx, time.Second) == nil {
				node.mu.Lock()
				node.room += 25
				node.mu.Unlock()
			}
		})
		sent, err := someTransfers(node, 200).run(ctx)
		cancel()
		blocks.Wait()
		require.NoError(t, err)
		node.mu.Lock()
		defer node.mu.Unlock()
		require.Len(t, node.kept, 200)
		for _, s := range sent {
			require.Contains(t, node.kept, s.ID, "nonce %d", s.Nonce)
		}
	})
}

// TestTransfersStopAtARefusal keeps what was accepted before.
func TestTransfersStopAtARefusal(t *testing.T) {
	node := &fakeNode{refuse: func(_ int, nonce uint64) error {
		if nonce >= 105 {
			return &api.Error{Status: http.StatusUnprocessableEntity, Code: "overdraft", Message: "too little", Remedy: "send less"}
		}
		return nil
	}}
	sent, err := someTransfers(node, 1000).run(t.Context())
	var refused *txError
	require.ErrorAs(t, err, &refused)
	require.GreaterOrEqual(t, refused.Nonce, uint64(105))
	accepted := 0
	for _, s := range sent {
		if s.State != "" {
			accepted++
		}
	}
	require.Equal(t, len(node.kept), accepted)

	body := describe(sendFailure(err))
	require.Equal(t, "overdraft", body.Code)
	require.Equal(t, "send less", body.Remedy)
	require.Equal(t, exitFailed, body.Exit)
	require.Contains(t, body.Message, "too little")
}

// TestTransfersLosePatience gives up on a node that stays away.
func TestTransfersLosePatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &fakeNode{refuse: func(n int, _ uint64) error {
			if n > 50 {
				return fmt.Errorf("dial: %w", api.ErrUnreachable)
			}
			return nil
		}}
		began := time.Now()
		_, err := someTransfers(node, 100).run(t.Context())
		require.ErrorIs(t, err, api.ErrUnreachable)
		require.Equal(t, exitUnreachable, describe(sendFailure(err)).Exit)
		require.InDelta(t, 10, time.Since(began).Seconds(), 2)
	})
}

func TestTransfersEndWithTheirContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := &fakeNode{refuse: func(int, uint64) error { return fmt.Errorf("dial: %w", api.ErrUnreachable) }}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := someTransfers(node, 100).run(ctx)
		require.Error(t, err)
	})
}

func TestFormOf(t *testing.T) {
	raw := wire.SignTx(wire.NetworkID{}, ed25519.NewKeyFromSeed(make([]byte, 32)), &wire.TxBody{Version: 1}).Bytes()
	tests := []struct {
		name string
		in   []byte
		form inputForm
		out  []byte
	}{
		{"bytes", raw, formRaw, raw},
		{"hex", fmt.Appendf(nil, "%x", raw), formHex, raw},
		{"hex with a line's end", fmt.Appendf(nil, " %X\r\n", raw), formHex, raw},
		{"JSON", []byte(" \n{}"), formJSON, []byte(" \n{}")},
		{"odd hex is no hex", []byte("0a0"), formRaw, []byte("0a0")},
		{"white space is nothing", []byte(" \n"), formRaw, []byte(" \n")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			form, out := formOf(tt.in)
			require.Equal(t, tt.form, form)
			require.Equal(t, tt.out, out)
		})
	}
}

func TestCutAt(t *testing.T) {
	require.Equal(t, "ab", string(cutAt([]byte("abc"), 2)))
	require.Equal(t, "–…", string(cutAt([]byte("–…–"), 2)))
	require.Equal(t, "abc", string(cutAt([]byte("abc"), 3)))
	require.Empty(t, cutAt([]byte("abc"), 0))
}

// A private transfer is private with every try.
func TestPrivateTransfersSaySo(t *testing.T) {
	for _, private := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			node := &fakeNode{lose: func(n int) bool { return n == 1 }}
			run := someTransfers(node, 1)
			run.private = private
			_, err := run.run(t.Context())
			require.NoError(t, err)
			require.Equal(t, publication(private), node.how)
		})
	}
}
