package api

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/grapevine-p2p/grapevine/wire"
)

// stream is an open event stream, read line by line.
type stream struct {
	t     *testing.T
	lines *bufio.Scanner
	close func()
}

// openStream connects; it has begun when the first heartbeat is read.
func (n *node) openStream(t *testing.T, query, lastID string) *stream {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	req, err := http.NewRequestWithContext(ctx, "GET", n.url+"/v1/events"+query, nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+n.tokens.For(Read))
	if lastID != "" {
		req.Header.Set("Last-Event-ID", lastID)
	}
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	require.NoError(t, err)
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	s := &stream{t: t, lines: bufio.NewScanner(resp.Body), close: func() { cancel(); resp.Body.Close() }}
	t.Cleanup(s.close)
	require.Equal(t, ": heartbeat", s.line())
	require.Regexp(t, `^id: [0-9a-f]{16}-\d+$`, s.line())
	require.Empty(t, s.line())
	return s
}

func (s *stream) line() string {
	s.t.Helper()
	require.True(s.t, s.lines.Scan(), "the stream ended: %v", s.lines.Err())
	return s.lines.Text()
}

// event reads the next event and gives its id and kind.
func (s *stream) event() (id, kind string) {
	s.t.Helper()
	for {
		line := s.line()
		if strings.HasPrefix(line, ":") { // a heartbeat
			s.line()
			s.line()
			continue
		}
		id = strings.TrimPrefix(line, "id: ")
		kind = strings.TrimPrefix(s.line(), "event: ")
		require.Contains(s.t, s.line(), `data: {"id":"`+id+`","kind":"`+kind+`"`)
		require.Empty(s.t, s.line())
		return id, kind
	}
}

func txEvent(kind Kind, sender, to byte) Event {
	e := Event{Kind: kind, Time: 1, Tx: &TxEvent{ID: wire.TxID{sender}, Sender: addressOf(key(sender)).Encode("gvt")}}
	if to != 0 {
		e.Tx.To = addressOf(key(to)).Encode("gvt")
	}
	return e
}

func TestStreamFilters(t *testing.T) {
	n := start(t, nil)
	one, two := addressOf(key(1)).Encode("gvt"), addressOf(key(2)).Encode("gvt")
	all := n.openStream(t, "", "")
	byAddress := n.openStream(t, "?address="+two, "")
	byKind := n.openStream(t, "?kind=block,final&kind=rollback", "")
	both := n.openStream(t, "?kind=tx_included&address="+strings.ToUpper(one)+"&address="+two, "")

	n.Publish(txEvent(TxPending, 1, 2))
	n.Publish(txEvent(TxPending, 3, 0))
	n.Publish(Event{Kind: BlockAdded, Block: &BlockEvent{Height: 5}})
	n.Publish(txEvent(TxIncluded, 2, 3))
	n.Publish(txEvent(TxIncluded, 3, 4))
	n.Publish(Event{Kind: Rollback})
	for _, c := range []struct {
		s    *stream
		want []string
	}{
		{all, []string{"tx_pending", "tx_pending", "block", "tx_included", "tx_included", "rollback"}},
		{byAddress, []string{"tx_pending", "tx_included"}},
		{byKind, []string{"block", "rollback"}},
		{both, []string{"tx_included"}},
	} {
		for _, kind := range c.want {
			_, got := c.s.event()
			require.Equal(t, kind, got)
		}
	}
	for query, code := range map[string]string{
		"?address=" + addressOf(key(1)).Encode("gv"): CodeWrongAddress,
		"?address=":                           CodeBadRequest,
		"?after=":                             CodeBadRequest,
		"?kind=nothing":                       CodeBadRequest,
		"?kind=block,":                        CodeBadRequest,
		"?after=5":                            CodeBadRequest,
		"?after=0123456789abcdef-x":           CodeBadRequest,
		"?after=0123456789abcdeg-1":           CodeBadRequest,
		"?after=0123456789abcdef--1":          CodeBadRequest,
		"?after=" + strings.Repeat("a", 5000): CodeBadRequest,
	} {
		r := n.do(t, Read, "GET", "/v1/events"+query, nil, nil)
		require.Contains(t, r.body, `"code":"`+code+`"`, query)
	}
}

