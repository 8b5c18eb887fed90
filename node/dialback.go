package node

import (
	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/pnet"
	"github.com/libp2p/go-libp2p/core/transport"
	libp2pquic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/grapevine-p2p/grapevine/overlay"
)

// dialBack is a transport of the host with which AutoNAT dials the addresses that peers ask it
// to, to tell them whether they are reached. It takes those that may be dialled on a peer's word.
type dialBack struct{ transport.Transport }

// CanDial implements transport.Transport.
func (t dialBack) CanDial(a ma.Multiaddr) bool { return overlay.OnWord(a) && t.Transport.CanDial(a) }

// transports makes the transports of a node. libp2p makes each twice: AutoNAT's host is another
// one, with a key of its own.
type transports struct{ own crypto.PrivKey }

func (t transports) of(key crypto.PrivKey, made transport.Transport) transport.Transport {
	if key.Equals(t.own) {
		return made
	}
	return dialBack{made}
}

func (t transports) tcp(key crypto.PrivKey, rm network.ResourceManager, g connmgr.ConnectionGater) (transport.Transport, error) {
	made, err := newTCP(key, rm, g)
	if err != nil {
		return nil, err
	}
	return t.of(key, made), nil
}

func (t transports) quic(key crypto.PrivKey, m *quicreuse.ConnManager, psk pnet.PSK, g connmgr.ConnectionGater, rm network.ResourceManager) (transport.Transport, error) {
	made, err := libp2pquic.NewTransport(key, m, psk, g, rm)
	if err != nil {
		return nil, err
	}
	return t.of(key, made), nil
}
