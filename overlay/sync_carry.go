package overlay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/grapevine-p2p/grapevine/overlay/catchup"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// errElsewhere says that a peer has another block at a height than the one asked for: its
// chain changed, or is another.
var errElsewhere = errors.New("overlay: the peer is on another branch")

// errNotOurs says that a peer's chain parts from ours below what is final.
var errNotOurs = errors.New("overlay: the peer's chain contradicts what is final")

// carry sends one request, gives its answers to the scheduler as they come, and tells it
// how it ended. A Lie or a Fault in the end is the peer's.
func (s *syncer) carry(ctx context.Context, a catchup.Ask) {
	p := peer.ID(a.Peer)
	err := s.ask(ctx, p, a)
	s.mu.Lock()
	delete(s.open, a.ID)
	delete(s.silent, a.ID)
	if err != nil {
		s.sched.Failed(time.Now(), a.ID, whyFailed(err))
	}
	s.mu.Unlock()
	s.nudge()
	if err == nil || ctx.Err() != nil { // given up here proves nothing
		return
	}
	s.court.judge(p, err)
	s.log.Debug("catching up from a peer failed; another is asked", "peer", p, "err", err)
}

// whyFailed says what the scheduler is to make of an error.
func whyFailed(err error) catchup.Why {
	var lie Lie
	var stream *network.StreamError
	switch {
	case tooEarly(err):
		return catchup.Early
	case errors.As(err, &lie), errors.As(err, new(headerFault)):
		return catchup.Lied
	case errors.Is(err, errElsewhere):
		return catchup.Elsewhere
	case errors.Is(err, errBusy),
		errors.As(err, &stream) && stream.ErrorCode == network.StreamResourceLimitExceeded:
		return catchup.Busy
	}
	return catchup.Broken
}

// ask is one request with its answers.
func (s *syncer) ask(ctx context.Context, p peer.ID, a catchup.Ask) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: panic while catching up: %v", validation.Unavailable, r)
		}
	}()
	x, done, err := s.desk.ask(ctx, p, s.protocol, s.cfg.Limits.SyncTime)
	if err != nil {
		return err
	}
	defer func() { done(err) }()
	x.in = bufio.NewReader(&metered{x.Stream, func(n int) {
		s.mu.Lock()
		s.sched.Progress(time.Now(), a.ID, n)
		if _, first := s.silent[a.ID]; first {
			delete(s.silent, a.ID)
			s.promises.answered(p)
		}
		s.mu.Unlock()
	}})
	q := wire.SyncRequest{ID: a.ID, FromHeight: a.From, Count: uint32(len(a.Blocks))}
	if a.Locator != nil {
		q = wire.SyncRequest{ID: a.ID, FromHeight: a.Locator[0].Height, Count: uint32(a.Count), Headers: true}
		for _, ref := range a.Locator {
			q.Blocks = append(q.Blocks, ref.ID)
		}
	}
	if err := x.write(q.AppendTo(nil)); err != nil {
		return fmt.Errorf("overlay: ask for blocks: %w", err)
	}
	s.sent(a.ID)
	if a.Locator != nil {
		return s.readHeaders(ctx, x, p, a)
	}
	return s.readBlocks(ctx, x, a)
}

// sent notes that a peer has a request and can answer it, unless it was given up meanwhile.
func (s *syncer) sent(id uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[id] != nil {
		s.silent[id] = time.Now()
	}
}

// metered tells of the bytes that come.
type metered struct {
	io.Reader
	tell func(n int)
}

func (c *metered) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	if n > 0 {
		c.tell(n)
	}
	return n, err
}

// maxHeaderFrame bounds a frame of headers.
const maxHeaderFrame = wire.MaxSyncHeaders*(wire.MaxHeader+4) + syncSlack

// answer reads one frame. It says whether it is the last.
func (s *syncer) answer(x *exchange, id uint64, limit int) (a *wire.SyncAnswer, end bool, err error) {
	raw, err := x.read(limit)
	if errors.Is(err, FrameTooLarge) {
		return nil, false, fmt.Errorf("%w: %w", BadAnswer, err)
	}
	if err != nil {
		return nil, false, fmt.Errorf("overlay: read sync answer: %w", err)
	}
	a, err = wire.DecodeSyncAnswer(raw)
	switch {
	case err != nil:
		return nil, false, fmt.Errorf("%w: %w", BadAnswer, err)
	case a.ID != id:
		return nil, false, fmt.Errorf("%w: answer to another request", NotAsked)
	case a.Status == wire.StatusEnd:
		return a, true, nil
	case a.Status == wire.StatusBusy:
		return nil, false, errBusy
	case a.Status != wire.StatusOK:
		return nil, false, fmt.Errorf("%w (status %d)", errNotServed, a.Status)
	}
	return a, false, nil
}

