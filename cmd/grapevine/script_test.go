package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain makes the test binary the command itself when it is started under
// the name grapevine: scripts and process tests run what was built for the
// test, race detector included.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"grapevine": func() { os.Exit(realMain()) },
	})
}

// TestScripts runs the terminal sessions of testdata.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":   scriptExits,
			"capture": scriptCapture,
			"poll":    scriptPoll,
		},
	})
}

// scriptExits is `exits N COMMAND …`: the command must end with exactly the
// status N.
func scriptExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits N COMMAND …")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	if got := exitStatus(ts.Exec(args[1], args[2:]...)); got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
}

func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	}
	return -1
}

// scriptCapture is `capture NAME FILE WHERE`: it puts a part of a file
// ("stdout" and "stderr" are the last command's) into an environment variable.
// WHERE is a path into JSON (".txs.0.id") or a regular expression with one
// group.
func scriptCapture(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: capture NAME FILE .json.path|REGEXP")
	}
	text := ts.ReadFile(args[1])
	if !strings.HasPrefix(args[2], ".") {
		m := regexp.MustCompile(`(?m)` + args[2]).FindStringSubmatch(text)
		if m == nil {
			ts.Fatalf("%s does not match %s:\n%s", args[1], args[2], text)
		}
		ts.Setenv(args[0], m[1])
		return
	}
	value, err := jsonAt(text, strings.Split(args[2], ".")[1:])
	ts.Check(err)
	ts.Setenv(args[0], value)
}

func jsonAt(text string, path []string) (string, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return "", fmt.Errorf("not JSON: %w\n%s", err, text)
	}
	if dec.More() {
		return "", fmt.Errorf("more than one JSON document:\n%s", text)
	}
	for _, key := range path {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(in) {
				return "", fmt.Errorf("no element %q", key)
			}
			v = in[i]
		default:
			v = nil
		}
		if v == nil {
			return "", fmt.Errorf("no %q in %s", strings.Join(path, "."), text)
		}
	}
	return fmt.Sprint(v), nil
}

// scriptPoll is `poll SECONDS COMMAND …`: the command is run until it succeeds.
func scriptPoll(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: poll SECONDS COMMAND …")
	}
	limit, err := strconv.Atoi(args[0])
	ts.Check(err)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(limit)*time.Second)
	defer cancel()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for ts.Exec(args[1], args[2:]...) != nil {
		select {
		case <-ctx.Done():
			ts.Fatalf("no success in %d s: %v", limit, args[1:])
		case <-again.C:
		}
	}
}
