package node

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"text/template"
	"time"

	containerd "github.com/containerd/containerd/v2/client"
)

const (
	runDir      = "/run/k3s/containerd"
	socket      = runDir + "/containerd.sock"
	pauseImage  = "docker.io/rancher/mirrored-pause:3.10.2"
	dropinsName = "config-v3.toml.d"
)

var containerdConfig = template.Must(template.New("containerd").Parse(`# Written at each start; add to it with files in ` + dropinsName + `.
version = 3
root = {{printf "%q" .Root}}
state = {{printf "%q" .State}}
oom_score = 0
imports = [{{printf "%q" .Dropins}}]

[grpc]
  address = {{printf "%q" .Socket}}

[plugins.'io.containerd.internal.v1.opt']
  path = {{printf "%q" .Root}}

[plugins.'io.containerd.cri.v1.images']
  snapshotter = "overlayfs"
  disable_snapshot_annotations = true
  use_local_image_pull = true
  [plugins.'io.containerd.cri.v1.images'.pinned_images]
    sandbox = {{printf "%q" .Pause}}
  [plugins.'io.containerd.cri.v1.images'.registry]
    config_path = {{printf "%q" .CertsD}}
{{range .Auths}}  [plugins.'io.containerd.cri.v1.images'.registry.configs.{{printf "%q" .Host}}.auth]
    username = {{printf "%q" .Username}}
    password = {{printf "%q" .Password}}
    auth = {{printf "%q" .Auth}}
    identitytoken = {{printf "%q" .IdentityToken}}
{{end}}
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = {{.Confined}}
  disable_apparmor = {{not .AppArmor}}
  tolerate_missing_hugetlb_controller = true
  disable_hugetlb_controller = {{not .Hugetlb}}
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = [{{printf "%q" .Bin}}]
    conf_dir = {{printf "%q" .CNI}}
  [plugins.'io.containerd.cri.v1.runtime'.containerd]
    default_runtime_name = "runc"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
    BinaryName = {{printf "%q" .Runc}}
    SystemdCgroup = false
`))

// StartContainerd starts containerd and returns when it answers. Containers of an earlier run go on.
func (n *Node) StartContainerd(ctx context.Context) (*containerd.Client, error) {
	runc, err := exec.LookPath("runc")
	if err != nil {
		return nil, fmt.Errorf("runc: %w (Debian: apt-get install runc)", err)
	}
	registries, err := n.readRegistries()
	if err != nil {
		return nil, err
	}
	certsD := n.agent("etc/containerd/certs.d")
	if err := registries.writeHosts(certsD); err != nil {
		return nil, err
	}
	var buf bytes.Buffer
	if err := containerdConfig.Execute(&buf, map[string]any{
		"Root": n.agent("containerd"), "State": runDir, "Socket": socket, "Pause": pauseImage, "CertsD": certsD,
		"Dropins": filepath.Join(n.agent("etc/containerd"), dropinsName, "*.toml"),
		"Auths":   registries.auths(), "Bin": n.payload.Bin(), "CNI": n.cniDir(), "Runc": runc,
		"Confined": n.machine.confined, "AppArmor": n.machine.hasAppArmor, "Hugetlb": n.machine.hasHugetlb,
	}); err != nil {
		return nil, err
	}
	file := n.agent("etc/containerd/config.toml")
	if err := os.WriteFile(file, buf.Bytes(), 0o600); err != nil {
		return nil, err
	}
	out, err := os.OpenFile(n.agent("containerd/containerd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	if err := n.group.Start("containerd", out, 10*time.Second, "--config", file); err != nil {
		return nil, err
	}
	var client *containerd.Client
	err = waitFor(ctx, time.Minute, "containerd at "+socket, func() error {
		if client == nil {
			if client, err = containerd.New(socket, containerd.WithTimeout(time.Second), containerd.WithDefaultNamespace("k8s.io")); err != nil {
				client = nil
				return err
			}
		}
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		_, err := client.Version(short)
		return err
	})
	return client, err
}
