package main

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestForecast: a short run says nothing, a long one how long it will take, and
// not all the time.
func TestForecast(t *testing.T) {
	var said bytes.Buffer
	f := newForecast(&said, "tx-100")
	f.show(testnetProgress{Phase: "loading", At: 1, Total: 100})
	require.Empty(t, said.String())

	f.began, f.next = f.began.Add(-time.Minute), f.next.Add(-time.Minute)
	f.show(testnetProgress{Phase: "loading", At: 25, Total: 100})
	require.Equal(t, "tx-100: loading, 25 of 100 s after 1m0s; at this pace it takes 3m0s more\n", said.String())
	f.show(testnetProgress{Phase: "loading", At: 26, Total: 100})
	require.Len(t, bytes.Split(said.Bytes(), []byte("\n")), 2)

	said.Reset()
	f.next = time.Now()
	f.show(testnetProgress{Phase: "starting", Total: 100})
	require.Equal(t, "tx-100: starting after 1m0s\n", said.String())
}
