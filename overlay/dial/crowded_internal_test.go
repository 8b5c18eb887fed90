package dial

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// D5: whoever has one address, or one /64, gives it a thousand ids, and has them told by many
// who are connected from everywhere.
const (
	invented = 1000 // ids
	tellers  = 1000 // of as many groups, one id told by each

	// What of them is in the book at most. A place of the network has one slot in a bucket,
	// and, of those that answered, one in all; a group has the buckets that it reaches.
	freshOfPlace  = freshBuckets
	triedOfPlace  = 1
	freshOfTeller = slots // and of one group of tellers
	triedOfGroup  = triedSpread * slots
)

// at90 is a port of one address, at64 an address of one /64.
func at90(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr("90.1.1.1"), uint16(10_000+i))
}

func at64(i int) netip.AddrPort {
	ip := netip.MustParseAddr("2600:1900:1:2::").As16()
	ip[14], ip[15] = byte(i>>8), byte(i)
	return netip.AddrPortFrom(netip.AddrFrom16(ip), 4001)
}

// inventedIDs are as many peers, where at says.
func inventedIDs(at func(i int) netip.AddrPort) []Address {
	ids := make([]Address, invented)
	for i := range ids {
		ids[i] = Address{Peer: peerscore.PeerID(fmt.Sprintf("invented-%d", i)), At: at(i), Over: QUIC}
	}
	return ids
}

// tell has each of ids told to k by a peer of its own, in one of so many groups, and returns how
// many are in the book then.
func tell(t *testing.T, k *Keeper, ids []Address, groups int) int {
	before, _ := k.book.Len()
	for i, a := range ids {
		from := peerAt("teller", 1000+i%groups, i)
		k.Accepted(epoch, from.Peer, from.At)
		k.Learn(epoch, from.Peer, []Address{a})
		k.Gone(epoch, from.Peer)
	}
	fresh, tried := k.book.Len()
	require.Zero(t, tried)
	return fresh - before
}

func TestD5ManyIDsOfOneAddressAreBounded(t *testing.T) {
	for name, kind := range map[string]struct {
		at           func(i int) netip.AddrPort
		fresh, tried int // at most
	}{
		"one IPv4 address and port": {func(int) netip.AddrPort { return at90(0) }, freshOfPlace, triedOfPlace},
		"one IPv4 address":          {at90, invented, triedOfGroup},
		"one IPv6 /64":              {at64, invented, triedOfGroup},
	} {
		t.Run(name, func(t *testing.T) {
			ids := inventedIDs(kind.at)
			fresh := func() *Keeper {
				k, err := New(DefaultConfig(), Key{5}, nil, rand.New(rand.NewPCG(1, 1)))
				require.NoError(t, err)
				return k
			}
			require.LessOrEqual(t, tell(t, fresh(), ids, 1), min(freshOfTeller, kind.fresh), "of tellers of one group")
			require.LessOrEqual(t, tell(t, fresh(), ids, 4), min(4*freshOfTeller, kind.fresh), "of tellers of four groups")

			// Who was known keeps its place, and all that are let in answer.
			k := fresh()
			var honest []Address
			for i := range 200 {
				if a := peerAt("honest", i, i); k.Found(epoch, a) {
					honest = append(honest, a)
				}
			}
			kept := tell(t, k, ids, tellers)
			require.LessOrEqual(t, kept, kind.fresh)
			for _, a := range honest {
				require.NotNil(t, k.book.entries[a])
			}
			for _, a := range ids {
				k.book.Good(epoch, a)
				for test, ok := k.book.Test(); ok; test, ok = k.book.Test() {
					k.book.Good(epoch, test) // who has the place still answers
				}
			}
			_, tried := k.book.Len()
			t.Logf("%d in the book, %d of them may answer", kept, tried)
			require.LessOrEqual(t, tried, kind.tried)
			require.Positive(t, tried)
		})
	}
}

// The ids of one address, or of a /64, share the links and the dials that their network has. With
// nobody else to dial they are the links that a node has at least; with others there, all further
// links are to these.
func TestD5FewIDsOfOneAddressAreDialled(t *testing.T) {
	const (
		tick  = 250 * time.Millisecond
		lives = 10 * time.Minute
	)
	config := DefaultConfig()
	var (
		drags = int(deadDial / config.Drags)
		// Dials of one network at a time: while nobody answers, all that are made; with enough
		// links, one, those that drag on, and a feeler.
		atOnceAlone = config.AtOnce * drags
		atOnce      = config.PerGroup*drags + 1
	)
	for name, at := range map[string]func(i int) netip.AddrPort{"IPv4": at90, "IPv6": at64} {
		ids := inventedIDs(at)
		group := GroupOf(ids[0].At.Addr())
		of := func(a Address) bool { return GroupOf(a.At.Addr()) == group }
		// play lets k dial, and returns the most dials of the group under way at a time, once
		// there were enough links for those of before to have ended, and until then; and the
		// links in the end.
		play := func(k *Keeper, answer bool) (linked, alone, links, others int) {
			since := make(map[Address]time.Time)
			var enough time.Time
			for now := epoch; now.Before(epoch.Add(lives)); now = now.Add(tick) {
				for _, p := range slices.Clone(k.pending) {
					up := answer || !of(p.Address)
					switch passed := now.Sub(since[p.Address]); {
					case up && passed >= liveDial:
						k.Connected(now, p.Address)
					case !up && passed >= deadDial:
						k.Failed(now, p.Address)
					}
				}
				for _, d := range k.Tick(now, nil) {
					since[d.Address] = now
				}
				n := 0
				for _, p := range k.pending {
					if of(p.Address) {
						n++
					}
				}
				if k.Outbound() >= config.Least && enough.IsZero() {
					enough = now
				}
				if !enough.IsZero() && now.Sub(enough) >= deadDial {
					linked = max(linked, n)
				} else {
					alone = max(alone, n)
				}
			}
			for _, l := range k.links {
				if of(l.addr) {
					links++
				} else if l.outbound() {
					others++
				}
			}
			return linked, alone, links, others
		}
		for _, answer := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, answering %t", name, answer), func(t *testing.T) {
				for _, honest := range []int{0, config.Outbound / 2, 5 * config.Outbound} { // in as many networks
					k, err := New(config, Key{byte(honest)}, nil, rand.New(rand.NewPCG(uint64(honest), 1)))
					require.NoError(t, err)
					for i := range honest {
						k.Found(epoch, peerAt("honest", i, i))
					}
					tell(t, k, ids, tellers)
					linked, alone, links, others := play(k, answer)
					t.Logf("%d honest: dials at a time %d, before there were links %d; links %d, others %d", honest, linked, alone, links, others)
					require.LessOrEqual(t, alone, atOnceAlone)
					require.LessOrEqual(t, linked, atOnce)
					require.LessOrEqual(t, links, config.Least)
					require.GreaterOrEqual(t, others, min(honest, config.Outbound-config.Least))
					if answer && honest == 0 {
						require.Equal(t, config.Least, links, "nobody else is there")
					}
				}
			})
		}
	}
}
