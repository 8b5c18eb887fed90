package api

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"strings"

	"golang.org/x/time/rate"
)

// caller is who sent a request and what that one may do.
type caller struct {
	scope   Scope
	submits *rate.Limiter
}

type callerKey struct{}

// callerOf is the caller that the wall let in; nobody by default.
func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// wall stands before every route of one listener. It lets nobody through who
// has not proved a scope, and no web page of another origin.
type wall struct {
	hosts   []string // what the Host header may be; nil on the unix socket
	ring    *keyring // nil on the unix socket, where the file mode is the proof
	callers [Admin + 1]caller
	logger  *slog.Logger
	next    http.Handler
}

// ServeHTTP refuses, or passes the request on with its caller.
func (w *wall) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	defer w.rescue(rw, r)
	h := rw.Header()
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	if e := w.browser(r); e != nil {
		writeError(rw, e)
		return
	}
	if r.URL.Path == "/livez" { // whether the process answers is no secret
		w.next.ServeHTTP(rw, r)
		return
	}
	scope, e := w.scope(r)
	if e != nil {
		writeError(rw, e)
		return
	}
	ctx := context.WithValue(r.Context(), callerKey{}, w.callers[scope])
	w.next.ServeHTTP(rw, r.WithContext(ctx))
}

// browser refuses what a web page of somebody else could have caused: a name
// that was rebound to this computer, and requests across origins.
func (w *wall) browser(r *http.Request) *Error {
	if w.hosts != nil && !slices.Contains(w.hosts, strings.ToLower(r.Host)) {
		return newError(CodeForbiddenHost, "the Host header is %.80q, not one of %s", r.Host, strings.Join(w.hosts, ", "))
	}
	if origin, ok := r.Header["Origin"]; ok {
		return newError(CodeForbiddenOrigin, "the request has an Origin header (%.80q), so a web page sent it", strings.Join(origin, ","))
	}
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "none" && site != "same-origin" {
			return newError(CodeForbiddenOrigin, "the Sec-Fetch-Site header is %.40q, so a web page of another origin sent the request", site)
		}
	}
	return nil
}

// scope is what the request proves that its sender may do.
func (w *wall) scope(r *http.Request) (Scope, *Error) {
	if w.ring == nil {
		return Admin, nil
	}
	values := r.Header["Authorization"]
	if len(values) == 0 {
		return None, newError(CodeUnauthorized, "the request has no token")
	}
	method, token, _ := strings.Cut(values[0], " ")
	if len(values) > 1 || !strings.EqualFold(method, "Bearer") {
		return None, newError(CodeUnauthorized, "the Authorization header is not one Bearer token")
	}
	if s := w.ring.scopeOf(token); s != None {
		return s, nil
	}
	return None, newError(CodeUnauthorized, "the token is not one of this node")
}

// rescue answers for a handler that panicked. The bug must not end the daemon.
func (w *wall) rescue(rw http.ResponseWriter, r *http.Request) {
	p := recover()
	if p == nil {
		return
	}
	if p == http.ErrAbortHandler { //nolint:errorlint // a sentinel by contract of net/http
		panic(p)
	}
	w.logger.Error("api handler panicked", "method", r.Method, "path", r.URL.Path, "panic", p, "stack", string(debug.Stack()))
	writeError(rw, newError(CodeInternal, "the node's handler failed"))
}

// mayNot refuses a caller without that scope.
func mayNot(ctx context.Context, want Scope) *Error {
	if have := callerOf(ctx).scope; have < want {
		return newError(CodeForbidden, "this needs a token of scope %s, the one sent has scope %s", want, have)
	}
	return nil
}

// writeError sends e as a problem document.
func writeError(rw http.ResponseWriter, e *Error) {
	h := rw.Header()
	for k, v := range e.GetHeaders() {
		h[k] = v
	}
	h.Set("Content-Type", problemType)
	rw.WriteHeader(e.Status)
	_ = json.NewEncoder(rw).Encode(e) // a caller that is gone needs no answer
}

// hostsOf are the Host headers that mean the TCP listener itself.
func hostsOf(addr net.Addr) []string {
	host, port, err := net.SplitHostPort(addr.String())
	if err != nil {
		panic(fmt.Sprintf("api: a TCP listener has the address %q", addr)) // net promises host:port
	}
	var hosts []string
	for _, name := range []string{"localhost", "127.0.0.1", "::1", host} {
		h := net.JoinHostPort(name, port)
		if slices.Contains(hosts, h) {
			continue
		}
		hosts = append(hosts, h)
		if port == "80" { // clients leave the default port out
			hosts = append(hosts, strings.TrimSuffix(h, ":80"))
		}
	}
	return hosts
}
