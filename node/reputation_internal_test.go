package node

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// R84: bans are on disk within a second, unless there are so many that writing them down each
// second would hold everything else up.
func TestBansWithoutEndCostAShareOfTheTime(t *testing.T) {
	require.Equal(t, time.Second, restAfter(time.Millisecond))
	require.Equal(t, time.Second, restAfter(50*time.Millisecond))
	require.Equal(t, 10*time.Second, restAfter(500*time.Millisecond))
}
