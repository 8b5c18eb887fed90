package report

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTooLargeToBeRead: what no reader takes is not written.
func TestTooLargeToBeRead(t *testing.T) {
	var out bytes.Buffer
	b := &bounded{&out, 5}
	for _, part := range []string{"abc", "de"} {
		_, err := b.Write([]byte(part))
		require.NoError(t, err)
	}
	_, err := b.Write([]byte("f"))
	require.ErrorContains(t, err, "the report is larger than 67108864 bytes")
	require.Equal(t, "abcde", out.String())
}
