package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// streamRequest is what GET /v1/events asks for. The bound on headers bounds it:
// some hundred addresses.
type streamRequest struct {
	filter Filter
	after  *Cursor
}

// parseStreamRequest reads the query of GET /v1/events. Last-Event-ID, which a
// reader that reconnects sends by itself, is newer than the query of its URL.
func parseStreamRequest(in *eventsInput, prefix string) (streamRequest, error) {
	var req streamRequest
	for _, list := range in.Address {
		for _, text := range strings.Split(list, ",") {
			a, err := wire.ParseAddress(prefix, text)
			if err != nil {
				return req, newError(CodeWrongAddress, "query address %.100q: %v", text, err)
			}
			req.filter.Addresses = append(req.filter.Addresses, a.Encode(prefix))
		}
	}
	for _, list := range in.Kind {
		for _, text := range strings.Split(list, ",") {
			if !slices.Contains(Kinds(), Kind(text)) {
				return req, newError(CodeBadRequest, "query kind %.40q is not one of %v", text, Kinds())
			}
			req.filter.Kinds = append(req.filter.Kinds, Kind(text))
		}
	}
	after := in.LastEventID
	if after == "" {
		after = in.After
	}
	if after != "" {
		c, err := ParseCursor(after)
		if err != nil {
			return req, newError(CodeBadRequest, "resume: %v", err)
		}
		req.after = &c
	}
	return req, nil
}

// streamSet has a bounded number of places for event streams and can end them
// all. Safe for concurrent use.
type streamSet struct {
	limit int // constant

	mu     sync.Mutex
	ended  bool
	next   uint64
	cancel map[uint64]context.CancelFunc
}

func newStreamSet(limit int) *streamSet {
	return &streamSet{limit: limit, cancel: map[uint64]context.CancelFunc{}}
}

// enter takes a place; the caller calls leave once. The context ends with the
// parent, with leave, or with the set.
func (s *streamSet) enter(parent context.Context) (ctx context.Context, leave func(), refused *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return nil, nil, newError(CodeStopping, "the node is shutting down")
	}
	if len(s.cancel) >= s.limit {
		return nil, nil, newError(CodeTooManyStreams, "all %d event streams are in use", s.limit)
	}
	ctx, cancel := context.WithCancel(parent)
	id := s.next
	s.next++
	s.cancel[id] = cancel
	return ctx, func() {
		cancel()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.cancel, id)
	}, nil
}

// end ends every stream and lets no new one in.
func (s *streamSet) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for _, cancel := range s.cancel {
		cancel()
	}
}

// serveEvents streams until the reader leaves, does not take what it is sent
// within WriteTimeout, or the server stops.
func (s *Server) serveEvents(rw http.ResponseWriter, r *http.Request, req streamRequest) {
	ctx, leave, refused := s.streams.enter(r.Context())
	if refused != nil {
		writeError(rw, refused)
		return
	}
	defer leave()
	sub := s.backend.Subscribe(req.after)
	defer sub.Close()

	out, err := newEventWriter(rw, s.cfg.Limits.WriteTimeout)
	if err != nil {
		writeError(rw, newError(CodeInternal, "this connection cannot stream: %v", err))
		return
	}
	quiet := s.cfg.Limits.Heartbeat
	err = out.heartbeat(sub.Cursor()) // tells the place from which to resume even if nothing happens
	for beat := time.Now().Add(quiet); err == nil; {
		var e Event
		e, err = nextBefore(ctx, sub, beat)
		due := errors.Is(err, context.DeadlineExceeded) || err == nil && time.Now().After(beat)
		if err == nil && req.filter.Match(e) {
			err = out.event(e)
			beat = time.Now().Add(quiet)
		} else if due && ctx.Err() == nil {
			err = out.heartbeat(sub.Cursor())
			beat = time.Now().Add(quiet)
		}
	}
}

// nextBefore waits for the next event until beat.
func nextBefore(ctx context.Context, sub Subscription, beat time.Time) (Event, error) {
	ctx, cancel := context.WithDeadline(ctx, beat)
	defer cancel()
	return sub.Next(ctx)
}

// eventWriter writes server-sent events, each within a time of its own.
type eventWriter struct {
	rw      http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
	buf     bytes.Buffer
}

// newEventWriter lifts the deadlines of the whole request, which a stream
// outlives: a read deadline that passes would end it.
func newEventWriter(rw http.ResponseWriter, timeout time.Duration) (*eventWriter, error) {
	w := &eventWriter{rw: rw, control: http.NewResponseController(rw), timeout: timeout}
	if err := w.control.SetReadDeadline(time.Time{}); err != nil {
		return nil, err
	}
	rw.Header().Set("Content-Type", "text/event-stream")
	return w, nil
}

// event writes one event under its id.
func (w *eventWriter) event(e Event) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	fmt.Fprintf(&w.buf, "id: %s\nevent: %s\ndata: %s\n\n", e.ID, e.Kind, data)
	return w.flush()
}

// heartbeat shows that the stream lives. Its id moves the reader's place past
// what the filter held back, so that resuming does not end in a false gap.
func (w *eventWriter) heartbeat(at Cursor) error {
	fmt.Fprintf(&w.buf, ": heartbeat\nid: %s\n\n", at)
	return w.flush()
}

func (w *eventWriter) flush() error {
	defer w.buf.Reset()
	if err := w.control.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
		return err
	}
	if _, err := w.rw.Write(w.buf.Bytes()); err != nil {
		return err
	}
	return w.control.Flush()
}
