package core

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/grapevine-p2p/grapevine/overlay/member"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/testnet/scenario"
)

// memberTimer is beside the timers of whatever machine a view of members is
// added to, and memberTick how often the view is told the time.
const (
	memberTimer Timer = 128
	memberTick        = 100 * time.Millisecond
)

// memberNode is a machine with a view of the members beside it. It implements
// Machine.
type memberNode struct {
	Machine
	*common
	number int
	rng    *rand.Rand
	view   *member.Machine
	now    time.Duration   // of the step under way
	out    []member.Action // of the step under way
}

func newMemberNode(m Machine, c *common, s *scenario.Scenario, number int) *memberNode {
	return &memberNode{Machine: m, common: c, number: number, rng: stream(s.Seed, forMembers, number)}
}

// Step implements Machine.
func (n *memberNode) Step(now time.Duration, ev Event, out []Action) []Action {
	switch {
	case ev.Kind == Started:
		out = n.begin(now, n.Machine.Step(now, ev, out))
	case ev.Kind == LinkUp:
		out = n.tell(now, member.Connected{Peer: memberID(ev.Peer)}, n.Machine.Step(now, ev, out))
	case ev.Kind == LinkDown:
		out = n.tell(now, member.Gone{Peer: memberID(ev.Peer), Lost: true}, n.Machine.Step(now, ev, out))
	case ev.Kind == Received && ev.Message.Kind == Membership:
		out = n.tell(now, member.Received{From: memberID(ev.Peer), Frame: ev.Message.Data}, out)
	case ev.Kind == Fired && ev.Timer == memberTimer:
		out = n.tell(now, member.Tick{}, out)
		out = append(out, Action{Kind: SetTimer, Timer: memberTimer, At: now + memberTick})
	default:
		out = n.Machine.Step(now, ev, out)
	}
	return out
}

// begin starts with an empty view: what there was went with the process.
func (n *memberNode) begin(now time.Duration, out []Action) []Action {
	config := member.DefaultConfig()
	config.MaxMembers, config.MaxPerGroup = 1<<14, 1<<14
	n.now = now
	keys := notary{n.number, func() time.Time { return n.clock(n.now) }}
	view, err := member.New(config, [32]byte(n.id), memberID(n.number), keys, signer{keys}, n.rng)
	if err != nil {
		return append(out, Action{Kind: Broken, Err: err})
	}
	n.view = view
	first := now + time.Duration(n.rng.Int64N(int64(memberTick)))
	return append(out, Action{Kind: SetTimer, Timer: memberTimer, At: first})
}

func (n *memberNode) tell(now time.Duration, ev member.Event, out []Action) []Action {
	n.now = now
	n.out = n.view.Step(n.clock(now), ev, n.out[:0])
	for _, a := range n.out {
		switch a := a.(type) {
		case member.Send:
			out = append(out, Action{Kind: Send, Peer: memberNumber(a.To), Message: frame(Membership, a.Frame)})
		case member.Changed:
			out = append(out, Action{Kind: Takes, Peer: memberNumber(a.Peer), State: a.State})
		case member.Fault:
			out = append(out, Action{Kind: Close, Peer: memberNumber(a.From), Err: a.Why})
		}
	}
	return out
}

// chainState implements chained where the machine within does; nil is for an
// attacker, of whose chain nobody asks.
func (n *memberNode) chainState() *chain {
	if c, ok := n.Machine.(chained); ok {
		return c.chainState()
	}
	return nil
}

// memberID is the identity of a node, as long as one with an Ed25519 key.
func memberID(node int) peerscore.PeerID {
	return peerscore.PeerID(fmt.Sprintf("node-%033d", node))
}

func memberNumber(id peerscore.PeerID) int {
	n, err := strconv.Atoi(strings.TrimPrefix(string(id), "node-"))
	if err != nil {
		return -1 // nobody has it
	}
	return n
}

// notary stands for the identities: a signature is a hash, of the size of one by
// Ed25519, that nobody here forges. A record has the time at which it was made.
type notary struct {
	node  int
	clock func() time.Time
}

// signer is a notary for what is no record.
type signer struct{ notary }

const (
	signatureSize = 64
	recordPadding = 130 // envelope, key and three addresses
)

func stamp(by peerscore.PeerID, message []byte) []byte {
	sum := sha256.Sum256(append([]byte(by), message...))
	return append(sum[:], sum[:]...)
}

// Sign implements member.Signer.
func (s signer) Sign(message []byte) ([]byte, error) { return stamp(memberID(s.node), message), nil }

// Verify implements member.Signer.
func (signer) Verify(by peerscore.PeerID, message, signature []byte) bool {
	return string(stamp(by, message)) == string(signature)
}

// Seal implements member.Records.
func (n notary) Seal(seq uint64) (member.Record, error) {
	b := binary.BigEndian.AppendUint64(nil, max(seq, uint64(n.clock().UnixNano())))
	b = append(b, memberID(n.node)...)
	b = append(b, make([]byte, recordPadding)...)
	return n.Parse(append(b, stamp(memberID(n.node), b)...))
}

var errNoRecord = errors.New("not a record")

// Parse implements member.Records.
func (notary) Parse(b []byte) (member.Record, error) {
	const idSize = 38
	if len(b) != 8+idSize+recordPadding+signatureSize {
		return member.Record{}, errNoRecord
	}
	r := member.Record{Seq: binary.BigEndian.Uint64(b), Peer: peerscore.PeerID(b[8 : 8+idSize]), Sealed: b}
	n := memberNumber(r.Peer)
	r.Group = netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(20 + n%80), byte(n / 80)}), 16)
	return r, nil
}

// Verify implements member.Records.
func (n notary) Verify(b []byte) error {
	r, err := n.Parse(b)
	if err != nil {
		return err
	}
	if at := len(b) - signatureSize; string(stamp(r.Peer, b[:at])) != string(b[at:]) {
		return errNoRecord
	}
	return nil
}
