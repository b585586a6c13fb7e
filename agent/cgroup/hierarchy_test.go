package cgroup

import "testing"

func TestGroupIn(t *testing.T) {
	const v1 = "9:name=systemd:/system.slice/hks-agent.service\n4:memory:/a/b\n3:cpu,cpuacct:/c\n2:pids:/../../d\n0::/e\n"
	tests := map[string]struct {
		membership string
		h          hierarchy
		want       string
	}{
		"memory":              {v1, hierarchy{controllers: []string{"rw", "memory"}}, "/a/b"},
		"two controllers":     {v1, hierarchy{controllers: []string{"rw", "cpuacct", "cpu"}}, "/c"},
		"systemd's":           {v1, hierarchy{controllers: []string{"rw", "xattr", "name=systemd"}}, "/system.slice/hks-agent.service"},
		"version 2":           {v1, hierarchy{unified: true, controllers: []string{"rw"}}, "/e"},
		"outside":             {v1, hierarchy{controllers: []string{"pids"}}, "/"},
		"not in it":           {v1, hierarchy{controllers: []string{"rdma"}}, "/"},
		"version 2 by itself": {"0::/user.slice/x:y\n", hierarchy{unified: true}, "/user.slice/x:y"},
		"cut short":           {"4:memory", hierarchy{controllers: []string{"memory"}}, "/"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if got := groupIn([]byte(tt.membership), tt.h); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
