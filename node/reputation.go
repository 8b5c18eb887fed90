package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/grapevine-p2p/grapevine/node/api"
	"github.com/grapevine-p2p/grapevine/node/store"
	"github.com/grapevine-p2p/grapevine/overlay"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

const (
	// reputationEvery is how much of what peers earned, for good or ill, a crash may
	// cost; banWithin is the same of bans that were earned. Those by hand are on disk
	// before the operator is told.
	reputationEvery = time.Minute
	banWithin       = time.Second
	// savingShare is the part of the time, one in so many, that is spent on gathering what
	// is written while bans come in: scores wait for it, and who has many identities can be
	// banned all day.
	savingShare = 20

	// reputationRecords bounds the peers beside the banned whose record is kept.
	reputationRecords = 4096
)

// loadReputation tells an overlay of the bans and records of the last life. A file that
// cannot be read costs what it held, and nothing more.
func (n *Node) loadReputation(o *overlay.Overlay) {
	raw, err := n.store.ReadFile(store.ReputationFile, peerscore.MaxSaved)
	if err == nil && raw == nil {
		return
	}
	var saved peerscore.Saved
	if err == nil {
		saved, err = peerscore.DecodeSaved(raw)
	}
	if err != nil {
		aside, failed := n.store.SetAside(store.ReputationFile)
		n.cfg.Logger.Error("bans and reputations cannot be used, so all peers begin anew", "err", err, "kept as", aside, "failed", failed)
		return
	}
	o.LoadReputation(saved)
}

// saveReputation writes bans and records down. It says how long it took to gather them.
func (n *Node) saveReputation(o *overlay.Overlay) (gathering time.Duration, err error) {
	n.saving.Lock()
	defer n.saving.Unlock()
	began := time.Now()
	raw := o.SaveReputation(reputationRecords).Encode()
	gathering = time.Since(began)
	return gathering, n.store.WriteFile(store.ReputationFile, raw)
}

// keepReputation writes them down from time to time, and soon after a ban.
func (n *Node) keepReputation(ctx context.Context, o *overlay.Overlay) {
	tick := time.NewTicker(reputationEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-n.events.bans:
		}
		if !sleep(ctx, restAfter(n.trySaveReputation(o))) {
			return
		}
	}
}

// restAfter is the pause after bans were written down.
func restAfter(gathering time.Duration) time.Duration { return max(banWithin, savingShare*gathering) }

func (n *Node) trySaveReputation(o *overlay.Overlay) (gathering time.Duration) {
	gathering, err := n.saveReputation(o)
	if err != nil && !errors.Is(err, store.Failed) && !errors.Is(err, store.Closed) {
		n.cfg.Logger.Warn("bans and reputations could not be written down", "err", err)
	}
	return gathering
}

// included tells the overlay, once there is one, what a block took.
func (n *Node) included(ids []wire.TxID) {
	if o := n.overlay.Load(); o != nil {
		o.Included(ids)
	}
}

// errNotYet is for questions about the network before there is one.
var errNotYet = fmt.Errorf("%w: the network is starting", api.ErrNotFound)

// Scores implements api.Warden.
func (b backend) Scores(context.Context) ([]api.Score, error) {
	o := b.overlay.Load()
	if o == nil {
		return nil, nil
	}
	var list []api.Score
	for _, s := range o.Scores() {
		list = append(list, apiScore(s))
	}
	return list, nil
}

// Score implements api.Warden.
func (b backend) Score(_ context.Context, name string) (api.Score, error) {
	o := b.overlay.Load()
	if o == nil {
		return api.Score{}, errNotYet
	}
	p, err := peer.Decode(name)
	if err != nil {
		return api.Score{}, api.BadRequest("%.80q is not a peer id", name)
	}
	s, known := o.Score(p)
	if !known {
		return api.Score{}, fmt.Errorf("%w: nothing is known of peer %s", api.ErrNotFound, p)
	}
	return apiScore(s), nil
}

func apiScore(s overlay.Score) api.Score {
	out := api.Score{
		Peer: s.Peer.String(), Score: min(s.Tx, s.Block), Tx: s.Tx, Block: s.Block,
		Guilt: s.Standing.Guilt, Doubt: s.Standing.Doubt, Merit: s.Standing.Merit, Terms: []api.ScoreTerm{},
	}
	if !s.Standing.BannedUntil.IsZero() {
		out.BannedUntil = validation.UnixMillis(s.Standing.BannedUntil)
	}
	for _, t := range s.Terms {
		out.Terms = append(out.Terms, api.ScoreTerm{Of: t.Of, Name: t.Name, Value: t.Value, Why: t.Why})
	}
	return out
}

// Bans implements api.Warden.
func (b backend) Bans(context.Context) ([]api.Ban, error) {
	o := b.overlay.Load()
	if o == nil {
		return nil, nil
	}
	var list []api.Ban
	for _, x := range o.Bans() {
		list = append(list, apiBan(x))
	}
	return list, nil
}

func apiBan(b overlay.Ban) api.Ban {
	return api.Ban{Subject: b.String(), Until: validation.UnixMillis(b.Until), Reason: b.Reason, ByHand: b.ByHand}
}

// Ban implements api.Warden.
func (b backend) Ban(_ context.Context, r api.BanRequest) (api.Ban, error) {
	o, ban, err := b.banned(r.Subject)
	if err != nil {
		return api.Ban{}, err
	}
	if ban.Peer == b.id {
		return api.Ban{}, api.BadRequest("%s is this node", ban)
	}
	ban.Until, ban.Reason, ban.ByHand = b.cfg.Now().Add(r.For), r.Reason, true
	if err := o.BanByHand(ban); err != nil {
		return api.Ban{}, api.BadRequest("%v", err)
	}
	return apiBan(ban), b.onDisk(o)
}

// Unban implements api.Warden.
func (b backend) Unban(_ context.Context, subject string) (api.Ban, error) {
	o, ban, err := b.banned(subject)
	if err != nil {
		return api.Ban{}, err
	}
	for _, x := range o.Bans() {
		if x.String() == ban.String() && o.Unban(x) {
			return apiBan(x), b.onDisk(o)
		}
	}
	return api.Ban{}, fmt.Errorf("%w: %s is not banned", api.ErrNotFound, ban)
}

// onDisk makes a change of the bans durable.
func (b backend) onDisk(o *overlay.Overlay) error {
	if _, err := b.saveReputation(o); err != nil {
		return storageError(err)
	}
	return nil
}

func (b backend) banned(subject string) (*overlay.Overlay, overlay.Ban, error) {
	o := b.overlay.Load()
	if o == nil {
		return nil, overlay.Ban{}, errNotYet
	}
	ban, err := overlay.ParseBanned(subject)
	if err != nil {
		return nil, ban, api.BadRequest("%v", err)
	}
	return o, ban, nil
}
