package overlay

// welcomeGuest lets in a peer that speaks no hello, if there is room. A guest has the
// gossip topics and nothing else: it is never asked for anything and counts for nothing.
// The share is bounded because a guest costs a slot and proves nothing, not even that it
// is on our network.
func (g *greeter) welcomeGuest(m *member) {
	if g.roster.count(guest) >= g.cfg.Limits.MaxGuests {
		g.refuse(m, "it speaks no hello, and all places for guests are taken", "")
		return
	}
	g.roster.update(m.id, func(m *member) {
		if v, err := g.host.Peerstore().Get(m.id, "AgentVersion"); err == nil {
			if agent, ok := v.(string); ok {
				m.agent = agent[:min(len(agent), maxAgent)]
			}
		}
	})
	if g.roster.settle(m, guest) {
		g.log.Debug("guest joined", "peer", m.id)
		call(g.cfg.Hooks.PeerJoined, g.roster.info(m))
	}
}
