package overlay

import (
	"crypto/rand"
	"fmt"
	"net/netip"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"
	"github.com/multiformats/go-multiaddr"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/grapevine-p2p/grapevine/overlay/dial"
	swim "github.com/grapevine-p2p/grapevine/overlay/member"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

func testIdentity(t testing.TB) (crypto.PrivKey, peer.ID) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	require.NoError(t, err)
	id, err := peer.IDFromPrivateKey(key)
	require.NoError(t, err)
	return key, id
}

func testAddrs(texts ...string) (out []multiaddr.Multiaddr) {
	for _, text := range texts {
		out = append(out, multiaddr.StringCast(text))
	}
	return out
}

func testNotary(t testing.TB, addrs ...string) *notary {
	key, id := testIdentity(t)
	n, err := newNotary(id, key, func() []multiaddr.Multiaddr { return testAddrs(addrs...) })
	require.NoError(t, err)
	return n
}

// R75: a record is what libp2p calls one, and says the same to both.
func TestRecordIsThatOfLibp2p(t *testing.T) {
	n := testNotary(t, "/dns4/example.org/tcp/1", "/ip4/20.30.40.50/udp/4001/quic-v1", "/ip4/21.0.0.1/tcp/4001")
	sealed, err := n.Seal(7)
	require.NoError(t, err)
	require.Greater(t, sealed.Seq, uint64(1<<60), "unix nanoseconds")
	require.Equal(t, peerscore.PeerID(n.self), sealed.Peer)
	require.Equal(t, dial.GroupOf(netip.MustParseAddr("20.30.0.1")), sealed.Group, "of the first address that has one")
	require.NoError(t, n.Verify(sealed.Sealed))

	_, rec, err := record.ConsumeEnvelope(sealed.Sealed, peer.PeerRecordEnvelopeDomain)
	require.NoError(t, err)
	theirs := rec.(*peer.PeerRecord)
	ours, err := readRecord(sealed.Sealed)
	require.NoError(t, err)
	require.Equal(t, theirs.PeerID, ours.peer)
	require.Equal(t, theirs.Seq, ours.seq)
	require.Equal(t, theirs.Addrs, ours.known())

	far, err := n.Seal(1 << 63)
	require.NoError(t, err)
	require.Equal(t, uint64(1<<63), far.Seq, "a clock that is behind does not matter")
}

func TestRecordsThatAreRefused(t *testing.T) {
	n := testNotary(t, "/ip4/20.30.40.50/tcp/4001")
	sealed, err := n.Seal(0)
	require.NoError(t, err)
	good := sealed.Sealed
	other := testNotary(t)

	seal := func(key crypto.PrivKey, rec *peer.PeerRecord) []byte {
		envelope, err := record.Seal(rec, key)
		require.NoError(t, err)
		b, err := envelope.Marshal()
		require.NoError(t, err)
		return b
	}
	crowd := peer.NewPeerRecord()
	crowd.PeerID = n.self
	for i := range maxRecordAddrs + 1 {
		crowd.Addrs = append(crowd.Addrs, testAddrs(fmt.Sprint("/ip4/20.30.40.50/tcp/", i+1))...)
	}
	impostor := peer.NewPeerRecord()
	impostor.PeerID = n.self
	rsa, _, err := crypto.GenerateRSAKeyPair(2048, rand.Reader)
	require.NoError(t, err)
	strange := peer.NewPeerRecord()
	strange.PeerID, err = peer.IDFromPrivateKey(rsa)
	require.NoError(t, err)
	forged := append([]byte(nil), good...)
	forged[len(forged)-1]++

	for name, c := range map[string]struct {
		raw  []byte
		want error
	}{
		"nothing":             {nil, RecordShape},
		"cut":                 {good[:len(good)-1], RecordShape},
		"not protobuf":        {[]byte{0xff}, RecordShape},
		"field twice":         {append(append([]byte(nil), good...), good...), RecordShape},
		"unknown field":       {protowire.AppendVarint(protowire.AppendTag(append([]byte(nil), good...), 7, protowire.VarintType), 1), RecordShape},
		"too long":            {make([]byte, swim.MaxRecord+1), RecordShape},
		"too many addresses":  {seal(n.key, crowd), RecordCrowded},
		"of another's":        {seal(other.key, impostor), RecordKey},
		"not Ed25519":         {seal(rsa, strange), RecordKey},
		"signature is forged": {forged, RecordSignature},
	} {
		t.Run(name, func(t *testing.T) {
			require.ErrorIs(t, n.Verify(c.raw), c.want)
		})
	}
}