// readHeaders reads the answers to a request for headers.
func (s *syncer) readHeaders(ctx context.Context, x *exchange, p peer.ID, ask catchup.Ask) error {
	for range ask.Count + 1 {
		a, end, err := s.answer(x, ask.ID, maxHeaderFrame)
		if err != nil {
			return err
		}
		if end {
			s.roster.correct(p, head{a.HeadHeight, a.Head})
			s.mu.Lock()
			s.sched.Ended(time.Now(), ask.ID, catchup.End{Height: a.HeadHeight, Head: a.Head})
			s.mu.Unlock()
			return nil
		}
		if len(a.Headers) == 0 || len(a.Headers) > ask.Count {
			return fmt.Errorf("%w: %d headers, %d were asked for", NotAsked, len(a.Headers), ask.Count)
		}
		list, early := s.checkHeaders(ctx, a.Headers)
		if early != nil && (!tooEarly(early) || len(list) == 0) {
			return early
		}
		s.mu.Lock()
		err = s.sched.Headers(time.Now(), ask.ID, list)
		s.mu.Unlock()
		if err != nil {
			return fmt.Errorf("%w: %w", BadAnswer, err)
		}
		s.roster.prove(p, list[len(list)-1].Height)
		s.nudge()
		if early != nil {
			return early
		}
	}
	return fmt.Errorf("%w: more headers than asked for", NotAsked)
}

// tooEarly says whether a header cannot be judged yet: by our clock its slot has not begun, or
// the application does not answer. Our clock may be the one that is wrong.
func tooEarly(err error) bool {
	return errors.Is(err, validation.EarlySlot) || errors.Is(err, validation.Unavailable)
}

// checkHeaders decodes headers and checks what can be checked of each on its own. One that
// is known was checked before. With an error it returns those before the one that has it.
func (s *syncer) checkHeaders(ctx context.Context, raw [][]byte) (list []catchup.Header, err error) {
	list = make([]catchup.Header, 0, len(raw))
	for _, b := range raw {
		h, err := wire.DecodeHeader(b)
		if err != nil {
			return list, undecodable(err)
		}
		if !s.hasHeader(h.ID()) {
			if err := s.follows(ctx, h); err != nil {
				return list, err
			}
		}
		body := h.Body()
		list = append(list, catchup.Header{ID: h.ID(), Parent: body.Parent, Height: body.Height, Slot: body.Slot, Size: largestBlock(h)})
	}
	return list, nil
}

// follows checks a header as signed does. One that would change what is final says that the
// chain of who gives it is not ours, and proves no more.
func (s *syncer) follows(ctx context.Context, h *wire.Header) error {
	err := s.signed(ctx, h)
	if errors.Is(err, validation.BelowFinal) {
		return errNotOurs
	}
	return err
}

func (s *syncer) hasHeader(id wire.BlockID) bool {
	s.mu.Lock()
	known := s.sched.Has(id)
	s.mu.Unlock()
	return known || s.cfg.Chain.HasBlock(id)
}

// largestBlock bounds the encoded block of a header: each transaction has a tag and a
// length of up to three bytes, the header one more of each.
func largestBlock(h *wire.Header) int {
	body := h.Body()
	return len(h.Bytes()) + int(body.Size) + 4*int(body.TxCount) + 8
}

// undecodable is the fault of who sent it, unless that is newer than this node.
func undecodable(err error) error {
	if errors.Is(err, wire.UnknownVersion) {
		return fmt.Errorf("overlay: a block of a newer version, update this node: %w", err)
	}
	return fmt.Errorf("%w: %w", BadAnswer, err)
}

