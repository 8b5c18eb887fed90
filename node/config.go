package node

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/metrics"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/node/config"
	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/overlay/catchup"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/validation/ledger"
)

// Config is what a node is made of. Start from DefaultConfig or Configure.
type Config struct {
	Home          string   // the folder that InitHome made
	ListenAddrs   []string // multiaddrs
	AnnounceAddrs []string // multiaddrs told to peers instead of those found; may be empty
	Bootstrap     []string // multiaddrs that end in /p2p/ID
	Profile       string   // config.ProfilePublic or config.ProfileTestnet
	Keep          []string // multiaddrs that end in /p2p/ID, of peers kept connected for ever

	API         API
	ProducerKey string                 // key file; empty means producer.key in the home, if there is one
	Passphrase  func() (string, error) // opens an encrypted producer key; may be nil

	Mempool    mempool.Config
	Dial       overlay.Dial // its Keep, Names and Saved are set from what stands above and what is stored
	Gossip     overlay.Gossip
	Limits     overlay.Limits
	Sync       catchup.Config
	Score      peerscore.Config
	Recon      bool  // compare the pool with peers' and fetch what is lacking
	Members    bool  // keep a view of who is in the network
	CacheBytes int64 // memory of the store's cache
	EventLog   int   // events that a client can resume behind

	Version   string           // said to peers and in the API
	FS        vfs.FS           // of the store; nil means the disk
	Logger    *slog.Logger     // nil discards
	Bandwidth metrics.Reporter // told of every byte sent and received; may be nil
	Observe   Observe
	Now       func() time.Time // nil means time.Now

	// NewHost makes the libp2p host instead of the node, which closes it in the
	// end; ListenAddrs, AnnounceAddrs, Profile and Bandwidth are then the maker's
	// to heed. Nil means a host on this machine's network.
	NewHost func(identity crypto.PrivKey) (host.Host, error)
	// Judge wraps what decides about messages, the chain itself, so that a
	// simulation can slow it down or make it refuse. Nil leaves it as it is.
	Judge func(chain validation.Application) validation.Application
}

// API says where the local HTTP interface listens. Paths are absolute.
type API struct {
	Disabled bool
	Private  bool   // whether submissions hide where they began, where they do not say
	Socket   string // unix socket; empty for none
	Listen   string // loopback host:port; empty for none
}

// Observe lets a caller watch a node. Any field may be nil. None may block, nor
// call back into the node.
type Observe struct {
	Overlay     overlay.Hooks
	BlockAdded  func(b validation.CheckedBlock, own bool) // durable and in the ledger; own was made here
	HeadChanged func(c *ledger.Change)                    // after every added block; read only
}

// DefaultConfig returns the configuration of a public node in home.
func DefaultConfig(home string) Config { return Configure(home, config.Default()) }

// Configure returns the configuration of the node in home with the operator's
// settings c.
func Configure(home string, c config.Config) Config {
	pool := mempool.DefaultConfig()
	pool.MaxBytes, pool.MaxCount, pool.MaxPerSender = c.Mempool.MaxBytes, c.Mempool.MaxCount, c.Mempool.MaxPerSender
	// Gossip delivers out of order: the gap must cover what one sender can have
	// in flight between two nodes, or nonces that come early are lost for minutes.
	// What all gaps together can hold is bounded by MaxWaiting.
	pool.MaxNonceGap = max(pool.MaxNonceGap, maxInFlight)
	over := overlay.DefaultConfig()
	cfg := Config{
		Home:          home,
		ListenAddrs:   c.Listen,
		AnnounceAddrs: c.Announce,
		Bootstrap:     c.Bootstrap,
		Profile:       c.Profile,
		Keep:          c.Peers.Keep,
		API:           API{Disabled: !c.API.Enabled, Socket: inHome(home, c.API.Socket), Listen: c.API.Listen, Private: c.API.Private},
		ProducerKey:   inHome(home, c.Producer.Key),
		Mempool:       pool,
		Dial:          over.Dial,
		Gossip:        over.Gossip,
		Limits:        over.Limits,
		Sync:          over.Sync,
		Score:         over.Score,
		Recon:         over.Recon,
		Members:       over.Members,
		CacheBytes:    int64(c.Store.CacheMB) << 20,
		EventLog:      1 << 15, // some blocks' worth: each costs about half a kilobyte
		Version:       "dev",
		Now:           time.Now,
	}
	cfg.Dial.Outbound, cfg.Dial.Inbound, cfg.Dial.Local = c.Peers.Outbound, c.Peers.Inbound, c.Peers.MDNS
	cfg.Dial.AnchorSlots = min(cfg.Dial.AnchorSlots, c.Peers.Outbound)
	if path := inHome(home, c.Producer.PassphraseFile); path != "" {
		cfg.Passphrase = func() (string, error) { return firstLine(path) }
	}
	return cfg
}

// maxInFlight is what a wallet sends in a burst before the first block.
const maxInFlight = 1024

func inHome(home, path string) string {
	if path == "" || filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(home, path)
}

func firstLine(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	return strings.TrimSuffix(line, "\r"), nil
}

// Validate reports everything that is wrong.
func (c Config) Validate() error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.Home == "" {
		refuse("Home is empty")
	}
	if len(c.ListenAddrs) == 0 {
		refuse("ListenAddrs is empty")
	}
	for _, addr := range append(append([]string(nil), c.ListenAddrs...), c.AnnounceAddrs...) {
		if _, err := ma.NewMultiaddr(addr); err != nil {
			refuse("address %q: %w", addr, err)
		}
	}
	for _, addr := range c.Bootstrap {
		_, name, err := config.ParseBootstrap(addr)
		switch {
		case err != nil:
			refuse("bootstrap address %q: %w", addr, err)
		case name != nil && c.Dial.Outbound == 0:
			refuse("bootstrap name %s stands for peers to choose from, but Outbound is 0", name)
		}
	}
	for _, addr := range c.Keep {
		if _, err := peer.AddrInfoFromString(addr); err != nil {
			refuse("address of a peer to keep %q: %w", addr, err)
		}
	}
	if c.Profile != config.ProfilePublic && c.Profile != config.ProfileTestnet {
		refuse("Profile is %q, want %q or %q", c.Profile, config.ProfilePublic, config.ProfileTestnet)
	}
	if !c.API.Disabled && c.API.Socket == "" && c.API.Listen == "" {
		refuse("API has neither Socket nor Listen; set one, or Disabled")
	}
	if c.CacheBytes < 0 || c.CacheBytes > math.MaxInt32<<10 {
		refuse("CacheBytes is %d, want 0 (default) to %d", c.CacheBytes, math.MaxInt32<<10)
	}
	errs = append(errs, c.Mempool.Validate(), c.Dial.Validate(), c.Gossip.Validate(), c.Limits.Validate(), c.Sync.Validate(), c.Score.Validate())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("node: configuration: %w", err)
	}
	return nil
}

// filled puts in what may be left out.
func (c Config) filled() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.CacheBytes == 0 {
		c.CacheBytes = store.DefaultCacheBytes
	}
	if c.EventLog == 0 {
		c.EventLog = 1 << 12
	}
	return c
}
