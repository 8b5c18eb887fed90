package config

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/grapevine-p2p/grapevine/overlay"
)

// key is one setting: its name in the file, what it means, and where it lives.
// The environment's name and the flag's follow from the name.
type key struct {
	name  string
	doc   string
	field func(*Config) any // a pointer: *string, *int, *bool or *[]string
}

// keys lists every setting in the order of the file.
var keys = []key{
	{"listen", "Addresses to listen on, as multiaddrs.", func(c *Config) any { return &c.Listen }},
	{"announce", "Addresses to tell peers instead of those the node finds out, for hosts behind a port forwarding.", func(c *Config) any { return &c.Announce }},
	{"bootstrap", "Peers to join the network through, as multiaddrs that end in /p2p/ID, or names: /dnsaddr/HOST.", func(c *Config) any { return &c.Bootstrap }},
	{"profile", "Limits of the network layer: public, or testnet where many nodes share an address.", func(c *Config) any { return &c.Profile }},
	{"producer.key", "File with the key that makes blocks; empty means producer.key in the home, where there is one.", func(c *Config) any { return &c.Producer.Key }},
	{"producer.passphrase_file", "File whose first line opens an encrypted producer key.", func(c *Config) any { return &c.Producer.PassphraseFile }},
	{"api.enabled", "Whether the node offers its local HTTP interface.", func(c *Config) any { return &c.API.Enabled }},
	{"api.socket", "Unix socket of the local HTTP interface; empty for none.", func(c *Config) any { return &c.API.Socket }},
	{"api.listen", "Address and port of the local HTTP interface; empty for none.", func(c *Config) any { return &c.API.Listen }},
	{"api.private", "Whether transactions are published without telling peers that they began here, where their sender does not say.", func(c *Config) any { return &c.API.Private }},
	{"peers.outbound", "Peers that the node chooses, dials and keeps; 0 means to keep those of bootstrap for ever and dial nobody else.", func(c *Config) any { return &c.Peers.Outbound }},
	{"peers.inbound", "Peers that may be connected because they dialled the node.", func(c *Config) any { return &c.Peers.Inbound }},
	{"peers.keep", "Peers to keep connected for ever beside those that the node chooses, as multiaddrs that end in /p2p/ID.", func(c *Config) any { return &c.Peers.Keep }},
	{"peers.mdns", "Whether to find peers in the local network, by multicast DNS.", func(c *Config) any { return &c.Peers.MDNS }},
	{"mempool.max_bytes", "Bytes of transactions that may wait for a block.", func(c *Config) any { return &c.Mempool.MaxBytes }},
	{"mempool.max_count", fmt.Sprintf("Number of transactions that may wait for a block; %d at most.", overlay.MaxReconciled), func(c *Config) any { return &c.Mempool.MaxCount }},
	{"mempool.max_per_sender", "Number of transactions of one sender that may wait for a block.", func(c *Config) any { return &c.Mempool.MaxPerSender }},
	{"store.cache_mb", "Memory of the database's block cache, in MiB.", func(c *Config) any { return &c.Store.CacheMB }},
	{"log.level", "Least severe level that is logged: debug, info, warn or error.", func(c *Config) any { return &c.Log.Level }},
	{"log.format", "Form of the log: text or json.", func(c *Config) any { return &c.Log.Format }},
}

// env returns the name of the environment variable that sets k.
func (k key) env() string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_"))
}

// flag returns the name of the flag that sets k, without its dashes.
func (k key) flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(k.name)
}

// show returns k's value in c as TOML.
func (k key) show(c Config) string {
	switch p := k.field(&c).(type) {
	case *[]string:
		quoted := make([]string, len(*p))
		for i, s := range *p {
			quoted[i] = quote(s)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	case *string:
		return quote(*p)
	case *int:
		return strconv.Itoa(*p)
	case *bool:
		return strconv.FormatBool(*p)
	}
	panic("config: setting of a type without a TOML form")
}

// quote returns s as a TOML basic string, of which JSON's strings are a part.
func quote(s string) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil { // a string always encodes
		panic(err)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// set gives k the value v, which came from TOML or, as text, from elsewhere.
func (k key) set(c *Config, v any) error {
	switch p := k.field(c).(type) {
	case *string:
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("want a string in quotes, got %v", v)
		}
		*p = s
	case *int:
		n, err := number(v)
		if err != nil {
			return err
		}
		*p = n
	case *bool:
		b, err := truth(v)
		if err != nil {
			return err
		}
		*p = b
	case *[]string:
		list, err := texts(v)
		if err != nil {
			return err
		}
		*p = list
	}
	return nil
}

func number(v any) (int, error) {
	switch v := v.(type) {
	case int64:
		return int(v), nil
	case string:
		n, err := strconv.Atoi(v)
		if err != nil {
			return 0, fmt.Errorf("want a whole number, got %q", v)
		}
		return n, nil
	}
	return 0, fmt.Errorf("want a whole number, got %v", v)
}

func truth(v any) (bool, error) {
	switch v := v.(type) {
	case bool:
		return v, nil
	case string:
		b, err := strconv.ParseBool(v)
		if err != nil {
			return false, fmt.Errorf("want true or false, got %q", v)
		}
		return b, nil
	}
	return false, fmt.Errorf("want true or false, got %v", v)
}

// texts reads a list of strings; text from the environment is split at commas.
func texts(v any) ([]string, error) {
	switch v := v.(type) {
	case []string:
		return v, nil
	case []any:
		list := make([]string, len(v))
		for i, e := range v {
			s, ok := e.(string)
			if !ok {
				return nil, fmt.Errorf("want a list of strings, got %v in it", e)
			}
			list[i] = s
		}
		return list, nil
	case string:
		var list []string
		for s := range strings.SplitSeq(v, ",") {
			if s = strings.TrimSpace(s); s != "" {
				list = append(list, s)
			}
		}
		return list, nil
	}
	return nil, fmt.Errorf("want a list of strings such as [\"a\", \"b\"], got %v", v)
}
