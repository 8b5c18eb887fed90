package overlay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation/ledger"
	"github.com/grapevine-p2p/grapevine/wire"
)

// R109: who came onto our chain says so by what it asks, and is believed: it is our chain.
func TestWhoComesOntoOurChainIsKnownToBeOnIt(t *testing.T) {
	ours, theirs := head{5, wire.BlockID{1}}, head{4, wire.BlockID{2}}
	s := &syncer{
		cfg:    Config{Chain: onChain{Ref: ledger.Ref{ID: ours.id, Height: ours.height}}},
		roster: newRoster(Limits{}, unplugged{}, time.Now, nil, nil),
	}
	s.roster.members["peer"] = &member{id: "peer", standing: greeted, best: theirs}
	s.hears("peer", head{3, wire.BlockID{3}})
	require.Equal(t, theirs, s.roster.snapshot("peer").best, "lower, and not on our chain")
	s.hears("peer", ours)
	require.Equal(t, ours, s.roster.snapshot("peer").best)
}
