package validation_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// TestOnlyFaultsBlameThePeer goes over everything that can go wrong.
//
// R9: Ignore is the default.
// R10: only a Fault is Reject.
func TestOnlyFaultsBlameThePeer(t *testing.T) {
	require.Equal(t, validation.Accept, validation.Judge(nil))

	for _, fault := range validation.Faults() {
		require.Equal(t, validation.Reject, validation.Judge(fault), fault)
		require.Equal(t, validation.Reject, validation.Judge(fmt.Errorf("peer said: %w", fault)), fault)
		require.Equal(t, string(fault), validation.RuleBroken(fmt.Errorf("peer said: %w", fault)))
		require.False(t, validation.Chargeable(fault), fault)
	}
	for _, refusal := range validation.Refusals() {
		require.Equal(t, validation.Ignore, validation.Judge(refusal), refusal)
		require.Equal(t, validation.Ignore, validation.Judge(fmt.Errorf("peer said: %w", refusal)), refusal)
		require.Equal(t, string(refusal), validation.RuleBroken(fmt.Errorf("peer said: %w", refusal)))
		require.False(t, validation.Chargeable(refusal), "a bare refusal says nothing of a fixed rule: %s", refusal)
	}
	foreign := []error{
		io.ErrUnexpectedEOF, context.DeadlineExceeded, context.Canceled, errors.New("disk full"),
		wire.Truncated, wire.UnknownVersion, errors.Join(validation.PoolFull, io.EOF),
	}
	for _, err := range foreign {
		require.Equal(t, validation.Ignore, validation.Judge(err), err)
		require.False(t, validation.Chargeable(err), err)
	}
	require.True(t, validation.Chargeable(validation.ByFixedRule(fmt.Errorf("of long ago: %w", validation.StaleNonce))))
	for _, err := range []error{nil, io.EOF, validation.BadTerms} {
		require.False(t, validation.Chargeable(validation.ByFixedRule(err)), "the mark is for refusals only")
	}
	var zero validation.Verdict
	require.Equal(t, validation.Ignore, zero, "a forgotten verdict must blame nobody")
}

// TestTheListsAreComplete reads the source: a new constant that is missing from
// Faults or Refusals would escape every table test that goes over them.
func TestTheListsAreComplete(t *testing.T) {
	listed := make(map[string]bool)
	for _, f := range validation.Faults() {
		listed["Fault "+string(f)] = true
	}
	for _, r := range validation.Refusals() {
		listed["Refusal "+string(r)] = true
	}
	declared := make(map[string]bool)
	file, err := parser.ParseFile(token.NewFileSet(), "errors.go", nil, 0)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Type == nil {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); ok && (typ.Name == "Fault" || typ.Name == "Refusal") && len(spec.Values) == 1 {
			code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			declared[typ.Name+" "+code] = true
		}
		return true
	})
	require.NotEmpty(t, declared)
	require.Equal(t, declared, listed)
}

func TestEveryRuleHasItsOwnCode(t *testing.T) {
	codes := make(map[string]string)
	note := func(name, code string) {
		require.Regexp(t, `^[a-z]+(_[a-z]+)*$`, code)
		require.Empty(t, codes[code], "%s and %s share the code %s", name, codes[code], code)
		codes[code] = name
	}
	for _, f := range validation.Faults() {
		note("Fault "+string(f), validation.RuleBroken(f))
	}
	for _, r := range validation.Refusals() {
		note("Refusal "+string(r), validation.RuleBroken(r))
	}
	for _, m := range []wire.Malformed{
		wire.Truncated, wire.TooLarge, wire.TrailingBytes, wire.UnknownField, wire.WrongType,
		wire.NotCanonical, wire.WrongLength, wire.TooMany, wire.Missing, wire.BadText,
	} {
		code := validation.RuleBroken(m)
		note("Malformed "+string(m), code)
		require.Equal(t, code, validation.RuleBroken(fmt.Errorf("%w: %w", validation.BadEncoding, m)),
			"what is wrong with an encoding says more than that it is bad")
	}
	require.Equal(t, "unknown_version", validation.RuleBroken(wire.UnknownVersion))
	require.Equal(t, "bad_encoding", validation.RuleBroken(wire.Malformed("a kind of tomorrow")))
	require.Equal(t, "internal", validation.RuleBroken(io.EOF))
	require.Empty(t, validation.RuleBroken(nil))
}
