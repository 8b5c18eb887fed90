package node

import (
	"fmt"
	"log/slog"
	"os"

	golog "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/gologshim"
)

// SetupLogging makes the process log to w (standard error or output) at the
// given level (debug, info, warn, error) in the given format (text, json), and
// returns the logger for a node. libp2p's own loggers go the same way, a level
// up: what is information to libp2p is detail to an operator. It is for a
// program's main; call it before the first node is made.
func SetupLogging(level, format string, w *os.File) (*slog.Logger, error) {
	lvl, err := golog.Parse(level)
	if err != nil {
		return nil, fmt.Errorf("log level %q: %w", level, err)
	}
	cfg := golog.Config{Level: max(lvl, golog.LevelWarn), Stderr: w == os.Stderr, Stdout: w == os.Stdout, SubsystemLevels: map[string]golog.LogLevel{subsystem: lvl}}
	// The swarm calls it an error that its own Close ends a listener.
	cfg.SubsystemLevels["swarm2"] = golog.LevelPanic
	if lvl == golog.LevelDebug {
		cfg.Level, cfg.SubsystemLevels["swarm2"] = lvl, lvl
	}
	switch format {
	case "text":
		cfg.Format = golog.PlaintextOutput
	case "json":
		cfg.Format = golog.JSONOutput
	default:
		return nil, fmt.Errorf("log format %q, want text or json", format)
	}
	golog.SetupLogging(cfg)
	gologshim.SetDefaultHandler(errorTexts{golog.SlogHandler()})
	return slog.New(errorTexts{golog.SlogHandler()}).With("logger", subsystem), nil
}

// subsystem is our name among the loggers of go-log.
const subsystem = "grapevine"
