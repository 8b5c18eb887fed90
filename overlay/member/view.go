package member

import (
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/dchest/siphash"

	"github.com/grapevine-p2p/grapevine/peerscore"
)

// State is what we believe of a member.
type State uint8

const (
	Unknown State = iota // not in the view
	Alive
	Suspect // somebody got no answer from it
	Dead    // nobody gets one
)

func (s State) String() string {
	return [...]string{"unknown", "alive", "suspect", "dead"}[s]
}

// Member is one member of the view, to be shown.
type Member struct {
	Record Record
	State  State
	Since  time.Time // of the state
	Proof  time.Time // when last something proved to us that it lives
	Link   bool      // we have a link to it
}

// member is one member with what is held against it.
type member struct {
	Member
	short    shortID
	summed   uint64    // what of it is in the digest; 0 if it is not listed
	unlisted bool      // its record is one that others take from its peer only (timely)
	rank     uint64    // lowest stay in a view that is full
	fresh    time.Time // when the record came
	spread   time.Time // when we last passed a version on
	accused  time.Time // first, of this version; says nothing without accusers
	grace    time.Time // until when accusations are not heard
	deadline time.Time // of a suspect
	asks     time.Time // when next we ask about a suspect
	told     time.Time // when last we passed an accusation on to it
	asked    int
	nonce    uint64
	accusers []accusation // of this version; kept of the dead as what we know of them
}

// view is the members other than ourselves.
type view struct {
	limit, perGroup int    // constant, as the keys
	k0, k1          uint64 // of ranks

	members  map[peerscore.PeerID]*member
	short    map[shortID]*member
	list     []*member // by peer id
	groups   map[netip.Prefix]int
	filled   [buckets]int    // members of each bucket
	digest   [buckets]uint64 // sums over the living of each
	suspects int
	crowded  bool // somebody was left out for room
}

func newView(c Config, rng *rand.Rand) view {
	return view{
		limit: c.MaxMembers, perGroup: c.MaxPerGroup, k0: rng.Uint64(), k1: rng.Uint64(),
		members: make(map[peerscore.PeerID]*member), short: make(map[shortID]*member),
		groups: make(map[netip.Prefix]int),
	}
}

func (v *view) get(p peerscore.PeerID) *member { return v.members[p] }

func (v *view) state(p peerscore.PeerID) State {
	if s := v.members[p]; s != nil {
		return s.State
	}
	return Unknown
}

// pin keeps a link's peer in the view, or lets it go.
func (v *view) pin(p peerscore.PeerID, on bool) {
	if s := v.members[p]; s != nil {
		s.Link = on
	}
}

// put takes a new member into the view if there is room for it, or it outranks
// another whose place it takes. Which bucket a member is in is its own choice, so
// that a bucket has a bound, too: a crowded one would fit no frame, and nobody in it
// would be exchanged any more.
func (v *view) put(r Record, now time.Time, link bool) *member {
	s := &member{
		Member: Member{Record: r, State: Alive, Since: now, Proof: now, Link: link}, short: shortOf(r.Peer), fresh: now,
		rank: siphash.Hash(v.k0, v.k1, []byte(r.Peer)),
	}
	if v.short[s.short] != nil {
		return nil
	}
	b := s.short.bucket()
	inBucket := func(o *member) bool { return o.short.bucket() == b }
	anybody := func(*member) bool { return true }
	if !v.roomIn(r.Group, s) || v.filled[b] >= maxPerBucket && !v.makeRoom(s, inBucket) || len(v.list) >= v.limit && !v.makeRoom(s, anybody) {
		v.crowded = true
		return nil
	}
	v.members[r.Peer], v.short[s.short] = s, s
	i, _ := v.find(r.Peer)
	v.list = slices.Insert(v.list, i, s)
	v.groups[r.Group]++
	v.filled[b]++
	v.sum(s)
	return s
}

// update gives s the next version of its record. If that leads into a group that is
// full, s takes a place in it as a newcomer would, or loses the one that it had.
func (v *view) update(s *member, r Record, now time.Time) (stays bool) {
	if r.Group != s.Record.Group && !v.roomIn(r.Group, s) && !s.Link {
		v.crowded = true
		v.remove(s)
		return false
	}
	v.regroup(s.Record.Group, -1)
	v.regroup(r.Group, 1)
	s.Record, s.fresh, s.accusers = r, now, nil
	v.sum(s)
	return true
}

