package sim

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func tree(files map[string]string) fstest.MapFS {
	root := make(fstest.MapFS)
	for name, text := range files {
		root[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return root
}

func TestGrantedMemory(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string
		want  float64 // negative: no bound
	}{
		"no groups": {nil, -1},
		"without bound": {map[string]string{
			"proc/self/cgroup":           "0::/a\n",
			"sys/fs/cgroup/a/memory.max": "max\n",
		}, -1},
		"second version": {map[string]string{
			"proc/self/cgroup":                 "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max":     "3000000000\n",
			"sys/fs/cgroup/a/b/memory.current": "1500000000\n",
			"sys/fs/cgroup/a/b/memory.stat":    "anon 1\ninactive_file 500000000\nactive_file 7\n",
		}, 2000},
		"the group around it": {map[string]string{
			"proc/self/cgroup":               "0::/a/b\n",
			"sys/fs/cgroup/a/b/memory.max":   "3000000000\n",
			"sys/fs/cgroup/a/memory.max":     "2000000000\n",
			"sys/fs/cgroup/a/memory.current": "1900000000\n",
		}, 100},
		"in a container": {map[string]string{
			"proc/self/cgroup":             "0::/\n",
			"sys/fs/cgroup/memory.max":     "1000000000\n",
			"sys/fs/cgroup/memory.current": "1200000000\n",
		}, 0},
		"first version, with the host's name": {map[string]string{
			"proc/self/cgroup":                           "12:cpu,cpuacct:/docker/1\n3:memory:/docker/1\n0::/system\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes": "800000000\n",
			"sys/fs/cgroup/memory/memory.usage_in_bytes": "300000000\n",
			"sys/fs/cgroup/memory/memory.stat":           "total_inactive_file 100000000\n",
		}, 600},
	} {
		t.Run(name, func(t *testing.T) {
			got, bounded := grantedMB(tree(tc.files))
			require.Equal(t, tc.want >= 0, bounded)
			if bounded {
				require.InDelta(t, tc.want, got, 1e-6)
			}
		})
	}
}
