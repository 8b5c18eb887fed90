package peerscore_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/grapevine-p2p/grapevine/internal/script"
	"github.com/grapevine-p2p/grapevine/peerscore"
)

func TestScripts(t *testing.T) {
	script.Run(t, "testdata/*.txt", func() func([]string) string {
		s := &session{now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
		s.open(peerscore.DefaultConfig())
		return s.do
	})
}

// session is a Book and a clock that obey the commands of a script.
type session struct {
	now  time.Time
	book *peerscore.Book
}

func (s *session) open(c peerscore.Config) {
	book, err := peerscore.New(c)
	if err != nil {
		panic(err)
	}
	s.book = book
}

func (s *session) do(words []string) string {
	peer := func() peerscore.PeerID { return peerscore.PeerID(words[1]) }
	switch words[0] {
	case "room": // room RECORDS BANS: start again with a smaller book
		c := peerscore.DefaultConfig()
		fmt.Sscan(words[1], &c.MaxRecords)
		fmt.Sscan(words[2], &c.MaxBans)
		s.open(c)
		return ""
	case "wait":
		d, err := time.ParseDuration(words[1])
		if err != nil {
			return err.Error()
		}
		s.now = s.now.Add(d)
		return ""
	case "record":
		o, err := peerscore.ParseOffence(words[2])
		if err != nil {
			return err.Error()
		}
		times := 1
		if len(words) > 3 {
			fmt.Sscan(words[3], &times)
		}
		banned := false
		for range times {
			banned = s.book.Record(s.now, peer(), o)
		}
		if banned {
			return words[1] + " is banned"
		}
		return ""
	case "ban":
		d, err := time.ParseDuration(words[2])
		if err != nil {
			return err.Error()
		}
		s.book.Ban(s.now, peer(), s.now.Add(d), "operator")
		return ""
	case "forget":
		s.book.Forget(peer())
		return ""
	case "score":
		return fmt.Sprintf("%.2f", s.book.Score(s.now, peer()))
	case "all":
		out := ""
		for st := range s.book.All(s.now) {
			out += fmt.Sprintf("%s guilt %.2f", st.Peer, st.Guilt)
			if st.Doubt > 0 {
				out += fmt.Sprintf(", doubt %.2f", st.Doubt)
			}
			if !st.BannedUntil.IsZero() {
				out += fmt.Sprintf(", banned for %v: %s", st.BannedUntil.Sub(s.now), st.Reason)
			}
			out += "\n"
		}
		if out == "" {
			return "nobody"
		}
		return out
	default:
		return "no such command"
	}
}
