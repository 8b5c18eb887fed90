package main

import (
	"context"
	"errors"
	"time"
)

// finishing is how long a file that is being written may still take when the
// command is told to stop.
const finishing = 2 * time.Second

// unlessStopped does what may wait for ever, such as for the other end of a
// named pipe, and gives it up soon after ctx ends. What it gives up is left
// waiting, so the process must end next.
func unlessStopped(ctx context.Context, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-done:
		return err
	case <-time.After(finishing):
		return &failure{
			tried: "finish", cause: errors.New("it was ended while it waited for a file"),
			remedy: "a named pipe must have somebody at its other end",
		}
	}
}
