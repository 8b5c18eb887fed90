// Package scenarios holds the scenario files that ship with the program.
//
// It guarantees that every file here is complete and can be run as it is; a
// test of package scenario reads them all.
//
// It needs nothing of the caller, and does not read the files: that is what
// package scenario does.
package scenarios

import "embed"

// Files are the scenarios, one a file, named after it.
//
//go:embed *.yaml
var Files embed.FS