// roomIn says whether a group has room for s, and makes it if s outranks another.
func (v *view) roomIn(g netip.Prefix, s *member) bool {
	return v.groups[g] < v.perGroup || v.makeRoom(s, func(o *member) bool { return o.Record.Group == g })
}

// makeRoom removes the one of those that are eligible who ranks last: a dead
// one before all others, and nobody who outranks s.
func (v *view) makeRoom(s *member, eligible func(*member) bool) bool {
	var last *member
	for _, o := range v.list {
		if o.Link || !eligible(o) {
			continue
		}
		if last == nil || o.worth() > last.worth() {
			last = o
		}
	}
	if last == nil || !s.Link && last.worth() <= s.worth() {
		return false
	}
	v.crowded = true
	v.remove(last)
	return true
}

func (s *member) worth() uint64 {
	if s.State == Dead {
		return math.MaxUint64
	}
	return s.rank
}

func (v *view) remove(s *member) {
	if s.State == Suspect {
		v.suspects--
	}
	p := s.Record.Peer
	delete(v.members, p)
	delete(v.short, s.short)
	if i, ok := v.find(p); ok {
		v.list = slices.Delete(v.list, i, i+1)
	}
	v.regroup(s.Record.Group, -1)
	v.filled[s.short.bucket()]--
	v.digest[s.short.bucket()] ^= s.summed
}

func (v *view) regroup(g netip.Prefix, by int) {
	if v.groups[g] += by; v.groups[g] == 0 {
		delete(v.groups, g)
	}
}

func (v *view) find(p peerscore.PeerID) (int, bool) {
	return slices.BinarySearchFunc(v.list, p, func(s *member, p peerscore.PeerID) int {
		return strings.Compare(string(s.Record.Peer), string(p))
	})
}

// sums is the digest of the view and of ourselves: the sum of the entries of
// each bucket, without those that are not listed. Views that are equal have equal
// sums. Whoever is linked may ask us to compare ours, so that it is kept and not
// worked out.
func (v *view) sums(own entry) []uint64 {
	sums := slices.Clone(v.digest[:])
	sums[own.id.bucket()] ^= own.hash()
	return sums
}

// listed says whether s is in the digests that are exchanged: the dead are not, nor whose record
// the other side would refuse, which both would come back to for ever.
func (s *member) listed() bool { return s.State != Dead && !s.unlisted }

// unlist notes whether the record of s is one that others refuse.
func (v *view) unlist(s *member, refused bool) {
	if s.unlisted != refused {
		s.unlisted = refused
		v.sum(s)
	}
}

// sum notes in the digest what s is now. It is called whenever its record, or whether
// it is listed, has changed.
func (v *view) sum(s *member) {
	v.digest[s.short.bucket()] ^= s.summed
	s.summed = 0
	if s.listed() {
		s.summed = entry{s.short, s.Record.Seq}.hash()
	}
	v.digest[s.short.bucket()] ^= s.summed
}

// Members returns the view by peer id, the dead included, ourselves not.
func (m *Machine) Members() []Member {
	out := make([]Member, len(m.view.list))
	for i, s := range m.view.list {
		out[i] = s.Member
	}
	return out
}

// State is what we believe of p.
func (m *Machine) State(p peerscore.PeerID) State { return m.view.state(p) }

// Own is our own record as it stands.
func (m *Machine) Own() Record { return m.own }

// Size estimates the number of nodes in the network, ourselves included. While
// all fit the view it is a count; beyond, it is what the ranks of the sample say
// (with n members kept, to within 1/sqrt(n) or so): an n-th least of N random
// numbers is about n/N of the way. Identities cost nothing, so that it says how
// many there are, not how many people run them.
func (m *Machine) Size() int {
	n := 1
	var ranks []uint64
	for _, s := range m.view.list {
		if s.State == Dead {
			continue
		}
		n++
		if !s.Link {
			ranks = append(ranks, s.rank)
		}
	}
	if !m.view.crowded || len(ranks) < 2 {
		return n
	}
	slices.Sort(ranks)
	last := float64(ranks[len(ranks)-1])
	return max(n, int(float64(len(ranks)-1)/(last/math.MaxUint64)))
}
