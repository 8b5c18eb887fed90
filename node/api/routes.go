package api

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/grapevine-p2p/grapevine/wire"
)

// apiVersion is the version of the interface, not of the program.
const apiVersion = "1.0.0"

// route makes the mux and the document that describes it, from one list.
func (s *Server) route() error {
	s.routes = http.NewServeMux()
	doc := humago.New(s.routes, description())
	doc.UseMiddleware(s.admit)
	s.routeNode(doc)
	s.routeChain(doc)
	s.routeWarden(doc)
	s.routeTransactions(doc)
	s.routeEvents(doc)
	s.routes.HandleFunc("/", s.nowhere)

	schemas := doc.OpenAPI().Components.Schemas.Map()
	delete(schemas, "ErrorModel") // huma's own errors, which nothing here sends
	for _, strict := range []string{"Submission", "TxBody"} {
		schemas[strict].AdditionalProperties = false
	}
	var err error
	if s.spec, err = json.MarshalIndent(doc.OpenAPI(), "", "  "); err != nil {
		return fmt.Errorf("api: describe the routes: %w", err)
	}
	return nil
}

// description is the OpenAPI document before it has routes.
func description() huma.Config {
	c := huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title:       "Grapevine node",
				Version:     apiVersion,
				Description: "The local interface of one node. Amounts, fees and nonces are decimal strings; times are unix milliseconds; ids, payloads and signatures are hex; addresses are bech32m. Answers may get new fields; requests have none but those described.",
			},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
				SecuritySchemes: map[string]*huma.SecurityScheme{
					securityName: {Type: "http", Scheme: "bearer", Description: "A token of the api.token file. Admin may do what submit may, submit what read may. The unix socket needs none: who may open it is admin."},
				},
			},
		},
		Formats:       map[string]huma.Format{typeJSON: huma.DefaultJSONFormat, "json": huma.DefaultJSONFormat}, // the second for problem+json
		DefaultFormat: typeJSON,
	}
	c.AllowAdditionalPropertiesByDefault = true
	return c
}

const (
	securityName = "token"
	scopeKey     = "scope"
	streamKey    = "stream"
)

// operation describes one route. Its parameters are read by huma and judged by
// the handler, so that every refusal has our form.
func operation(doc huma.API, method, path, id, summary string, scope Scope) huma.Operation {
	op := huma.Operation{
		OperationID:        id,
		Method:             method,
		Path:               path,
		Summary:            summary,
		Metadata:           map[string]any{scopeKey: scope},
		SkipValidateParams: true,
		Responses: map[string]*huma.Response{
			"200": {},
			"default": {
				Description: "A refusal.",
				Content: map[string]*huma.MediaType{
					problemType: {Schema: doc.OpenAPI().Components.Schemas.Schema(typeOfError, true, "Error")},
				},
			},
		},
	}
	if scope != None {
		op.Security = []map[string][]string{{securityName: {scope.String()}}}
		op.Description = "Needs scope " + scope.String() + "."
	}
	return op
}

// answer is a body with status 200.
type answer[T any] struct{ Body T }

// get adds a route that answers with a T as JSON.
func get[I, T any](s *Server, doc huma.API, path, id, summary string, ask func(context.Context, *I) (T, error)) {
	huma.Register(doc, operation(doc, http.MethodGet, path, id, summary, Read), func(ctx context.Context, in *I) (*answer[T], error) {
		v, err := ask(ctx, in)
		if err != nil {
			return nil, s.told(err)
		}
		return &answer[T]{v}, nil
	})
}

// getRaw adds a route whose answer is written by a plain handler.
func getRaw[I any](doc huma.API, op huma.Operation, mediaType, about string, schema *huma.Schema, serve func(http.ResponseWriter, *http.Request, *I) error) {
	op.Responses["200"] = &huma.Response{Description: about, Content: map[string]*huma.MediaType{mediaType: {Schema: schema}}}
	huma.Register(doc, op, func(_ context.Context, in *I) (*huma.StreamResponse, error) {
		return &huma.StreamResponse{Body: func(ctx huma.Context) {
			r, rw := humago.Unwrap(ctx)
			if err := serve(rw, r, in); err != nil {
				writeError(rw, errorOf(err))
			}
		}}, nil
	})
}

// admit checks the scope and the query's names, and bounds the time.
func (s *Server) admit(ctx huma.Context, next func(huma.Context)) {
	_, rw := humago.Unwrap(ctx)
	op := ctx.Operation()
	scope, _ := op.Metadata[scopeKey].(Scope)
	if e := mayNot(ctx.Context(), scope); e != nil {
		writeError(rw, e)
		return
	}
	if e := checkQuery(ctx.URL().RawQuery, op); e != nil {
		writeError(rw, e)
		return
	}
	if op.Metadata[streamKey] != nil {
		next(ctx)
		return
	}
	timed, cancel := context.WithTimeout(ctx.Context(), s.cfg.Limits.RequestTimeout)
	defer cancel()
	next(huma.WithContext(ctx, timed))
}

