package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/grapevine-p2p/grapevine/wire"
)

// maxHeaderBytes is what all headers of a request may have. net/http reads one
// buffer more than it is told, which is subtracted where it is told.
const (
	maxHeaderBytes  = 8 << 10
	headerReadAhead = 4 << 10
)

// Server serves a backend on a unix socket and on a loopback address.
type Server struct {
	cfg     Config // set by NewServer, then constant
	backend Backend
	logger  *slog.Logger
	network wire.NetworkID
	routes  *http.ServeMux
	spec    []byte // the OpenAPI document
	streams *streamSet

	mu    sync.Mutex
	bound bool
	spent bool // Run or Close was called
	sites []site
}

var errSpent = errors.New("api: the server was run or closed before; make a new one")

// site is one listener and what serves it.
type site struct {
	listener net.Listener
	wall     *wall
}

// NewServer checks the configuration. It listens on nothing and starts nothing.
func NewServer(cfg Config, b Backend) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("api: configuration: %w", err)
	}
	if b == nil {
		return nil, errors.New("api: the backend is nil")
	}
	s := &Server{
		cfg:     cfg,
		backend: b,
		logger:  cfg.Logger,
		network: cfg.Genesis.ID(),
		streams: newStreamSet(cfg.Limits.MaxStreams),
	}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if err := s.route(); err != nil {
		return nil, err
	}
	return s, nil
}

// Listen makes the token file if TCP is wanted and there is none, and binds the
// addresses, so that what can fail at the start fails here. Run calls it if the
// caller did not. A server that has listened must be run or closed by Close.
func (s *Server) Listen(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spent {
		return errSpent
	}
	if s.bound {
		return nil
	}
	err := s.bindLocked(ctx)
	if err != nil {
		err = errors.Join(err, s.unbindLocked())
	}
	return err
}

func (s *Server) bindLocked(ctx context.Context) error {
	limit := s.cfg.Limits.MaxConns
	if s.cfg.Socket != "" {
		l, err := listenUnix(ctx, s.cfg.Socket)
		if err != nil {
			return err
		}
		s.sites = append(s.sites, site{newBoundedListener(l, limit), s.newWall(nil, nil)})
	}
	if s.cfg.Listen != "" {
		tokens, err := ensureTokens(s.cfg.TokenFile)
		if err != nil {
			return err
		}
		l, err := listenTCP(ctx, s.cfg.Listen)
		if err != nil {
			return err
		}
		w := s.newWall(hostsOf(l.Addr()), newKeyring(tokens))
		s.sites = append(s.sites, site{newBoundedListener(l, limit), w})
	}
	s.bound = true
	return nil
}

func (s *Server) newWall(hosts []string, ring *keyring) *wall {
	w := &wall{hosts: hosts, ring: ring, logger: s.logger, next: s.routes}
	for _, scope := range scopes {
		w.callers[scope] = caller{
			scope:   scope,
			submits: rate.NewLimiter(rate.Limit(s.cfg.Limits.SubmitRate), s.cfg.Limits.SubmitBurst),
		}
	}
	return w
}

func (s *Server) unbindLocked() error {
	var errs []error
	for _, site := range s.sites {
		if err := site.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	s.sites, s.bound = nil, false
	return errors.Join(errs...)
}

// Close frees what Listen bound. It is for callers that never come to Run; after
// Run it does nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spent = true
	return s.unbindLocked()
}

// URL is the address of the TCP listener, with the port that was bound. It is
// empty before Listen, and without one.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, site := range s.sites {
		if site.wall.ring != nil {
			return "http://" + site.listener.Addr().String()
		}
	}
	return ""
}

// Run serves until ctx ends, then ends event streams at once, gives requests in
// flight StopTimeout, and returns nil when every goroutine it started has ended.
// It can be called once.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(ctx); err != nil {
		return err
	}
	s.mu.Lock()
	sites := s.sites
	spent := s.spent
	s.spent = true
	s.mu.Unlock()
	if spent {
		return errSpent
	}

	s.logger.Info("api listens", "socket", s.cfg.Socket, "url", s.URL())
	group, ctx := errgroup.WithContext(ctx)
	var servers []*http.Server
	for _, site := range sites {
		hs := s.httpServer(site.wall)
		servers = append(servers, hs)
		group.Go(func() error {
			if err := hs.Serve(site.listener); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("api: serve %s: %w", site.listener.Addr(), err)
			}
			return nil
		})
	}
	group.Go(func() error {
		<-ctx.Done()
		s.streams.end()
		return s.shutdown(servers)
	})
	err := group.Wait()
	return errors.Join(err, s.Close())
}

// shutdown lets requests finish, within a bound, and then cuts them off.
func (s *Server) shutdown(servers []*http.Server) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.Limits.StopTimeout)
	defer cancel()
	var group errgroup.Group
	for _, hs := range servers {
		group.Go(func() error {
			err := hs.Shutdown(ctx)
			if errors.Is(err, context.DeadlineExceeded) {
				s.logger.Warn("api requests did not finish in time and were cut off")
				err = hs.Close()
			}
			return err
		})
	}
	return group.Wait()
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	l := s.cfg.Limits
	return &http.Server{
		Handler:                      h,
		ReadHeaderTimeout:            l.ReadHeaderTimeout,
		ReadTimeout:                  l.ReadTimeout,
		WriteTimeout:                 l.WriteTimeout,
		IdleTimeout:                  l.IdleTimeout,
		MaxHeaderBytes:               maxHeaderBytes - headerReadAhead,
		DisableGeneralOptionsHandler: true, // "OPTIONS *" meets the wall too
		ErrorLog:                     slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
}
