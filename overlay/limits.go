package overlay

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	swim "github.com/grapevine-p2p/grapevine/overlay/member"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Limits bound what peers can make grow, in all and per peer, and how long anything of
// theirs may take. What is over a limit is refused; only what no honest peer does is
// also charged.
type Limits struct {
	// Guests.
	MaxGuests int // peers without hello

	// Hello.
	HelloTimeout time.Duration // from connection to a settled hello
	RefusedFor   time.Duration // a refused peer is not dialled again
	MaxRefused   int           // refused peers that are remembered

	// Streams of pubsub.
	TxFrame         int           // bytes of one RPC of the transaction instance; not below a stock client's own limit
	TxControl       int           // bytes of it that may be control
	BlockFrame      int           // the same for the block instance, which only we speak
	BlockControl    int           //
	FirstFrame      time.Duration // from the stream's opening to its first frame
	FrameTime       time.Duration // from a frame's first byte to its last
	BytesPerSecond  int           // per peer and instance; beyond, its stream is read more slowly
	BytesBurst      int           //
	StreamsPerConn  int           // pubsub streams a peer may open on a connection; beyond is a breach
	Subscriptions   int           // per RPC
	MessagesPerRPC  int           //
	ControlsPerRPC  int           //
	IDsPerRPC       int           //
	UnknownPerRPC   int           //
	TopicName       int           // bytes of the name of a topic; an RPC with many longer ones is a breach
	BombsPerMinute  int           // frames over these, or of empty elements, before a peer is cut
	MaxPruneBackoff time.Duration // a peer cannot bar us from its mesh for longer

	// Admission, before anything is decoded. A unit is a message, a control entry or a
	// subscription; an RPC is one at least.
	MessagesPerSecond      int           // units of the transaction instance, per peer; beyond, they are shed
	MessagesBurst          int           //
	BlockMessagesPerSecond int           // the same for the block instance
	BlockMessagesBurst     int           //
	IDsPerSecond           int           // ids in control entries, per peer and instance; beyond, they are cut off
	IDsBurst               int           //
	ControlPerSecond       int           // bytes of an RPC that are no messages, per peer and instance; beyond, all peers are read in turn
	ControlBurst           int           //
	ControlInAllPerSecond  int           // of all peers, beyond that
	ControlInAllBurst      int           //
	StrangePerSecond       int           // of these, messages that are announced or forbidden and are not here; beyond, they are over the budget
	StrangeBurst           int           //
	StrangePerMessage      int           // and so many more for each message that comes, whoever brings it
	SubscriptionsPerSecond int           // the same of subscriptions
	SubscriptionsBurst     int           //
	GraftsPerMinute        int           // the same of GRAFT and PRUNE
	ShedPerCharge          int           // units over budget for which a peer is charged once
	ChargesForgiven        int           // per minute and peer, before any counts
	ChargesToCut           int           // that count, per minute and peer, before it is cut
	QueuedPerPeer          int           // messages of a peer that wait to be judged
	QueuedBytesPerPeer     int           //
	QueuedBytes            int           // of all peers, per instance
	CutFor                 time.Duration // a peer that was cut is kept out

	// What peers announce by IHAVE and ask for by IWANT, per instance.
	PullPatience         time.Duration // until the next peer is asked for what one announced
	Pulls                int           // messages that are asked for, and that came lately, to be remembered
	PulledPerSecond      int           // bytes that a peer is sent because it asked; beyond, it must ask again
	PulledBurst          int           // not below the largest message
	PulledInAllPerSecond int           // the same of all peers
	PulledInAllBurst     int           //
	UnknownPerSecond     int           // ids that a peer asks for and that are not here; beyond, they are over its budget
	UnknownBurst         int           //

	// Verdicts.
	AvoidablePerMinute int // messages a fixed rule told the peer to drop, before it is charged
	BatchTxs           int // signatures verified together
	BatchWait          time.Duration
	KeptTxs            int // own transactions that wait for a peer
	KeptBytes          int
	AppPatience        time.Duration // a transaction that is well signed is passed on without the application's answer after this

	// Announcements of transactions, our own and those of peers.
	FollowedTxs      int           // own transactions that are announced until they are echoed
	AnnounceAfter    time.Duration // from a publication on the topic to the first announcement
	AnnouncePause    time.Duration // between the first two of one transaction; each is twice the last
	AnnouncePauseMax time.Duration //
	AnnounceTime     time.Duration // for one exchange
	AnnounceBytes    int           // of transactions in one exchange; not below the largest
	ServeAnnounce    int           // exchanges answered at once
	ServeAnnouncePer int           // with one peer

	// Reconciliation, and the fetch of what it finds.
	ReconIdle     time.Duration // between two frames of a session
	ServeRecon    int           // sessions of peers at once
	ServeReconPer int           // of one peer
	FetchTime     time.Duration // for one request
	ServeFetch    int           // requests served at once
	ServeFetchPer int           // of one peer

	// Membership.
	MemberAge       time.Duration // of a link, after which another is opened
	MemberIdle      time.Duration // between two frames of a peer
	MemberPerSecond int           // frames, and KiB of them, of a peer; beyond, they are read later
	MemberBurst     int           //
	ServeMember     int           // links that peers opened
	ServeMemberPer  int           // of one peer: one, and one that has not ended yet

	// Blocks.
	Rebuilds            int           // blocks rebuilt at once
	RebuildTime         time.Duration // for one, all requests included
	CompactTime         time.Duration // for one request
	WaitingHeaders      int           // headers that wait for a parent or their slot
	WaitingPerPeer      int           //
	WaitingBytes        int           // of such headers, in compact form
	WaitingBytesPerPeer int           //
	WaitingTime         time.Duration //
	ServeCompact        int           // requests served at once
	ServeCompactPer     int           // by one peer
	CompactPatience     time.Duration // a request waits for a block that is being rebuilt
	PartsPerSecond      int           // frames of parts of blocks, per peer; beyond, they are read later
	PartsBurst          int           //
	TwinsAfter          time.Duration // a connection is judged by two blocks of a turn; longer than what came waits here

	// Sync.
	ServeSync    int           // requests served at once
	ServeSyncPer int           // by one peer
	SyncBlocks   int           // blocks per answer that is served
	SyncHeaders  int           // headers per answer that is served
	SyncBytes    int           // bytes of blocks per answer that is served
	SyncTime     time.Duration // for one request
	SyncStall    time.Duration // for a peer to take a block that is served, or to show the header of its head
	SyncRefresh  time.Duration // a peer is asked this often for what gossip did not bring

	// Requests of peers to us, over all protocols.
	RequestsPerSecond int
	RequestsBurst     int
	WaitingRequests   int // of one peer, until its hello is settled
	ServedPerSecond   int // bytes of blocks to one peer; beyond, its answers come more slowly
	ServedBurst       int // not below the largest block
}