// checkQuery refuses parameters that the route does not have: a misspelt filter
// would otherwise answer as if there were none.
func checkQuery(raw string, op *huma.Operation) *Error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return newError(CodeBadRequest, "the query is malformed: %v", err)
	}
	for name, values := range query {
		var param *huma.Param
		for _, p := range op.Parameters {
			if p.In == "query" && p.Name == name {
				param = p
			}
		}
		if param == nil {
			return newError(CodeBadRequest, "the query has an unknown parameter %.40q", name)
		}
		if slices.Contains(values, "") {
			return newError(CodeBadRequest, "the query has %s without a value", name)
		}
		if len(values) > 1 && param.Schema.Type != huma.TypeArray {
			return newError(CodeBadRequest, "the query has %s %d times, want once", name, len(values))
		}
	}
	return nil
}

// nowhere answers for every path and method without a route.
func (s *Server) nowhere(rw http.ResponseWriter, r *http.Request) {
	if e := mayNot(r.Context(), Read); e != nil {
		writeError(rw, e)
		return
	}
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		probe := &http.Request{Method: method, URL: r.URL, Host: r.Host}
		if _, pattern := s.routes.Handler(probe); pattern != "/" {
			rw.Header().Add("Allow", method)
		}
	}
	if allow := rw.Header().Values("Allow"); len(allow) > 0 {
		writeError(rw, newError(CodeMethodNotAllowed, "%.20s is not a method of %.80s", r.Method, r.URL.Path))
		return
	}
	e := newError(CodeNotFound, "there is no %.20s %.80s", r.Method, r.URL.Path)
	e.Remedy = "GET /openapi.json lists what there is"
	writeError(rw, e)
}

// told is what the caller is told of err; what is our own failure is logged too.
func (s *Server) told(err error) *Error {
	e := errorOf(err)
	if e.Code == CodeInternal || e.Code == CodeStorage {
		s.logger.Error("api request failed", "code", e.Code, "error", err)
	}
	return e
}

// Ready is the answer of GET /readyz when the node is.
type Ready struct {
	Ready bool `json:"ready"`
}

// typeOfError and typeOfSubmission have schemas of their own in the document.
var (
	typeOfError      = reflect.TypeFor[Error]()
	typeOfSubmission = reflect.TypeFor[Submission]()
)

type noInput struct{}

// routeNode has what is about the node itself.
func (s *Server) routeNode(doc huma.API) {
	text := &huma.Schema{Type: huma.TypeString}
	object := &huma.Schema{Type: huma.TypeObject}
	b := s.backend

	getRaw(doc, operation(doc, http.MethodGet, "/livez", "livez", "Whether the process answers", None),
		"text/plain", "It does.", text, func(rw http.ResponseWriter, _ *http.Request, _ *noInput) error {
			rw.Header().Set("Content-Type", "text/plain; charset=utf-8")
			_, _ = rw.Write([]byte("ok\n"))
			return nil
		})
	get(s, doc, "/readyz", "readyz", "Whether the node is ready to serve, and if not why", func(ctx context.Context, _ *noInput) (Ready, error) {
		st, err := b.Status(ctx)
		if err == nil && !st.Ready {
			err = newError(CodeNotReady, "the node is not ready: %s", strings.Join(st.Waiting, ", "))
		}
		return Ready{Ready: true}, err
	})
	get(s, doc, "/v1/status", "status", "The node at a glance", func(ctx context.Context, _ *noInput) (Status, error) {
		return b.Status(ctx)
	})
	get(s, doc, "/v1/peers", "peers", "The connections", func(ctx context.Context, _ *noInput) (Peers, error) {
		peers, err := b.Peers(ctx)
		return Peers{Peers: peers}, err
	})
	get(s, doc, "/v1/members", "members", "The nodes of the network, connected or not", func(ctx context.Context, _ *noInput) (Members, error) {
		m, err := b.Members(ctx)
		m.Members = append([]Member{}, m.Members...)
		return m, err
	})
	get(s, doc, "/v1/mempool", "mempool", "The mempool in numbers", func(ctx context.Context, _ *noInput) (Mempool, error) {
		return b.Mempool(ctx)
	})
	get(s, doc, "/v1/fees", "fees", "What a transaction should pay", func(ctx context.Context, _ *noInput) (Fees, error) {
		return b.Fees(ctx)
	})
	getRaw(doc, operation(doc, http.MethodGet, "/v1/genesis", "genesis", "The genesis of the network, as genesis.json", Read),
		typeJSON, "The genesis.", object, func(rw http.ResponseWriter, _ *http.Request, _ *noInput) error {
			rw.Header().Set("Content-Type", typeJSON)
			_, _ = rw.Write(s.cfg.Genesis.JSON())
			return nil
		})
	getRaw(doc, operation(doc, http.MethodGet, "/metrics", "metrics", "Metrics in the Prometheus text format", Read),
		"text/plain", "The metrics.", text, func(rw http.ResponseWriter, r *http.Request, _ *noInput) error {
			if s.cfg.Metrics == nil {
				return newError(CodeNotFound, "this node keeps no metrics")
			}
			s.cfg.Metrics.ServeHTTP(rw, r)
			return nil
		})
	getRaw(doc, operation(doc, http.MethodGet, "/openapi.json", "openapi", "This document", Read),
		"application/openapi+json", "OpenAPI 3.1.", object, func(rw http.ResponseWriter, _ *http.Request, _ *noInput) error {
			rw.Header().Set("Content-Type", "application/openapi+json")
			_, _ = rw.Write(s.spec)
			return nil
		})
}

