package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// Warden answers about the reputation of peers, and keeps them out.
type Warden interface {
	// Scores explains the scores of the connected peers.
	Scores(ctx context.Context) ([]Score, error)
	// Score explains that of one, connected or not: [ErrNotFound] if nothing is
	// known of it.
	Score(ctx context.Context, peer string) (Score, error)
	Bans(ctx context.Context) ([]Ban, error)
	// Ban is durable before it returns nil.
	Ban(ctx context.Context, b BanRequest) (Ban, error)
	// Unban is durable before it returns nil: [ErrNotFound] if there is no such ban.
	Unban(ctx context.Context, subject string) (Ban, error)
}

// Score explains what the node thinks of a peer.
type Score struct {
	Peer        string      `json:"peer"`
	Score       float64     `json:"score" doc:"The lower of tx and block. Below 0: not in the mesh."`
	Tx          float64     `json:"tx" doc:"In the gossip of transactions."`
	Block       float64     `json:"block" doc:"In the gossip of blocks."`
	Guilt       float64     `json:"guilt" doc:"For proven offences; halves with time."`
	Doubt       float64     `json:"doubt" doc:"For inferred offences; never bans."`
	Merit       float64     `json:"merit" doc:"For first deliveries that came into a block."`
	BannedUntil uint64      `json:"banned_until,omitempty" doc:"Unix milliseconds."`
	Terms       []ScoreTerm `json:"terms" doc:"The summands; those without of count in both."`
}

// ScoreTerm is one summand of a score.
type ScoreTerm struct {
	Of    string  `json:"of,omitempty" enum:"tx,block"`
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Why   string  `json:"why"`
}

// Scores is the answer of GET /v1/scores.
type Scores struct {
	Scores []Score `json:"scores"`
}

// Ban keeps a peer or a prefix out.
type Ban struct {
	Subject string `json:"subject" doc:"A peer id, or a prefix in CIDR form."`
	Until   uint64 `json:"until" doc:"Unix milliseconds."`
	Reason  string `json:"reason,omitempty"`
	ByHand  bool   `json:"by_hand" doc:"Set by the operator, not earned."`
}

// Bans is the answer of GET /v1/bans.
type Bans struct {
	Bans []Ban `json:"bans"`
}

// BanRequest is a ban to be set.
type BanRequest struct {
	Subject string
	For     time.Duration
	Reason  string
}

// Bounds of a ban by hand.
const (
	DefaultBan   = 24 * time.Hour
	maxBan       = 10 * 365 * 24 * time.Hour
	maxBanReason = 256 // bytes
)

// routeWarden has what is about scores and bans.
func (s *Server) routeWarden(doc huma.API) {
	b := s.backend
	get(s, doc, "/v1/scores", "scores", "The scores of the connected peers, term by term", func(ctx context.Context, _ *noInput) (Scores, error) {
		list, err := b.Scores(ctx)
		return Scores{append([]Score{}, list...)}, err
	})
	type peerInput struct {
		Peer string `path:"peer" doc:"Peer id, as in GET /v1/peers."`
	}
	get(s, doc, "/v1/scores/{peer}", "score", "The score of a peer, connected or not, term by term", func(ctx context.Context, in *peerInput) (Score, error) {
		return b.Score(ctx, in.Peer)
	})
	get(s, doc, "/v1/bans", "bans", "The bans in force", func(ctx context.Context, _ *noInput) (Bans, error) {
		list, err := b.Bans(ctx)
		return Bans{append([]Ban{}, list...)}, err
	})
	type banInput struct {
		Subject string `query:"subject" doc:"A peer id, an IP address, or a prefix such as 203.0.113.0/24."`
		For     string `query:"for_s" default:"86400" doc:"Whole seconds."`
		Reason  string `query:"reason" doc:"At most 256 bytes."`
	}
	post(s, doc, "/v1/bans", "ban", "Ban a peer, an address or a prefix, and disconnect it", func(ctx context.Context, in *banInput) (Ban, error) {
		seconds, err := strconv.ParseInt(in.For, 10, 64)
		if err != nil || seconds < 1 || seconds > int64(maxBan/time.Second) {
			return Ban{}, newError(CodeBadRequest, "query for_s is %.20q, want 1 to %d", in.For, int64(maxBan/time.Second))
		}
		if len(in.Reason) > maxBanReason {
			return Ban{}, newError(CodeBadRequest, "query reason has %d bytes, want at most %d", len(in.Reason), maxBanReason)
		}
		return b.Ban(ctx, BanRequest{in.Subject, time.Duration(seconds) * time.Second, in.Reason})
	})
	type liftInput struct {
		Subject string `query:"subject" doc:"As in GET /v1/bans."`
	}
	post(s, doc, "/v1/bans/lift", "unban", "Lift a ban", func(ctx context.Context, in *liftInput) (Ban, error) {
		return b.Unban(ctx, in.Subject)
	})
}

// post adds a route for admins without a body: what it does is in its query.
func post[I, T any](s *Server, doc huma.API, path, id, summary string, do func(context.Context, *I) (T, error)) {
	op := operation(doc, http.MethodPost, path, id, summary, Admin)
	huma.Register(doc, op, func(ctx context.Context, in *I) (*answer[T], error) {
		v, err := do(ctx, in)
		if err != nil {
			return nil, s.told(err)
		}
		return &answer[T]{v}, nil
	})
}
