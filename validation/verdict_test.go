package validation_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"path/filepath"
	"strconv"
	"strings"
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
	require.True(t, validation.Chargeable(validation.ByFixedRule(fmt.Errorf("any relay knows: %w", validation.FeeTooLow))))
	for _, err := range []error{nil, io.EOF, validation.BadTerms, validation.StaleNonce, validation.Expired} {
		require.False(t, validation.Chargeable(validation.ByFixedRule(err)), "the mark is for refusals that depend on no state and no clock")
	}
	var zero validation.Verdict
	require.Equal(t, validation.Ignore, zero, "a forgotten verdict must blame nobody")
}

// TestEveryErrorHasAConsequence reads the source of the package: an error that
// is new, but not in the lists and the table, would escape every test that goes
// over them, and an error without a type would have no place there at all.
//
// R10: only a Fault is Reject.
func TestEveryErrorHasAConsequence(t *testing.T) {
	var listed, declared []string
	for _, f := range validation.Faults() {
		listed = append(listed, "Fault "+string(f))
		c := validation.ConsequenceOf(f)
		require.Equal(t, validation.Reject, c.Verdict, f)
		require.Equal(t, c.Tx == 0, c.Header == 0, f)
		require.False(t, c.Avoidable, f)
	}
	for _, r := range validation.Refusals() {
		listed = append(listed, "Refusal "+string(r))
		c := validation.ConsequenceOf(fmt.Errorf("said of it: %w", r))
		require.Equal(t, validation.Consequence{Avoidable: c.Avoidable}, c, "a refusal proves nothing: %s", r)
		require.Equal(t, c.Avoidable, validation.Chargeable(validation.ByFixedRule(r)), r)
	}
	require.Equal(t, validation.Consequence{}, validation.ConsequenceOf(io.EOF))
	require.Equal(t, validation.Consequence{}, validation.ConsequenceOf(validation.Fault("invented")), "only what has a row blames anybody")

	var rows []string
	names, err := filepath.Glob("*.go")
	require.NoError(t, err)
	constants := map[string]string{} // name: type and code
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for _, decl := range file.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range group.Specs {
				value, ok := spec.(*ast.ValueSpec)
				if !ok {
					continue
				}
				if typ, ok := value.Type.(*ast.Ident); ok && (typ.Name == "Fault" || typ.Name == "Refusal") {
					code, err := strconv.Unquote(value.Values[0].(*ast.BasicLit).Value)
					require.NoError(t, err)
					constants[value.Names[0].Name] = typ.Name + " " + code
					declared = append(declared, typ.Name+" "+code)
				}
				for _, v := range value.Values {
					if call, ok := v.(*ast.CallExpr); ok {
						fun, ok := call.Fun.(*ast.SelectorExpr)
						require.False(t, ok && (fun.Sel.Name == "New" || fun.Sel.Name == "Errorf"),
							"%s: %s has no type that says what it means", name, value.Names[0])
					}
					if table, ok := v.(*ast.CompositeLit); ok && value.Names[0].Name == "consequences" {
						for _, row := range table.Elts {
							rows = append(rows, row.(*ast.KeyValueExpr).Key.(*ast.Ident).Name)
						}
					}
				}
			}
		}
	}
	for i, name := range rows {
		require.Contains(t, constants, name)
		rows[i] = constants[name]
	}
	require.NotEmpty(t, declared)
	require.ElementsMatch(t, declared, listed, "Faults and Refusals")
	require.ElementsMatch(t, declared, rows, "consequences")
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
