package overlay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/peerscore"
	"github.com/grapevine-p2p/grapevine/validation"
	"github.com/grapevine-p2p/grapevine/wire"
)

// Every fault has its place in this table; a new one fails the test until it has.
func TestOffenceFor(t *testing.T) {
	const none = peerscore.Offence(0)
	faults := map[validation.Fault]peerscore.Offence{
		validation.BadEncoding:  peerscore.InvalidTx,
		validation.BadTerms:     peerscore.InvalidTx,
		validation.BadSignature: peerscore.InvalidTx,
		validation.BadHeader:    peerscore.InvalidHeader,
		validation.BadTurn:      peerscore.InvalidHeader,
		validation.BadShortIDs:  peerscore.InvalidHeader,
		validation.BadEvidence:  peerscore.InvalidHeader,
		validation.BadTxRoot:    none, // a collision of short ids looks the same
		validation.BadBlock:     none, // the producer's
	}
	for _, f := range validation.Faults() {
		want, listed := faults[f]
		require.True(t, listed, "fault %s has no place in the table", f)
		check(t, fmt.Errorf("while doing: %w", f), want)
	}
	for _, r := range validation.Refusals() {
		check(t, fmt.Errorf("while doing: %w", r), none)
	}
	for err, want := range map[error]peerscore.Offence{
		FramePrefix:         peerscore.BadFrame,
		FrameTooLarge:       peerscore.BadFrame,
		FrameEmptyElement:   peerscore.BadFrame,
		FrameGarbage:        peerscore.BadFrame,
		FrameTooMany:        peerscore.BudgetBreach,
		FrameCut:            none,
		FrameSlow:           none,
		NotAsked:            peerscore.LyingAnswer,
		WrongBody:           peerscore.LyingAnswer,
		BadAnswer:           peerscore.LyingAnswer,
		TooManyStreams:      peerscore.BudgetBreach,
		TooManyRequests:     peerscore.BudgetBreach,
		errTooManyAvoidable: peerscore.Avoidable,
		// Our own failures, and what proves nothing.
		nil:                      none,
		io.ErrUnexpectedEOF:      none,
		context.DeadlineExceeded: none,
		context.Canceled:         none,
		errors.New("disk full"):  none,
		errBusy:                  none,
		errGone:                  none,
		errNobody:                none,
		errNotServed:             none,
		errElsewhere:             none,
		NotFound:                 none,
		wire.Truncated:           none, // bytes from our own disk can be malformed
	} {
		check(t, err, want)
	}
}

func check(t *testing.T, err error, want peerscore.Offence) {
	t.Helper()
	got, ok := offenceFor(err)
	require.Equal(t, want, got, "%v", err)
	require.Equal(t, want != 0, ok, "%v", err)
}
