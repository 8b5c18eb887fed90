package api

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/wire"
)

// A3: the Host header is one of ours to the letter, or there is no answer.
func TestHostWall(t *testing.T) {
	n := start(t, nil)
	port := n.url[strings.LastIndex(n.url, ":")+1:]
	for host, status := range map[string]int{
		"127.0.0.1:" + port:           200,
		"localhost:" + port:           200,
		"LocalHost:" + port:           200,
		"[::1]:" + port:               200,
		"":                            403,
		"127.0.0.1":                   403,
		"localhost":                   403,
		"localhost:1":                 403,
		"evil.com":                    403,
		"evil.com:" + port:            403,
		"127.0.0.1.evil.com:" + port:  403,
		"localhost.evil.com:" + port:  403,
		"localhost:" + port + ".":     403,
		"localhost.:" + port:          403,
		"127.1:" + port:               403,
		"0.0.0.0:" + port:             403,
		"2130706433:" + port:          403,
		"127.0.0.2:" + port:           403,
		"user@localhost:" + port:      400,
		"[::ffff:127.0.0.1]:" + port:  403,
		"localhost:" + port + "#evil": 400, // net/http's own refusal
	} {
		answer := n.raw(t, "GET /livez HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n\r\n")
		require.True(t, strings.HasPrefix(answer, fmt.Sprintf("HTTP/1.1 %d ", status)), "Host %q: %.60s", host, answer)
		if status == 403 {
			require.Contains(t, answer, CodeForbiddenHost)
		}
	}
	// The name in an absolute request line counts, not the header beside it.
	answer := n.raw(t, "GET http://evil.com/livez HTTP/1.1\r\nHost: 127.0.0.1:"+port+"\r\nConnection: close\r\n\r\n")
	require.Contains(t, answer, CodeForbiddenHost)
	// HTTP/2 in clear text is not spoken (A12).
	require.NotContains(t, n.raw(t, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), " 200 ")
	// HTTP/1.0 has no Host.
	require.Contains(t, n.raw(t, "GET /livez HTTP/1.0\r\n\r\n"), CodeForbiddenHost)
	require.Contains(t, n.raw(t, "OPTIONS * HTTP/1.1\r\nHost: evil.com\r\nConnection: close\r\n\r\n"), CodeForbiddenHost)
	// Two Host headers are none.
	require.True(t, strings.HasPrefix(n.raw(t, "GET /livez HTTP/1.1\r\nHost: localhost:"+port+"\r\nHost: evil.com\r\n\r\n"), "HTTP/1.1 400"))
}

// A4, A6: a web page of another origin gets nothing, token or not.
func TestOriginWall(t *testing.T) {
	n := start(t, nil)
	for _, c := range []struct {
		header, value string
		allowed       bool
	}{
		{"Origin", "https://evil.com", false},
		{"Origin", "null", false},
		{"Origin", "", false},
		{"Origin", n.url, false},
		{"Sec-Fetch-Site", "cross-site", false},
		{"Sec-Fetch-Site", "same-site", false},
		{"Sec-Fetch-Site", "same-origin", true},
		{"Sec-Fetch-Site", "none", true},
		{"X-Other", "1", true},
	} {
		for _, method := range []string{"GET", "OPTIONS", "POST"} {
			r := n.do(t, Admin, method, "/v1/head", nil, func(r *http.Request) {
				r.Header[c.header] = []string{c.value}
				r.Header.Set("Connection", "Upgrade")
				r.Header.Set("Upgrade", "websocket")
			})
			if c.allowed {
				require.NotEqual(t, http.StatusForbidden, r.status, "%v %s", c, method)
			} else {
				require.Equal(t, http.StatusForbidden, r.status, "%v %s", c, method)
				require.Contains(t, r.body, CodeForbiddenOrigin)
			}
			for h := range r.header {
				require.NotContains(t, h, "Access-Control", "there is no CORS")
			}
		}
	}
	// On the unix socket too, which no browser speaks: a proxy might.
	require.Contains(t, dialSocket(t, n, "GET /v1/head HTTP/1.1\r\nHost: x\r\nOrigin: https://evil.com\r\nConnection: close\r\n\r\n"), CodeForbiddenOrigin)
}

