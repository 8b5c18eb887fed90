package config

import (
	"fmt"
	"strings"
)

// Template returns a config.toml that explains every setting. Those that c
// leaves at their default are commented out, so that a later release may
// improve the default.
func Template(c Config) []byte {
	var b strings.Builder
	b.WriteString("# Settings of a Grapevine node. A line with one # shows a default; remove the # to\n")
	b.WriteString("# change it. Environment variables (" + EnvPrefix + "…) and flags override this file.\n")
	b.WriteString("# `grapevine config` prints what is in force and where it came from.\n")
	section := ""
	for _, k := range keys {
		name := k.name
		if s, rest, ok := strings.Cut(k.name, "."); ok {
			if s != section {
				fmt.Fprintf(&b, "\n[%s]\n", s)
				section = s
			}
			name = rest
		}
		fmt.Fprintf(&b, "\n## %s\n", k.doc)
		comment := "# "
		if k.show(c) != k.show(Default()) {
			comment = ""
		}
		fmt.Fprintf(&b, "%s%s = %s\n", comment, name, k.show(c))
	}
	return []byte(b.String())
}
