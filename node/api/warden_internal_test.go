package api

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBansComeAndGo(t *testing.T) {
	n := start(t, nil)
	c := n.client(t, Admin)
	ctx := t.Context()
	set, err := c.Ban(ctx, BanRequest{enemy, time.Hour, "spam & lies"})
	require.NoError(t, err)
	require.Equal(t, Ban{enemy, uint64(now.Add(time.Hour).UnixMilli()), "spam & lies", true}, set)
	list, err := c.Bans(ctx)
	require.NoError(t, err)
	require.Equal(t, []Ban{set}, list)
	lifted, err := c.Unban(ctx, enemy)
	require.NoError(t, err)
	require.Equal(t, set, lifted)
	_, err = c.Unban(ctx, enemy)
	require.ErrorIs(t, err, ErrNotFound)
	list, err = c.Bans(ctx)
	require.NoError(t, err)
	require.Empty(t, list)
}

func TestBansAreForAdmins(t *testing.T) {
	n := start(t, nil)
	for _, scope := range []Scope{Read, Submit} {
		_, err := n.client(t, scope).Ban(t.Context(), BanRequest{enemy, time.Hour, ""})
		var refused *Error
		require.ErrorAs(t, err, &refused)
		require.Equal(t, http.StatusForbidden, refused.Status)
		_, err = n.client(t, scope).Unban(t.Context(), enemy)
		require.ErrorAs(t, err, &refused)
		require.Equal(t, http.StatusForbidden, refused.Status)
	}
}

func TestBansThatMakeNoSenseAreRefused(t *testing.T) {
	c := start(t, nil).client(t, Admin)
	for _, b := range []BanRequest{
		{"nobody", time.Hour, ""},
		{"", time.Hour, ""},
		{enemy, 0, ""},
		{enemy, -time.Hour, ""},
		{enemy, 2 * maxBan, ""},
		{enemy, time.Hour, strings.Repeat("x", maxBanReason+1)},
	} {
		_, err := c.Ban(t.Context(), b)
		var refused *Error
		require.ErrorAs(t, err, &refused, "%+v", b)
		require.Equal(t, CodeBadRequest, refused.Code)
	}
}

func TestScoresAreExplained(t *testing.T) {
	c := start(t, nil).client(t, Read)
	list, err := c.Scores(t.Context())
	require.NoError(t, err)
	require.Len(t, list, 1)
	one, err := c.Score(t.Context(), enemy)
	require.NoError(t, err)
	require.Equal(t, list[0], one)
	require.Len(t, one.Terms, 2)
	_, err = c.Score(t.Context(), "12D3KooWnobody")
	require.ErrorIs(t, err, ErrNotFound)
}
