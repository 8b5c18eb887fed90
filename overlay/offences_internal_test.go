package overlay

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/overlay/compact"
	swim "github.com/grapevine-p2p/grapevine/overlay/member"
	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// verdicts is the table from every error of this package to the offence that it proves. Those
// of validation have theirs there.
var verdicts = map[string]struct {
	err     error
	offence peerscore.Offence
}{
	"FramePrefix":         {FramePrefix, peerscore.BadFrame},
	"FrameTooLarge":       {FrameTooLarge, peerscore.BadFrame},
	"FrameEmptyElement":   {FrameEmptyElement, peerscore.BadFrame},
	"FrameBomb":           {FrameBomb, peerscore.BadFrame},
	"FrameGarbage":        {FrameGarbage, peerscore.BadFrame},
	"FrameTooMany":        {FrameTooMany, peerscore.BudgetBreach},
	"FrameCut":            {FrameCut, 0}, // a bad line or a stopped process does that too
	"FrameSlow":           {FrameSlow, 0},
	"NotAsked":            {NotAsked, peerscore.LyingAnswer},
	"WrongBody":           {WrongBody, peerscore.LyingAnswer},
	"BadAnswer":           {BadAnswer, peerscore.LyingAnswer},
	"TooManyStreams":      {TooManyStreams, peerscore.BudgetBreach},
	"TooManyRequests":     {TooManyRequests, peerscore.BudgetBreach},
	"TooManyMessages":     {TooManyMessages, peerscore.BudgetBreach},
	"RecordShape":         {RecordShape, peerscore.BadFrame},
	"RecordCrowded":       {RecordCrowded, peerscore.BadFrame},
	"RecordKey":           {RecordKey, peerscore.BadFrame},
	"RecordSignature":     {RecordSignature, peerscore.BadFrame},
	"errTooManyAvoidable": {errTooManyAvoidable, peerscore.Avoidable},
	"errNotReading":       {errNotReading, peerscore.SlowReader},
	"errTwins":            {errTwins, peerscore.InvalidHeader},
	"errWithheld":         {errWithheld, peerscore.BrokenPromise},
	"errUngiving":         {errUngiving, peerscore.BrokenPromise},
	"errUnfetched":        {errUnfetched, peerscore.BrokenPromise},
	// Our own failures, and what proves nothing.
	"NotFound":         {NotFound, 0},
	"errApart":         {errApart, 0},
	"errApartFull":     {errApartFull, 0},
	"errBanOver":       {errBanOver, 0},
	"errBusy":          {errBusy, 0},
	"errElsewhere":     {errElsewhere, 0},
	"errGone":          {errGone, 0},
	"errMemberAge":     {errMemberAge, 0},
	"errMemberAnew":    {errMemberAnew, 0},
	"errMemberDropped": {errMemberDropped, 0},
	"errNoIdentity":    {errNoIdentity, 0},
	"errNobody":        {errNobody, 0},
	"errOtherEcho":     {errOtherEcho, 0},
	"errOurs":          {errOurs, 0},
	"errNotServed":     {errNotServed, 0},
	"errOutboxFull":    {errOutboxFull, 0},
	"errRunTwice":      {errRunTwice, 0},
	"errReconAnew":     {errReconAnew, 0},
	"errReconSpare":    {errReconSpare, 0},
	"errReconShunned":  {errReconShunned, 0},
	"errReconUnread":   {errReconUnread, 0},
	"errNotOurs":       {errNotOurs, 0},
	"errTurnedAway":    {errTurnedAway, 0},
	"errUndecided":     {errUndecided, 0},
}

// TestOffenceFor reads the source: an error that is new here, and not in the table, fails.
func TestOffenceFor(t *testing.T) {
	for name, want := range verdicts {
		check(t, want.err, want.offence)
		check(t, fmt.Errorf("while doing: %w", want.err), want.offence)
		check(t, headerFault{want.err}, want.offence)
		if want.offence != 0 {
			require.NotEqual(t, validation.Accept, validation.Judge(want.err), name)
		}
	}
	require.ElementsMatch(t, declaredErrors(t), slices.Collect(maps.Keys(verdicts)))

	for _, m := range []swim.Malformed{swim.TooLarge, swim.NotProtobuf, swim.WrongLength, swim.Missing} {
		check(t, fmt.Errorf("while doing: %w", m), peerscore.BadFrame)
	}
	check(t, swim.BadSignature, peerscore.LyingAnswer)
	for _, f := range validation.Faults() {
		check(t, fmt.Errorf("while doing: %w", f), validation.ConsequenceOf(f).Tx)
		check(t, headerFault{fmt.Errorf("while doing: %w", f)}, validation.ConsequenceOf(f).Header)
	}
	for fault, want := range map[compact.Fault]peerscore.Offence{
		compact.Garbage: peerscore.BadFrame, compact.WrongTx: peerscore.LyingAnswer, compact.BadProof: peerscore.LyingAnswer,
		compact.Unasked: peerscore.LyingAnswer, compact.Greedy: peerscore.BudgetBreach,
		compact.BadCoding: 0, // the producer's
	} {
		check(t, fmt.Errorf("while doing: %w", fault), want)
	}
	for _, f := range []compact.Failure{compact.Collision, compact.Exhausted, compact.TooMany} {
		check(t, f, 0)
	}
	for _, r := range validation.Refusals() {
		check(t, fmt.Errorf("while doing: %w", r), 0)
	}
	for _, err := range []error{
		nil, io.ErrUnexpectedEOF, context.DeadlineExceeded, context.Canceled, errors.New("disk full"),
		wire.Truncated, // bytes from our own disk can be malformed
	} {
		check(t, err, 0)
	}
}

func check(t *testing.T, err error, want peerscore.Offence) {
	t.Helper()
	got, ok := offenceFor(err)
	require.Equal(t, want, got, "%v", err)
	require.Equal(t, want != 0, ok, "%v", err)
}

// declaredErrors are the names of the errors that this package declares: the constants of
// types that have an Error method, and the variables that hold one.
func declaredErrors(t *testing.T) (names []string) {
	t.Helper()
	paths, err := filepath.Glob("*.go")
	require.NoError(t, err)
	var files []*ast.File
	types := map[string]bool{}
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		require.NoError(t, err)
		files = append(files, file)
		for _, decl := range file.Decls {
			if f, ok := decl.(*ast.FuncDecl); ok && f.Recv != nil && f.Name.Name == "Error" {
				if typ, ok := f.Recv.List[0].Type.(*ast.Ident); ok {
					types[typ.Name] = true
				}
			}
		}
	}
	require.NotEmpty(t, types)
	for _, file := range files {
		for _, decl := range file.Decls {
			group, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			for _, spec := range group.Specs {
				value, ok := spec.(*ast.ValueSpec)
				if !ok || value.Values == nil {
					continue
				}
				typ, _ := value.Type.(*ast.Ident)
				if typ != nil && types[typ.Name] || makesError(value.Values[0]) {
					names = append(names, value.Names[0].Name)
				}
			}
		}
	}
	return names
}

// makesError says whether x is a call of errors.New or fmt.Errorf.
func makesError(x ast.Expr) bool {
	call, ok := x.(*ast.CallExpr)
	if !ok {
		return false
	}
	fun, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	from, ok := fun.X.(*ast.Ident)
	return ok && (from.Name == "errors" && fun.Sel.Name == "New" || from.Name == "fmt" && fun.Sel.Name == "Errorf")
}
