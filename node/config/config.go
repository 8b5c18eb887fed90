package config

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/grapevine-p2p/grapevine/mempool"
	"github.com/grapevine-p2p/grapevine/overlay"
)

// Config holds every setting an operator can make. Relative paths are relative
// to the node's home. The meaning of each field is told once, in keys, where
// the file's comments and the flags' help come from too.
type Config struct {
	Listen    []string
	Announce  []string
	Bootstrap []string
	Profile   string

	Producer Producer
	API      API
	Peers    Peers
	Mempool  Mempool
	Store    Store
	Log      Log
}

// Producer says how the node finds the key it makes blocks with.
type Producer struct {
	Key            string
	PassphraseFile string
}

// API says where the local HTTP interface listens.
type API struct {
	Enabled bool
	Socket  string
	Listen  string
	Private bool // what is submitted is published without telling peers where it began
}

// Peers says whom the node keeps connected.
type Peers struct {
	Outbound int
	Inbound  int
	Keep     []string
	MDNS     bool
}

// Mempool bounds the transactions that wait for a block.
type Mempool struct {
	MaxBytes     int
	MaxCount     int
	MaxPerSender int
}

// Store sizes the embedded database.
type Store struct {
	CacheMB int
}

// Log says what is logged, and in which form.
type Log struct {
	Level  string
	Format string
}

// Limit profiles of the network's resource manager.
const (
	ProfilePublic  = "public"
	ProfileTestnet = "testnet"
)

var (
	profiles = []string{ProfilePublic, ProfileTestnet}
	levels   = []string{"debug", "info", "warn", "error"}
	formats  = []string{"text", "json"}
)

// Default returns the settings of a node that its operator said nothing to.
func Default() Config {
	pool, dial := mempool.DefaultConfig(), overlay.DefaultDial()
	return Config{
		Listen: []string{
			"/ip4/0.0.0.0/tcp/7410", "/ip4/0.0.0.0/udp/7410/quic-v1",
			"/ip6/::/tcp/7410", "/ip6/::/udp/7410/quic-v1",
		},
		Profile: ProfilePublic,
		API:     API{Enabled: true, Socket: "api.sock", Listen: "127.0.0.1:7411"},
		Peers:   Peers{Outbound: dial.Outbound, Inbound: dial.Inbound},
		Mempool: Mempool{MaxBytes: pool.MaxBytes, MaxCount: pool.MaxCount, MaxPerSender: pool.MaxPerSender},
		Store:   Store{CacheMB: 32},
		Log:     Log{Level: "info", Format: "text"},
	}
}

// ParseBootstrap reads a bootstrap address: that of a peer, or a name that stands for
// peers (/dnsaddr without /p2p). The other result is nil.
func ParseBootstrap(text string) (info *peer.AddrInfo, name ma.Multiaddr, err error) {
	a, err := ma.NewMultiaddr(text)
	if err != nil {
		return nil, nil, err
	}
	if len(a) == 1 && a[0].Protocol().Code == ma.P_DNSADDR {
		return nil, a, nil
	}
	info, err = peer.AddrInfoFromP2pAddr(a)
	return info, nil, err
}

// Problem is a setting whose value cannot be used.
type Problem struct {
	Key  string // name in the file, such as api.listen
	Text string // what is wrong and what would be right
}

// Error names the key and says what is wrong with its value.
func (p Problem) Error() string { return p.Key + ": " + p.Text }

// Validate reports everything that is wrong with c as joined Problems.
func (c Config) Validate() error {
	return errors.Join(c.problems()...)
}

func (c Config) problems() []error {
	var errs []error
	bad := func(key, format string, args ...any) {
		errs = append(errs, Problem{key, fmt.Sprintf(format, args...)})
	}
	c.checkAddrs(bad)
	c.checkChoices(bad)
	c.checkNumbers(bad)
	return errs
}

func (c Config) checkAddrs(bad func(key, format string, args ...any)) {
	if len(c.Listen) == 0 {
		bad("listen", "no address to listen on; give at least one, such as %q", Default().Listen[0])
	}
	for _, list := range []struct {
		key   string
		addrs []string
	}{{"listen", c.Listen}, {"announce", c.Announce}} {
		for _, a := range list.addrs {
			if _, err := ma.NewMultiaddr(a); err != nil {
				bad(list.key, "%q is not a multiaddr such as /ip4/127.0.0.1/tcp/7410: %v", a, err)
			}
		}
	}
	for _, a := range c.Bootstrap {
		if _, _, err := ParseBootstrap(a); err != nil {
			bad("bootstrap", "%q is not a peer's address such as /ip4/192.0.2.1/tcp/7410/p2p/12D3KooW… or a name such as /dnsaddr/bootstrap.example.org: %v", a, err)
		}
	}
	for _, a := range c.Peers.Keep {
		if _, err := peer.AddrInfoFromString(a); err != nil {
			bad("peers.keep", "%q is not a peer's address such as /ip4/192.0.2.1/tcp/7410/p2p/12D3KooW…: %v", a, err)
		}
	}
	if c.API.Listen != "" {
		if _, _, err := net.SplitHostPort(c.API.Listen); err != nil {
			bad("api.listen", "%q is not host:port: %v", c.API.Listen, err)
		}
	}
	if c.API.Enabled && c.API.Socket == "" && c.API.Listen == "" {
		bad("api.enabled", "the API has neither api.socket nor api.listen; set one, or set api.enabled to false")
	}
}

func (c Config) checkChoices(bad func(key, format string, args ...any)) {
	for _, choice := range []struct {
		key, value string
		among      []string
	}{
		{"profile", c.Profile, profiles},
		{"log.level", c.Log.Level, levels},
		{"log.format", c.Log.Format, formats},
	} {
		if !slices.Contains(choice.among, choice.value) {
			bad(choice.key, "%q is none of %q", choice.value, choice.among)
		}
	}
}

func (c Config) checkNumbers(bad func(key, format string, args ...any)) {
	for _, n := range []struct {
		key   string
		value int
	}{
		{"peers.inbound", c.Peers.Inbound},
		{"mempool.max_bytes", c.Mempool.MaxBytes},
		{"mempool.max_count", c.Mempool.MaxCount},
		{"mempool.max_per_sender", c.Mempool.MaxPerSender},
		{"store.cache_mb", c.Store.CacheMB},
	} {
		if n.value <= 0 {
			bad(n.key, "is %d, want > 0", n.value)
		}
	}
	if most := overlay.MaxReconciled; c.Mempool.MaxCount > most {
		bad("mempool.max_count", "is %d, want <= %d, which is all that can be reconciled with peers", c.Mempool.MaxCount, most)
	}
	if c.Peers.Outbound < 0 {
		bad("peers.outbound", "is %d, want >= 0", c.Peers.Outbound)
	}
}