func dialSocket(t *testing.T, n *node, request string) string {
	t.Helper()
	c, err := net.Dial("unix", n.cfg.Socket)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	_, err = io.WriteString(c, request)
	require.NoError(t, err)
	b, err := io.ReadAll(c)
	require.NoError(t, err)
	return string(b)
}

// A1: what is not one whole token of this node is nobody.
func TestTokenWall(t *testing.T) {
	n := start(t, nil)
	admin := n.tokens.For(Admin)
	for _, values := range [][]string{
		nil,
		{""},
		{"Bearer"},
		{"Bearer "},
		{"Bearer " + admin[:len(admin)-1]},
		{"Bearer " + admin + "x"},
		{"Bearer  " + admin},
		{"Basic " + admin},
		{admin},
		{"Bearer " + newTokens().For(Admin)},
		{"Bearer " + strings.Repeat("a", 7<<10)},
		{"Bearer " + admin, "Bearer " + admin},
	} {
		r := n.do(t, None, "GET", "/v1/head", nil, func(r *http.Request) { r.Header["Authorization"] = values })
		require.Equal(t, http.StatusUnauthorized, r.status, "%.60q", values)
		require.Contains(t, r.body, "api.token")
		require.NotContains(t, r.body, admin[8:20])
	}
	require.Equal(t, 200, n.do(t, None, "GET", "/v1/head", nil, func(r *http.Request) { r.Header.Set("Authorization", "bearer "+admin) }).status)
	// A megabyte of token does not even become a request.
	answer := n.raw(t, "GET /livez HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer "+strings.Repeat("a", 1<<20)+"\r\n\r\n")
	if answer != "" { // the answer may be lost to the reset that follows it
		require.True(t, strings.HasPrefix(answer, "HTTP/1.1 431"), "%.60s", answer)
	}
}

// A5, A8: only the two content types, nothing compressed, nothing without bound.
func TestBodies(t *testing.T) {
	n := start(t, func(c *Config) { c.Limits.ReadTimeout = 300 * time.Millisecond })
	tx := transfer(n.genesis, nil).Bytes()
	post := func(mediaType string, body io.Reader, change func(*http.Request)) reply {
		return n.do(t, Submit, "POST", "/v1/transactions", body, func(r *http.Request) {
			if mediaType != "" {
				r.Header.Set("Content-Type", mediaType)
			}
			if change != nil {
				change(r)
			}
		})
	}
	for _, mediaType := range []string{
		"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/problem+json",
		"application/cbor", "application/octet-stream, application/json", "application/json;", "*/*", "\xff",
	} {
		r := post(mediaType, bytes.NewReader(tx), nil)
		if mediaType == "application/json;" { // sloppy, but JSON
			require.Equal(t, 400, r.status)
			continue
		}
		require.Equal(t, http.StatusUnsupportedMediaType, r.status, mediaType)
		require.Contains(t, r.body, CodeMediaType)
	}
	var zipped bytes.Buffer
	z := gzip.NewWriter(&zipped)
	_, _ = z.Write(tx)
	_ = z.Close()
	r := post(typeRaw, &zipped, func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") })
	require.Equal(t, http.StatusUnsupportedMediaType, r.status)

	for _, size := range []int{wire.MaxTx + 1, maxRawBody, maxRawBody + 1} {
		for _, chunked := range []bool{false, true} {
			r := post(typeRaw, bytes.NewReader(make([]byte, size)), func(r *http.Request) {
				if chunked {
					r.ContentLength = -1
				}
			})
			require.Equal(t, http.StatusRequestEntityTooLarge, r.status, "%d %s", size, r.body)
			require.Contains(t, r.body, CodeTooLarge)
			require.Contains(t, r.body, "131072")
		}
	}
	r = post(typeJSON, bytes.NewReader(make([]byte, maxJSONBody+1)), nil)
	require.Equal(t, http.StatusRequestEntityTooLarge, r.status)
	require.Contains(t, post(typeRaw, nil, nil).body, "truncated", "an empty body")

	// A Content-Length that lies, and a body that never comes.
	head := "POST /v1/transactions HTTP/1.1\r\nHost: " + n.url[len("http://"):] + "\r\nAuthorization: Bearer " + n.tokens.For(Submit) + "\r\nContent-Type: application/octet-stream\r\n"
	require.Contains(t, n.raw(t, head+"Content-Length: 99999999999\r\n\r\n"), CodeTooLarge, "refused before it comes")
	began := time.Now()
	require.Contains(t, n.raw(t, head+"Content-Length: 100\r\n\r\nshort"), CodeBadRequest)
	require.Contains(t, n.raw(t, head+"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n"), CodeBadRequest)
	require.Less(t, time.Since(began), 5*time.Second)
	require.Empty(t, n.order)
}

// A7: who sends headers slowly is cut off.
func TestSlowHeaders(t *testing.T) {
	n := start(t, func(c *Config) { c.Limits.ReadHeaderTimeout = 100 * time.Millisecond })
	began := time.Now()
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() { n.raw(t, "GET /livez HTTP/1.1\r\nHost: loc") })
	}
	wg.Wait()
	require.Less(t, time.Since(began), 5*time.Second)
	require.NoError(t, n.client(t, Read).Ready(t.Context()))
}

