package main

import "runtime"

// An image is one folder of this module with a Dockerfile.
type image struct {
	name, tag string
	npm       map[string]string // file beside the Dockerfile -> npm package it is
	toolchain bool              // go.tar is needed
	from      string            // image it is made of; default the base
	runtime   bool              // the runtime of functions is needed
	service   bool              // the program of ./service is its entry point
	gateway   bool              // the object store's server is needed
}

// images are all images; the first is the base of the others.
var images = []image{
	{name: "base", tag: "13"},
	{name: "node", tag: "24", npm: map[string]string{
		"node.tgz": "node-linux-" + npmArch(), "npm.tgz": "npm", "pnpm.tgz": "pnpm", "yarn.tgz": "yarn",
	}},
	{name: "python", tag: "3.13"},
	{name: "go", tag: "1.26", toolchain: true},
	{name: "static", tag: "1"},
	{name: "fn-node", tag: "24", from: "node", runtime: true},
	{name: "fn-python", tag: "3.13", from: "python", runtime: true},
	{name: "fn-go", tag: "1", runtime: true},
	{name: "postgres", tag: "17", service: true},
	{name: "mariadb", tag: "11.8", service: true},
	{name: "valkey", tag: "8", service: true},
	{name: "rabbitmq", tag: "4", service: true},
	{name: "s3", tag: "1", service: true, gateway: true},
}

func npmArch() string {
	if runtime.GOARCH == "amd64" {
		return "x64"
	}
	return runtime.GOARCH
}

// parent is the image that it is made of.
func (i image) parent() image {
	for _, other := range images {
		if other.name == i.from {
			return other
		}
	}
	return images[0]
}

// reference is the image's name in the appliance's registry.
func (i image) reference() string { return "registry.hks.internal/hks/" + i.name + ":" + i.tag }

// file is the image's name as part of a path.
func (i image) file() string { return i.name + "-" + i.tag }
