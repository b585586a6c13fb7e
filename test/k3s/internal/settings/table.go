package settings

// Kinds of values.
const (
	text = iota
	flag
	list  // repeated; file values first, then the command line's
	comma // a list whose items may also be separated by commas
)

type key struct {
	kind   int
	server bool // the server knows it
	agent  bool // the agent knows it
	env    string
	field  func(*Settings) any // nil: understood, and of no meaning here
}

func both(kind int, env string, field func(*Settings) any) key {
	return key{kind: kind, server: true, agent: true, env: env, field: field}
}

func server(kind int, env string, field func(*Settings) any) key {
	return key{kind: kind, server: true, env: env, field: field}
}

func agent(kind int, env string, field func(*Settings) any) key {
	return key{kind: kind, agent: true, env: env, field: field}
}

// keys are the settings of k3s that the stand-in understands.
var keys = map[string]key{
	"data-dir":                    both(text, "K3S_DATA_DIR", func(s *Settings) any { return &s.DataDir }),
	"token":                       both(text, "K3S_TOKEN", func(s *Settings) any { return &s.Token }),
	"token-file":                  both(text, "K3S_TOKEN_FILE", func(s *Settings) any { return &s.TokenFile }),
	"server":                      both(text, "K3S_URL", func(s *Settings) any { return &s.Server }),
	"node-name":                   both(text, "K3S_NODE_NAME", func(s *Settings) any { return &s.NodeName }),
	"node-ip":                     both(comma, "", func(s *Settings) any { return &s.NodeIP }),
	"node-label":                  both(list, "", func(s *Settings) any { return &s.NodeLabels }),
	"node-taint":                  both(list, "", func(s *Settings) any { return &s.NodeTaints }),
	"kubelet-arg":                 both(list, "", func(s *Settings) any { return &s.KubeletArgs }),
	"kube-proxy-arg":              both(list, "", func(s *Settings) any { return &s.ProxyArgs }),
	"private-registry":            both(text, "", func(s *Settings) any { return &s.PrivateRegistry }),
	"resolv-conf":                 both(text, "K3S_RESOLV_CONF", func(s *Settings) any { return &s.ResolvConf }),
	"debug":                       both(flag, "K3S_DEBUG", func(s *Settings) any { return &s.Debug }),
	"agent-token":                 server(text, "K3S_AGENT_TOKEN", func(s *Settings) any { return &s.AgentToken }),
	"write-kubeconfig":            server(text, "K3S_KUBECONFIG_OUTPUT", func(s *Settings) any { return &s.Kubeconfig }),
	"write-kubeconfig-mode":       server(text, "K3S_KUBECONFIG_MODE", func(s *Settings) any { return &s.KubeconfigMode }),
	"tls-san":                     server(comma, "", func(s *Settings) any { return &s.TLSSANs }),
	"disable":                     server(comma, "", func(s *Settings) any { return &s.Disable }),
	"disable-network-policy":      server(flag, "", func(s *Settings) any { return &s.NoPolicy }),
	"kube-apiserver-arg":          server(list, "", func(s *Settings) any { return &s.APIServerArgs }),
	"kube-controller-manager-arg": server(list, "", func(s *Settings) any { return &s.ControllerArgs }),
	"kube-scheduler-arg":          server(list, "", func(s *Settings) any { return &s.SchedulerArgs }),
	"secrets-encryption":          server(flag, "", func(s *Settings) any { return &s.SecretsEncryption }),
	"cluster-cidr":                server(text, "", func(s *Settings) any { return &s.ClusterCIDR }),
	"service-cidr":                server(text, "", func(s *Settings) any { return &s.ServiceCIDR }),
	"https-listen-port":           server(text, "", func(s *Settings) any { return &s.Port }),
	"bind-address":                server(text, "", func(s *Settings) any { return &s.BindAddress }),
	"advertise-address":           server(text, "", func(s *Settings) any { return &s.AdvertiseAddress }),
	"default-local-storage-path":  server(text, "", func(s *Settings) any { return &s.StoragePath }),

	"config":                      both(text, "K3S_CONFIG_FILE", nil),
	"protect-kernel-defaults":     both(flag, "", nil),
	"selinux":                     both(flag, "K3S_SELINUX", nil),
	"snapshotter":                 both(text, "", nil),
	"pause-image":                 both(text, "", nil),
	"prefer-bundled-bin":          both(flag, "", nil),
	"log":                         both(text, "", nil),
	"alsologtostderr":             both(flag, "", nil),
	"v":                           both(text, "", nil),
	"vmodule":                     both(text, "", nil),
	"node-external-ip":            both(comma, "", nil),
	"lb-server-port":              both(text, "", nil),
	"embedded-registry":           server(flag, "", nil),
	"cluster-init":                server(flag, "", nil),
	"flannel-backend":             server(text, "", nil),
	"disable-cloud-controller":    server(flag, "", nil),
	"disable-helm-controller":     server(flag, "", nil),
	"disable-kube-proxy":          server(flag, "", nil),
	"egress-selector-mode":        server(text, "", nil),
	"etcd-disable-snapshots":      server(flag, "", nil),
	"secrets-encryption-provider": server(text, "", nil),
	"supervisor-metrics":          server(flag, "", nil),
	"tls-san-security":            server(flag, "", nil),
	"cluster-dns":                 server(comma, "", nil),
	"cluster-domain":              server(text, "", nil),
}
