package api

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// constantsOf reads from the source of a package all string constants of a type,
// so that a new one cannot be forgotten here.
func constantsOf(t *testing.T, dir, typeName string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	var values []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 {
				return true
			}
			if id, ok := spec.Type.(*ast.Ident); ok && id.Name == typeName {
				v, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				require.NoError(t, err)
				values = append(values, v)
			}
			return true
		})
	}
	require.NotEmpty(t, values, "no %s in %s: did it move?", typeName, dir)
	return values
}

// TestEveryErrorHasACode holds the table against every kind of error that
// validation and wire have.
func TestEveryErrorHasACode(t *testing.T) {
	var all []error
	for _, v := range constantsOf(t, "../../validation", "Fault") {
		all = append(all, validation.Fault(v))
	}
	for _, v := range constantsOf(t, "../../validation", "Refusal") {
		all = append(all, validation.Refusal(v))
	}
	for _, v := range constantsOf(t, "../../wire", "Malformed") {
		all = append(all, wire.Malformed(v))
		all = append(all, fmt.Errorf("%w: transaction: %w", validation.BadEncoding, wire.Malformed(v)))
	}
	all = append(all, ErrNotFound, ErrStorage, ErrStopping, context.DeadlineExceeded, context.Canceled)
	for _, cause := range all {
		e := errorOf(fmt.Errorf("what was tried: %w", cause))
		require.NotEqual(t, CodeInternal, e.Code, "%v", cause)
		require.Contains(t, refusals, e.Code, "%v", cause)
		require.GreaterOrEqual(t, e.Status, 400, "%v", cause)
		require.NotEmpty(t, e.Message, "%v", cause)
		require.NotEmpty(t, e.Remedy, "%v", cause)
	}
}

func TestErrorTable(t *testing.T) {
	form := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	for code, r := range refusals {
		require.Regexp(t, form, code)
		require.NotEmpty(t, http.StatusText(r.status), code)
		require.NotEmpty(t, r.remedy, code)
		if r.status == http.StatusTooManyRequests || r.status == http.StatusServiceUnavailable {
			require.Positive(t, r.retry, "%s: trying again helps, so say when", code)
		}
	}
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	used := regexp.MustCompile(`newError\(("[a-z_]+"|Code\w+),`)
	names := map[string]string{}
	for _, f := range files {
		file, err := parser.ParseFile(token.NewFileSet(), f, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok && len(spec.Values) == 1 && strings.HasPrefix(spec.Names[0].Name, "Code") {
				names[spec.Names[0].Name], _ = strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			}
			return true
		})
	}
	for name, code := range names {
		require.Contains(t, refusals, code, name)
	}
	for _, f := range files {
		for _, m := range used.FindAllStringSubmatch(readFile(t, f), -1) {
			if code, err := strconv.Unquote(m[1]); err == nil {
				require.Contains(t, refusals, code, f)
			} else {
				require.Contains(t, names, m[1], f)
			}
		}
	}
}

func TestUnknownErrorsAreOurFault(t *testing.T) {
	e := errorOf(fs.ErrPermission)
	require.Equal(t, CodeInternal, e.Code)
	require.Equal(t, http.StatusInternalServerError, e.Status)
	require.NotErrorIs(t, e, ErrNotFound)
	require.ErrorIs(t, errorOf(ErrNotFound), ErrNotFound)
	same := newError(CodeForbidden, "x")
	require.Same(t, same, errorOf(fmt.Errorf("y: %w", same)))
	require.NotContains(t, errorOf(errors.Join(validation.StaleNonce)).Message, "validation:")
}
