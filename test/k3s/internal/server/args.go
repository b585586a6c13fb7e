package server

import (
	"os"
	"strings"
)

const issuer = "https://kubernetes.default.svc.cluster.local"

func (r *runner) apiserverArgs(f files) []string {
	advertise := r.cfg.AdvertiseAddress
	if advertise == "" {
		advertise = r.node.IP()
	}
	args := map[string]string{
		"advertise-address":                  advertise,
		"allow-privileged":                   "true",
		"anonymous-auth":                     "false",
		"api-audiences":                      issuer + ",k3s",
		"authorization-mode":                 "Node,RBAC",
		"bind-address":                       r.cfg.BindAddress,
		"client-ca-file":                     f.tls("client-ca.crt"),
		"enable-admission-plugins":           "NodeRestriction",
		"enable-aggregator-routing":          "true",
		"enable-bootstrap-token-auth":        "true",
		"etcd-servers":                       "unix://" + f.socket(),
		"kubelet-client-certificate":         f.tls("client-kube-apiserver.crt"),
		"kubelet-client-key":                 f.tls("client-kube-apiserver.key"),
		"kubelet-preferred-address-types":    "InternalIP,ExternalIP,Hostname",
		"profiling":                          "false",
		"proxy-client-cert-file":             f.tls("client-auth-proxy.crt"),
		"proxy-client-key-file":              f.tls("client-auth-proxy.key"),
		"requestheader-allowed-names":        "system:auth-proxy",
		"requestheader-client-ca-file":       f.tls("request-header-ca.crt"),
		"requestheader-extra-headers-prefix": "X-Remote-Extra-",
		"requestheader-group-headers":        "X-Remote-Group",
		"requestheader-username-headers":     "X-Remote-User",
		"secure-port":                        r.cfg.Port,
		"service-account-issuer":             issuer,
		"service-account-key-file":           f.tls("service.key"),
		"service-account-signing-key-file":   f.tls("service.key"),
		"service-cluster-ip-range":           r.cfg.ServiceCIDR,
		"service-node-port-range":            "30000-32767",
		"storage-backend":                    "etcd3",
		"tls-cert-file":                      f.tls("serving-kube-apiserver.crt"),
		"tls-private-key-file":               f.tls("serving-kube-apiserver.key"),
		"token-auth-file":                    f.cred("passwd"),
	}
	if _, err := os.Stat(f.cred("encryption-config.json")); err == nil {
		args["encryption-provider-config"] = f.cred("encryption-config.json")
	}
	return flags(args, r.cfg.APIServerArgs)
}

func (r *runner) controllerArgs(f files) []string {
	kubeconfig := f.cred("controller.kubeconfig")
	return flags(map[string]string{
		"allocate-node-cidrs":       "true",
		"authentication-kubeconfig": kubeconfig,
		"authorization-kubeconfig":  kubeconfig,
		"bind-address":              "127.0.0.1",
		"cluster-cidr":              r.cfg.ClusterCIDR,
		"cluster-signing-kube-apiserver-client-cert-file": f.tls("client-ca.crt"),
		"cluster-signing-kube-apiserver-client-key-file":  f.tls("client-ca.key"),
		"cluster-signing-kubelet-client-cert-file":        f.tls("client-ca.crt"),
		"cluster-signing-kubelet-client-key-file":         f.tls("client-ca.key"),
		"cluster-signing-kubelet-serving-cert-file":       f.tls("server-ca.crt"),
		"cluster-signing-kubelet-serving-key-file":        f.tls("server-ca.key"),
		"cluster-signing-legacy-unknown-cert-file":        f.tls("server-ca.crt"),
		"cluster-signing-legacy-unknown-key-file":         f.tls("server-ca.key"),
		"controllers":                      "*,tokencleaner",
		"kubeconfig":                       kubeconfig,
		"leader-elect":                     "false",
		"profiling":                        "false",
		"root-ca-file":                     f.tls("server-ca.crt"),
		"service-account-private-key-file": f.tls("service.key"),
		"service-cluster-ip-range":         r.cfg.ServiceCIDR,
		"use-service-account-credentials":  "true",
	}, r.cfg.ControllerArgs)
}

func (r *runner) schedulerArgs(f files) []string {
	kubeconfig := f.cred("scheduler.kubeconfig")
	return flags(map[string]string{
		"authentication-kubeconfig": kubeconfig,
		"authorization-kubeconfig":  kubeconfig,
		"bind-address":              "127.0.0.1",
		"kubeconfig":                kubeconfig,
		"leader-elect":              "false",
		"profiling":                 "false",
	}, r.cfg.SchedulerArgs)
}

// flags turns settings into flags; the extra ones come last, and win.
func flags(args map[string]string, extra []string) []string {
	var out []string
	for name, value := range args {
		if value != "" {
			out = append(out, "--"+name+"="+value)
		}
	}
	for _, e := range extra {
		out = append(out, "--"+strings.TrimLeft(e, "-"))
	}
	return out
}
