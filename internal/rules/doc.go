// Package rules holds the test that every rule of docs/protocol.md is named by
// a test that proves it.
package rules
