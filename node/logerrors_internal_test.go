package node

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

// jsonOnly is an error that has nothing to show to JSON, as most have.
type jsonOnly struct{ hidden string }

func (e jsonOnly) Error() string                { return e.hidden }
func (e jsonOnly) MarshalJSON() ([]byte, error) { return []byte("{}"), nil }

func TestErrorsAreLoggedAsTheirText(t *testing.T) {
	var out bytes.Buffer
	log := slog.New(errorTexts{slog.NewJSONHandler(&out, nil)}).With("of", jsonOnly{"the logger"})
	log.Warn("it failed", "err", jsonOnly{"no route"}, "n", 3, "none", error(nil), "joined", errors.Join(jsonOnly{"a"}, jsonOnly{"b"}))
	require.Contains(t, out.String(), `"err":"no route"`)
	require.Contains(t, out.String(), `"of":"the logger"`)
	require.Contains(t, out.String(), `"n":3`)
	require.Contains(t, out.String(), `"joined":"a\nb"`)
}