// An address of a kind that this node does not know is no fault.
func TestRecordWithAnUnknownAddress(t *testing.T) {
	n := testNotary(t, "/ip4/20.30.40.50/tcp/4001")
	sealed, err := n.Seal(0)
	require.NoError(t, err)
	r, err := readRecord(sealed.Sealed)
	require.NoError(t, err)
	r.addrs = append(r.addrs, []byte{0xff, 0xff, 0x7f, 1, 2})
	require.Len(t, r.known(), 1)
}

func TestSigner(t *testing.T) {
	a, b := signer{testNotary(t)}, signer{testNotary(t)}
	mark, err := a.Sign([]byte("message"))
	require.NoError(t, err)
	require.True(t, b.Verify(peerscore.PeerID(a.self), []byte("message"), mark))
	require.False(t, b.Verify(peerscore.PeerID(b.self), []byte("message"), mark))
	require.False(t, b.Verify(peerscore.PeerID(a.self), []byte("massage"), mark))
	require.False(t, b.Verify("short", []byte("message"), mark))
	_, err = newNotary(a.self, nil, nil)
	require.ErrorIs(t, err, errNoIdentity)
}

func TestOwnAddrs(t *testing.T) {
	private := testAddrs("/ip4/192.168.1.2/tcp/1", "/ip4/127.0.0.1/tcp/1")
	public := testAddrs("/ip4/20.30.40.50/tcp/1", "/ip4/20.30.40.50/udp/1/quic-v1")
	require.ElementsMatch(t, private, ownAddrs(private), "better than none")
	require.ElementsMatch(t, public, ownAddrs(append(private, public...)))
	require.Equal(t, ownAddrs(public), ownAddrs([]multiaddr.Multiaddr{public[1], public[0]}), "in one order")

	var many, long []multiaddr.Multiaddr
	for i := range 40 {
		many = append(many, testAddrs(fmt.Sprint("/ip4/20.30.40.50/tcp/", i+1))...)
		long = append(long, testAddrs(fmt.Sprintf("/dns4/%0200d.example.org/tcp/1", i))...)
	}
	for _, addrs := range [][]multiaddr.Multiaddr{many, long} {
		key, id := testIdentity(t)
		n, err := newNotary(id, key, func() []multiaddr.Multiaddr { return ownAddrs(addrs) })
		require.NoError(t, err)
		sealed, err := n.Seal(0)
		require.NoError(t, err)
		require.LessOrEqual(t, len(sealed.Sealed), swim.MaxRecord)
		require.NoError(t, n.Verify(sealed.Sealed))
	}
}

// FuzzMemberRecord: what passes here passes with libp2p, and says the same there.
func FuzzMemberRecord(f *testing.F) {
	for _, addrs := range [][]string{nil, {"/ip4/20.30.40.50/tcp/4001"}, {"/ip6/2600::1/udp/4001/quic-v1", "/ip4/20.30.40.50/tcp/4001"}} {
		sealed, err := testNotary(f, addrs...).Seal(0)
		require.NoError(f, err)
		f.Add(sealed.Sealed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := readRecord(b)
		if err != nil || r.verify() != nil || len(r.known()) < len(r.addrs) {
			return
		}
		_, rec, err := record.ConsumeEnvelope(b, peer.PeerRecordEnvelopeDomain)
		require.NoError(t, err)
		theirs := rec.(*peer.PeerRecord)
		require.Equal(t, theirs.PeerID, r.peer)
		require.Equal(t, theirs.Seq, r.seq)
		require.Len(t, theirs.Addrs, len(r.known()))
	})
}