// DefaultLimits returns the limits of a public node.
func DefaultLimits() Limits {
	return Limits{
		MaxGuests: 32,

		HelloTimeout: 10 * time.Second,
		RefusedFor:   10 * time.Minute,
		MaxRefused:   1024,

		// A stock client splits its RPCs at 1 MiB and its control at 512 KiB: less
		// would cut off honest guests.
		TxFrame:      1 << 20,
		TxControl:    512 << 10,
		BlockFrame:   512 << 10,
		BlockControl: 128 << 10,
		// A router says what it is subscribed to at once.
		FirstFrame:     10 * time.Second,
		FrameTime:      20 * time.Second,
		BytesPerSecond: 8 << 20,
		BytesBurst:     8 << 20,
		// One is enough; a router whose stream is reset opens five at most before it gives up.
		StreamsPerConn: 20,
		Subscriptions:  64,
		// IHAVE and IWANT carry up to 5,000 ids, and an answer as many messages.
		MessagesPerRPC:  5_000,
		ControlsPerRPC:  512,
		IDsPerRPC:       10_000,
		UnknownPerRPC:   64,
		TopicName:       1 << 10,
		BombsPerMinute:  2,
		MaxPruneBackoff: time.Hour,

		// Ten times what a network of 500 transactions a second gives a peer to send, each
		// once: no honest peer comes near for long. All that a peer may have kept for its
		// first listener (KeptTxs) fits into the burst.
		MessagesPerSecond: 5_000,
		MessagesBurst:     25_000,
		// One block per slot and the control of a few meshes' heartbeats.
		BlockMessagesPerSecond: 100,
		BlockMessagesBurst:     1_000,
		// Five times what a stock client announces at 500 transactions a second, and more than
		// a router looks at (5,000 a heartbeat).
		IDsPerSecond: 10_000,
		IDsBurst:     50_000,
		// Twice what a stock router announces a second at 500 transactions, and a whole list at
		// once. What all may take beyond that costs a fiftieth of a core.
		ControlPerSecond:      64 << 10,
		ControlBurst:          128 << 10,
		ControlInAllPerSecond: 4 << 20,
		ControlInAllBurst:     1 << 20,
		// A router announces a message three times and forbids it once, so that what comes pays
		// for what is named. The rest is for a node that has stood apart, and is told at once of
		// what was sent in the three heartbeats before: a list in full.
		StrangePerSecond:  2_000,
		StrangeBurst:      5_000,
		StrangePerMessage: 4,
		// A client that is in three hundred topics of others says so once.
		SubscriptionsPerSecond: 10,
		SubscriptionsBurst:     300,
		// The routers' back-off is a minute: an honest peer sends one of each in that time and
		// instance, and some more when its process comes and goes.
		GraftsPerMinute: 30,
		// 5,000 units over budget are forgiven, for a stall of ours may hand us a second's
		// worth at once. The next 10,000 weigh as much as a ban: at 50,000 a second that is
		// the work of half a second, burst included less than one.
		ShedPerCharge:   500,
		ChargesForgiven: 10,
		ChargesToCut:    5,
		// A tenth of a second of what one core verifies; twice that is a burst's.
		QueuedPerPeer:      2_048,
		QueuedBytesPerPeer: 2 << 20,
		QueuedBytes:        32 << 20,
		// As long as a peer that was refused at hello is not dialled.
		CutFor: 10 * time.Minute,

		// A round trip over the slowest links and the largest transaction at 2 Mbit/s.
		PullPatience: 500 * time.Millisecond,
		// Those of ten seconds at 2,000 a second.
		Pulls: 20_000,
		// A newcomer that is in no mesh yet gets 500 transactions of 4 KB a second.
		PulledPerSecond:      2 << 20,
		PulledBurst:          8 << 20,
		PulledInAllPerSecond: 8 << 20,
		PulledInAllBurst:     32 << 20,
		// What we announced is here for three heartbeats more: only who stood still for
		// longer asks in vain, and once.
		UnknownPerSecond: 500,
		UnknownBurst:     10_000,

		AvoidablePerMinute: 60,
		BatchTxs:           64,
		BatchWait:          2 * time.Millisecond,
		KeptTxs:            20_000,
		KeptBytes:          16 << 20,
		// Far longer than an application that works takes, and than it should hold up a
		// validator: 256 of them, each this long, still judge 2,560 a second.
		AppPatience: 100 * time.Millisecond,

		FollowedTxs: 20_000, // as KeptTxs: what nobody hears is followed as well
		// Three heartbeats: by then an echo would have come.
		AnnounceAfter:    2 * time.Second,
		AnnouncePause:    2 * time.Second,
		AnnouncePauseMax: time.Minute,
		AnnounceTime:     10 * time.Second,
		AnnounceBytes:    1 << 20,
		ServeAnnounce:    16,
		ServeAnnouncePer: 1,

		ReconIdle:     time.Minute, // several times the longest rest
		ServeRecon:    96,          // not below Dial.Outbound and Inbound; a session keeps some 100 KB
		ServeReconPer: 1,
		FetchTime:     10 * time.Second,
		ServeFetch:    64,
		ServeFetchPer: 8, // fetch.Config: four full requests, and what later exchanges tell meanwhile

		MemberAge: time.Hour,
		// Every link is asked now and then: with 400 of them, every 200 seconds.
		MemberIdle: 5 * time.Minute,
		// A death costs a link some ten frames; a whole view of 4,096 is 1 MiB.
		MemberPerSecond: 100,
		MemberBurst:     1_000,
		ServeMember:     1_024, // a host's connections are the nearer bound
		ServeMemberPer:  2,

		Rebuilds:       16,
		RebuildTime:    15 * time.Second,
		CompactTime:    4 * time.Second,
		WaitingHeaders: 256,
		WaitingPerPeer: 32,
		// Eight of the largest compact blocks of a peer, and as much of eight peers.
		WaitingBytes:        16 << 20,
		WaitingBytesPerPeer: 2 << 20,
		WaitingTime:         time.Minute,
		ServeCompact:        32, // each may hold a whole block
		ServeCompactPer:     4,
		CompactPatience:     2 * time.Second,
		// Forty tellings of new chunks a second, and all chunks of two of the largest blocks
		// one by one; a frame costs us some 20 µs.
		PartsPerSecond: 500,
		PartsBurst:     1_000,
		// Where transactions fill all lines a header is judged within half a second.
		TwinsAfter: 10 * time.Second,

		ServeSync:    32,
		ServeSyncPer: 5, // blocks three times, headers, and a head to show: catchup.Config
		SyncBlocks:   512,
		SyncHeaders:  1024,
		SyncBytes:    16 << 20,
		SyncTime:     time.Minute,
		SyncStall:    10 * time.Second,
		SyncRefresh:  15 * time.Second,

		RequestsPerSecond: 20,
		RequestsBurst:     60,
		WaitingRequests:   8,
		ServedPerSecond:   8 << 20,
		ServedBurst:       16 << 20,
	}
}

