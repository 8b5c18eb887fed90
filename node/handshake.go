package node

import (
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	tptu "github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

// handshakeTime is how long a TCP connection may take from its acceptance until it is
// encrypted, authenticated and multiplexed. The slowest honest one takes five round trips.
// libp2p would wait half as long again, and has no option for it but this one.
const handshakeTime = 9 * time.Second

// newTCP makes the TCP transport, with the same securities and muxer as libp2p.New would,
// but for its patience, and for how much it lets wait before a block.
func newTCP(key crypto.PrivKey, rm network.ResourceManager, g connmgr.ConnectionGater) (*tcp.TcpTransport, error) {
	muxers := []tptu.StreamMuxer{{ID: yamux.ID, Muxer: shallowMuxer{yamux.DefaultTransport}}}
	byTLS, err := libp2ptls.New(libp2ptls.ID, key, muxers)
	if err != nil {
		return nil, err
	}
	byNoise, err := noise.New(noise.ID, key, muxers)
	if err != nil {
		return nil, err
	}
	upgrader, err := tptu.New([]sec.SecureTransport{shallowSecurity{byTLS}, shallowSecurity{byNoise}}, muxers, nil, rm, g, tptu.WithAcceptTimeout(handshakeTime))
	if err != nil {
		return nil, err
	}
	// Without reuse of ports: with it, a second daemon could bind the same port and take
	// half of the connections, unnoticed.
	return tcp.NewTCPTransport(upgrader, rm, nil, tcp.DisableReuseport())
}
