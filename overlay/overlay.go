package overlay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/grapevine-p2p/grapevine/overlay/catchup"
	"github.com/grapevine-p2p/grapevine/overlay/compact"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Overlay is a node's part in the network. Its methods are safe for concurrent use and
// may be called before, during and after Run; without Run nothing is sent.
type Overlay struct {
	cfg    Config // constant after New
	host   host.Host
	id     wire.NetworkID
	log    *slog.Logger
	court  *court
	cutter *cutter
	sentry *sentry
	// inventory is what is known of who has which transactions.
	inventory *inventory
	// What topics add to a score.
	txScore, blockScore peerscore.Topic
	roster              *roster
	keeper              *keeper
	streams             *streamBudgets
	txLinks             *links
	bkLinks             *links
	txs                 *txRoad
	// announcer follows our own transactions; its desk is set by Run.
	announcer *announcer
	recon     *reconciler // nil where nothing is reconciled; its desk is set by Run
	sched     *catchup.Scheduler
	stems     *stems   // its desk is set by Run
	members   *members // nil without membership; its desk is set by Run
	holders   *holders
	lane      *lane
	ready     chan struct{}
	isReady   sync.Once
	running   atomic.Bool

	// Set by Run, which happens once.
	greeter *greeter
	blocks  atomic.Pointer[blockRoad]
	syncer  atomic.Pointer[syncer]
	crew    *crew
	back    *returns
	desk    *desk
}

// errRunTwice: an Overlay's state belongs to one run.
var errRunTwice = errors.New("overlay: Run was called before; make a new Overlay")

// New checks the configuration and starts nothing.
func New(cfg Config) (*Overlay, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	book, err := peerscore.New(cfg.Score)
	if err != nil {
		return nil, fmt.Errorf("overlay: %w", err)
	}
	o := &Overlay{
		cfg: cfg, host: cfg.Host, id: cfg.Genesis.ID(), log: cfg.Logger,
		txLinks: newLinks(), bkLinks: newLinks(), ready: make(chan struct{}), crew: new(crew), back: newReturns(),
	}
	o.streams = newStreamBudgets(cfg.Limits.StreamsPerConn)
	o.roster = newRoster(cfg.Limits, cfg.Host.Network(), cfg.Now, o.txLinks, o.bkLinks)
	o.court = &court{now: cfg.Now, hook: cfg.Hooks.Offence, log: cfg.Logger, book: book, banned: func(p peer.ID, why string) {
		call2(cfg.Hooks.PeerCut, peerscore.PeerID(p), why)
		o.crew.spawn(func() { o.dismiss(p, "it is banned: "+why) })
		o.dismissBanned() // an address may be banned with it
	}, addr: func(p peer.ID) netip.Addr {
		at, _ := seenAt(cfg.Host.Network(), p)
		return at.Addr()
	}}
	expect := cfg.traffic()
	if o.txScore, err = cfg.Score.Topic(expect.tx); err != nil {
		return nil, fmt.Errorf("overlay: score of transactions: %w", err)
	}
	if o.blockScore, err = cfg.Score.Topic(expect.block); err != nil {
		return nil, fmt.Errorf("overlay: score of blocks: %w", err)
	}
	o.cutter = newCutter(cfg.Score.Thresholds.Graylist, cfg.Limits.CutFor)
	o.inventory = newInventory(time.Duration(cfg.Gossip.HistoryGossip+1) * cfg.Gossip.Heartbeat)
	o.sentry = newSentry(cfg.Lookout, o.roster, o.crew, o.log)
	if o.keeper, err = newKeeper(o); err != nil {
		return nil, err
	}
	o.announcer = newAnnouncer(cfg, o.roster)
	o.txs = newTxRoad(cfg, cfg.Host.ID(), o.txLinks, o.roster, o.court, o.crew)
	o.txs.echoed, o.txs.waits = o.announcer.relayed, o.announcer.waits
	reserve := newReserve(o)
	o.txs.beside, o.txs.spare = reserve.pass, reserve.reaches
	o.holders, o.announcer.holders = o.txs.holders, o.txs.holders
	o.lane = newLane(func(p peer.ID) bool { return o.txs.outflow.depth(p) >= fullLine })
	if o.sched, err = newScheduler(cfg); err != nil {
		return nil, err
	}
	if o.recon, err = newReconciler(o); err != nil {
		return nil, err
	}
	if o.stems, err = newStems(o); err != nil {
		return nil, err
	}
	if o.recon != nil {
		o.txs.judged, o.txs.came = o.recon.inbox.judged, o.recon.came
	}
	if o.members, err = newMembers(o); err != nil {
		return nil, err
	}
	return o, nil
}

