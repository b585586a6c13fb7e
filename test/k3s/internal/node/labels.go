package node

import (
	"context"
	"encoding/json"
	"log"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

// keepLabels sets the node's labels once it is registered; a start sets them again, and never takes one away.
func (n *Node) keepLabels(ctx context.Context, client kubernetes.Interface, roles map[string]string) {
	labels := map[string]string{}
	for _, l := range n.cfg.NodeLabels {
		k, v, _ := strings.Cut(l, "=")
		labels[k] = v
	}
	for k, v := range roles {
		labels[k] = v
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"labels": labels}})
	if err != nil || len(labels) == 0 {
		return
	}
	err = waitFor(ctx, 10*time.Minute, "the node's registration", func() error {
		_, err := client.CoreV1().Nodes().Patch(ctx, n.cfg.NodeName, types.StrategicMergePatchType, patch, metav1.PatchOptions{})
		return err
	})
	if err != nil && ctx.Err() == nil {
		log.Printf("level=error msg=\"setting the node's labels\" error=%q", err)
	}
}
