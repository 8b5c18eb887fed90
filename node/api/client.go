package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Options say which node a client talks to: a Socket, or a URL with a Token.
type Options struct {
	Socket  string         // path of the unix socket
	URL     string         // such as http://127.0.0.1:7780
	Token   string         // for URL
	Network wire.NetworkID // if set, submissions to a node of another network are refused
	Timeout time.Duration  // of one request; 0 is the default
	Retry   time.Duration  // how long Events tries to come back; 0 is the default
}

const (
	defaultTimeout = 15 * time.Second
	defaultRetry   = 30 * time.Second

	// maxAnswer holds a whole block in JSON: hex and names make it several
	// times the size on the wire.
	maxAnswer = 16*wire.MaxBlock + wire.MaxGenesisJSON
)

// Client talks to one node. Errors are an [*Error] where the node refused, and
// wrap [ErrUnreachable] where there was no answer. Safe for concurrent use.
type Client struct {
	http    *http.Client // set by NewClient, then constant
	base    string
	where   string // for people
	token   string
	network wire.NetworkID
	timeout time.Duration
	retry   time.Duration
}

// NewClient makes a client. It connects to nothing yet.
func NewClient(o Options) (*Client, error) {
	if (o.Socket == "") == (o.URL == "") {
		return nil, errors.New("api: a client needs either a socket or a URL")
	}
	if o.Timeout < 0 || o.Retry < 0 {
		return nil, fmt.Errorf("api: client timeout %v and retry %v, want none negative", o.Timeout, o.Retry)
	}
	c := &Client{token: o.Token, network: o.Network, timeout: o.Timeout, retry: o.Retry}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.retry == 0 {
		c.retry = defaultRetry
	}
	transport := &http.Transport{
		MaxIdleConnsPerHost: 32,               // for callers that submit side by side
		IdleConnTimeout:     30 * time.Second, // less than the server's, so that it never closes first
		DisableCompression:  true,
	}
	c.http = &http.Client{
		Transport: transport,
		// A node never redirects; another program on its port must not get the token.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if o.Socket != "" {
		c.base, c.where = "http://grapevine", "unix socket "+o.Socket
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", o.Socket)
		}
		return c, nil
	}
	u, err := url.Parse(o.URL)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" {
		return nil, fmt.Errorf("api: %q is not a URL such as http://127.0.0.1:7780", o.URL)
	}
	c.base = strings.TrimSuffix(u.String(), "/")
	c.where = c.base
	return c, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// SubmitOption says how a transaction is to be published.
type SubmitOption string

// Private hides where a transaction began, whatever the node's setting is.
const Private SubmitOption = "?private=true"

// submitPath is where to send a transaction.
func submitPath(how []SubmitOption) string {
	path := "/v1/transactions"
	for _, h := range how {
		path += string(h)
	}
	return path
}

// SubmitRaw sends the bytes of one transaction.
func (c *Client) SubmitRaw(ctx context.Context, raw []byte, how ...SubmitOption) (TxStatus, error) {
	var st TxStatus
	err := c.call(ctx, http.MethodPost, submitPath(how), typeRaw, raw, &st)
	return st, err
}

// SubmitBody sends a transaction as JSON.
func (c *Client) SubmitBody(ctx context.Context, s Submission, how ...SubmitOption) (TxStatus, error) {
	var st TxStatus
	body, err := json.Marshal(s)
	if err != nil {
		return st, fmt.Errorf("api: encode submission: %w", err)
	}
	err = c.call(ctx, http.MethodPost, submitPath(how), typeJSON, body, &st)
	return st, err
}

// TxStatus asks what became of a transaction. One that the node does not know
// has the state Unknown and is no error.
func (c *Client) TxStatus(ctx context.Context, id wire.TxID) (TxStatus, error) {
	var st TxStatus
	err := c.get(ctx, "/v1/transactions/"+id.String(), &st)
	return st, err
}

// Account asks for balance and nonces; address is bech32m.
func (c *Client) Account(ctx context.Context, address string) (Account, error) {
	var a Account
	err := c.get(ctx, "/v1/accounts/"+url.PathEscape(address), &a)
	return a, err
}

// Head asks for the end of the best chain.
func (c *Client) Head(ctx context.Context) (Head, error) {
	var h Head
	err := c.get(ctx, "/v1/head", &h)
	return h, err
}

// Block asks for a block by id or by height. With full, its transactions come
// whole, else their ids.
func (c *Client) Block(ctx context.Context, idOrHeight string, full bool) (Block, error) {
	var b Block
	path := "/v1/blocks/" + url.PathEscape(idOrHeight)
	if full {
		path += "?txs=full"
	}
	err := c.get(ctx, path, &b)
	return b, err
}

// Peers asks for the connections.
func (c *Client) Peers(ctx context.Context) ([]Peer, error) {
	var p Peers
	err := c.get(ctx, "/v1/peers", &p)
	return p.Peers, err
}

// Members asks for the nodes of the network, by peer id.
func (c *Client) Members(ctx context.Context) (Members, error) {
	var m Members
	err := c.get(ctx, "/v1/members", &m)
	return m, err
}

// Mempool asks for the mempool in numbers.
func (c *Client) Mempool(ctx context.Context) (Mempool, error) {
	var m Mempool
	err := c.get(ctx, "/v1/mempool", &m)
	return m, err
}

