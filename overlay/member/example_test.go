package member_test

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/grapevine-p2p/grapevine/overlay/member"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

// keys are a toy: a real node signs with its libp2p identity and takes libp2p's
// signed peer records.
type keys struct{ self peerscore.PeerID }

func (k keys) Sign(message []byte) ([]byte, error) {
	sum := sha256.Sum256(append([]byte(k.self), message...))
	return sum[:], nil
}

func (k keys) Verify(by peerscore.PeerID, message, signature []byte) bool {
	want, _ := keys{by}.Sign(message)
	return string(want) == string(signature)
}

type records struct{ keys }

// began is what the clock says. It stands still here.
var began = time.Unix(1_800_000_000, 0)

func (r records) Seal(seq uint64) (member.Record, error) {
	seq = max(seq, uint64(began.UnixNano()))
	body := append(binary.BigEndian.AppendUint64(nil, seq), r.self...)
	signature, err := r.Sign(body)
	return member.Record{Peer: r.self, Seq: seq, Sealed: append(signature, body...)}, err
}

func (records) Parse(b []byte) (member.Record, error) {
	if len(b) < 32+8 {
		return member.Record{}, errors.New("too short")
	}
	return member.Record{Peer: peerscore.PeerID(b[40:]), Seq: binary.BigEndian.Uint64(b[32:]), Sealed: b}, nil
}

func (r records) Verify(b []byte) error {
	rec, err := r.Parse(b)
	if err == nil && !r.keys.Verify(rec.Peer, b[32:], b[:32]) {
		err = errors.New("forged")
	}
	return err
}

// Two nodes meet and know each other from then on.
func ExampleMachine() {
	now := began
	var network [32]byte
	nodes := make(map[peerscore.PeerID]*member.Machine)
	for i, id := range []peerscore.PeerID{"alice", "bob"} {
		rng := rand.New(rand.NewPCG(1, uint64(i)))
		m, err := member.New(member.DefaultConfig(), network, id, records{keys{id}}, keys{id}, rng)
		if err != nil {
			fmt.Println(err)
			return
		}
		nodes[id] = m
	}
	var carry func(from peerscore.PeerID, actions []member.Action)
	carry = func(from peerscore.PeerID, actions []member.Action) {
		for _, act := range actions {
			switch act := act.(type) {
			case member.Send:
				carry(act.To, nodes[act.To].Step(now, member.Received{From: from, Frame: act.Frame}, nil))
			case member.Changed:
				fmt.Println(from, "takes", act.Peer, "for", act.State)
			}
		}
	}
	fromAlice := nodes["alice"].Step(now, member.Connected{Peer: "bob"}, nil)
	fromBob := nodes["bob"].Step(now, member.Connected{Peer: "alice"}, nil)
	carry("alice", fromAlice)
	carry("bob", fromBob)
	fmt.Println("nodes in the network:", nodes["alice"].Size())
	// Output:
	// bob takes alice for alive
	// alice takes bob for alive
	// nodes in the network: 2
}
