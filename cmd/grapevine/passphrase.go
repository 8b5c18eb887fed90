package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// passphraseFileVar names the file that answers for a person.
const passphraseFileVar = "GRAPEVINE_PASSPHRASE_FILE"

// maxPassphrase bounds what is read as a passphrase, in bytes: whoever names a
// disk image by mistake is told so.
const maxPassphrase = 4096

// passphrase asks for the passphrase of what: of the file that
// $GRAPEVINE_PASSPHRASE_FILE names, else of the person at the terminal, twice
// if it is a new one. It is never empty.
func (c *cli) passphrase(what string, fresh bool) (string, error) {
	if path := c.getenv(passphraseFileVar); path != "" {
		return passphraseFromFile(path)
	}
	tty, done, err := c.terminal()
	if err != nil {
		return "", &failure{
			tried:  "ask for the passphrase of " + what,
			cause:  err,
			remedy: "run it at a terminal, or put the passphrase in a file of mode 0600 and name that in $" + passphraseFileVar,
		}
	}
	defer done()
	first, err := ask(tty, c.err, "Passphrase for "+what+": ")
	if err != nil || !fresh {
		return first, err
	}
	again, err := ask(tty, c.err, "The same again: ")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", &failure{tried: "take a new passphrase", cause: errors.New("the two entries differ"), remedy: "try again; nothing was written"}
	}
	return first, nil
}

func passphraseFromFile(path string) (string, error) {
	tried := "read the passphrase file " + path
	f, err := os.Open(path)
	if err != nil {
		return "", &failure{tried: tried, cause: err, remedy: "correct $" + passphraseFileVar + ", or unset it to be asked at the terminal"}
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPassphrase+1))
	if err != nil {
		return "", &failure{tried: tried, cause: err}
	}
	if len(b) > maxPassphrase {
		return "", &failure{tried: tried, cause: errors.New("it is too long to be a passphrase"), remedy: "name the right file in $" + passphraseFileVar}
	}
	pass := strings.TrimRight(string(b), "\r\n")
	if pass == "" {
		return "", &failure{tried: tried, cause: errors.New("it is empty"), remedy: "put the passphrase on its first line"}
	}
	return pass, nil
}

// terminal is where a person can be asked, even if standard input is a pipe.
func (c *cli) terminal() (tty *os.File, done func(), err error) {
	if f, ok := c.in.(*os.File); ok && isTerminal(f) {
		return f, func() {}, nil
	}
	f, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
	if err != nil {
		return nil, nil, errors.New("there is no terminal")
	}
	return f, func() { f.Close() }, nil
}

func ask(tty *os.File, prompts io.Writer, prompt string) (string, error) {
	fmt.Fprint(prompts, prompt)
	b, err := term.ReadPassword(int(tty.Fd()))
	fmt.Fprintln(prompts)
	if err != nil {
		return "", &failure{tried: "read a passphrase", cause: err}
	}
	if len(b) == 0 {
		return "", &failure{tried: "read a passphrase", cause: errors.New("it is empty"), remedy: "type one; `key new --plain` makes a key without"}
	}
	return string(b), nil
}