// A11: too many connections are told so, and the socket's owner is not shut out.
func TestConnectionBound(t *testing.T) {
	n := start(t, func(c *Config) { c.Limits.MaxConns = 4 })
	var held []net.Conn
	for range 4 {
		c, err := net.Dial("tcp", n.url[len("http://"):])
		require.NoError(t, err)
		held = append(held, c)
	}
	answer := ""
	require.Eventually(t, func() bool {
		answer = n.raw(t, "") // says nothing; the fifth is turned away by itself
		return answer != ""
	}, 5*time.Second, 10*time.Millisecond)
	require.Contains(t, answer, CodeTooManyConns)
	full := n.client(t, Read)
	require.Eventually(t, func() bool { // a reset may overtake the answer
		_, err := full.Head(t.Context())
		var refused *Error
		return errors.As(err, &refused) && codeOf(t, err) == CodeTooManyConns
	}, 5*time.Second, 10*time.Millisecond)
	require.NoError(t, n.socketClient(t).Ready(t.Context()))
	for _, c := range held {
		require.NoError(t, c.Close())
	}
	c := n.client(t, Read)
	require.Eventually(t, func() bool { return c.Ready(t.Context()) == nil }, 5*time.Second, 10*time.Millisecond, "places come back")
}

func TestSubmitRate(t *testing.T) {
	n := start(t, func(c *Config) { c.Limits.SubmitRate, c.Limits.SubmitBurst = 0.5, 3 })
	raw := transfer(n.genesis, nil).Bytes()
	c := n.client(t, Submit)
	for range 3 {
		_, err := c.SubmitRaw(t.Context(), raw)
		require.NoError(t, err)
	}
	_, err := c.SubmitRaw(t.Context(), raw)
	require.Equal(t, CodeRateLimited, codeOf(t, err))
	var e *Error
	require.ErrorAs(t, err, &e)
	require.InDelta(t, 2, e.RetryAfter.Seconds(), 1)
	_, err = c.Head(t.Context())
	require.NoError(t, err, "reading is not submitting")
	_, err = n.client(t, Admin).SubmitRaw(t.Context(), raw)
	require.NoError(t, err, "another token has a rate of its own")
	_, err = n.socketClient(t).SubmitRaw(t.Context(), raw)
	require.NoError(t, err, "so has the socket")
}

func TestUnknownQueriesAreRefused(t *testing.T) {
	n := start(t, nil)
	for _, path := range []string{"/v1/head?x=1", "/v1/events?adress=gvt1", "/v1/events?after=a&after=b", "/v1/blocks/1?txs=ids&txs=full", "/v1/head?%zz"} {
		r := n.do(t, Read, "GET", path, nil, nil)
		require.Equal(t, 400, r.status, path)
		require.Contains(t, r.body, CodeBadRequest)
	}
}
