package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/wire"
)

func TestNewClientRefuses(t *testing.T) {
	for _, o := range []Options{
		{},
		{Socket: "a", URL: "http://127.0.0.1:1"},
		{URL: "127.0.0.1:1"},
		{URL: "ftp://127.0.0.1"},
		{URL: "http://"},
		{URL: "http://127.0.0.1:1?x=1"},
		{URL: "http://127.0.0.1:1", Timeout: -1},
	} {
		_, err := NewClient(o)
		require.Error(t, err, "%+v", o)
	}
}

// Nobody there: the error says what was tried and is told from a refusal.
func TestUnreachable(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	free := "http://" + l.Addr().String()
	require.NoError(t, l.Close())
	socket := filepath.Join(shortDir(t), "api.sock")
	for _, o := range []Options{{URL: free}, {Socket: socket}} {
		c, err := NewClient(o)
		require.NoError(t, err)
		_, err = c.Status(t.Context())
		require.ErrorIs(t, err, ErrUnreachable)
		require.ErrorContains(t, err, o.URL+o.Socket)
		require.ErrorContains(t, err, "grapevine run")
		for _, err := range c.Events(t.Context(), Filter{}, "") {
			require.ErrorIs(t, err, ErrUnreachable)
		}
		_, err = c.WaitTx(t.Context(), wire.TxID{}, Final)
		require.ErrorIs(t, err, ErrUnreachable)

		gone, cancel := context.WithCancel(t.Context())
		cancel()
		_, err = c.Status(gone)
		require.ErrorIs(t, err, context.Canceled)
		require.NotErrorIs(t, err, ErrUnreachable, "the caller gave up, the node is not to blame")
	}
}

// A node that hangs is not reached either.
func TestClientTimeout(t *testing.T) {
	n := start(t, nil)
	hold := make(chan struct{})
	defer close(hold)
	n.set(func(f *fake) { f.hold = hold })
	c, err := NewClient(Options{Socket: n.cfg.Socket, Timeout: 50 * time.Millisecond})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.Head(t.Context())
	require.ErrorIs(t, err, ErrUnreachable)
}

// Another program on the port gets no second request and cannot confuse us.
func TestNotANode(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"html": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", 404) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://evil.invalid/", http.StatusFound)
		},
		"not json": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") },
		"no code": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", problemType)
			w.WriteHeader(400)
			_, _ = io.WriteString(w, "{}")
		},
		"cut short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "{")
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(h)
			defer srv.Close()
			c, err := NewClient(Options{URL: srv.URL, Token: "secret-token"})
			require.NoError(t, err)
			defer c.Close()
			_, err = c.Head(t.Context())
			require.ErrorContains(t, err, srv.URL)
			require.NotContains(t, err.Error(), "secret-token")
			count := 0
			for _, err := range c.Events(t.Context(), Filter{}, "") {
				require.ErrorContains(t, err, srv.URL)
				count++
			}
			require.Equal(t, 1, count, "what is no event stream is not tried again")
		})
	}
}

func TestWaitTx(t *testing.T) {
	n := start(t, nil)
	c := n.client(t, Read)
	id := wire.TxID{7}
	say := func(s State) { n.set(func(f *fake) { f.txs[id] = TxStatus{ID: id, State: s, Reason: "because"} }) }

	_, err := c.WaitTx(t.Context(), id, Expired)
	require.Error(t, err, "not a state to wait for")

	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	st, err := c.WaitTx(short, id, Pending)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Equal(t, Unknown, st.State)

	say(Final)
	st, err = c.WaitTx(t.Context(), id, Included)
	require.NoError(t, err, "beyond is enough")
	require.Equal(t, Final, st.State)

	say(Pending)
	time.AfterFunc(50*time.Millisecond, func() { say(Included) })
	st, err = c.WaitTx(t.Context(), id, Included)
	require.NoError(t, err)
	require.Equal(t, Included, st.State)

	for _, end := range []State{Replaced, Expired, Evicted, Invalid} {
		say(end)
		_, err = c.WaitTx(t.Context(), id, Final)
		var ended *TxEndedError
		require.ErrorAs(t, err, &ended)
		require.Equal(t, end, ended.Status.State)
		require.ErrorContains(t, err, "because")
	}
}

// The client comes back by itself: the stream goes on where it was, and after a
// restart of the node a gap says so.
func TestEventsResume(t *testing.T) {
	n := start(t, func(c *Config) {
		c.Listen = ""
		c.Limits.WriteTimeout = 5 * time.Second
		c.Limits.RequestTimeout = time.Second
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := n.socketClient(t)
	events := make(chan Event)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for e, err := range c.Events(ctx, Filter{Kinds: []Kind{BlockAdded}}, "") {
			if err != nil {
				t.Errorf("the stream ended: %v", err)
				return
			}
			select {
			case events <- e:
			case <-ctx.Done():
			}
		}
	}()
	require.Eventually(t, func() bool { return n.server.streams.open() == 1 }, 5*time.Second, time.Millisecond)
	n.Publish(Event{Kind: BlockAdded, Time: 1})
	require.EqualValues(t, 1, (<-events).Time)

	n.stop() // the server goes, its backend stays: events happen meanwhile
	n.Publish(Event{Kind: BlockAdded, Time: 2})
	n.Publish(Event{Kind: Rollback, Time: 3})
	n.Publish(Event{Kind: BlockAdded, Time: 4})
	n.run(t)
	require.EqualValues(t, 2, (<-events).Time)
	require.EqualValues(t, 4, (<-events).Time)

	n.stop() // the whole node restarts
	feed, err := NewFeed(16)
	require.NoError(t, err)
	n.fake.Feed = feed
	n.Publish(Event{Kind: BlockAdded, Time: 5})
	n.run(t)
	gap := <-events
	require.Equal(t, GapKind, gap.Kind)
	require.Equal(t, "restarted", gap.Gap.Reason)
	require.EqualValues(t, 5, (<-events).Time)
	cancel()
	<-ended
}

// A refusal ends the walk, and the caller may stop at any event.
func TestEventsEnd(t *testing.T) {
	n := start(t, nil)
	c, err := NewClient(Options{URL: n.url, Token: "wrong"})
	require.NoError(t, err)
	defer c.Close()
	count := 0
	for _, err := range c.Events(t.Context(), Filter{}, "") {
		require.Equal(t, CodeUnauthorized, codeOf(t, err))
		count++
	}
	require.Equal(t, 1, count)

	for range 3 {
		n.Publish(Event{Kind: BlockAdded})
	}
	for e, err := range n.client(t, Read).Events(t.Context(), Filter{}, Cursor{n.Feed.boot, 0}.String()) {
		require.NoError(t, err)
		require.Equal(t, BlockAdded, e.Kind)
		break
	}
	require.Eventually(t, func() bool { return n.server.streams.open() == 0 }, 5*time.Second, time.Millisecond)
}

// When the node stays away, the walk ends after Retry and says so.
func TestEventsGiveUp(t *testing.T) {
	n := start(t, nil)
	c, err := NewClient(Options{Socket: n.cfg.Socket, Retry: 200 * time.Millisecond})
	require.NoError(t, err)
	defer c.Close()
	n.Publish(Event{Kind: BlockAdded})
	var last error
	for _, err := range c.Events(t.Context(), Filter{}, Cursor{n.Feed.boot, 0}.String()) {
		if last = err; err == nil {
			n.stop()
		}
	}
	require.ErrorIs(t, last, ErrUnreachable)
	var refused *Error
	require.False(t, errors.As(last, &refused))
}
