// Package wirepb is what protoc-gen-go makes of wire.proto: plain protobuf
// types for programs that read Grapevine's messages without package wire.
//
// It checks none of the canonical rules of the schema and bounds nothing. What
// comes from a network must go through package wire, or through another
// decoder that agrees with the vectors of wire/testdata.
package wirepb
