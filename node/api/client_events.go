package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// silence is how long a stream may say nothing, heartbeats included, before
	// the client takes it for dead. It is some heartbeats of a default server.
	silence = 50 * time.Second

	maxEventLine = 1 << 20

	firstBackoff = 100 * time.Millisecond
	lastBackoff  = 5 * time.Second
)

// Events walks over the events that pass the filter, from after the event with
// the given id, or from now if it is empty. If the connection breaks it comes
// back by itself at the place where it was; events that were missed for good
// show as one of kind gap. It ends when ctx ends (without an error), when the
// caller breaks, or with an error: a refusal, or ErrUnreachable after Retry.
func (c *Client) Events(ctx context.Context, f Filter, after string) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := &eventWalk{client: c, filter: f, at: after, yield: yield}
		backoff := firstBackoff
		lost := time.Now()
		for {
			err := w.once(ctx)
			if w.over || ctx.Err() != nil {
				return
			}
			if w.alive { // it worked for a while
				backoff, lost, w.alive = firstBackoff, time.Now(), false
			}
			if !w.again(err) || !w.connected || time.Since(lost) > c.retry {
				yield(Event{}, err)
				return
			}
			if pause(ctx, backoff) != nil {
				return
			}
			backoff = min(2*backoff, lastBackoff)
		}
	}
}

// eventWalk is one walk over a stream, across connections.
type eventWalk struct {
	client *Client
	filter Filter
	yield  func(Event, error) bool

	at        string // resume after this event
	connected bool   // at least once
	alive     bool   // heard an event or a heartbeat since the last connect
	over      bool   // the caller has had enough
}

// again says whether another try may help.
func (w *eventWalk) again(err error) bool {
	var refused *Error
	if errors.As(err, &refused) {
		return refused.RetryAfter > 0
	}
	return errors.Is(err, ErrUnreachable)
}

// once opens the stream and walks until it breaks.
func (w *eventWalk) once(ctx context.Context) error {
	conn, cancel := context.WithCancel(ctx)
	defer cancel()
	watchdog := time.AfterFunc(silence, cancel)
	defer watchdog.Stop()

	req, err := w.client.request(conn, http.MethodGet, "/v1/events"+w.query(), "", nil)
	if err != nil {
		return err
	}
	resp, err := w.client.http.Do(req)
	if err != nil {
		return w.client.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	if mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); resp.StatusCode != http.StatusOK || mediaType != "text/event-stream" {
		data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
		if err != nil {
			return w.client.unreachable(ctx, err)
		}
		return w.client.refusal(resp, data)
	}
	w.connected = true
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, maxEventLine)
	if err := w.read(lines, watchdog); err != nil || w.over {
		return err
	}
	err = lines.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("api: an event of %s has more than %d bytes", w.client.where, maxEventLine)
	}
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return w.client.unreachable(ctx, err)
}

func (w *eventWalk) query() string {
	q := url.Values{}
	for _, a := range w.filter.Addresses {
		q.Add("address", a)
	}
	for _, k := range w.filter.Kinds {
		q.Add("kind", string(k))
	}
	if w.at != "" {
		q.Set("after", w.at)
	}
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}

// read takes events off the stream until it ends. The place moves only when an
// event is whole, so that a cut one comes again.
func (w *eventWalk) read(lines *bufio.Scanner, watchdog *time.Timer) error {
	var id, data string
	for lines.Scan() {
		watchdog.Reset(silence)
		name, value, _ := strings.Cut(lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case name == "id":
			id = value
		case name == "data":
			data += value
		case lines.Text() != "":
			continue // a comment, or the kind, which the data has too
		default:
			if data != "" && !w.give(data) {
				return w.bad(data)
			}
			if id != "" {
				w.at, w.alive = id, true
			}
			id, data = "", ""
		}
	}
	return nil
}

// give hands one event to the caller and says whether to go on.
func (w *eventWalk) give(data string) bool {
	var e Event
	if json.Unmarshal([]byte(data), &e) != nil {
		return false
	}
	w.over = !w.yield(e, nil)
	return !w.over
}

// bad is the error of an event that is none, nil if the caller just stopped.
func (w *eventWalk) bad(data string) error {
	if w.over {
		return nil
	}
	return fmt.Errorf("api: %s sent an event that is none: %.80q", w.client.where, data)
}