// routeChain has what is about blocks and accounts.
func (s *Server) routeChain(doc huma.API) {
	b := s.backend
	get(s, doc, "/v1/head", "head", "The end of the best chain", func(ctx context.Context, _ *noInput) (Head, error) {
		return b.Head(ctx)
	})
	get(s, doc, "/v1/evidence", "evidence", "Producers that signed two headers for one slot", func(ctx context.Context, _ *noInput) (Equivocations, error) {
		list, err := b.Evidence(ctx)
		return Equivocations{Evidence: append([]Equivocation{}, list...)}, err
	})
	get(s, doc, "/v1/producer-faults", "producer-faults", "Producers that signed what is not valid", func(ctx context.Context, _ *noInput) (ProducerFaults, error) {
		list, err := b.ProducerFaults(ctx)
		return ProducerFaults{Faults: append([]ProducerFault{}, list...)}, err
	})
	type accountInput struct {
		Address string `path:"address" doc:"bech32m address."`
	}
	get(s, doc, "/v1/accounts/{address}", "account", "Balance and nonces of an account", func(ctx context.Context, in *accountInput) (Account, error) {
		a, err := wire.ParseAddress(s.cfg.Genesis.AddressPrefix, in.Address)
		if err != nil {
			return Account{}, newError(CodeWrongAddress, "%v", err)
		}
		return b.Account(ctx, a)
	})
	type blockInput struct {
		Block string `path:"block" doc:"Block id (64 hex digits), or a height of the best chain."`
		Txs   string `query:"txs" enum:"ids,full" default:"ids" doc:"How to show the transactions."`
	}
	get(s, doc, "/v1/blocks/{block}", "block", "A block by id or height", func(ctx context.Context, in *blockInput) (Block, error) {
		if in.Txs != "ids" && in.Txs != "full" {
			return Block{}, newError(CodeBadRequest, "query txs is %.20q, want ids or full", in.Txs)
		}
		stored, err := s.findBlock(ctx, in.Block)
		if err != nil {
			return Block{}, err
		}
		return showBlock(stored, s.cfg.Genesis.AddressPrefix, in.Txs == "full"), nil
	})
}

// findBlock reads an id or a height.
func (s *Server) findBlock(ctx context.Context, name string) (StoredBlock, error) {
	if id, err := wire.ParseBlockID(name); err == nil {
		return s.backend.BlockByID(ctx, id)
	}
	height, err := strconv.ParseUint(name, 10, 64)
	if err != nil {
		return StoredBlock{}, newError(CodeBadRequest, "%.80q is neither a block id of 64 hex digits nor a height", name)
	}
	if height == 0 {
		e := newError(CodeNotFound, "height 0 is the genesis, which is not a block")
		e.Remedy = "GET /v1/genesis shows it; the first block has height 1"
		return StoredBlock{}, e
	}
	return s.backend.BlockAt(ctx, height)
}

// showBlock shows a block with its transactions' ids, or with all of them.
func showBlock(st StoredBlock, prefix string, full bool) Block {
	h := st.Block.Header.Body()
	b := Block{
		ID:           st.Block.ID(),
		Height:       h.Height,
		Parent:       h.Parent,
		Producer:     h.Producer.Encode(prefix),
		FeeRecipient: h.FeeRecipient.Encode(prefix),
		Slot:         h.Slot,
		Time:         h.Time,
		TxRoot:       h.TxRoot,
		TxCount:      h.TxCount,
		Size:         st.Block.Size(),
		Best:         st.Best,
		Final:        st.Final,
		Arrived:      st.Arrived,
		Journey:      st.Journey,
	}
	for _, tx := range st.Block.Txs {
		if full {
			b.Txs = append(b.Txs, showTx(tx, prefix))
		} else {
			b.IDs = append(b.IDs, tx.ID())
		}
	}
	return b
}

func showTx(tx *wire.Transaction, prefix string) Tx {
	sig := tx.Signature()
	t := Tx{ID: tx.ID(), Size: tx.Size(), Signature: hex.EncodeToString(sig[:])}
	if body, err := wire.DecodeTxBody(tx.Body()); err == nil {
		shown := bodyOf(body, prefix)
		t.Body = &shown
	} else { // of another application
		t.Raw = hex.EncodeToString(tx.Body())
	}
	return t
}
