package local

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/grapevine-p2p/grapevine/node/config"
)

// starter starts processes from one thread that lives as long as it does:
// processes that are tied to us end with the thread that started them.
type starter struct {
	jobs chan func()
	done chan struct{}
}

// newStarter starts a goroutine; close ends it.
func newStarter() *starter {
	s := &starter{jobs: make(chan func()), done: make(chan struct{})}
	go func() {
		defer close(s.done)
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		for job := range s.jobs {
			job()
		}
	}()
	return s
}

// close must not be called before every process has ended.
func (s *starter) close() {
	close(s.jobs)
	<-s.done
}

// start starts a process. core is where it runs; negative is anywhere.
func (s *starter) start(cmd *exec.Cmd, core int) error {
	attach(cmd)
	started := make(chan error)
	s.jobs <- func() {
		if core < 0 {
			started <- cmd.Start()
			return
		}
		started <- onCore(core, cmd.Start)
	}
	return <-started
}

// process is a daemon, or an attacker, that was started.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how; valid after done
}

// command is program with more arguments, without our settings.
func command(program []string, args ...string) *exec.Cmd {
	cmd := exec.Command(program[0], append(program[1:len(program):len(program)], args...)...)
	cmd.Env = environ()
	return cmd
}

// launch starts a process, its output going to the end of a log.
func (s *starter) launch(cmd *exec.Cmd, logPath string, core int) (*process, error) {
	log, err := os.OpenFile(logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	defer log.Close() // the process has its own copy
	cmd.Stdout, cmd.Stderr = log, log
	if err := s.start(cmd, core); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	return p, nil
}

// environ is ours without the settings of a node: those of the home count.
func environ() []string {
	var kept []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, config.EnvPrefix) {
			kept = append(kept, v)
		}
	}
	return kept
}

func (p *process) alive() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stopWithin is longer than a daemon promises to need.
const stopWithin = 12 * time.Second

// stop asks the process to end, and after a while makes it. It says how it
// ended where that was not clean.
func (p *process) stop(limit <-chan struct{}) error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended already
	return p.wait(limit)
}

// wait is for a process that was asked to end.
func (p *process) wait(limit <-chan struct{}) error {
	select {
	case <-p.done:
		return p.err
	case <-limit:
	}
	_ = p.cmd.Process.Kill()
	<-p.done
	return fmt.Errorf("it did not stop within %v and was killed", stopWithin)
}

// lastWords is the end of a log, for errors.
func lastWords(path string) string {
	const keep, lines = 4 << 10, 4
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close() // it was only read
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	text := make([]byte, min(keep, info.Size()))
	if _, err := f.ReadAt(text, info.Size()-int64(len(text))); err != nil {
		return ""
	}
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