// readBlocks reads the answers to a request for blocks.
func (s *syncer) readBlocks(ctx context.Context, x *exchange, ask catchup.Ask) error {
	for i := 0; ; i++ {
		limit := syncSlack
		if i < len(ask.Blocks) {
			limit = min(ask.Sizes[i]+syncSlack, wire.MaxSyncAnswer)
		} else if err := x.SetReadDeadline(time.Now().Add(s.cfg.Sync.Patience)); err != nil {
			return err
		}
		a, end, err := s.answer(x, ask.ID, limit)
		switch {
		case errors.Is(err, FrameTooLarge) && i < len(ask.Blocks):
			return s.whyTooLarge(ctx, x, ask.Blocks[i], ask.From+uint64(i), err)
		case err != nil:
			return err
		case end:
			s.mu.Lock()
			s.sched.Ended(time.Now(), ask.ID, catchup.End{Height: a.HeadHeight, Head: a.Head})
			s.mu.Unlock()
			return nil
		case i == len(ask.Blocks):
			return fmt.Errorf("%w: more blocks than asked for", NotAsked)
		}
		block, err := wire.DecodeBlock(a.Block)
		if err != nil {
			return undecodable(err)
		}
		if err := s.isBlock(ctx, block, ask.Blocks[i], ask.From+uint64(i)); err != nil {
			return err
		}
		if err := s.keep(ask, block); err != nil {
			return err
		}
	}
}

// isBlock checks that a block is the one asked for, and its body the one that its header
// signs.
func (s *syncer) isBlock(ctx context.Context, b *wire.Block, id wire.BlockID, height uint64) error {
	if err := s.isHeader(ctx, b.Header, id, height); err != nil {
		return err
	}
	if wire.TxRoot(b.TxIDs()) != b.Header.Body().TxRoot {
		return fmt.Errorf("%w: block %s", WrongBody, b.ID())
	}
	return nil
}

// isHeader checks that a header is that of the block asked for. That of another block of its
// height is no lie: it is asked for by height, and the peer's chain may have changed. But only
// whose turn it was can have made it, so that nobody makes one up to be excused.
func (s *syncer) isHeader(ctx context.Context, h *wire.Header, id wire.BlockID, height uint64) error {
	switch {
	case h.ID() == id:
		return nil
	case h.Body().Height != height:
		return fmt.Errorf("%w: height %d instead of %d", NotAsked, h.Body().Height, height)
	}
	if err := s.follows(ctx, h); err != nil {
		return err
	}
	return errElsewhere
}

// whyTooLarge says what an answer proves that announced more bytes than the block asked for
// can have. It reads no more of it than the header.
func (s *syncer) whyTooLarge(ctx context.Context, x *exchange, id wire.BlockID, height uint64, tooLarge error) error {
	start, _ := x.in.Peek(wire.MaxHeader + syncSlack) // what there is of it
	raw := headerAtStart(start)
	if raw == nil {
		return tooLarge
	}
	h, err := wire.DecodeHeader(raw)
	if err != nil {
		return undecodable(err)
	}
	if err := s.isHeader(ctx, h, id, height); err != nil {
		return err
	}
	return tooLarge
}

// Field numbers of an answer and of a block.
const (
	answerBlock = 3
	blockHeader = 1
)

// headerAtStart is the encoded header of the block in the answer that b is the start of, nil
// if there is none.
func headerAtStart(b []byte) []byte {
	for {
		num, typ, tag := protowire.ConsumeTag(b)
		if tag < 0 {
			return nil
		}
		if num == answerBlock && typ == protowire.BytesType {
			_, length := protowire.ConsumeVarint(b[tag:])
			if length < 0 {
				return nil
			}
			b = b[tag+length:]
			break
		}
		value := protowire.ConsumeFieldValue(num, typ, b[tag:])
		if value < 0 {
			return nil
		}
		b = b[tag+value:]
	}
	num, typ, tag := protowire.ConsumeTag(b)
	if tag < 0 || num != blockHeader || typ != protowire.BytesType {
		return nil
	}
	raw, n := protowire.ConsumeBytes(b[tag:])
	if n < 0 {
		return nil
	}
	return raw
}

// keep takes a block until its turn to be added comes.
func (s *syncer) keep(ask catchup.Ask, b *wire.Block) error {
	s.mu.Lock()
	keep, err := s.sched.Body(time.Now(), ask.ID, b.ID())
	if keep {
		s.bodies[b.ID()] = fetchedBlock{b, ask.Peer}
	}
	s.mu.Unlock()
	if err != nil {
		return fmt.Errorf("%w: %w", NotAsked, err)
	}
	s.nudge()
	return nil
}

// fetchedBlock is a block that waits to be added, and who sent it.
type fetchedBlock struct {
	block *wire.Block
	from  peerscore.PeerID
}
