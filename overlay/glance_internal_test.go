package overlay

import (
	"testing"
	"testing/synctest"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/stretchr/testify/require"

	"github.com/grapevine-p2p/grapevine/validation"
)

// refuseFree is a glance that takes only what pays.
func refuseFree(claims []validation.Claim) []error {
	errs := make([]error, len(claims))
	for i, c := range claims {
		if c.Terms.Fee == 0 {
			errs[i] = validation.PoolFull
		}
	}
	return errs
}

// requireVerified sends what is badly signed: it is verified apart, all of it.
func (b *bench) requireVerified(t *testing.T, raw string, from peer.ID) {
	t.Helper()
	for range 10 {
		_, err := b.ask(t.Context(), []byte(raw), from)
		require.ErrorIs(t, err, errApart)
	}
	synctest.Wait()
	require.Len(t, b.late, 10)
	for _, r := range b.late {
		require.ErrorIs(t, r.Err, validation.BadSignature)
	}
}

// R105: what the pool would refuse whoever signed it costs no signature, but for one in
// some, which nobody can foresee.
func TestOneInSomeIsVerifiedAllTheSame(t *testing.T) {
	draws := 0
	glance := spotChecked(refuseFree, func(n int) int {
		draws++
		return draws % n
	})
	claims := make([]validation.Claim, 3*spotChecks)
	for i := range spotChecks {
		claims[3*i].Terms.Fee = 1
	}
	refused := 0
	for i, err := range glance(claims) {
		switch {
		case claims[i].Terms.Fee > 0:
			require.NoError(t, err)
		case err != nil:
			require.ErrorIs(t, err, validation.PoolFull)
			refused++
		}
	}
	require.Equal(t, 2*(spotChecks-1), refused)
	require.Nil(t, spotChecked(nil, nil))
}

// R120: what has expired costs no signature, but for one in some: who sends forgeries that
// have expired is found out, and who relays what expired under way never is.
func TestForgeriesThatExpiredAreFoundOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checker := new(fakeChecker)
		b := collecting(t, 1, checker)
		defer b.stop()
		const many = 100 * spotChecks
		for range many {
			r, err := b.tell(t, "old", "honest")
			require.NoError(t, err)
			require.ErrorIs(t, r.Err, validation.Expired)
		}
		require.False(t, b.suspect("honest"))
		require.InDelta(t, many/spotChecks, checker.sound, 80, "eight standard deviations")

		for sent := 0; !b.suspect("mallory"); sent++ {
			_, err := b.tell(t, "old bad", "mallory")
			require.NoError(t, err)
			require.Less(t, sent, many, "by chance once in 10^40")
		}
		b.requireVerified(t, "old bad", "mallory")
	})
}

// R105: who hides forgeries below the floor is found out, and then verified throughout;
// who merely has a lower floor than we have never is.
func TestForgeriesBelowTheFloorAreFoundOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		checker := new(fakeChecker)
		b := collecting(t, 1, checker)
		defer b.stop()
		for range 100 * spotChecks {
			r, err := b.tell(t, "cheap", "poor")
			require.NoError(t, err)
			if r.Err != nil { // not drawn
				require.ErrorIs(t, r.Err, validation.PoolFull)
			}
		}
		require.False(t, b.suspect("poor"))

		sent := 0
		for !b.suspect("mallory") {
			_, err := b.tell(t, "cheap bad", "mallory")
			require.NoError(t, err)
			sent++
			require.Less(t, sent, 100*spotChecks, "by chance once in 10^40")
		}
		b.requireVerified(t, "cheap bad", "mallory")
	})
}