// A18: resuming where one was, and what becomes of cursors that are not ours.
func TestStreamResumes(t *testing.T) {
	n := start(t, nil)
	first := n.openStream(t, "", "")
	for range 10 {
		n.Publish(Event{Kind: BlockAdded})
	}
	var ids []string
	for range 10 {
		id, _ := first.event()
		ids = append(ids, id)
	}
	for _, s := range []*stream{n.openStream(t, "", ids[6]), n.openStream(t, "?after="+ids[6], ""), n.openStream(t, "?after="+ids[0], ids[6])} {
		for _, want := range ids[7:] {
			id, kind := s.event()
			require.Equal(t, want, id)
			require.Equal(t, "block", kind)
		}
	}
	boot, _, _ := strings.Cut(ids[0], "-")
	for name, c := range map[string]struct{ after, gap string }{
		"future":       {boot + "-11", "unknown_cursor"},
		"far future":   {boot + "-18446744073709551615", "unknown_cursor"},
		"another boot": {"0123456789abcdef-5", "restarted"},
	} {
		s := n.openStream(t, "?after="+c.after, "")
		_, kind := s.event()
		require.Equal(t, "gap", kind, name)
	}
	for range 64 { // the ring turns over
		n.Publish(Event{Kind: BlockAdded})
	}
	s := n.openStream(t, "?kind=evidence&after="+ids[4], "")
	_, kind := s.event()
	require.Equal(t, "gap", kind, "a gap passes every filter")
}

// A filtered stream's heartbeats move on, so that resuming gives no false gap.
func TestHeartbeatsMoveTheCursor(t *testing.T) {
	n := start(t, func(c *Config) { c.Limits.Heartbeat = 20 * time.Millisecond })
	s := n.openStream(t, "?kind=evidence", "")
	for range 5 {
		n.Publish(Event{Kind: BlockAdded})
	}
	for id := ""; !strings.HasSuffix(id, "-5"); {
		require.Equal(t, ": heartbeat", s.line())
		id = s.line()
		require.Empty(t, s.line())
	}
}

// A10: who does not read is cut off, and nobody waits for it.
func TestSlowReaderDelaysNobody(t *testing.T) {
	n := start(t, func(c *Config) {
		c.Limits.WriteTimeout, c.Limits.RequestTimeout = 300*time.Millisecond, 200*time.Millisecond
	})
	slow, err := net.Dial("tcp", n.url[len("http://"):])
	require.NoError(t, err)
	defer slow.Close()
	require.NoError(t, slow.(*net.TCPConn).SetReadBuffer(1<<12))
	_, err = fmt.Fprintf(slow, "GET /v1/events HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", n.url[len("http://"):], n.tokens.For(Read))
	require.NoError(t, err)
	require.Eventually(t, func() bool { return n.server.streams.open() == 1 }, 5*time.Second, time.Millisecond)

	fast := n.openStream(t, "", "")
	big := Event{Kind: PeerLeft, Peer: &PeerEvent{Reason: strings.Repeat("x", 1<<15)}}
	for range 2000 { // many times what sockets buffer
		n.Publish(big)
		if n.server.streams.open() < 2 {
			break
		}
		_, kind := fast.event()
		require.Equal(t, "peer_left", kind)
	}
	require.Eventually(t, func() bool { return n.server.streams.open() == 1 }, 10*time.Second, 10*time.Millisecond, "the slow one is gone")
}

func TestStreamPlaces(t *testing.T) {
	n := start(t, func(c *Config) { c.Limits.MaxStreams = 2 })
	first := n.openStream(t, "", "")
	n.openStream(t, "", "")
	r := n.do(t, Read, "GET", "/v1/events", nil, nil)
	require.Equal(t, http.StatusTooManyRequests, r.status)
	require.Contains(t, r.body, CodeTooManyStreams)
	require.Equal(t, "5", r.header.Get("Retry-After"))
	first.close()
	require.Eventually(t, func() bool { return n.server.streams.open() < 2 }, 5*time.Second, time.Millisecond)
	n.openStream(t, "", "")
}

