package main

import (
	"debug/buildinfo"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
)

// sbomFile is the bill of materials, in CycloneDX's JSON form.
const sbomFile = "sbom.cdx.json"

type sbom struct {
	Format     string      `json:"bomFormat"`
	Spec       string      `json:"specVersion"`
	Version    int         `json:"version"`
	Metadata   metadata    `json:"metadata"`
	Components []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type    string `json:"type"`
	Ref     string `json:"bom-ref,omitempty"`
	Name    string `json:"name"`
	Version string `json:"version,omitempty"`
	PURL    string `json:"purl,omitempty"`
}

// writeSBOM lists the Go modules that the linker recorded in the programs of
// folder, and the Go releases they were built with.
func writeSBOM(folder, version string) error {
	programs, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		return fmt.Errorf("listing modules: %w", err)
	}
	found := map[string]component{}
	for _, program := range programs {
		info, err := buildinfo.ReadFile(program)
		if err != nil {
			continue // a folder or no Go program
		}
		name := filepath.Base(program)
		found["app/"+name] = component{Type: "application", Ref: "app/" + name, Name: name, Version: version}
		add(found, "stdlib", info.GoVersion)
		for _, module := range info.Deps {
			addModule(found, module)
		}
	}
	if len(found) == 0 {
		return fmt.Errorf("listing modules: there is no Go program in %s", folder)
	}
	bill := sbom{Format: "CycloneDX", Spec: "1.5", Version: 1, Metadata: metadata{component{Type: "application", Name: "hks", Version: version}}}
	for _, ref := range slices.Sorted(maps.Keys(found)) {
		bill.Components = append(bill.Components, found[ref])
	}
	data, err := json.MarshalIndent(bill, "", " ")
	if err != nil {
		return fmt.Errorf("listing modules: %w", err)
	}
	if err := os.WriteFile(filepath.Join(folder, sbomFile), append(data, '\n'), 0o644); err != nil {
		return fmt.Errorf("listing modules: %w", err)
	}
	return nil
}

func addModule(found map[string]component, module *debug.Module) {
	if module.Replace != nil {
		module = module.Replace
	}
	add(found, module.Path, module.Version)
}

func add(found map[string]component, path, version string) {
	purl := "pkg:golang/" + path + "@" + version
	found[purl] = component{Type: "library", Ref: purl, Name: path, Version: version, PURL: purl}
}
