package config

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/toml/v2"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/posflag"
	"github.com/knadh/koanf/v2"
	gotoml "github.com/pelletier/go-toml/v2"
	"github.com/spf13/pflag"

	"github.com/grapevine-p2p/grapevine/internal/nearest"
)

// EnvPrefix starts the name of every environment variable that Grapevine reads.
const EnvPrefix = "GRAPEVINE_"

// reserved are variables under EnvPrefix that are no setting of a node: the
// command line and the tests read them.
var reserved = []string{"HOME", "API", "TOKEN", "PASSPHRASE_FILE", "SEED", "NO_COLOR"}

// Sources says where to look for settings.
type Sources struct {
	File    string         // the TOML file; it may be absent. Empty for none
	Environ []string       // as os.Environ gives it
	Flags   *pflag.FlagSet // parsed; flags that are no settings are passed over. May be nil
}

// Effective is the outcome: the settings, and where each came from.
type Effective struct {
	Config Config

	origins map[string]string
}

// Entry is one line of what `grapevine config` prints.
type Entry struct {
	Key    string // name in the file, such as api.listen
	Value  string // as TOML
	Origin string // default, file PATH, environment NAME or flag --NAME
	Doc    string
}

// Entries lists every setting in the order of the file.
func (e *Effective) Entries() []Entry {
	list := make([]Entry, len(keys))
	for i, k := range keys {
		list[i] = Entry{Key: k.name, Value: k.show(e.Config), Origin: e.Origin(k.name), Doc: k.doc}
	}
	return list
}

// Origin says where the setting called name got its value from.
func (e *Effective) Origin(name string) string {
	if o, ok := e.origins[name]; ok {
		return o
	}
	return "default"
}

// AddFlags gives flags one flag per setting. The defaults shown are Default's;
// a flag that is not given changes nothing.
func AddFlags(flags *pflag.FlagSet) {
	c := Default()
	for _, k := range keys {
		switch p := k.field(&c).(type) {
		case *[]string:
			flags.StringSlice(k.flag(), *p, k.doc)
		case *string:
			flags.String(k.flag(), *p, k.doc)
		case *int:
			flags.Int(k.flag(), *p, k.doc)
		case *bool:
			flags.Bool(k.flag(), *p, k.doc)
		}
	}
}

// Load reads every source and returns the valid settings that follow. An error
// lists everything that is wrong, in all sources at once.
func Load(src Sources) (*Effective, error) {
	e := &Effective{Config: Default(), origins: make(map[string]string)}
	var errs []error
	for _, layer := range []func(Sources) ([]setting, error){fromFile, fromEnviron, fromFlags} {
		settings, err := layer(src)
		errs = append(errs, err)
		for _, s := range settings {
			if err := s.key.set(&e.Config, s.value); err != nil {
				errs = append(errs, fmt.Errorf("config: %s (%s): %w", s.key.name, s.origin, err))
				continue
			}
			e.origins[s.key.name] = s.origin
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	for _, err := range e.Config.problems() {
		var p Problem
		errors.As(err, &p)
		errs = append(errs, fmt.Errorf("config: %w (from %s)", err, e.Origin(p.Key)))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return e, nil
}

// setting is a value that one source gives to one key.
type setting struct {
	key    key
	value  any
	origin string
}

func fromFile(src Sources) ([]setting, error) {
	if src.File == "" {
		return nil, nil
	}
	k := koanf.New(".")
	err := k.Load(file.Provider(src.File), toml.Parser())
	var syntax *gotoml.DecodeError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case errors.As(err, &syntax):
		row, column := syntax.Position()
		return nil, fmt.Errorf("config: %s line %d, column %d: %w; correct the file", src.File, row, column, err)
	case err != nil:
		return nil, fmt.Errorf("config: read %s: %w", src.File, err)
	}
	var list []setting
	var errs []error
	for name, v := range sorted(k.All()) {
		i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
		if i >= 0 {
			list = append(list, setting{keys[i], v, "file " + src.File})
		} else if err := strange(name, v, src.File); err != nil {
			errs = append(errs, err)
		}
	}
	return list, errors.Join(errs...)
}

// strange explains a name of the file that is no setting; an empty section of a
// known name is fine.
func strange(name string, v any, path string) error {
	section := slices.ContainsFunc(keys, func(k key) bool { return strings.HasPrefix(k.name, name+".") })
	if m, ok := v.(map[string]any); ok && len(m) == 0 && section {
		return nil
	}
	if section {
		return fmt.Errorf("config: %s: %q is a section; write [%s] and its settings below", path, name, name)
	}
	names := make([]string, len(keys))
	for i, k := range keys {
		names[i] = k.name
	}
	return fmt.Errorf("config: %s: unknown key %q; the nearest known one is %q", path, name, nearest.Name(name, names))
}

func fromEnviron(src Sources) ([]setting, error) {
	var errs []error
	transform := func(name, value string) (string, any) {
		if value == "" || slices.Contains(reserved, strings.TrimPrefix(name, EnvPrefix)) {
			return "", nil
		}
		i := slices.IndexFunc(keys, func(k key) bool { return k.env() == name })
		if i < 0 {
			names := make([]string, len(keys))
			for i, k := range keys {
				names[i] = k.env()
			}
			errs = append(errs, fmt.Errorf("config: unknown environment variable %s; the nearest known one is %s", name, nearest.Name(name, names)))
			return "", nil
		}
		return keys[i].name, value
	}
	environ := src.Environ
	k := koanf.New(".")
	err := k.Load(env.Provider(".", env.Opt{
		Prefix: EnvPrefix, TransformFunc: transform,
		EnvironFunc: func() []string { return environ },
	}), nil)
	if err != nil {
		return nil, fmt.Errorf("config: read the environment: %w", err)
	}
	return known(k, func(k key) string { return "environment " + k.env() }), errors.Join(errs...)
}

func fromFlags(src Sources) ([]setting, error) {
	if src.Flags == nil {
		return nil, nil
	}
	k := koanf.New(".")
	err := k.Load(posflag.ProviderWithFlag(src.Flags, ".", nil, func(f *pflag.Flag) (string, any) {
		i := slices.IndexFunc(keys, func(k key) bool { return k.flag() == f.Name })
		if i < 0 {
			return "", nil
		}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			return keys[i].name, list.GetSlice()
		}
		return keys[i].name, f.Value.String()
	}), nil)
	if err != nil {
		return nil, fmt.Errorf("config: read the flags: %w", err)
	}
	return known(k, func(k key) string { return "flag --" + k.flag() }), nil
}

// known lists the settings that k holds, in the order of the file.
func known(k *koanf.Koanf, origin func(key) string) []setting {
	var list []setting
	for _, key := range keys {
		if k.Exists(key.name) {
			list = append(list, setting{key, k.Get(key.name), origin(key)})
		}
	}
	return list
}

// sorted walks m by key, so that errors come in the same order every time.
func sorted(m map[string]any) func(func(string, any) bool) {
	return func(yield func(string, any) bool) {
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if !yield(name, m[name]) {
				return
			}
		}
	}
}