// Fees asks what a transaction should pay.
func (c *Client) Fees(ctx context.Context) (Fees, error) {
	var f Fees
	err := c.get(ctx, "/v1/fees", &f)
	return f, err
}

// Evidence asks for the producers that signed two headers for one slot, oldest
// case first.
func (c *Client) Evidence(ctx context.Context) ([]Equivocation, error) {
	var list Equivocations
	err := c.get(ctx, "/v1/evidence", &list)
	return list.Evidence, err
}

// ProducerFaults asks for the blocks whose producers signed what is not valid, the oldest
// first.
func (c *Client) ProducerFaults(ctx context.Context) ([]ProducerFault, error) {
	var list ProducerFaults
	err := c.get(ctx, "/v1/producer-faults", &list)
	return list.Faults, err
}

// Status asks for the node at a glance.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.get(ctx, "/v1/status", &s)
	return s, err
}

// Ready returns nil if the node is ready to serve, and else why not.
func (c *Client) Ready(ctx context.Context) error {
	var r Ready
	return c.get(ctx, "/readyz", &r)
}

// Genesis asks for the genesis of the node's network.
func (c *Client) Genesis(ctx context.Context) (*wire.Genesis, error) {
	var doc json.RawMessage
	if err := c.get(ctx, "/v1/genesis", &doc); err != nil {
		return nil, err
	}
	g, err := wire.ParseGenesis(doc)
	if err != nil {
		return nil, fmt.Errorf("api: genesis of %s: %w", c.where, err)
	}
	return g, nil
}

// TxEndedError says that a transaction will not reach the state waited for.
type TxEndedError struct {
	Status TxStatus
	Want   State
}

// Error says how it ended.
func (e *TxEndedError) Error() string {
	text := fmt.Sprintf("transaction %v is %s and will not be %s", e.Status.ID, e.Status.State, e.Want)
	if e.Status.Reason != "" {
		text += ": " + e.Status.Reason
	}
	return text
}

// pollEvery is the pace of WaitTx: a part of the shortest slot that people use,
// and nothing for the node.
const pollEvery = 250 * time.Millisecond

// WaitTx waits until a transaction is in the state until (Accepted, Pending,
// Included or Final) or beyond it. One that ends otherwise gives a
// [*TxEndedError]; one that the node does not know is waited for until ctx ends.
// With an error it returns the last status known.
func (c *Client) WaitTx(ctx context.Context, id wire.TxID, until State) (TxStatus, error) {
	if until.rank() == 0 {
		return TxStatus{}, fmt.Errorf("api: %q is not a state to wait for", until)
	}
	last := TxStatus{ID: id, State: Unknown}
	for {
		st, err := c.TxStatus(ctx, id)
		wait := pollEvery
		var refused *Error
		switch {
		case errors.As(err, &refused) && refused.RetryAfter > 0:
			wait = refused.RetryAfter
		case err != nil:
			return last, err
		case st.State.rank() >= until.rank():
			return st, nil
		case st.State.Ended():
			return st, &TxEndedError{Status: st, Want: until}
		default:
			last = st
		}
		if err := pause(ctx, wait); err != nil {
			return last, fmt.Errorf("api: waited for transaction %v to be %s, it is %s: %w", id, until, last.State, err)
		}
	}
}

// pause waits, or less if ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *Client) get(ctx context.Context, path string, into any) error {
	return c.call(ctx, http.MethodGet, path, "", nil, into)
}

// call makes one request and reads its JSON answer.
func (c *Client) call(ctx context.Context, method, path, contentType string, body []byte, into any) error {
	timed, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := c.request(timed, method, path, contentType, body)
	if err != nil {
		return err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.unreachable(ctx, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if len(data) > maxAnswer {
		return fmt.Errorf("api: %s %s: the answer of %s has more than %d bytes", method, path, c.where, maxAnswer)
	}
	if resp.StatusCode/100 != 2 {
		return c.refusal(resp, data)
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("api: %s %s: the answer of %s is not what a Grapevine node sends: %w", method, path, c.where, err)
	}
	return nil
}

func (c *Client) request(ctx context.Context, method, path, contentType string, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("api: %s %s: %w", method, path, err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
		// Not sent; it tells the transport that a submission may be repeated when
		// an idle connection turns out to be dead.
		req.Header["Idempotency-Key"] = []string{}
		if !c.network.IsZero() {
			req.Header.Set("Grapevine-Network", c.network.String())
		}
	}
	return req, nil
}

// unreachable says what was tried. If the caller gave up, that is the error.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("api: %s: %w", c.where, ctx.Err())
	}
	var wrapped *url.Error // repeats the method and a made-up URL
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return fmt.Errorf("api: %w: tried %s: %w; is the daemon running ('grapevine run') with this home?", ErrUnreachable, c.where, err)
}

// refusal reads a problem document. Another program on that port sends none.
func (c *Client) refusal(resp *http.Response, data []byte) error {
	e := &Error{}
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if mediaType != problemType || json.Unmarshal(data, e) != nil || e.Code == "" {
		e = &Error{
			Code:    CodeUnavailable,
			Message: fmt.Sprintf("%s answered %s", c.where, resp.Status),
			Remedy:  "check that a Grapevine node listens there",
		}
	}
	e.Status = resp.StatusCode
	if s, err := strconv.ParseUint(resp.Header.Get("Retry-After"), 10, 16); err == nil {
		e.RetryAfter = time.Duration(s) * time.Second
	}
	return e
}
