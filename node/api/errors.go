package api

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/grapevine-p2p/grapevine/validation"
)

// Failure is what a backend or a client reports when no message is to blame.
type Failure string

const (
	// ErrNotFound means that the backend has no such block or transaction.
	ErrNotFound Failure = "not found"
	// ErrStorage means that the disk failed; nothing was accepted.
	ErrStorage Failure = "storage failed"
	// ErrStopping means that the node is shutting down; nothing was accepted.
	ErrStopping Failure = "node is stopping"
	// ErrUnreachable means that the client got no answer from a node.
	ErrUnreachable Failure = "node cannot be reached"
)

// Error is the text of the failure.
func (f Failure) Error() string { return string(f) }

// Error is a refusal as the API sends it (application/problem+json) and as the
// client returns it.
type Error struct {
	Status  int    `json:"status" doc:"The HTTP status."`
	Title   string `json:"title" doc:"The HTTP status in words."`
	Code    string `json:"code" doc:"Stable; for programs."`
	Message string `json:"message" doc:"What was wrong, with the numbers."`
	Remedy  string `json:"remedy" doc:"What to do about it."`

	// RetryAfter is when to try again; zero if trying again does not help. It
	// travels in the Retry-After header, in whole seconds.
	RetryAfter time.Duration `json:"-"`
}

// Error is the message and the remedy in one line.
func (e *Error) Error() string {
	if e.Remedy == "" {
		return fmt.Sprintf("%s: %s", e.Code, e.Message)
	}
	return fmt.Sprintf("%s: %s; %s", e.Code, e.Message, e.Remedy)
}

// Is makes errors.Is(err, ErrNotFound) work on the client's side too.
func (e *Error) Is(target error) bool {
	return target == ErrNotFound && e.Code == CodeNotFound
}

// GetStatus is the HTTP status, for huma.
func (e *Error) GetStatus() int { return e.Status }

// ContentType makes huma send the error as a problem document.
func (e *Error) ContentType(string) string { return problemType }

