package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/grapevine-p2p/grapevine/node/api"
)

// The exit status. Scripts rely on these numbers.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
)

// failure is an error as the operator reads it: what was tried, what went
// wrong, what to do about it.
type failure struct {
	tried  string // completes "could not …"
	cause  error
	remedy string // a sentence; may be empty
	code   string // for scripts: stable, lower case; may be empty
	exit   int    // zero means exitFailed
}

func (f *failure) Error() string { return "could not " + f.tried + ": " + f.cause.Error() }
func (f *failure) Unwrap() error { return f.cause }

// usageError is what was wrong with the command line of cmd.
func usageError(cmd *cobra.Command, err error) error {
	return &failure{
		tried:  "understand the command line",
		cause:  err,
		remedy: fmt.Sprintf("%q shows the usage", cmd.CommandPath()+" --help"),
		code:   "usage",
		exit:   exitUsage,
	}
}

// wrongUsage is an error in arguments that only the command itself can judge.
func wrongUsage(format string, args ...any) error {
	return &failure{
		tried: "understand the command line",
		cause: fmt.Errorf(format, args...),
		code:  "usage",
		exit:  exitUsage,
	}
}

// nodeFailure is a question to a node that failed. An answer of the node brings
// its own code and remedy.
func nodeFailure(tried string, err error) error {
	if known := (*failure)(nil); errors.As(err, &known) {
		return known // it never got as far as the node
	}
	f := &failure{tried: tried, cause: err}
	if errors.Is(err, api.ErrUnreachable) {
		f.code, f.exit = "unreachable", exitUnreachable
		f.remedy = "start the node with `grapevine run`, or name another home with --home or another node with --api"
		return f
	}
	if answer := (*api.Error)(nil); errors.As(err, &answer) {
		f.cause, f.code, f.remedy = answerText{answer}, answer.Code, answer.Remedy
	}
	return f
}

// answerText is a node's refusal without its code and remedy, which are shown
// in their own places.
type answerText struct{ answer *api.Error }

func (a answerText) Error() string { return a.answer.Message }
func (a answerText) Unwrap() error { return a.answer }

// errorReport is the document that --json prints when a command fails.
type errorReport struct {
	Error errorBody `json:"error"`
}

type errorBody struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Remedy  string `json:"remedy,omitempty"`
	Exit    int    `json:"exit"`
}

// fail prints err for people on standard error, and under --json as the one
// document on standard output if none is out yet. It returns the exit status.
func (c *cli) fail(err error) int {
	body := describe(err)
	fmt.Fprintf(c.err, "grapevine: %s\n", body.Message)
	if body.Remedy != "" {
		fmt.Fprintf(c.err, "  what to do: %s\n", strings.ReplaceAll(body.Remedy, "\n", "\n  "))
	}
	if c.json && !c.reported {
		_ = c.document(errorReport{body}) // the exit status still says it
	}
	return body.Exit
}

// describe puts err in the four parts that people and scripts are told.
func describe(err error) errorBody {
	body := errorBody{Code: "failed", Message: err.Error(), Exit: exitFailed}
	if f := (*failure)(nil); errors.As(err, &f) {
		body.Remedy = f.remedy
		if f.code != "" {
			body.Code = f.code
		}
		if f.exit != 0 {
			body.Exit = f.exit
		}
	}
	return body
}
