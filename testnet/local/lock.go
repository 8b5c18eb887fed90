package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/gofrs/flock"
)

const (
	// lockWithin outlasts those who only look, and hold the lock for a moment.
	lockWithin = 2 * time.Second

	lockRetry = 10 * time.Millisecond
)

func lockPath(dir string) string { return filepath.Join(dir, "lock") }

// lock takes the folder for the one who runs the network, or for one who makes
// sure that nobody does. It is [Running] where somebody has it. Only who then
// calls claim is told to stop by [Down].
func lock(ctx context.Context, dir string) (*flock.Flock, error) {
	l := flock.New(lockPath(dir), flock.SetPermissions(0o600))
	within, cancel := context.WithTimeout(ctx, lockWithin)
	defer cancel()
	switch ok, err := l.TryLockContext(within, lockRetry); {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case err != nil && !errors.Is(err, context.DeadlineExceeded):
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	case !ok:
		return nil, fmt.Errorf("%s: %w", dir, Running)
	}
	if err := os.Truncate(lockPath(dir), 0); err != nil { // the pid of one who was killed
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), l.Close())
	}
	return l, nil
}

// claim says in a locked folder who has it, for [Down]. The release does not
// leave a number there that may some day be another process.
func claim(dir string, l *flock.Flock) (release func() error, err error) {
	if err := os.WriteFile(lockPath(dir), fmt.Appendf(nil, "%d\n", os.Getpid()), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), l.Close())
	}
	return func() error { return errors.Join(os.Truncate(lockPath(dir), 0), l.Close()) }, nil
}

// holder reads the process that has, or had last, the lock of a folder or of a
// home; 0 where that cannot be read.
func holder(dir string) int {
	text, err := os.ReadFile(lockPath(dir))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 1 {
		return 0
	}
	return pid
}

// held says whether somebody holds the lock of a folder or of a home. It takes
// the lock for a moment, shared, so nobody may be about to lock a home then.
func held(dir string) bool {
	if _, err := os.Stat(lockPath(dir)); err != nil {
		return false
	}
	l := flock.New(lockPath(dir))
	ok, err := l.TryRLock()
	if err != nil || !ok {
		return err == nil
	}
	_ = l.Close() // it was only tried
	return false
}