// A stream outlives the time limits of a request, and ends with the server.
func TestStreamLivesLongAndStops(t *testing.T) {
	n := start(t, func(c *Config) {
		c.Limits.ReadTimeout, c.Limits.WriteTimeout, c.Limits.RequestTimeout = 100*time.Millisecond, 100*time.Millisecond, 50*time.Millisecond
		c.Limits.Heartbeat = 30 * time.Millisecond
		c.Limits.StopTimeout = 20 * time.Second
	})
	s := n.openStream(t, "", "")
	for range 20 { // of 30 ms: six times the limits
		require.Equal(t, ": heartbeat", s.line())
		s.line()
		s.line()
	}
	began := time.Now()
	n.stop()
	require.Less(t, time.Since(began), 10*time.Second, "streams do not use up StopTimeout")
	for s.lines.Scan() {
	}
}

// open counts the streams.
func (s *streamSet) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.cancel)
}

// TestFeedAgainstNaive compares the ring with a list of everything ever
// published: a reader gets all of it in order, but for what a gap counts.
func TestFeedAgainstNaive(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.IntRange(1, 8).Draw(t, "size")
		f, err := NewFeed(size)
		if err != nil {
			t.Fatal(err)
		}
		published := 0
		type reader struct {
			sub Subscription
			at  int // how many events it has had or lost
		}
		readers := []*reader{{sub: f.Subscribe(nil)}}
		done, cancel := context.WithCancel(context.Background())
		cancel() // Next gives what there is and does not wait
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(*rapid.T) {
				published++
				f.Publish(Event{Time: uint64(published)})
			},
			"resume": func(t *rapid.T) {
				r := rapid.SampledFrom(readers).Draw(t, "reader")
				at := r.sub.Cursor()
				readers = append(readers, &reader{f.Subscribe(&at), r.at})
			},
			"read": func(t *rapid.T) {
				r := rapid.SampledFrom(readers).Draw(t, "reader")
				e, err := r.sub.Next(done)
				switch {
				case err != nil:
					if r.at != published {
						t.Fatalf("nothing to read at %d of %d", r.at, published)
					}
				case e.Kind == GapKind:
					r.at += int(e.Gap.Lost)
					if r.at != published-size || e.Gap.Lost == 0 {
						t.Fatalf("a gap of %d leads to %d; %d are kept of %d", e.Gap.Lost, r.at, size, published)
					}
				default:
					r.at++
					if e.Time != uint64(r.at) {
						t.Fatalf("read event %d at place %d", e.Time, r.at)
					}
				}
			},
		})
	})
}

func TestFeedWakesReaders(t *testing.T) {
	f, err := NewFeed(4)
	require.NoError(t, err)
	sub := f.Subscribe(nil)
	defer sub.Close()
	got := make(chan Event)
	go func() {
		e, _ := sub.Next(t.Context())
		got <- e
	}()
	f.Publish(Event{Kind: Evidence})
	require.Equal(t, Evidence, (<-got).Kind)
	for _, size := range []int{0, -1, maxFeed + 1} {
		_, err := NewFeed(size)
		require.Error(t, err)
	}
}

func TestCursor(t *testing.T) {
	c := Cursor{Boot: "0123456789abcdef", Seq: 1<<64 - 1}
	again, err := ParseCursor(c.String())
	require.NoError(t, err)
	require.Equal(t, c, again)
}

func FuzzParseCursor(f *testing.F) {
	f.Add("0123456789abcdef-1")
	f.Add("-")
	f.Fuzz(func(t *testing.T, s string) {
		c, err := ParseCursor(s)
		if err == nil && c.String() != s {
			t.Fatalf("%q reads as %q", s, c)
		}
	})
}