// GetHeaders are the headers that belong to the error, for huma.
func (e *Error) GetHeaders() http.Header {
	h := http.Header{}
	if e.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int(math.Ceil(e.RetryAfter.Seconds()))))
	}
	if e.Code == CodeUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="grapevine"`)
	}
	return h
}

// BadRequest is a refusal of what the caller asked.
func BadRequest(format string, args ...any) *Error { return newError(CodeBadRequest, format, args...) }

const problemType = "application/problem+json"

// Codes of refusals that this package makes itself. Those of validation and wire
// are what validation.RuleBroken says.
const (
	CodeBadRequest       = "bad_request"
	CodeUnknownField     = "unknown_field"
	CodeTooLarge         = "too_large"
	CodeMediaType        = "unsupported_media_type"
	CodeWrongNetwork     = "wrong_network"
	CodeWrongAddress     = "wrong_address"
	CodeUnauthorized     = "unauthorized"
	CodeForbidden        = "forbidden"
	CodeForbiddenHost    = "forbidden_host"
	CodeForbiddenOrigin  = "forbidden_origin"
	CodeNotFound         = "not_found"
	CodeMethodNotAllowed = "method_not_allowed"
	CodeRateLimited      = "rate_limited"
	CodeTooManyStreams   = "too_many_streams"
	CodeTooManyConns     = "too_many_connections"
	CodeNotReady         = "not_ready"
	CodeStorage          = "storage"
	CodeStopping         = "stopping"
	CodeUnavailable      = "unavailable"
	CodeTimeout          = "timeout"
	CodeInternal         = "internal"
)

// refusal is what belongs to a code: how HTTP says it and what to do.
type refusal struct {
	status int
	remedy string
	retry  time.Duration
}

// refusals has every code that this API can answer with.
var refusals = map[string]refusal{
	// The request itself.
	CodeBadRequest:       {http.StatusBadRequest, "correct the request; GET /openapi.json describes it", 0},
	CodeMediaType:        {http.StatusUnsupportedMediaType, "send application/octet-stream (the bytes) or application/json, without Content-Encoding", 0},
	CodeUnauthorized:     {http.StatusUnauthorized, "send 'Authorization: Bearer <token>' with a token from the api.token file in the node's home", 0},
	CodeForbidden:        {http.StatusForbidden, "use the token of that scope from the api.token file in the node's home", 0},
	CodeForbiddenHost:    {http.StatusForbidden, "address the node as localhost, 127.0.0.1 or [::1] with its port", 0},
	CodeForbiddenOrigin:  {http.StatusForbidden, "call the API from a program, not from a web page of another origin", 0},
	CodeNotFound:         {http.StatusNotFound, "check the id or height, or wait until the node has it", 0},
	CodeMethodNotAllowed: {http.StatusMethodNotAllowed, "use the method that the Allow header names", 0},
	CodeRateLimited:      {http.StatusTooManyRequests, "wait as long as the Retry-After header says, then send the same bytes again", time.Second},
	CodeTooManyConns:     {http.StatusServiceUnavailable, "close connections that are not in use, then try again", time.Second},
	CodeTooManyStreams:   {http.StatusTooManyRequests, "close another event stream, or wait for one to end", 5 * time.Second},
	CodeWrongNetwork:     {http.StatusConflict, "sign for the network of this node (GET /v1/status names it), or talk to a node of yours", 0},
	CodeWrongAddress:     {http.StatusBadRequest, "use an address of this network, copied whole (GET /v1/genesis names the prefix)", 0},

	// Bytes that are not one canonical message (wire.Malformed).
	CodeUnknownField:  {http.StatusBadRequest, "leave out what the format does not have; a newer format needs a newer node", 0},
	CodeTooLarge:      {http.StatusRequestEntityTooLarge, "make the payload smaller, or send several transactions", 0},
	"truncated":       {http.StatusBadRequest, "send the whole transaction: bytes are missing at its end", 0},
	"trailing_bytes":  {http.StatusBadRequest, "send one transaction and nothing after it", 0},
	"wrong_type":      {http.StatusBadRequest, "encode each field with the wire type that wire.proto gives it", 0},
	"not_canonical":   {http.StatusBadRequest, "encode fields in order, once, without default values and with shortest varints", 0},
	"wrong_length":    {http.StatusBadRequest, "give keys 32 bytes and signatures 64", 0},
	"too_many":        {http.StatusBadRequest, "send fewer elements", 0},
	"missing_field":   {http.StatusBadRequest, "set every required field", 0},
	"bad_text":        {http.StatusBadRequest, "use printable UTF-8", 0},
	"unknown_version": {http.StatusBadRequest, "use the transaction version that this network's rules have now, or update the node", 0},

	// What the message proves against its maker (validation.Fault).
	"bad_encoding":  {http.StatusBadRequest, "encode the transaction by wire.proto, in its one canonical form", 0},
	"bad_signature": {http.StatusUnprocessableEntity, "sign these exact body bytes for this network with the sender's key, and send body and signature unchanged", 0},
	"bad_terms":     {http.StatusUnprocessableEntity, "correct the fields of the body: its own rules do not hold", 0},
	"bad_header":    {http.StatusUnprocessableEntity, "make the header from its parent and the rules of genesis", 0},
	"bad_turn":      {http.StatusUnprocessableEntity, "only the producer of a slot may sign its header", 0},
	"bad_short_ids": {http.StatusUnprocessableEntity, "send the list of short ids that the header signs", 0},
	"bad_tx_root":   {http.StatusUnprocessableEntity, "send the transactions that the header signs", 0},
	"bad_block":     {http.StatusUnprocessableEntity, "make a block in which every transaction applies in order", 0},
	"bad_evidence":  {http.StatusUnprocessableEntity, "send two different headers of one producer for one slot", 0},

	// What does not fit now, though nobody is to blame (validation.Refusal).
	"expired":        {http.StatusUnprocessableEntity, "sign it again with a later expires_at, and check this computer's clock", 0},
	"fee_too_low":    {http.StatusUnprocessableEntity, "pay at least the fee floor times the size (GET /v1/fees), and sign again", 0},
	"stale_nonce":    {http.StatusConflict, "sign again with next_nonce of GET /v1/accounts/{address}", 0},
	"nonce_too_far":  {http.StatusConflict, "send the transactions with the nonces before it first; next_nonce of GET /v1/accounts/{address} is the next", 0},
	"overdraft":      {http.StatusUnprocessableEntity, "send less, or wait for incoming payments; what waits in the mempool counts too", 0},
	"already_known":  {http.StatusConflict, "nothing to do: GET /v1/transactions/{id} says where it is", 0},
	"pool_full":      {http.StatusServiceUnavailable, "pay more than 'enter' of GET /v1/fees, or try again later", 5 * time.Second},
	"underpriced":    {http.StatusConflict, "pay at least a tenth more than the waiting transaction with this nonce, or use next_nonce", 0},
	"unknown_parent": {http.StatusConflict, "wait until the node has caught up", time.Second},
	"early_slot":     {http.StatusConflict, "wait for the slot to begin, and check this computer's clock", time.Second},
	"late_slot":      {http.StatusConflict, "the slot is over: old blocks come by sync", 0},
	"below_final":    {http.StatusConflict, "what is final is not replaced", 0},
	"known_invalid":  {http.StatusUnprocessableEntity, "build on a valid block", 0},
	"equivocation":   {http.StatusConflict, "sign one header per slot", 0},

	// Our own failures.
	CodeNotReady:    {http.StatusServiceUnavailable, "wait: the node is starting or catching up", time.Second},
	CodeStorage:     {http.StatusInsufficientStorage, "nothing was accepted; free space on the node's disk, see its log, then send the same bytes again: the node notices by itself", 5 * time.Second},
	CodeStopping:    {http.StatusServiceUnavailable, "send the same bytes again when the node has restarted", 5 * time.Second},
	CodeUnavailable: {http.StatusServiceUnavailable, "send the same bytes again in a moment; if it goes on, see the node's log", time.Second},
	CodeTimeout:     {http.StatusServiceUnavailable, "the outcome is not known: ask for the transaction's status, or send the same bytes again (that is safe)", time.Second},
	CodeInternal:    {http.StatusInternalServerError, "this is a bug of the node: report it with the log lines of this moment", 0},
}

// newError makes the refusal with that code. The code must be in the table.
func newError(code, format string, args ...any) *Error {
	r, ok := refusals[code]
	if !ok {
		r = refusals[CodeInternal]
	}
	return &Error{
		Status:     r.status,
		Title:      http.StatusText(r.status),
		Code:       code,
		Message:    fmt.Sprintf(format, args...),
		Remedy:     r.remedy,
		RetryAfter: r.retry,
	}
}

// reason is the text of err without the names of packages and without the steps
// of decoding, which mean nothing to a wallet.
func reason(err error) string {
	text := err.Error()
	for _, prefix := range []string{"validation: ", "mempool: ", "ledger: ", "wire: ", "node: "} {
		text = strings.ReplaceAll(text, prefix, "")
	}
	return strings.TrimPrefix(text, "bad encoding: transaction: decode ")
}

// errorOf turns any error into what the caller is told: the one road from an
// error to a code.
func errorOf(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return newError(CodeNotFound, "%v", err)
	case errors.Is(err, ErrStorage):
		return newError(CodeStorage, "the node could not write to its disk: %v", err)
	case errors.Is(err, ErrStopping):
		return newError(CodeStopping, "the node is shutting down")
	}
	if code := validation.RuleBroken(err); code != CodeInternal {
		return newError(code, "%s", reason(err))
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return newError(CodeTimeout, "the node did not finish in time")
	}
	return newError(CodeInternal, "%v", err)
}
