package api

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Config says where a server listens and what it serves besides its backend.
type Config struct {
	Socket    string        // path of the unix socket; empty: none
	Listen    string        // loopback host:port for TCP, port 0 picks one; empty: none
	TokenFile string        // made if it is not there; needed with Listen
	Private   bool          // hide where transactions began, but for those that say otherwise
	Genesis   *wire.Genesis // of the node's network; required
	Metrics   http.Handler  // GET /metrics; nil: not found
	Logger    *slog.Logger  // nil discards
	Limits    Limits
}

// Limits bound what callers can make the server spend.
type Limits struct {
	MaxConns   int // per listener, so that TCP cannot shut the socket's owner out
	MaxStreams int // event streams in all

	SubmitRate  float64 // submissions a second, per token and for the socket
	SubmitBurst int

	ReadHeaderTimeout time.Duration
	ReadTimeout       time.Duration // headers and body
	RequestTimeout    time.Duration // the backend's share; less than WriteTimeout
	WriteTimeout      time.Duration // a whole answer, or one write of a stream
	IdleTimeout       time.Duration
	Heartbeat         time.Duration // of a stream with nothing to say
	StopTimeout       time.Duration // for requests in flight when Run ends
}

// DefaultConfig has the default limits and nothing else.
func DefaultConfig() Config { return Config{Limits: DefaultLimits()} }

// DefaultLimits are those of a node that serves its operator and some wallets.
// The times and counts follow what local APIs of other nodes survive.
func DefaultLimits() Limits {
	return Limits{
		MaxConns:          256,
		MaxStreams:        64,
		SubmitRate:        1000,
		SubmitBurst:       2000,
		ReadHeaderTimeout: 2 * time.Second,
		ReadTimeout:       10 * time.Second,
		RequestTimeout:    8 * time.Second,
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       60 * time.Second,
		Heartbeat:         15 * time.Second,
		StopTimeout:       3 * time.Second,
	}
}

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	var errs []error
	if c.Socket == "" && c.Listen == "" {
		errs = append(errs, errors.New("no Socket and no Listen, want at least one"))
	}
	if c.Listen != "" {
		if _, err := loopback(c.Listen); err != nil {
			errs = append(errs, err)
		}
		if c.TokenFile == "" {
			errs = append(errs, errors.New("no TokenFile, want a path: TCP always needs a token"))
		}
	}
	if c.Genesis == nil {
		errs = append(errs, errors.New("no Genesis"))
	}
	return errors.Join(append(errs, c.Limits.Validate())...)
}

// Validate reports everything that is wrong.
func (l Limits) Validate() error {
	var errs []error
	for _, n := range []struct {
		name  string
		value int
	}{{"MaxConns", l.MaxConns}, {"MaxStreams", l.MaxStreams}, {"SubmitBurst", l.SubmitBurst}} {
		if n.value < 1 {
			errs = append(errs, fmt.Errorf("limit %s is %d, want > 0", n.name, n.value))
		}
	}
	if !(l.SubmitRate > 0) { // negated, so NaN fails too
		errs = append(errs, fmt.Errorf("limit SubmitRate is %v, want > 0", l.SubmitRate))
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"ReadHeaderTimeout", l.ReadHeaderTimeout},
		{"ReadTimeout", l.ReadTimeout},
		{"RequestTimeout", l.RequestTimeout},
		{"WriteTimeout", l.WriteTimeout},
		{"IdleTimeout", l.IdleTimeout},
		{"Heartbeat", l.Heartbeat},
		{"StopTimeout", l.StopTimeout},
	} {
		if d.value <= 0 {
			errs = append(errs, fmt.Errorf("limit %s is %v, want > 0", d.name, d.value))
		}
	}
	if l.RequestTimeout >= l.WriteTimeout {
		errs = append(errs, fmt.Errorf("limit RequestTimeout is %v, want less than WriteTimeout %v", l.RequestTimeout, l.WriteTimeout))
	}
	return errors.Join(errs...)
}

// loopback gives the address to bind for a host:port that nobody outside this
// computer can reach, and refuses every other one.
func loopback(hostport string) (string, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return "", fmt.Errorf("listen address %q, want host:port such as 127.0.0.1:7780: %w", hostport, err)
	}
	if host == "localhost" { // by RFC 6761 it is this computer, whatever a resolver says
		host = "127.0.0.1"
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || !ip.IsLoopback() {
		return "", fmt.Errorf("listen address %q, want a loopback address: the API does not encrypt; for access from elsewhere use an SSH tunnel or a TLS proxy on this computer", hostport)
	}
	return net.JoinHostPort(host, port), nil
}
