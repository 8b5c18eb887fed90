package api

import (
	"context"
	"errors"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/grapevine-p2p/grapevine/wire"
)

// submitInput holds the request itself: the body is read by our own bounds.
type submitInput struct {
	Network string `header:"Grapevine-Network" doc:"Refuse unless the node is of this network: 64 or the first 16 hex digits of its id."`
	Private bool   `query:"private" doc:"Whether to hide where it began: it is handed from peer to peer before somebody publishes it, within seconds as a rule, and hardly ever later than two minutes. One whose nonce is ahead of others that are still on their way is published after them. Until then a block cannot take it, and it is answered for as accepted. The node's api.private sets what holds where this is absent."`
	request *http.Request
}

// Resolve keeps the request for the handler.
func (in *submitInput) Resolve(ctx huma.Context) []error {
	in.request, _ = humago.Unwrap(ctx)
	return nil
}

// submitOutput has the status 202 where the transaction still waits for a block
// and 200 where that is over.
type submitOutput struct {
	Status int
	Body   TxStatus
}

// routeTransactions has what is about transactions.
func (s *Server) routeTransactions(doc huma.API) {
	op := operation(doc, http.MethodPost, "/v1/transactions", "submit", "Submit a signed transaction", Submit)
	op.Description += " When it answers 202 or 200, the transaction is durable. Sending the same bytes again is safe."
	op.DefaultStatus = http.StatusAccepted
	op.Responses["202"] = &huma.Response{Description: "It waits for a block."}
	huma.Register(doc, op, s.submit)
	// Described only now, for else huma would read the body itself, without our
	// bounds; and it describes one status only, while 200 has the same body.
	registered := doc.OpenAPI().Paths["/v1/transactions"].Post
	registered.RequestBody = &huma.RequestBody{
		Required: true,
		Content: map[string]*huma.MediaType{
			typeRaw:  {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary", Description: "The bytes of one transaction."}},
			typeJSON: {Schema: doc.OpenAPI().Components.Schemas.Schema(typeOfSubmission, true, "Submission")},
		},
	}
	registered.Responses["200"] = &huma.Response{
		Description: "It is in a block already, or has ended.",
		Content:     registered.Responses["202"].Content,
	}

	type txInput struct {
		ID string `path:"id" doc:"Transaction id, 64 hex digits."`
	}
	get(s, doc, "/v1/transactions/{id}", "transaction", "What became of a transaction", func(ctx context.Context, in *txInput) (TxStatus, error) {
		id, err := wire.ParseTxID(in.ID)
		if err != nil {
			return TxStatus{}, newError(CodeBadRequest, "%v", err)
		}
		st, err := s.backend.TxStatus(ctx, id)
		if errors.Is(err, ErrNotFound) {
			return TxStatus{ID: id, State: Unknown}, nil
		}
		return st, err
	})
}

// submit takes one transaction.
func (s *Server) submit(ctx context.Context, in *submitInput) (*submitOutput, error) {
	if who := callerOf(ctx); who.submits != nil {
		turn := who.submits.Reserve()
		if wait := turn.Delay(); wait > 0 {
			turn.Cancel()
			e := newError(CodeRateLimited, "more than %v submissions a second", s.cfg.Limits.SubmitRate)
			e.RetryAfter = wait
			return nil, e
		}
	}
	raw, network, err := readSubmission(in.request, s.cfg.Genesis.AddressPrefix)
	for _, claim := range []string{in.Network, network} {
		if err == nil {
			err = checkNetwork(claim, s.network)
		}
	}
	if err != nil {
		return nil, errorOf(err)
	}
	submit := s.backend.Submit
	if in.Private || s.cfg.Private && !in.request.URL.Query().Has("private") {
		submit = s.backend.SubmitPrivately
	}
	st, err := submit(ctx, raw)
	if err != nil {
		return nil, s.told(err)
	}
	out := &submitOutput{Status: http.StatusOK, Body: st}
	if st.State == Accepted || st.State == Pending {
		out.Status = http.StatusAccepted
	}
	return out, nil
}

// eventsInput is the query of the event stream.
type eventsInput struct {
	Address     []string `query:"address,explode" doc:"Only transactions that this account sends or receives; repeatable, or with commas."`
	Kind        []string `query:"kind,explode" doc:"Only events of this kind; repeatable, or with commas."`
	After       string   `query:"after" doc:"Resume after the event with this id."`
	LastEventID string   `header:"Last-Event-ID" doc:"The same; the browser's way. It comes before the query."`
}

// routeEvents has the stream.
func (s *Server) routeEvents(doc huma.API) {
	op := operation(doc, http.MethodGet, "/v1/events", "events", "What happens, as server-sent events", Read)
	op.Metadata[streamKey] = true
	op.Description += " Each event has its id, its kind as the event name, and one JSON object as data. An event of kind gap says that some were missed. Comments and bare ids are heartbeats."
	schema := doc.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Event](), true, "Event")
	getRaw(doc, op, "text/event-stream", "The data of each event.", schema, func(rw http.ResponseWriter, r *http.Request, in *eventsInput) error {
		req, err := parseStreamRequest(in, s.cfg.Genesis.AddressPrefix)
		if err != nil {
			return err
		}
		s.serveEvents(rw, r, req)
		return nil
	})
}
