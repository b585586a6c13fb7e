package pki

import (
	"os"

	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/clientcmd/api"
)

// Kubeconfig writes a kubeconfig with everything in it.
func Kubeconfig(file, url string, ca []byte, user api.AuthInfo, mode os.FileMode) error {
	cfg := api.NewConfig()
	cfg.Clusters["default"] = &api.Cluster{Server: url, CertificateAuthorityData: ca}
	cfg.AuthInfos["default"] = &user
	cfg.Contexts["default"] = &api.Context{Cluster: "default", AuthInfo: "default"}
	cfg.CurrentContext = "default"
	data, err := clientcmd.Write(*cfg)
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, data, mode); err != nil {
		return err
	}
	return os.Chmod(file, mode)
}

// ClientUser is the user of a client certificate, embedded.
func ClientUser(p Pair) (api.AuthInfo, error) {
	cert, err := os.ReadFile(p.Cert)
	if err != nil {
		return api.AuthInfo{}, err
	}
	key, err := os.ReadFile(p.Key)
	return api.AuthInfo{ClientCertificateData: cert, ClientKeyData: key}, err
}