// Validate reports every limit that is not positive: no limit may be switched off.
func (l Limits) Validate() error {
	var errs []error
	v := reflect.ValueOf(l)
	for i := range v.NumField() {
		if v.Field(i).Int() <= 0 {
			errs = append(errs, fmt.Errorf("overlay: limit %s is %v, want > 0", v.Type().Field(i).Name, v.Field(i)))
		}
	}
	if l.TxFrame < 256<<10 || l.BlockFrame < 300<<10 {
		errs = append(errs, fmt.Errorf("overlay: TxFrame is %d and BlockFrame %d, want room for the largest transaction and compact block", l.TxFrame, l.BlockFrame))
	}
	if smallest := min(l.PulledBurst, l.PulledInAllBurst); smallest < l.TxFrame || smallest < l.BlockFrame {
		errs = append(errs, fmt.Errorf("overlay: PulledBurst is %d and PulledInAllBurst %d, want room for the largest message", l.PulledBurst, l.PulledInAllBurst))
	}
	if l.AnnounceBytes < wire.MaxTx {
		errs = append(errs, fmt.Errorf("overlay: limit AnnounceBytes is %d, want room for a transaction of %d", l.AnnounceBytes, wire.MaxTx))
	}
	if l.MemberBurst < memberCost(swim.MaxFrame) {
		errs = append(errs, fmt.Errorf("overlay: limit MemberBurst is %d, want room for a frame, %d", l.MemberBurst, memberCost(swim.MaxFrame)))
	}
	if l.ServedBurst < wire.MaxBlock {
		errs = append(errs, fmt.Errorf("overlay: limit ServedBurst is %d, want room for a block of %d", l.ServedBurst, wire.MaxBlock))
	}
	return errors.Join(errs...)
}
