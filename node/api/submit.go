package api

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/grapevine-p2p/grapevine/wire"
)

// Bounds of a submission's body. The slack lets what is a little too long reach
// the decoder, which says by how much; hex needs two characters a byte.
const (
	maxRawBody  = wire.MaxTx + 1<<10
	maxJSONBody = 2*wire.MaxTx + 4<<10

	// drained is what net/http reads of a body after its handler refused it. A
	// sender that is cut off sooner may see a reset in place of the answer.
	drained = 256 << 10
)

const (
	typeRaw  = "application/octet-stream"
	typeJSON = "application/json"
)

// Submission is a signed transaction as JSON carries it. Network may be empty;
// if it is not, a node of another network refuses.
type Submission struct {
	Network   string `json:"network,omitempty" doc:"Id of the network that it was signed for: 64 or the first 16 hex digits. Optional; it gives a clearer refusal than a signature that does not verify."`
	Body      TxBody `json:"body"`
	Signature string `json:"signature" doc:"Ed25519 over \"grapevine/tx/1\", the network id and the encoded body: 128 hex digits."`
}

// NewSubmission shows a signed transaction of the built-in application as JSON
// carries it. It fails if the transaction is not of that application.
func NewSubmission(tx *wire.Transaction, prefix string) (Submission, error) {
	body, err := wire.DecodeTxBody(tx.Body())
	if err != nil {
		return Submission{}, fmt.Errorf("api: transaction %v: %w", tx.ID(), err)
	}
	sig := tx.Signature()
	return Submission{Body: bodyOf(body, prefix), Signature: hex.EncodeToString(sig[:])}, nil
}

// bodyOf shows a body as JSON carries it.
func bodyOf(b *wire.TxBody, prefix string) TxBody {
	t := TxBody{
		Sender:    b.Sender.Encode(prefix),
		Nonce:     Amount(b.Nonce),
		Fee:       Amount(b.Fee),
		ExpiresAt: b.ExpiresAt,
		Amount:    Amount(b.Amount),
		Payload:   hex.EncodeToString(b.Payload),
	}
	if !b.To.IsZero() {
		t.To = b.To.Encode(prefix)
	}
	return t
}

// readSubmission reads the bytes of a transaction, in either form, and the
// network that it says it is for.
func readSubmission(r *http.Request, prefix string) (raw []byte, network string, err error) {
	if r.Header.Get("Content-Encoding") != "" {
		return nil, "", newError(CodeMediaType, "the body has Content-Encoding %.40q", r.Header.Get("Content-Encoding"))
	}
	mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || (mediaType != typeRaw && mediaType != typeJSON) {
		return nil, "", newError(CodeMediaType, "the Content-Type is %.80q", r.Header.Get("Content-Type"))
	}
	limit := int64(maxRawBody)
	if mediaType == typeJSON {
		limit = maxJSONBody
	}
	body, err := readBody(r, limit)
	if err != nil || mediaType == typeRaw {
		return body, "", err
	}
	return parseSubmission(body, prefix)
}

// readBody reads at most limit bytes, whatever Content-Length claims.
func readBody(r *http.Request, limit int64) ([]byte, error) {
	if r.ContentLength > limit+drained {
		return nil, newError(CodeTooLarge, "the body has %d bytes, at most %d are read; a transaction has at most %d", r.ContentLength, limit, wire.MaxTx)
	}
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, newError(CodeTooLarge, "the body has more than the %d bytes that are read; a transaction has at most %d", limit, wire.MaxTx)
	case err != nil:
		return nil, newError(CodeBadRequest, "the body did not arrive whole: %v", err)
	case len(body) == 0:
		return nil, newError("truncated", "the body is empty")
	}
	return body, nil
}

// parseSubmission reads a [Submission] strictly: no unknown or repeated keys,
// one form for each value. It returns the transaction's one byte form.
func parseSubmission(data []byte, prefix string) (raw []byte, network string, err error) {
	p := &submissionParser{dec: json.NewDecoder(bytes.NewReader(data)), prefix: prefix}
	p.dec.UseNumber()
	if err := p.object("", map[string]func(string) error{
		"network":   p.text(&network),
		"body":      p.body,
		"signature": p.bytes(&p.sig),
	}, "body", "signature"); err != nil {
		return nil, "", err
	}
	if rest, err := p.dec.Token(); !errors.Is(err, io.EOF) {
		return nil, "", newError("trailing_bytes", "after the JSON object comes %.20v", rest)
	}
	var sig wire.Signature
	if len(p.sig) != len(sig) {
		return nil, "", newError("wrong_length", "signature has %d bytes, want %d", len(p.sig), len(sig))
	}
	copy(sig[:], p.sig)
	return wire.NewTransaction(p.tx.AppendTo(nil), sig).Bytes(), network, nil
}

// submissionParser walks over the tokens of one submission. It never recurses
// deeper than the format does.
type submissionParser struct {
	dec    *json.Decoder
	prefix string
	tx     wire.TxBody
	sig    []byte
}

