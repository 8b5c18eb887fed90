package main

import (
	"bytes"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"
)

// screen draws a page in place on a terminal.
type screen struct {
	terminal *os.File
	lines    int // of the page that is there now
}

// newScreen returns nil where nobody looks, or where the cursor cannot be moved.
func newScreen(stream io.Writer, getenv func(string) string) *screen {
	if !isTerminal(stream) || getenv("TERM") == "dumb" {
		return nil
	}
	return &screen{terminal: stream.(*os.File)}
}

// draw replaces the page. Lines are cut at the width of the terminal: a line
// that wraps would leave the page before in pieces.
func (s *screen) draw(page func(io.Writer)) {
	width, height, err := term.GetSize(int(s.terminal.Fd()))
	if err != nil || width <= 0 || height <= 1 {
		width, height = 80, 24
	}
	var text, out bytes.Buffer
	page(&text)
	s.up(&out)
	s.lines = 0
	for line := range bytes.Lines(text.Bytes()) {
		if s.lines == height-1 {
			break
		}
		out.Write(cutAt(bytes.TrimRight(line, "\n"), width-1))
		out.WriteString("\x1b[K\n")
		s.lines++
	}
	out.WriteString("\x1b[J")
	_, _ = s.terminal.Write(out.Bytes()) // a terminal that went away is no failure of the run
}

// clear takes the page off the terminal.
func (s *screen) clear() {
	var out bytes.Buffer
	s.up(&out)
	out.WriteString("\x1b[J")
	_, _ = s.terminal.Write(out.Bytes())
	s.lines = 0
}

func (s *screen) up(out *bytes.Buffer) {
	if s.lines > 0 {
		fmt.Fprintf(out, "\x1b[%dA\r", s.lines)
	}
}

// cutAt returns the first width characters of line.
func cutAt(line []byte, width int) []byte {
	for i := range string(line) {
		if width == 0 {
			return line[:i]
		}
		width--
	}
	return line
}
