package store

import (
	"errors"
	"fmt"
	"io/fs"
)

// Problem says why a store cannot be used, or that something is not in it.
type Problem string

// The problems.
const (
	NotFound     Problem = "not found"
	Locked       Problem = "in use by another process"
	Foreign      Problem = "not a Grapevine store"
	WrongNetwork Problem = "belongs to another network"
	Newer        Problem = "written by a newer version"
	Damaged      Problem = "damaged"
	Failed       Problem = "the disk failed" // writes are refused until Run has opened the files again
	Closed       Problem = "closed"
)

// Error returns the problem in words.
func (p Problem) Error() string { return "store: " + string(p) }

// refuse explains a problem of the store in dir, with its remedy.
func refuse(dir string, p Problem, detail error) error {
	remedy := map[Problem]string{
		Locked:       "stop the other program that has it open, or give this one its own home",
		Foreign:      "give the path of another folder; nothing was changed",
		WrongNetwork: "use the home of that network, or another home; nothing was changed",
		Newer:        "run that version, or use another home; nothing was changed",
		Damaged: "restore the folder from a backup, or move it away: the node then fetches the chain again, but " +
			"forgets the transactions that it accepted and no block holds yet",
	}[p]
	if detail == nil {
		return fmt.Errorf("open store %s: %w; %s", dir, p, remedy)
	}
	return fmt.Errorf("open store %s: %w (%w); %s", dir, p, detail, remedy)
}

// isAccess tells whether err is the file system refusing, rather than what is
// in the files.
func isAccess(err error) bool {
	var path *fs.PathError
	return errors.As(err, &path) || errors.Is(err, fs.ErrPermission)
}
