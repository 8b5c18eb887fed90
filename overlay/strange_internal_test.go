package overlay

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pb "github.com/libp2p/go-libp2p-pubsub/pb"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
	"google.golang.org/protobuf/proto"
)

// namer has a peer name messages to us, as its frames do.
type namer struct {
	t     *testing.T
	pulls *pulls
	a     *admission
}

func newNamer(t *testing.T, l Limits) *namer {
	return &namer{t, newPulls(time.Second, time.Minute, 1<<20), newAdmission(l.MessagesPerSecond, l.MessagesBurst, l)}
}

func (n *namer) id(i int) string { return fmt.Sprintf("%020d", i) }

// name has the peer name so many of the messages from a number on.
func (n *namer) name(now time.Time, from, count int) ruling {
	n.t.Helper()
	list := make([]string, count)
	for i := range list {
		list[i] = n.id(from + i)
	}
	raw := encode(n.t, &pb.RPC{Control: &pb.ControlMessage{Ihave: []*pb.ControlIHave{{TopicID: proto.String("t"), MessageIDs: list}}}})
	named := newNames(len(raw))
	_, _, rest := splitRPC(raw, "t", named)
	require.Equal(n.t, count, named.all)
	n.pulls.speaks(now)
	r := n.a.admit(now, rest, nil)
	n.a.doubt(now, &r, rest.ids, n.pulls.examine("p", named))
	return r
}

// come has messages come from somebody else.
func (n *namer) come(now time.Time, from, count int) {
	for i := range count {
		n.pulls.arrived(now, "other", n.id(from+i), 250)
	}
}

var strangeStart = time.UnixMilli(1_000_000)

// R128: who announces what never comes is over its budget after a few lists, however slowly it
// sends them, and of none more is decoded than it would be asked for. To have been silent
// before does not help, while others speak.
func TestInventedIDsAreCutSoon(t *testing.T) {
	for every, most := range map[time.Duration]int{time.Millisecond: 3, 300 * time.Millisecond: 3, time.Second: 3, 1500 * time.Millisecond: 5} {
		n := newNamer(t, DefaultLimits())
		for at := -time.Minute; at < 0; at += time.Second {
			n.pulls.speaks(strangeStart.Add(at))
		}
		lists := 0
		for cut := false; !cut; lists++ {
			r := n.name(strangeStart.Add(time.Duration(lists)*every), lists*5_000, 5_000)
			require.LessOrEqual(t, r.keep.ids, pullAtFirst)
			cut = r.cut
		}
		require.LessOrEqual(t, lists, most, "one each %v", every)
	}
}

// R128: a stock router that announces 500 transactions a second, three times each and before
// we have them, is within the budget; so is one that does so after we stood still for half a
// minute, one whose own line did, and one of a network three times as busy that we have just
// joined.
func TestAnnouncementsOfWhatComesAreFree(t *testing.T) {
	for name, test := range map[string]struct {
		perSecond, repeats int
		still              time.Duration // nothing comes from anybody
		held               time.Duration // the same of this peer
		late               int           // seconds until the first messages come
	}{
		"stock at 500 a second":    {500, 3, 0, 0, 0},
		"that are all late":        {500, 3, 0, 0, 60},
		"after we stood still":     {500, 3, 30 * time.Second, 0, 0},
		"after its line did":       {500, 3, 0, 30 * time.Second, 0},
		"a newcomer at 1,600":      {1_600, 3, 0, 0, 2},
		"that announces six times": {500, 6, 0, 0, 0},
		"five, at 1,000 a second":  {1_000, 5, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			n, now := newNamer(t, DefaultLimits()), strangeStart
			beat := 0
			list := func(beat int) {
				from := max(0, beat-test.repeats+1) * test.perSecond
				r := n.name(now, from, min((beat+1)*test.perSecond-from, 5_000))
				require.Zero(t, r.charges, "second %d", beat)
				require.False(t, r.cut)
			}
			come := func() {
				n.pulls.speaks(now)
				if beat >= test.late {
					n.come(now, beat*test.perSecond, test.perSecond)
				}
			}
			for range 20 {
				list(beat)
				come()
				beat++
				now = now.Add(time.Second)
			}
			waited := beat
			for end := now.Add(test.held); now.Before(end); now = now.Add(time.Second) {
				come()
				beat++
			}
			now = now.Add(test.still)
			beat += int(test.still / time.Second)
			for ; waited < beat; waited++ { // at once
				list(waited)
			}
			for range 20 {
				list(beat)
				come()
				beat++
				now = now.Add(time.Second)
			}
		})
	}
}

