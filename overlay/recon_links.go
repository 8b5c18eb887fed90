package overlay

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// reconOutside is how many peers outside the mesh are reconciled with: an adversary that
	// holds the mesh has to hold these too.
	reconOutside = 3
	// reconDialled of them at least are peers that we dialled, if there are so many: who comes
	// in is who wants to.
	reconDialled = 2
	// reconYoung peers that came less than reconYouth ago are reconciled with beside these:
	// when a partition heals, mesh and old acquaintances are all of our own side. To a node
	// that has just begun itself, everybody came lately, and any will do.
	reconYoung = 8
	reconYouth = 30 * time.Second
	// reconLinks bounds the sessions that we open.
	reconLinks = 32
)

// lookAfterLinks opens sessions with those who should have one, and closes those of others.
func (r *reconciler) lookAfterLinks(ctx context.Context, now time.Time) {
	peers := r.roster.heads()
	since := make(map[peer.ID]time.Time, len(peers))
	for _, m := range peers {
		since[m.id] = m.since
	}
	for p, s := range r.pauses {
		if !s.busy && !s.since.Equal(since[p]) {
			delete(r.pauses, p)
		}
	}
	r.hunger.seat(now, peers)
	r.pledges.prune(now, func(p peer.ID) bool { _, ok := since[p]; return ok })
	peers = slices.DeleteFunc(peers, func(m member) bool { return r.pledges.shuns(now, m.id) })
	wanted := r.choose(now, peers)
	for _, s := range r.sessions {
		if s.key.asks && !wanted[s.key.peer] {
			r.endLocked(s, errReconSpare)
		}
	}
	for p := range wanted {
		s, ok := r.pauses[p]
		if !ok {
			s.since, s.next = since[p], now
			if r.self > p {
				s.next = now.Add(reconSecond)
			}
		}
		if !s.busy && r.sessions[reconKey{p, true}] == nil && !now.Before(s.next) {
			s.busy = r.crew.spawn(func() { r.dial(ctx, p) })
		}
		r.pauses[p] = s
	}
}

// choose picks the peers of the mesh, some others, of other networks if possible, and some
// that came lately. Those outside the mesh that have a session keep it.
func (r *reconciler) choose(now time.Time, peers []member) map[peer.ID]bool {
	wanted, groups := make(map[peer.ID]bool), make(map[string]bool)
	var kept, fresh []*member
	for i := range peers {
		m := &peers[i]
		_, feeds := r.hunger.feeders[m.id]
		switch {
		case feeds:
			wanted[m.id] = true
		case r.links.has(m.id):
			if len(wanted) < reconLinks-reconOutside-reconYoung {
				wanted[m.id] = true
				groups[r.roster.networkOf(m.id)] = true
			}
		case r.sessions[reconKey{m.id, true}] != nil:
			kept = append(kept, m)
		case r.pauses[m.id].pause == 0 || !now.Before(r.pauses[m.id].next):
			fresh = append(fresh, m)
		}
	}
	rand.Shuffle(len(fresh), func(i, j int) { fresh[i], fresh[j] = fresh[j], fresh[i] })
	outside := append(kept, fresh...)
	take := func(left int, may func(m *member, group string) bool) int {
		for _, m := range outside {
			group := r.roster.networkOf(m.id)
			if left > 0 && !wanted[m.id] && may(m, group) {
				wanted[m.id], groups[group] = true, true
				left--
			}
		}
		return left
	}
	dialled := func(m *member) bool { return m.direction == network.DirOutbound }
	left := take(reconDialled, func(m *member, group string) bool { return dialled(m) && !groups[group] })
	left = take(left, func(m *member, _ string) bool { return dialled(m) }) + reconOutside - reconDialled
	left = take(left, func(_ *member, group string) bool { return !groups[group] })
	take(left, func(*member, string) bool { return true })
	take(reconYoung, func(m *member, _ string) bool {
		return now.Sub(m.opened) < reconYouth && m.opened.Sub(r.began) > reconYouth
	})
	return wanted
}
