package buildkit

import (
	"slices"
	"testing"
)

func TestSettings(t *testing.T) {
	cfg := Config{
		Binary: "/usr/local/bin/hks-buildkitd", Dir: "/var/lib/hks/buildkit", Socket: "/run/hks/buildkit.sock", SettingsFile: "/var/lib/hks/buildkitd.toml",
		Parallelism: 2, Cache: 10 << 30,
		Registry: func() Registry {
			return Registry{Address: "127.0.0.1:5443", CAFile: "/var/lib/hks/registry/tls/ca.crt", Username: "hks", Password: "canary"}
		},
	}
	got, err := cfg.settings("/usr/sbin/runc", "/system.slice/hks-buildkitd.service/steps")
	if err != nil {
		t.Fatal(err)
	}
	want := `# Written by hks-agent at each start of the builder.
root = '/var/lib/hks/buildkit'

[log]
level = 'info'

[grpc]
address = ['unix:///run/hks/buildkit.sock']
uid = 0
gid = 0

[cdi]
disabled = true

[history]
maxAge = 86400
maxEntries = 50

[worker]
[worker.oci]
enabled = true
snapshotter = 'overlayfs'
binary = '/usr/sbin/runc'
networkMode = 'host'
defaultCgroupParent = '/system.slice/hks-buildkitd.service/steps'
max-parallelism = 2
gc = true
reservedSpace = 1073741824
maxUsedSpace = 10737418240
minFreeSpace = 2147483648

[worker.containerd]
enabled = false

[frontend]
[frontend.'gateway.v0']
enabled = false

[registry]
[registry.'127.0.0.1:5443']
http = false
ca = ['/var/lib/hks/registry/tls/ca.crt']
`
	if string(got) != want {
		t.Errorf("settings:\n%s\nwant:\n%s", got, want)
	}
}

func TestCommand(t *testing.T) {
	tests := map[string]struct {
		ca   string
		want []string
	}{
		"plain":                     {"", []string{"HOME=/state", "TMPDIR=/state/tmp", "PATH=/bin", "SSL_CERT_FILE=/etc/agent.pem", "https_proxy=http://proxy:3128"}},
		"network that signs itself": {"/etc/network.pem", []string{"HOME=/state", "TMPDIR=/state/tmp", "PATH=/bin", "https_proxy=http://proxy:3128", "SSL_CERT_FILE=/etc/network.pem"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := Config{
				Binary: "/bin/buildkitd", Dir: "/state", SettingsFile: "/state.toml", CA: tt.ca,
				Environ: []string{"PATH=/bin", "SECRET=canary", "SSL_CERT_FILE=/etc/agent.pem", "BUILDKITD_DEBUGADDR=:1", "https_proxy=http://proxy:3128"},
			}
			argv, env := cfg.Command()
			if want := []string{"/bin/buildkitd", "--config", "/state.toml"}; !slices.Equal(argv, want) {
				t.Errorf("argv = %q", argv)
			}
			if !slices.Equal(env, tt.want) {
				t.Errorf("env = %q, want %q", env, tt.want)
			}
		})
	}
}
