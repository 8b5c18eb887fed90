package dial

import (
	"encoding/binary"
	"hash/crc32"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lived is a Keeper with something of everything.
func lived(t testing.TB) (*Keeper, time.Time) {
	rng := rand.New(rand.NewPCG(5, 5))
	c := newCrowd(rng)
	k, err := New(DefaultConfig(), Key{5}, c.order[:2], rng)
	require.NoError(t, err)
	return k, c.live(epoch, k, 5*time.Hour, c.anyHonest)
}

func seal(body []byte) []byte {
	return binary.BigEndian.AppendUint32(body, crc32.Checksum(body, castagnoli))
}

// A saved state comes back as it was.
func TestStateComesBack(t *testing.T) {
	k, now := lived(t)
	saved := k.AppendTo(now, nil)
	require.LessOrEqual(t, len(saved), MaxState)
	require.NotEmpty(t, k.anchors)
	_, tried := k.book.Len()
	require.Positive(t, tried)

	again, err := Restore(DefaultConfig(), saved, nil, rand.New(rand.NewPCG(1, 1)))
	require.NoError(t, err)
	require.Equal(t, saved, again.AppendTo(now, nil))
	require.Equal(t, k.Anchors(), again.Anchors())
}

// D12: a saved state that is cut, damaged, or of another key is refused, with the reason.
func TestD12DamagedStateIsRefused(t *testing.T) {
	k, now := lived(t)
	saved := k.AppendTo(now, nil)
	restore := func(b []byte) error {
		_, err := Restore(DefaultConfig(), b, nil, rand.New(rand.NewPCG(1, 1)))
		return err
	}
	for n := range 24 {
		require.ErrorIs(t, restore(saved[:n*len(saved)/24]), map[bool]Damaged{true: CutShort, false: Checksum}[n == 0])
	}
	for bit := 0; bit < 8*len(saved); bit += 97 {
		b := append([]byte(nil), saved...)
		b[bit/8] ^= 1 << (bit % 8)
		require.ErrorIs(t, restore(b), Checksum)
	}
	body := saved[:len(saved)-4]
	other := append([]byte{stateVersion + 1}, body[1:]...)
	require.ErrorIs(t, restore(seal(other)), OtherVersion)
	require.ErrorIs(t, restore(seal(append(append([]byte(nil), body...), 0))), Impossible)
	require.Error(t, restore(seal(append([]byte(nil), body[:len(body)-1]...))))
	require.ErrorIs(t, restore(make([]byte, MaxState+1)), Impossible)
	moved := append([]byte(nil), body...)
	moved[3] ^= 1 // another key: nothing is in its place
	require.ErrorIs(t, restore(seal(moved)), Impossible)
}

// FuzzRestore: whatever is accepted is what would be written.
func FuzzRestore(f *testing.F) {
	k, now := lived(f)
	saved := k.AppendTo(now, nil)
	f.Add(saved[:len(saved)-4])
	empty, err := New(DefaultConfig(), Key{1}, nil, nil)
	require.NoError(f, err)
	small := empty.AppendTo(epoch, nil)
	f.Add(small[:len(small)-4])
	empty.book.Learn(epoch, peerAt("a", 1, 1), peerAt("b", 2, 2).At.Addr())
	empty.anchors = []anchor{{addr: peerAt("c", 3, 3), served: time.Hour}}
	small = empty.AppendTo(epoch, nil)
	f.Add(small[:len(small)-4])
	f.Fuzz(func(t *testing.T, body []byte) {
		b := seal(append([]byte(nil), body...))
		k, err := Restore(DefaultConfig(), b, nil, nil)
		if err != nil {
			return
		}
		saved := k.appendState(nil) // b, but for anchors that today's rules do not keep
		require.LessOrEqual(t, len(saved), len(b))
		again, err := Restore(DefaultConfig(), saved, nil, nil)
		require.NoError(t, err)
		require.Equal(t, saved, again.appendState(nil))
	})
}

// TestTestBeforeEvict: who answers keeps its place in the tried table; who does
// not answer when tested loses it.
func TestTestBeforeEvict(t *testing.T) {
	pair := func() (b *Book, sits, claims Address) {
		b = NewBook(Key{9})
		sits = peerAt("sits", 1, 1)
		b.Learn(epoch, sits, sits.At.Addr())
		b.Good(epoch, sits)
		for i := 2; ; i++ {
			claims = peerAt("claims", 1, i)
			if b.key.triedPlace(claims) == b.key.triedPlace(sits) && b.Learn(epoch, claims, claims.At.Addr()) {
				break
			}
		}
		b.Good(epoch, claims)
		require.True(t, b.entries[sits].tried)
		require.False(t, b.entries[claims].tried)
		test, ok := b.Test()
		require.True(t, ok)
		require.Equal(t, sits, test)
		return b, sits, claims
	}
	b, sits, claims := pair()
	b.Good(epoch, sits)
	require.True(t, b.entries[sits].tried)
	require.False(t, b.entries[claims].tried)
	_, ok := b.Test()
	require.False(t, ok)

	b, sits, claims = pair()
	b.Failed(epoch, sits)
	require.True(t, b.entries[claims].tried)
	require.False(t, b.entries[sits].tried, "it may be told of again")
}

// TestOurOwnFailuresCountAgainstNobody: without any link, failures pause an
// address and no more; so do those of anchors.
func TestOurOwnFailuresCountAgainstNobody(t *testing.T) {
	k, now := lived(t)
	before := k.AppendTo(now, nil)
	before = append([]byte(nil), before...)
	anchors := k.Anchors()
	k, err := Restore(DefaultConfig(), before, nil, rand.New(rand.NewPCG(1, 1)))
	require.NoError(t, err)
	fails := func() (n int) {
		for _, e := range k.book.entries {
			n += int(e.fails)
		}
		return n
	}
	was := fails()
	for range 2000 {
		now = now.Add(time.Second)
		for _, d := range k.Tick(now, nil) {
			k.Failed(now, d.Address)
		}
	}
	require.Equal(t, was, fails())
	require.Equal(t, anchors, k.Anchors())

	// With a link it is theirs: in the end no anchor is left that never answers.
	k.Accepted(now, "somebody", peerAt("x", 1, 1).At)
	for range 2000 {
		now = now.Add(time.Second)
		for _, d := range k.Tick(now, nil) {
			k.Failed(now, d.Address)
		}
	}
	require.Greater(t, fails(), was)
	require.NotEqual(t, anchors, k.Anchors())
}

// TestSameCallsSameAnswers replays a life.
func TestSameCallsSameAnswers(t *testing.T) {
	a, now := lived(t)
	b, _ := lived(t)
	require.Equal(t, a.AppendTo(now, nil), b.AppendTo(now, nil))
	require.Equal(t, a.Tick(now.Add(time.Hour), nil), b.Tick(now.Add(time.Hour), nil))
}

// TestFeelers: with all slots filled, fresh addresses are tried now and then,
// and those that answer become tried ones without being kept.
func TestFeelers(t *testing.T) {
	k, now := lived(t)
	require.Equal(t, k.config.Outbound, k.Outbound())
	_, tried := k.book.Len()
	var feelers int
	for range 4 * 3600 {
		now = now.Add(250 * time.Millisecond)
		for _, d := range k.Tick(now, nil) {
			require.Equal(t, Feeler, d.Why)
			feelers++
			require.False(t, k.Connected(now, d.Address))
		}
	}
	require.InDelta(t, 30, feelers, 8)
	_, after := k.book.Len()
	require.Greater(t, after, tried)
	require.Equal(t, k.config.Outbound, k.Outbound())
}

// TestAnchorsAreTheLongestServing, of different groups, and no more than
// MaxAnchors.
func TestAnchorsAreTheLongestServing(t *testing.T) {
	k, err := New(DefaultConfig(), Key{1}, nil, rand.New(rand.NewPCG(1, 1)))
	require.NoError(t, err)
	for i := range 40 {
		a := peerAt("p", i/2, i)
		k.links = append(k.links, &link{addr: a, since: epoch, why: Outbound})
		k.Gone(epoch.Add(time.Duration(i+1)*time.Minute), a.Peer)
	}
	got := k.Anchors()
	require.Len(t, got, MaxAnchors)
	for i, a := range got {
		require.Equal(t, peerAt("p", (39-2*i)/2, 39-2*i), a)
		require.True(t, k.Serves(epoch, a.Peer))
	}
	require.False(t, k.Serves(epoch, peerAt("p", 0, 0).Peer))
	ours, theirs := peerAt("ours", 9, 1), peerAt("theirs", 9, 2)
	k.links = []*link{{addr: ours, since: epoch, why: Outbound}, {addr: theirs, since: epoch}}
	require.False(t, k.Serves(epoch, ours.Peer), "it has only come")
	require.True(t, k.Serves(epoch.Add(leastService), ours.Peer))
	require.False(t, k.Serves(epoch.Add(leastService), theirs.Peer), "it dialled us")
}