// What is here is announced for nothing, as often as the budget of ids has it.
func TestKnownIDsAreNotStrange(t *testing.T) {
	l := DefaultLimits()
	n := newNamer(t, l)
	n.come(strangeStart, 0, 5_000)
	for i := range 60 {
		r := n.name(strangeStart.Add(time.Duration(i)*time.Second), 0, 5_000)
		require.Zero(t, r.charges)
		require.Equal(t, 5_000, r.keep.ids)
	}
}

// A frame of few ids is looked at whole; of many some are, and nobody can foresee which.
func TestNamesArePicked(t *testing.T) {
	few := newNames(100)
	for range 4 {
		few.note([]byte("id"))
	}
	require.Len(t, few.picked, 4)
	require.Equal(t, 3, few.share(3))
	phases := map[int]bool{}
	for range 1_000 {
		many := newNames(5_000 * nameBytes)
		for range 5_000 {
			many.note(nil)
		}
		require.InDelta(t, namesPicked, len(many.picked), 2)
		require.Equal(t, 5_000, many.share(len(many.picked)))
		phases[many.phase] = true
	}
	require.Greater(t, len(phases), 10)
}

// R128: a peer is asked for few messages at once until it has answered, for more the more it
// has, and for very few while it answers nothing.
func TestPullsAskForAsManyAsAreKept(t *testing.T) {
	p := newPulls(500*time.Millisecond, time.Minute, 100_000)
	now := strangeStart
	next := 0
	list := func() (list []string) {
		for range 5_000 {
			next++
			list = append(list, fmt.Sprintf("%020d", next))
		}
		return list
	}
	first := p.announced(now, "p", list())
	require.Len(t, first, pullAtFirst)
	for _, id := range first[:100] {
		p.arrived(now, "p", id, 1)
	}
	require.Len(t, p.announced(now, "p", list()), pullAtFirst+100*pullMore)
	p.overdue(now.Add(time.Second))
	require.Len(t, p.announced(now, "p", list()), pullInDoubt)
	p.forget("p")
	require.Len(t, p.announced(now, "p", list()), pullAtFirst)
	require.Equal(t, strings.Repeat("0", 19)+"1", first[0])
}

// R130: of a flood from many peers so many bytes a second are read, and a stock router that
// announces 500 transactions a second meanwhile waits for none of them.
func TestControlIsReadInTurn(t *testing.T) {
	const flooders, frames, stockSeconds = 20, 20, 3
	list := func(ids int) []byte {
		names := make([]string, ids)
		for i := range names {
			names[i] = fmt.Sprintf("%020d", i)
		}
		raw := encode(t, &pb.RPC{Control: &pb.ControlMessage{Ihave: []*pb.ControlIHave{{MessageIDs: names}}}})
		return append(binary.AppendUvarint(nil, uint64(len(raw))), raw...)
	}
	flood, stock := list(5_000), list(1_500)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		l := DefaultLimits()
		inAll, began := controlInAll(l), time.Now()
		sluice, _ := newTestSluice(1, 10)
		var mu sync.Mutex
		read := make(map[string]int)
		var ends []net.Conn
		// open gives the end of a stream that is read until ctx ends.
		open := func(name string) net.Conn {
			ours, theirs := net.Pipe()
			ends = append(ends, theirs)
			bounded := newBoundedStream(ctx, pipeStream{pipe: ours}, streamBounds{
				frame: 1 << 20, scan: scanLimits{Controls: 10, IDs: 10_000},
			}, rate.NewLimiter(rate.Inf, 1<<30), func(context.Context) error { return nil }, func(error) {})
			a := newAdmission(l.MessagesPerSecond, l.MessagesBurst, l)
			stream := newQueuedStream(bounded, "p", "ours", sluice, newOutflow(10), func(_ elements, named *names, _ []parcel) ruling {
				mu.Lock()
				defer mu.Unlock()
				read[name] += named.bytes
				return ruling{paced: a.pace(time.Now(), named.bytes)}
			})
			stream.paced = inAll
			go stream.pump(ctx)
			return theirs
		}
		for range flooders {
			conn := open("flood")
			go func() {
				for range frames {
					_, _ = conn.Write(flood)
				}
				_ = conn.Close()
			}()
		}
		conn := open("stock")
		for i := range stockSeconds {
			time.Sleep(time.Second)
			_, err := conn.Write(stock)
			require.NoError(t, err)
			synctest.Wait()
			mu.Lock()
			require.Greater(t, read["stock"], i*len(stock)+len(stock)-10, "at once")
			past := int(time.Since(began) / time.Second)
			most := flooders*(l.ControlBurst+len(flood)+past*l.ControlPerSecond) + l.ControlInAllBurst + past*l.ControlInAllPerSecond
			require.LessOrEqual(t, read["flood"], most)
			require.Greater(t, read["flood"], past*l.ControlInAllPerSecond)
			mu.Unlock()
		}
		cancel()
		for _, end := range ends {
			require.NoError(t, end.Close())
		}
	})
}
