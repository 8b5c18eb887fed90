package wire_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/grapevine-p2p/grapevine/wire"
)

// The vectors are a contract for other languages: see testdata/README.md. They
// are made from literal bytes, the schema's generated code and the standard
// library, not from this package's encoders.
var update = flag.Bool("update", false, "write testdata/*.json anew")

// vectorFile is one file of testdata.
type vectorFile[V any] struct {
	About     string `json:"about"`
	Source    string `json:"source,omitempty"`    // of the cases
	Generator string `json:"generator,omitempty"` // where it is not messageVectors
	Vectors   []V    `json:"vectors"`
}

// vector is bytes in, fields or an error kind out.
type vector struct {
	Name   string         `json:"name"`
	Bytes  hexText        `json:"bytes"`
	Fields map[string]any `json:"fields,omitempty"`
	ID     string         `json:"id,omitempty"`
	Error  wire.Malformed `json:"error,omitempty"`
}

// hexText is hexadecimal in pieces that are separated by spaces; a piece
// "ab*3" is ab three times.
type hexText string

func hexOf(b []byte) hexText { return hexText(hex.EncodeToString(b)) }

// times returns the text of b repeated n times.
func times(b []byte, n int) hexText { return hexText(fmt.Sprintf("%x*%d", b, n)) }

func (h hexText) decode(t testing.TB) []byte {
	t.Helper()
	out := []byte{}
	for _, piece := range strings.Fields(string(h)) {
		digits, count, repeated := strings.Cut(piece, "*")
		b, err := hex.DecodeString(digits)
		require.NoError(t, err)
		n := 1
		if repeated {
			n, err = strconv.Atoi(count)
			require.NoError(t, err)
		}
		out = append(out, bytes.Repeat(b, n)...)
	}
	return out
}

// vectors compares the committed file with what made gives, or writes it, and
// returns what is in the file.
func vectors[V any](t testing.TB, name string, made vectorFile[V]) []V {
	t.Helper()
	path := filepath.Join("testdata", name+".json")
	want, err := json.MarshalIndent(made, "", "  ")
	require.NoError(t, err)
	want = append(want, '\n')
	if *update {
		require.NoError(t, os.WriteFile(path, want, 0o644))
	}
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(b), "%s is out of date: go test ./wire -run Vectors -update", path)
	var file vectorFile[V]
	require.NoError(t, json.Unmarshal(b, &file))
	return file.Vectors
}

// fieldsOf shows a message as vectors do: names of the schema, bytes in
// hexadecimal, 64-bit numbers as decimal strings, defaults left out.
func fieldsOf(m proto.Message) map[string]any {
	fields := make(map[string]any)
	m.ProtoReflect().Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if !fd.IsList() {
			fields[string(fd.Name())] = valueOf(fd, v)
			return true
		}
		list := []any{}
		for i := range v.List().Len() {
			list = append(list, valueOf(fd, v.List().Get(i)))
		}
		fields[string(fd.Name())] = list
		return true
	})
	return fields
}

func valueOf(fd protoreflect.FieldDescriptor, v protoreflect.Value) any {
	switch fd.Kind() {
	case protoreflect.BytesKind:
		return hex.EncodeToString(v.Bytes())
	case protoreflect.Uint64Kind:
		return strconv.FormatUint(v.Uint(), 10)
	case protoreflect.MessageKind:
		return fieldsOf(v.Message().Interface())
	default:
		return v.Interface()
	}
}

// check holds a codec against one vector.
func (v vector) check(t *testing.T, c codec) {
	b := v.Bytes.decode(t)
	ours, again, err := c.decode(b)
	if v.Error != "" {
		require.ErrorIs(t, err, v.Error)
		return
	}
	require.NoError(t, err)
	if v.Fields != nil {
		got, err := json.Marshal(fieldsOf(ours))
		require.NoError(t, err)
		want, err := json.Marshal(v.Fields)
		require.NoError(t, err)
		require.JSONEq(t, string(want), string(got))
	}
	if c.canonical {
		require.True(t, bytes.Equal(b, again), "encodes to other bytes")
	}
	switch c.name {
	case "transaction":
		tx, err := wire.DecodeTransaction(b)
		require.NoError(t, err)
		require.Equal(t, v.ID, tx.ID().String())
	case "header":
		h, err := wire.DecodeHeader(b)
		require.NoError(t, err)
		require.Equal(t, v.ID, h.ID().String())
	case "genesis":
		g, err := wire.DecodeGenesis(b)
		require.NoError(t, err)
		require.Equal(t, v.ID, g.ID().String())
	}
}

// R1: one byte form, everything else refused.
// R5: unknown fields of frames are skipped.
func TestMessageVectors(t *testing.T) {
	total, malformed := 0, 0
	for _, c := range codecs {
		file := strings.ReplaceAll(c.name, " ", "_")
		for _, v := range vectors(t, file, messageVectors(c)) {
			total++
			if v.Error != "" {
				malformed++
			}
			t.Run(file+"/"+strings.ReplaceAll(v.Name, " ", "_"), func(t *testing.T) { v.check(t, c) })
		}
	}
	t.Logf("%d vectors, %d of them malformed", total, malformed)
	require.GreaterOrEqual(t, total, 40)
	require.GreaterOrEqual(t, 3*malformed, total)
}