// body reads the inner object.
func (p *submissionParser) body(path string) error {
	p.tx.Version = wire.TxVersion
	return p.object(path, map[string]func(string) error{
		"sender":     p.address(&p.tx.Sender),
		"nonce":      p.amount(&p.tx.Nonce),
		"fee":        p.amount(&p.tx.Fee),
		"expires_at": p.number(&p.tx.ExpiresAt),
		"to":         p.address(&p.tx.To),
		"amount":     p.amount(&p.tx.Amount),
		"payload":    p.bytes(&p.tx.Payload),
	}, "sender", "nonce", "fee")
}

// object reads {…} whose keys are all in fields, each at most once, the
// required ones exactly once.
func (p *submissionParser) object(path string, fields map[string]func(string) error, required ...string) error {
	tok, err := p.token(path)
	if err != nil {
		return err
	}
	if tok != json.Delim('{') {
		return newError(CodeBadRequest, "%s is not a JSON object", nameOf(path))
	}
	seen := map[string]bool{}
	for p.dec.More() {
		tok, err := p.token(path)
		if err != nil {
			return err
		}
		key, _ := tok.(string) // the decoder lets nothing else be a key
		name := strings.TrimPrefix(path+"."+key, ".")
		read, ok := fields[key]
		if !ok {
			return newError(CodeUnknownField, "unknown field %.60q", name)
		}
		if seen[key] {
			return newError("not_canonical", "field %s is there twice", name)
		}
		seen[key] = true
		if err := read(name); err != nil {
			return err
		}
	}
	if _, err := p.token(path); err != nil { // the closing brace
		return err
	}
	for _, key := range required {
		if !seen[key] {
			return newError("missing_field", "field %s is missing", strings.TrimPrefix(path+"."+key, "."))
		}
	}
	return nil
}

func nameOf(path string) string {
	if path == "" {
		return "the body"
	}
	return "field " + path
}

// token is the next token, or what is wrong with the JSON.
func (p *submissionParser) token(path string) (json.Token, error) {
	tok, err := p.dec.Token()
	if err == nil {
		return tok, nil
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, newError("truncated", "the JSON ends within %s", nameOf(path))
	}
	return nil, newError(CodeBadRequest, "%s is not JSON: %v", nameOf(path), err)
}

func (p *submissionParser) text(dst *string) func(string) error {
	return func(path string) error {
		tok, err := p.token(path)
		if err != nil {
			return err
		}
		s, ok := tok.(string)
		if !ok {
			return newError(CodeBadRequest, "field %s is not a string", path)
		}
		*dst = s
		return nil
	}
}

// amount reads a decimal string.
func (p *submissionParser) amount(dst *uint64) func(string) error {
	return func(path string) error {
		tok, err := p.token(path)
		if err != nil {
			return err
		}
		s, ok := tok.(string)
		if !ok {
			return newError(CodeBadRequest, "field %s is not a decimal string such as \"1500\" (numbers in JSON lose precision)", path)
		}
		return setNumber(dst, path, s)
	}
}

// number reads a JSON number without fraction or exponent.
func (p *submissionParser) number(dst *uint64) func(string) error {
	return func(path string) error {
		tok, err := p.token(path)
		if err != nil {
			return err
		}
		n, ok := tok.(json.Number)
		if !ok {
			return newError(CodeBadRequest, "field %s is not a number", path)
		}
		return setNumber(dst, path, n.String())
	}
}

func setNumber(dst *uint64, path, s string) error {
	v, err := ParseAmount(s)
	if err != nil {
		return newError(CodeBadRequest, "field %s: %v", path, err)
	}
	*dst = uint64(v)
	return nil
}

// bytes reads hex.
func (p *submissionParser) bytes(dst *[]byte) func(string) error {
	return func(path string) error {
		var s string
		if err := p.text(&s)(path); err != nil {
			return err
		}
		b, err := hex.DecodeString(s)
		if err != nil {
			return newError(CodeBadRequest, "field %s is not hex: %v", path, err)
		}
		*dst = b
		return nil
	}
}

// address reads bech32m with the prefix of the network.
func (p *submissionParser) address(dst *wire.Address) func(string) error {
	return func(path string) error {
		var s string
		if err := p.text(&s)(path); err != nil {
			return err
		}
		a, err := wire.ParseAddress(p.prefix, s)
		if err != nil {
			return newError(CodeWrongAddress, "field %s: %v", path, err)
		}
		*dst = a
		return nil
	}
}

// checkNetwork refuses what says that it is for another network.
func checkNetwork(claim string, ours wire.NetworkID) error {
	if claim == "" || strings.EqualFold(claim, ours.String()) || strings.EqualFold(claim, ours.Short()) {
		return nil
	}
	return newError(CodeWrongNetwork, "the transaction is for network %.64s, this node is of network %s", claim, ours)
}
