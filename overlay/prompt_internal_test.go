package overlay

import (
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"
	"golang.org/x/time/rate"
)

// newTestPrompt is that of a reserve.
func newTestPrompt(r *reserve) *prompt {
	return &prompt{
		topic: "topic", roster: r.roster, links: r.links, sentry: r.sentry, inventory: newInventory(time.Minute),
		outflow: r.outflow, crew: r.crew, pace: rate.NewLimiter(rate.Every(promptGap), promptIDs),
	}
}

// R155: who is told at once, and of what.
func TestWhoIsToldAtOnce(t *testing.T) {
	r, members, _ := reserved(t)
	p := r.prompt
	require.ElementsMatch(t, []peer.ID{"dialled", "useful", "stranger"}, p.audience())
	members["dialled"].txScore = -1
	for range fullLine {
		r.outflow.queued("useful")
	}
	require.Equal(t, []peer.ID{"stranger"}, p.audience(), "no bad score, no full line")

	now := time.Unix(1_700_000_000, 0)
	p.inventory.arrived(now, "stranger", "theirs")
	frame := p.frame(now, "stranger", []string{"theirs", "ours"})
	require.Equal(t, []string{"ours"}, decodeRPC(t, frame).GetControl().GetIhave()[0].GetMessageIDs())
	require.Nil(t, p.frame(now, "stranger", []string{"theirs", "ours"}), "twice")
	p.inventory.heard("stranger", "ours")
	require.Empty(t, p.inventory.trim(now, "stranger", frame), "the heartbeat need not say it again")
}

// Only while too few of the mesh give anything, of a bounded number, and of all sizes.
func TestWhatIsToldAtOnce(t *testing.T) {
	r, _, _ := reserved(t)
	r.pass(make([]byte, sentryLargest))
	require.Len(t, r.prompt.waiting, 1, "a large one, too")
	r.sentry.first("mesh", []byte("other"))
	r.want = 1
	r.pass([]byte("tx"))
	require.Len(t, r.prompt.waiting, 1, "the mesh gives enough")
	r.want = 2
	for i := range 2 * promptIDs {
		r.pass(fmt.Append(nil, i))
	}
	require.Len(t, r.prompt.waiting, promptIDs)
}
