package k3s

import (
	"fmt"

	"go.yaml.in/yaml/v3"
)

// Registries is how containerd reaches image registries: k3s's registries.yaml.
type Registries struct {
	Mirrors map[string]Mirror         `yaml:"mirrors,omitempty"` // by the host in image names
	Configs map[string]RegistryConfig `yaml:"configs,omitempty"` // by the host of an endpoint
}

// Mirror says where a registry really is.
type Mirror struct {
	Endpoint []string          `yaml:"endpoint,omitempty"` // URLs, tried in order
	Rewrite  map[string]string `yaml:"rewrite,omitempty"`  // regular expression to replacement, of repository names
}

// RegistryConfig says how to speak to a registry.
type RegistryConfig struct {
	Auth *RegistryAuth `yaml:"auth,omitempty"`
	TLS  *RegistryTLS  `yaml:"tls,omitempty"`
}

// RegistryAuth is who pulls.
type RegistryAuth struct {
	Username string `yaml:"username,omitempty"`
	Password string `yaml:"password,omitempty"`
}

// RegistryTLS is whom to trust.
type RegistryTLS struct {
	CAFile             string `yaml:"ca_file,omitempty"`
	CertFile           string `yaml:"cert_file,omitempty"`
	KeyFile            string `yaml:"key_file,omitempty"`
	InsecureSkipVerify bool   `yaml:"insecure_skip_verify,omitempty"`
}

// WriteRegistries writes the registry settings and tells whether they changed.
// k3s reads them when it starts: the next Start restarts it if need be.
func (e *Engine) WriteRegistries(r Registries) (changed bool, err error) {
	data, err := yaml.Marshal(r)
	if err != nil {
		return false, fmt.Errorf("writing registry settings: %w", err)
	}
	changed, err = writeFile(e.cfg.RegistriesFile, append([]byte("# Written by hks.\n"), data...))
	if err != nil {
		return false, fmt.Errorf("writing registry settings: %w", err)
	}
	return changed, nil
}
