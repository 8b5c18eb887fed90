package node

import (
	"bufio"
	"encoding/binary"
	"io"
	"testing"

	"github.com/libp2p/go-libp2p/p2p/protocol/autonatv2"
	"github.com/libp2p/go-libp2p/p2p/protocol/autonatv2/pb"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
)

// R78: whom AutoNAT is asked to dial is a peer's word, too. An address that is not refused has to
// be paid for first, so that nothing is dialled here.
func TestAutoNATDialsNoOtherServices(t *testing.T) {
	h := publicHost(t)
	for addr, refused := range map[string]bool{
		"/ip4/8.8.8.8/tcp/4001":           false,
		"/ip4/8.8.8.8/udp/4001/quic-v1":   false,
		"/ip4/8.8.8.8/tcp/22":             true,
		"/ip4/8.8.8.8/tcp/25":             true,
		"/ip4/8.8.8.8/udp/53/quic-v1":     true,
		"/ip4/10.0.0.1/tcp/4001":          true,
		"/ip6/64:ff9b::a00:1/tcp/4001":    true,
		"/dns4/mail.example.org/tcp/4001": true, // which may stand for anything
		"/dnsaddr/peers.example.org":      true,
		"/ip4/8.8.8.8/tcp/4001/ws":        true,
	} {
		t.Run(addr, func(t *testing.T) {
			c := stranger(t)
			require.NoError(t, c.Connect(t.Context(), addrOf(t, h, ma.P_TCP)))
			s, err := c.NewStream(t.Context(), h.ID(), autonatv2.DialProtocol)
			require.NoError(t, err)
			ask := &pb.DialRequest{Addrs: [][]byte{ma.StringCast(addr).Bytes()}, Nonce: 1}
			raw, err := proto.Marshal(&pb.Message{Msg: &pb.Message_DialRequest{DialRequest: ask}})
			require.NoError(t, err)
			_, err = s.Write(append(binary.AppendUvarint(nil, uint64(len(raw))), raw...))
			require.NoError(t, err)
			in := bufio.NewReader(s)
			size, err := binary.ReadUvarint(in)
			require.NoError(t, err)
			raw = make([]byte, size)
			_, err = io.ReadFull(in, raw)
			require.NoError(t, err)
			var answer pb.Message
			require.NoError(t, proto.Unmarshal(raw, &answer))
			_ = s.Reset()
			if refused {
				require.Equal(t, pb.DialResponse_E_DIAL_REFUSED, answer.GetDialResponse().GetStatus())
				require.Nil(t, answer.GetDialDataRequest())
				return
			}
			require.NotNil(t, answer.GetDialDataRequest())
		})
	}
}
