package server

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"

	"hks.dev/hks/test/k3s/internal/settings"
)

//go:embed manifests/*.yaml
var packaged embed.FS

const poll = 15 * time.Second

// A deployer applies the files in server/manifests. Removing a file removes nothing from the cluster, as in k3s.
type deployer struct {
	dir    string
	client dynamic.Interface
	mapper *restmapper.DeferredDiscoveryRESTMapper
	done   map[string]string // file -> content applied
}

func newDeployer(cfg *settings.Settings, f files, rc *rest.Config) (*deployer, error) {
	client, err := dynamic.NewForConfig(rc)
	if err != nil {
		return nil, err
	}
	disco, err := discovery.NewDiscoveryClientForConfig(rc)
	if err != nil {
		return nil, err
	}
	d := &deployer{
		dir: f.manifests(), client: client, done: map[string]string{},
		mapper: restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(disco)),
	}
	return d, d.writePackaged(cfg)
}

// writePackaged puts the packaged components' files into the folder, and takes disabled ones away.
func (d *deployer) writePackaged(cfg *settings.Settings) error {
	entries, err := packaged.ReadDir("manifests")
	if err != nil {
		return err
	}
	values := strings.NewReplacer("%{CLUSTER_DNS}%", cfg.ServiceIP(10), "%{STORAGE_PATH}%", cfg.StoragePath)
	for _, e := range entries {
		target := filepath.Join(d.dir, e.Name())
		if cfg.Disabled(strings.TrimSuffix(e.Name(), ".yaml")) {
			if err := os.Remove(target); err != nil && !os.IsNotExist(err) {
				return err
			}
			continue
		}
		data, err := packaged.ReadFile("manifests/" + e.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(target, []byte(values.Replace(string(data))), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// first applies everything once; what fails is tried again by keep.
func (d *deployer) first(ctx context.Context) error {
	d.pass(ctx)
	return ctx.Err()
}

func (d *deployer) keep(ctx context.Context) {
	every := time.NewTicker(poll)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
			d.pass(ctx)
		}
	}
}

func (d *deployer) pass(ctx context.Context) {
	var names []string
	for _, pattern := range []string{"*.yaml", "*.yml", "*.json", "*/*.yaml", "*/*.yml"} {
		found, _ := filepath.Glob(filepath.Join(d.dir, pattern))
		names = append(names, found...)
	}
	sort.Strings(names)
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil || d.done[name] == string(data) {
			continue
		}
		if _, err := os.Stat(name + ".skip"); err == nil {
			continue
		}
		if err := d.apply(ctx, data); err != nil {
			if ctx.Err() == nil {
				log.Printf("level=error msg=\"Failed to process config\" file=%s error=%q", name, err)
			}
			continue
		}
		d.done[name] = string(data)
	}
}

func (d *deployer) apply(ctx context.Context, data []byte) error {
	docs := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	var all error
	for {
		obj := &unstructured.Unstructured{}
		err := docs.Decode(&obj.Object)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			return errors.Join(all, err)
		}
		if len(obj.Object) > 0 {
			all = errors.Join(all, d.applyOne(ctx, obj))
		}
	}
}

func (d *deployer) applyOne(ctx context.Context, obj *unstructured.Unstructured) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	gvk := obj.GroupVersionKind()
	mapping, err := d.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	if meta.IsNoMatchError(err) {
		d.mapper.Reset() // its definition may just have been applied
		mapping, err = d.mapper.RESTMapping(gvk.GroupKind(), gvk.Version)
	}
	if err != nil {
		return err
	}
	var target dynamic.ResourceInterface = d.client.Resource(mapping.Resource)
	if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
		ns := obj.GetNamespace()
		if ns == "" {
			ns = "default"
		}
		target = d.client.Resource(mapping.Resource).Namespace(ns)
	}
	if _, err := target.Apply(ctx, obj.GetName(), obj, metav1.ApplyOptions{FieldManager: "deploy@k3s", Force: true}); err != nil {
		return fmt.Errorf("%s %s: %w", gvk.Kind, obj.GetName(), err)
	}
	return nil
}
