package node

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"time"
)

func (n *Node) startKubelet(cred Credentials) error {
	resolv, err := n.resolvConf()
	if err != nil {
		return err
	}
	cfg := map[string]any{
		"apiVersion":                  "kubelet.config.k8s.io/v1beta1",
		"kind":                        "KubeletConfiguration",
		"authentication":              map[string]any{"anonymous": map[string]any{"enabled": false}, "webhook": map[string]any{"enabled": true}, "x509": map[string]any{"clientCAFile": cred.ClientCA}},
		"authorization":               map[string]any{"mode": "Webhook"},
		"cgroupDriver":                "cgroupfs",
		"cgroupRoot":                  n.machine.cgroupRoot,
		"clusterDNS":                  []string{n.dns},
		"clusterDomain":               "cluster.local",
		"containerRuntimeEndpoint":    "unix://" + socket,
		"evictionHard":                map[string]string{"imagefs.available": "2%", "nodefs.available": "2%"},
		"evictionMinimumReclaim":      map[string]string{"imagefs.available": "1%", "nodefs.available": "1%"},
		"failCgroupV1":                false,
		"failSwapOn":                  false,
		"healthzBindAddress":          "127.0.0.1",
		"imageGCHighThresholdPercent": 99,
		"imageGCLowThresholdPercent":  98,
		"nodeStatusUpdateFrequency":   "5s",
		"resolvConf":                  resolv,
		"rotateCertificates":          true,
		"serializeImagePulls":         false,
		"staticPodPath":               n.agent("pod-manifests"),
		"volumePluginDir":             "/var/lib/kubelet/volumeplugins",
	}
	if n.machine.confined {
		cfg["featureGates"] = map[string]bool{"KubeletInUserNamespace": true}
	}
	if cred.ServingCert != "" {
		cfg["tlsCertFile"], cfg["tlsPrivateKeyFile"] = cred.ServingCert, cred.ServingKey
	}
	data, err := json.MarshalIndent(cfg, "", "  ")
	if err != nil {
		return err
	}
	file := n.agent("etc/kubelet.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return err
	}
	labels := append([]string{"node.kubernetes.io/instance-type=k3s"}, n.cfg.NodeLabels...)
	args := []string{
		"--config=" + file,
		"--kubeconfig=" + cred.Kubeconfig,
		"--cert-dir=" + n.agent("kubelet-pki"),
		"--containerd=" + socket,
		"--hostname-override=" + n.cfg.NodeName,
		"--node-ip=" + n.machine.ip,
		"--node-labels=" + strings.Join(labels, ","),
	}
	if cred.Bootstrap != "" {
		args = append(args, "--bootstrap-kubeconfig="+cred.Bootstrap)
	}
	if len(n.cfg.NodeTaints) > 0 {
		args = append(args, "--register-with-taints="+strings.Join(n.cfg.NodeTaints, ","))
	}
	return n.group.Start("kubelet", os.Stderr, 5*time.Second, append(args, dashed(n.cfg.KubeletArgs)...)...)
}

func (n *Node) startProxy(cred Credentials) error {
	args := []string{
		"--kubeconfig=" + cred.Proxy,
		"--hostname-override=" + n.cfg.NodeName,
		"--proxy-mode=iptables",
		"--cluster-cidr=" + n.cfg.ClusterCIDR,
		"--conntrack-max-per-core=0", "--conntrack-min=0",
		"--conntrack-tcp-timeout-established=0s", "--conntrack-tcp-timeout-close-wait=0s",
		"--healthz-bind-address=127.0.0.1:10256", "--metrics-bind-address=127.0.0.1:10249",
	}
	return n.group.Start("kube-proxy", os.Stderr, 3*time.Second, append(args, dashed(n.cfg.ProxyArgs)...)...)
}

// resolvConf gives the pods' resolver: the machine's, unless that only works on the machine itself.
func (n *Node) resolvConf() (string, error) {
	file := n.cfg.ResolvConf
	if file == "" {
		file = "/etc/resolv.conf"
	}
	data, _ := os.ReadFile(file)
	for _, line := range strings.Split(string(data), "\n") {
		f := strings.Fields(line)
		if len(f) > 1 && f[0] == "nameserver" && !strings.HasPrefix(f[1], "127.") && f[1] != "::1" {
			return file, nil
		}
	}
	own := n.agent("etc/resolv.conf")
	return own, os.WriteFile(own, []byte("nameserver 8.8.8.8\n"), 0o644)
}

// dashed turns key=value into --key=value.
func dashed(args []string) []string {
	out := make([]string, 0, len(args))
	for _, a := range args {
		out = append(out, "--"+strings.TrimLeft(a, "-"))
	}
	return out
}

func itoa(n int) string { return strconv.Itoa(n) }