// Run joins the network and works until ctx ends; then it says goodbye and returns nil
// once every goroutine it started has ended. It can be called once.
func (o *Overlay) Run(ctx context.Context) error {
	if o.running.Swap(true) {
		return errRunTwice
	}
	group, ctx := errgroup.WithContext(ctx)
	if err := o.assemble(ctx); err != nil {
		return err
	}

	// The order matters: a peer must find hello before it finds gossip, or it would take
	// us for a guest; and we must see every peer that pubsub sees.
	o.serve(ctx)
	watching := make(chan struct{})
	group.Go(func() error { return o.watch(ctx, sync.OnceFunc(func() { close(watching) })) })
	select {
	case <-watching:
	case <-ctx.Done():
	}

	// pubsub outlives ctx by a moment: leaving a topic is something one says.
	gossip, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	txMesh, blockMesh, err := o.join(gossip)
	if err != nil {
		group.Go(func() error { return err })
	} else {
		o.work(ctx, group, txMesh, blockMesh)
	}
	<-ctx.Done()
	o.members.leave()
	for _, m := range []*mesh{txMesh, blockMesh} {
		if m != nil {
			m.cancel()
		}
	}
	stop()
	for _, m := range []*mesh{txMesh, blockMesh} {
		if m != nil {
			m.host.shut()
		}
	}
	o.desk.shut()
	err = group.Wait()
	o.crew.wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// assemble makes the parts that live as long as Run.
func (o *Overlay) assemble(ctx context.Context) error {
	o.desk = newDesk(o.host, o.roster, o.lane, o.court.judge, o.log)
	var blocks *blockRoad
	syncer := newSyncer(o.cfg, o.sched, o.roster, o.court, o.desk, o.crew, func(id wire.BlockID) { blocks.added(id) })
	parts, err := newCompactor(ctx, o)
	if err != nil {
		return err
	}
	blocks = newBlockRoad(ctx, o.cfg, o.host.ID(), o.roster, o.court, o.crew, o.desk, parts, o.txs.glanced, syncer.seek)
	o.greeter = &greeter{
		cfg: o.cfg, host: o.host, id: o.id, roster: o.roster, court: o.court, desk: o.desk, log: o.log,
		crew: o.crew, ctx: ctx, back: o.back, left: o.left,
		joined: func(m *member) {
			o.keeper.joined(m)
			syncer.nudge()
			o.recon.joined()
			parts.changed()
			o.crew.spawn(func() { syncer.prove(ctx, m.id) })
		},
	}
	o.announcer.desk = o.desk
	o.stems.desk = o.desk
	if o.recon != nil {
		o.recon.desk = o.desk
	}
	if o.members != nil {
		o.members.desk = o.desk
	}
	o.keeper.meet = o.greeter.meet
	o.desk.meet = func(p peer.ID) *member { return o.greeter.meet(p) }
	o.blocks.Store(blocks)
	o.syncer.Store(syncer)
	return nil
}

// serve opens the request protocols.
func (o *Overlay) serve(ctx context.Context) {
	l := o.cfg.Limits
	o.desk.open(ctx, service{
		id: HelloProtocol, within: l.HelloTimeout, total: hellosAtOnce, perPeer: 2, strange: true,
		handle: o.greeter.answer,
	})
	o.desk.open(ctx, service{
		id: CompactProtocol(o.id), within: partsAge, total: l.ServeCompact + 2*compactLinks, perPeer: l.ServeCompactPer + 2,
		handle: o.blocks.Load().answerCompact,
	})
	o.desk.open(ctx, service{
		id: SyncProtocol(o.id), within: l.SyncTime, total: l.ServeSync, perPeer: l.ServeSyncPer, asking: requestTime,
		handle: o.syncer.Load().answerSync,
	})
	o.desk.open(ctx, service{
		id: AnnounceProtocol(o.id), within: l.AnnounceTime, total: l.ServeAnnounce, perPeer: l.ServeAnnouncePer, asking: requestTime,
		handle: o.txs.answerAnnounce,
	})
	o.desk.open(ctx, service{
		id: StemProtocol(o.id), within: stemTime, total: serveStem, perPeer: serveStemPer,
		handle: o.stems.answer,
	})
	if o.members != nil {
		o.desk.open(ctx, service{
			id: MemberProtocol(o.id), within: l.MemberAge + 2*memberMargin, total: l.ServeMember, perPeer: l.ServeMemberPer,
			handle: o.members.answer,
		})
	}
	if o.recon == nil {
		return
	}
	o.desk.open(ctx, service{
		id: ReconProtocol(o.id), within: o.recon.pace.MaxAge + 2*reconMargin, total: l.ServeRecon, perPeer: l.ServeReconPer,
		handle: o.recon.answer,
	})
	o.desk.open(ctx, service{
		id: FetchProtocol(o.id), within: l.FetchTime, total: l.ServeFetch, perPeer: l.ServeFetchPer, asking: requestTime,
		handle: o.recon.answerFetch,
	})
}

// requestTime is how long a peer has for a request of one frame that it began a stream for: of
// 32 KB at most, which a line of 100 kbit/s carries in three seconds.
const requestTime = 5 * time.Second

// hellosAtOnce bounds the hellos that are answered at once. One is a kilobyte, and a peer
// has two at most, so a host's connections are the nearer bound: a few peers that keep
// silent cannot keep others from being greeted.
const hellosAtOnce = 1024

// work starts what runs until ctx ends.
func (o *Overlay) work(ctx context.Context, group *errgroup.Group, txMesh, blockMesh *mesh) {
	run := func(f func()) {
		group.Go(func() error {
			f()
			return nil
		})
	}
	run(func() { o.txs.collector.run(ctx) })
	run(func() { o.sentry.run(ctx) })
	run(func() { o.followLaggards(ctx) })
	for _, m := range []*mesh{txMesh, blockMesh} {
		run(func() { m.inspector.run(ctx) })
		run(func() { m.sluice.run(ctx) })
	}
	run(func() { o.txs.run(ctx, txMesh) })
	run(func() { o.txs.retryGaps(ctx, txMesh) })
	run(func() { o.txs.judgeCopies(ctx) })
	run(func() { o.announcer.run(ctx) })
	run(func() { o.stems.run(ctx) })
	if o.recon != nil {
		run(func() { o.recon.run(ctx) })
	}
	if o.members != nil {
		run(func() { o.members.run(ctx) })
	}
	run(func() { o.blocks.Load().run(ctx, blockMesh) })
	run(func() { o.blocks.Load().parts.run(ctx) })
	run(func() { o.syncer.Load().run(ctx) })
	run(func() { o.keeper.run(ctx) })
	run(func() { o.keeper.follow(ctx) })
	run(func() { o.keeper.lookAround(ctx) })
	pace := newDialPace()
	for _, addr := range o.persistent() {
		if addr.ID != o.host.ID() {
			b := &bootstrapper{host: o.host, roster: o.roster, log: o.log, addr: addr, pace: pace, back: o.back}
			run(func() { b.run(ctx) })
		}
	}
	group.Go(func() error { return o.advertise(ctx) })
}

// advertised is called when identify had the chance to learn all our protocols.
func (o *Overlay) advertised() { o.isReady.Do(func() { close(o.ready) }) }

// protocols are all that this node speaks.
func (o *Overlay) protocols() []protocol.ID {
	out := []protocol.ID{HelloProtocol, CompactProtocol(o.id), SyncProtocol(o.id), AnnounceProtocol(o.id), StemProtocol(o.id)}
	if o.recon != nil {
		out = append(out, ReconProtocol(o.id), FetchProtocol(o.id))
	}
	if o.members != nil {
		out = append(out, MemberProtocol(o.id))
	}
	return append(append(out, txProtocols...), blockProtocols...)
}

// Ready is closed when the topics are joined and the protocols advertised.
func (o *Overlay) Ready() <-chan struct{} { return o.ready }

// PublishTx announces a transaction of this node's own that it believes. While no peer would
// hear it, it is kept (within bounds; beyond them PublishTx fails and nothing is kept) and
// sent when one joins, unless it ended meanwhile, as with Reannounce. Where peers read slowly
// it waits for them, for two seconds at most. What has expired is not published.
// From then on it is followed, as Reannounce does.
func (o *Overlay) PublishTx(ctx context.Context, tx validation.CheckedTx) error {
	if err := o.txs.publish(ctx, tx); err != nil {
		return err
	}
	o.holders.own(tx.ID())
	o.announcer.follow(tx, o.cfg.Limits.AnnounceAfter)
	return nil
}

// Reannounce tells peers of transactions of this node's own, on streams for that purpose,
// until three of them (or all, where fewer are connected) in EchoNetworks networks are known
// to have each, or it ended: its time is over, or the Pool, if it is a TxHolder, has it no
// more. It sends nothing itself. What is followed already is not followed twice.
func (o *Overlay) Reannounce(txs ...validation.CheckedTx) {
	for _, tx := range txs {
		if !tx.IsZero() {
			o.holders.own(tx.ID())
			o.announcer.follow(tx, 0)
		}
	}
}

// PublishPrivately has a transaction of this node's own published without telling who began:
// it is handed from peer to peer along a stem before anybody publishes it (see package stem
// for what that hides and what not). Nobody who takes it is told whose it is, and the Pool
// is not given it before it is public: by somebody else, or by us when its embargo ends,
// within 17 s in the mean. Then it is followed, as Reannounce does. stem.Full means that
// nothing was done.
func (o *Overlay) PublishPrivately(tx validation.CheckedTx) error { return o.stems.own(tx) }

// OnStems is the number of transactions, ours and others', that this node holds on their
// stems.
func (o *Overlay) OnStems() int { return o.stems.open() }

// Unechoed is the number of own transactions that are followed and not echoed enough.
func (o *Overlay) Unechoed() int { return o.announcer.open() }

// ExpectBlock says that this node will publish a block in BlockLead. Transactions are kept off
// full lines until then, so that nothing is before its header. A block that is not expected,
// or does not come, is only later, or cost a moment.
func (o *Overlay) ExpectBlock() { o.lane.lull.expect() }

// PublishBlock announces a block of this node's own, in compact form, and gives peers what
// they lack of it. The chain must have it already, since peers will ask for its transactions.
// coded are the chunks that its header signs, nil where it signs none.
func (o *Overlay) PublishBlock(ctx context.Context, b validation.CheckedBlock, coded *compact.Coded) error {
	blocks := o.blocks.Load()
	if blocks == nil {
		return nil // not running: peers learn of it from our hello
	}
	return blocks.publishOwn(ctx, b, coded)
}

// Peers lists the connected peers that are welcome, by id.
func (o *Overlay) Peers() []PeerInfo {
	list := o.roster.all()
	for i, p := range list {
		list[i].Why = o.keeper.why(p.ID, p.Direction == network.DirOutbound)
		list[i].Silence = o.members.silence(p.ID)
	}
	return list
}

// OneSidedLinks is on how many links outside its mesh peers keep giving transactions that the
// mesh does not bring, if all of these together are enough for an alarm. More than none for long says that this node may be surrounded
// by peers that keep things from it.
func (o *Overlay) OneSidedLinks() int {
	if o.recon == nil {
		return 0
	}
	return o.recon.oneSidedLinks()
}

// Syncing says whether this node is catching up.
func (o *Overlay) Syncing() SyncStatus {
	if s := o.syncer.Load(); s != nil {
		return s.status()
	}
	height := o.cfg.Chain.Head().Height
	return SyncStatus{Height: height, Target: height}
}

// Connect dials a peer. A peer that was refused or is banned is not dialled.
func (o *Overlay) Connect(ctx context.Context, addr peer.AddrInfo) error {
	if o.court.isBanned(addr.ID) {
		return fmt.Errorf("overlay: connect to %s: it is banned", addr.ID)
	}
	if until, barred := o.roster.barredUntil(addr.ID); barred {
		return fmt.Errorf("overlay: connect to %s: it was refused at hello; not before %s", addr.ID, until.Format(time.RFC3339))
	}
	if err := o.host.Connect(ctx, addr); err != nil {
		return fmt.Errorf("overlay: connect to %s: %w", addr.ID, err)
	}
	return nil
}

// Disconnect closes every connection to a peer. It may come back.
func (o *Overlay) Disconnect(p peer.ID) { o.dismiss(p, "this node's operator said so") }

func (o *Overlay) dismiss(p peer.ID, why string) {
	o.roster.update(p, func(m *member) { m.why = why })
	o.members.drop(p)
	if err := o.host.Network().ClosePeer(p); err != nil {
		o.log.Debug("closing a connection failed", "peer", p, "err", err)
	}
}

// Banned says whether a peer is banned. It is quick, for use by a connection gater.
func (o *Overlay) Banned(p peer.ID) bool { return o.court.isBanned(p) }

// join starts the two gossip instances.
func (o *Overlay) join(ctx context.Context) (txMesh, blockMesh *mesh, err error) {
	l, g := o.cfg.Limits, o.cfg.Gossip
	blockOut := newOutflow(g.OutboundQueue)
	waiting := fairBounds{peerMessages: l.QueuedPerPeer, peerBytes: l.QueuedBytesPerPeer, allBytes: l.QueuedBytes}
	sluices := func(in *pulls, hook func(peerscore.PeerID, int, Shed)) *sluice {
		return newSluice(g.ValidateQueue/2, waiting, func(p peer.ID, n int) {
			in.shed(n)
			call3(hook, peerscore.PeerID(p), n, ShedOverload)
		})
	}
	txUnits, blockUnits := func(b *budget) *admission { return b.txs }, func(b *budget) *admission { return b.blocks }
	txInspector := newInspector(o, TxTopic(o.id), o.txLinks.has, txUnits)
	txInspector.heard = func(ids []string, from peer.ID) {
		o.inventory.heard(from, ids...)
		o.announcer.heard(ids, from)
	}
	if o.recon != nil { // which brings what nobody is asked for
		txInspector.jammed = func() bool { return o.txs.outflow.jammed(o.txLinks) }
	}
	blockInspector := newInspector(o, BlockTopic(o.id), o.bkLinks.has, blockUnits)
	txIn, blockIn := sluices(txInspector.pulls, o.cfg.Hooks.TxShed), sluices(blockInspector.pulls, nil)
	txMesh, err = join(ctx, o.bounded(ctx, inflow{
		topic: TxTopic(o.id), frame: l.TxFrame, sluice: txIn, outflow: o.txs.outflow, inspect: txInspector, shed: o.cfg.Hooks.TxShed,
		sentry: o.sentry, inventory: o.inventory,
		bytes: func(b *budget) *rate.Limiter { return b.txBytes }, units: txUnits, paced: controlInAll(l), write: o.lane.writeTxs,
	}), meshConfig{
		name: "transactions", network: o.id, topic: TxTopic(o.id), protocols: txProtocols,
		frame: l.TxFrame, control: l.TxControl, workers: g.TxWorkers, heartbeat: g.Heartbeat,
		// Not flooded: a node with a hundred connections and a busy wallet would spend
		// its uplink on copies. The outbox waits for a mesh link instead.
		flood:        false,
		score:        o.txScore,
		appScore:     o.score,
		validate:     o.txs.validate,
		inspectScore: o.inspect(func(m *member, c *pubsub.PeerScoreSnapshot) { m.txScore, m.txCounts = c.Score, c }),
		inspector:    txInspector,
		tracer: &tracer{
			self: o.host.ID(), sluice: txIn, outflow: o.txs.outflow, pulls: txInspector.pulls, inventory: o.inventory,
			meshed: func(p peer.ID, in bool) {
				o.txs.meshed(p, in)
				o.sentry.meshed(p, in)
			},
			first: func(p peer.ID, raw []byte) {
				o.txs.began(p, raw)
				o.sentry.first(p, raw)
			},
			duplicate: func(p peer.ID, raw []byte) {
				id := wire.TxIDOf(raw)
				o.txs.copied(p, id, raw)
				call2(o.cfg.Hooks.TxDuplicate, id, peerscore.PeerID(p))
				o.announcer.relayed(id, p)
				o.sentry.copied(p, raw)
				o.holders.came(p, id)
			},
			good: o.txs.beside,
			sent: o.txSent,
			dropped: func(p peer.ID) {
				o.txs.outflow.dropped(p)
				call2(o.cfg.Hooks.RPCDropped, peerscore.PeerID(p), topicTx)
			},
			unjudged: func(p peer.ID) { call2(o.cfg.Hooks.ValidationDropped, peerscore.PeerID(p), topicTx) },
		},
	}, g, l, o.cfg.Score)
	if err != nil {
		return nil, nil, err
	}
	blocks := o.blocks.Load()
	blockMesh, err = join(ctx, o.bounded(ctx, inflow{
		topic: BlockTopic(o.id), frame: l.BlockFrame, sluice: blockIn, outflow: blockOut, inspect: blockInspector,
		bytes: func(b *budget) *rate.Limiter { return b.blockBytes }, units: blockUnits, paced: controlInAll(l), write: o.lane.writeHeaders(o.bkLinks),
		coming: o.lane.hearHeaders(o.bkLinks),
	}), meshConfig{
		name: "blocks", network: o.id, topic: BlockTopic(o.id), protocols: blockProtocols,
		frame: l.BlockFrame, control: l.BlockControl, workers: g.BlockWorkers, heartbeat: g.BlockHeartbeat,
		// Flooded: a block of our own is rare, small in this form, and in a hurry, and the
		// mesh may not have formed yet.
		flood:        true,
		score:        o.blockScore,
		appScore:     o.score,
		validate:     blocks.validate,
		inspectScore: o.inspect(func(m *member, c *pubsub.PeerScoreSnapshot) { m.blockScore, m.blockCounts = c.Score, c }),
		inspector:    blockInspector,
		tracer: &tracer{
			self: o.host.ID(), sluice: blockIn, outflow: blockOut, pulls: blockInspector.pulls,
			meshed:    o.bkLinks.set,
			duplicate: blocks.duplicate,
			dropped:   func(p peer.ID) { call2(o.cfg.Hooks.RPCDropped, peerscore.PeerID(p), topicBlock) },
			unjudged:  func(p peer.ID) { call2(o.cfg.Hooks.ValidationDropped, peerscore.PeerID(p), topicBlock) },
		},
	}, g, l, o.cfg.Score)
	return txMesh, blockMesh, err
}

// txSent notes that a peer is sent a transaction on the topic.
func (o *Overlay) txSent(p peer.ID, raw []byte) {
	id := wire.TxIDOf(raw)
	o.announcer.sent(id, p)
	o.holders.holds(p, id)
}

// What hooks call the two topics.
const (
	topicTx    = "tx"
	topicBlock = "block"
)

// score is the application's part of a peer's score in both instances: its offences, and
// silence about its hello until that has succeeded. GossipSub asks under a lock of its
// own, so this is short and calls nobody.
func (o *Overlay) score(p peer.ID) float64 {
	s := o.court.score(p) + o.sentry.score(p)
	if o.roster.silent(p) {
		return min(s, o.cfg.Score.Thresholds.Gossip)
	}
	return s
}

// inspect notes what GossipSub thinks of the peers, for PeerInfo, and cuts those that it
// does not listen to any more.
func (o *Overlay) inspect(note func(*member, *pubsub.PeerScoreSnapshot)) func(map[peer.ID]*pubsub.PeerScoreSnapshot) {
	return func(scores map[peer.ID]*pubsub.PeerScoreSnapshot) {
		for p, s := range scores {
			o.roster.update(p, func(m *member) { note(m, s) })
			o.cutGraylisted(p, s.Score)
		}
	}
}
