package sim

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// hierarchy is a way in which Linux bounds the memory of a group of processes.
type hierarchy struct {
	line      string // how the line of /proc/self/cgroup begins that names our group; "" among fields
	root      string // where groups are mounted
	max, used string // files of a group
	cache     string // in memory.stat: what the group could give back at once
}

var hierarchies = []hierarchy{
	{"", "sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"},
	{"memory", "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"},
}

// grantedMB is what the groups that this process is in leave of their bounds, in
// 10^6 bytes; false where none has one. Root is that of the file system.
func grantedMB(root fs.FS) (float64, bool) {
	groups, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	least, bounded := 0.0, false
	for line := range strings.Lines(string(groups)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		for _, h := range hierarchies {
			if !strings.Contains(","+fields[1]+",", ","+h.line+",") {
				continue
			}
			// A group is bounded by those around it too. In a container its name
			// may be that of the host, and the mount its own: then only the root is there.
			for at := path.Clean("/" + fields[2]); ; at = path.Dir(at) {
				if free, ok := h.free(root, path.Join(h.root, at)); ok && (!bounded || free < least) {
					least, bounded = free, true
				}
				if at == "/" {
					break
				}
			}
		}
	}
	return least, bounded
}

// free is what one group leaves of its bound, in MB.
func (h hierarchy) free(root fs.FS, group string) (float64, bool) {
	limit, ok := number(root, path.Join(group, h.max))
	if !ok {
		return 0, false // there is no such group, or it has no bound
	}
	used, _ := number(root, path.Join(group, h.used))
	stat, _ := fs.ReadFile(root, path.Join(group, "memory.stat"))
	for line := range strings.Lines(string(stat)) {
		if name, value, _ := strings.Cut(strings.TrimSpace(line), " "); name == h.cache {
			cached, _ := strconv.ParseFloat(value, 64)
			used -= min(used, cached)
		}
	}
	return max(0, limit-used) / 1e6, true
}

// number reads a file that holds one; "max" is none.
func number(root fs.FS, name string) (float64, bool) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	return v, err == nil
}
