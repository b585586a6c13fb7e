package server

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"hks.dev/hks/test/k3s/internal/settings"
	"hks.dev/hks/test/k3s/internal/token"
)

const (
	tokenPrefix = "bootstrap-token-"
	tokenType   = "bootstrap.kubernetes.io/token"
)

// Token runs `k3s token create|list|delete`.
func Token(args []string, out io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("usage: k3s token create|list|delete")
	}
	fs := flag.NewFlagSet("k3s token "+args[0], flag.ContinueOnError)
	kubeconfig := fs.String("kubeconfig", or(os.Getenv("KUBECONFIG"), "/etc/rancher/k3s/k3s.yaml"), "server to connect to")
	dataDir := fs.String("data-dir", "", "folder to hold state")
	ttl := fs.Duration("ttl", 24*time.Hour, "the token's life; 0 means forever")
	description := fs.String("description", "", "what the token is for")
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	rc, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(rc)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	switch args[0] {
	case "create":
		return createToken(ctx, client, fs.Arg(0), *dataDir, *description, *ttl, rc.CAData, out)
	case "list":
		return listTokens(ctx, client, out)
	case "delete":
		return deleteTokens(ctx, client, fs.Args(), out)
	}
	return fmt.Errorf("unknown command %q; the commands are create, list and delete", args[0])
}

func createToken(ctx context.Context, client kubernetes.Interface, wanted, dataDir, description string, ttl time.Duration, ca []byte, out io.Writer) error {
	id, secret := token.NewBootstrap()
	if wanted != "" {
		t, err := token.Parse(wanted)
		if err != nil {
			return err
		}
		if id, secret, err = token.SplitBootstrap(t.Secret); err != nil {
			return err
		}
	}
	if len(ca) == 0 {
		cfg, err := settings.Load(settings.Server, dirArgs(dataDir), os.Getenv)
		if err != nil {
			return err
		}
		if ca, err = os.ReadFile(newFiles(cfg).tls("server-ca.crt")); err != nil {
			return err
		}
	}
	data := map[string]string{
		"token-id": id, "token-secret": secret, "description": description,
		"usage-bootstrap-authentication": "true", "usage-bootstrap-signing": "true",
		"auth-extra-groups": "system:bootstrappers:k3s:default-node-token",
	}
	if ttl > 0 {
		data["expiration"] = time.Now().Add(ttl).UTC().Format(time.RFC3339)
	}
	_, err := client.CoreV1().Secrets("kube-system").Create(ctx, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: tokenPrefix + id, Namespace: "kube-system"}, Type: tokenType, StringData: data,
	}, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(out, token.Format(ca, "", id+"."+secret))
	return err
}

func listTokens(ctx context.Context, client kubernetes.Interface, out io.Writer) error {
	list, err := client.CoreV1().Secrets("kube-system").List(ctx, metav1.ListOptions{FieldSelector: "type=" + tokenType})
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(out, 10, 4, 3, ' ', 0)
	fmt.Fprintln(w, "TOKEN\tTTL\tEXPIRES\tUSAGES\tDESCRIPTION")
	for _, s := range list.Items {
		life, expires := "<forever>", "<never>"
		if at, err := time.Parse(time.RFC3339, string(s.Data["expiration"])); err == nil {
			expires, life = at.Format(time.RFC3339), time.Until(at).Round(time.Second).String()
			if time.Now().After(at) {
				life = "<invalid>"
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", s.Data["token-id"], life, expires, "authentication,signing", or(string(s.Data["description"]), "<none>"))
	}
	return w.Flush()
}

func deleteTokens(ctx context.Context, client kubernetes.Interface, names []string, out io.Writer) error {
	if len(names) == 0 {
		return fmt.Errorf("missing argument; a token or its id is wanted")
	}
	for _, name := range names {
		t, err := token.Parse(name)
		if err != nil {
			return err
		}
		id, _, _ := strings.Cut(t.Secret, ".")
		if err := client.CoreV1().Secrets("kube-system").Delete(ctx, tokenPrefix+id, metav1.DeleteOptions{}); err != nil {
			return err
		}
		fmt.Fprintf(out, "bootstrap token %q deleted\n", id)
	}
	return nil
}

func dirArgs(dir string) []string {
	if dir == "" {
		return nil
	}
	return []string{"--data-dir", dir}
}

func or(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
