# The two commands: `make up` brings the appliance up on this machine and
# prints the login link; `make test` runs everything. CONTRIBUTING.md has the
# smaller ones.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
ROOT ?= /
CACHE := $(or $(HKS_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/hks)
COMMANDS := hks hks-agent hks-gateway hks-installer
GO_BUILD := go build -ldflags "-s -w -X main.version=$(VERSION)"
SANDBOX := bin/sandbox --

# The builder's daemon has a module of its own: in the product's it would ask
# for other versions of what the product is built with.
BUILDKIT_MODULE := packaging/buildkitd/go.mod
BUILDKIT_VERSION = $(shell go list -modfile=$(BUILDKIT_MODULE) -m -f '{{.Version}}' github.com/moby/buildkit)

# For builds and tests alike, so that they share what is compiled. nomsgpack
# leaves a large codec out of gin that nothing here speaks.
export GOFLAGS := -trimpath -tags=nomsgpack

.PHONY: build up down purge test lint unit cluster bench conformance k3s images samples prepare clean

build: ## Compile the commands into bin/.
	@mkdir -p bin
	@for command in $(COMMANDS); do echo "building $$command"; $(GO_BUILD) -o bin/ ./cmd/$$command; done
	@echo "building hks-buildkitd"
	@go build -modfile=$(BUILDKIT_MODULE) -ldflags "-s -w -X github.com/moby/buildkit/version.Version=$(BUILDKIT_VERSION)" \
		-o bin/hks-buildkitd github.com/moby/buildkit/cmd/buildkitd

prepare: ## Install the Debian packages that are needed.
	@scripts/prepare.sh scripts/apt-packages test/k3s/apt-packages

k3s: bin/k3s ## Provide the engine: HKS_K3S_BINARY, the verified release, or the stand-in.

images: build ## Make hks's own base images into bin/images, cached by content.
	@scripts/prepare.sh packaging/images/apt-packages
	@cd packaging/images && go run ./build --out $(CURDIR)/bin/images --cache $(CACHE)/images --buildkitd $(CURDIR)/bin/hks-buildkitd

samples: images ## Build, test and run an application of each kind with the base images.
	@HKS_IMAGES=$(CACHE)/images/layouts go test -count=1 -v -timeout 40m ./test/samples

bin/k3s: build FORCE
	@scripts/engine.sh $(CACHE) bin/k3s

up: prepare build k3s images ## Bring the appliance up on this machine and print the login link.
	@bin/hks-installer up --root $(ROOT) --from bin

# A bundle is one version as it is published. BUNDLE_KEY names the file of the
# private key it is signed with; a development key is made when there is none.
BUNDLE_KEY ?= $(CACHE)/bundle.key
BUNDLE := dist/bundle
BUNDLE_ARCH := $(shell go env GOARCH)

.PHONY: bundle
bundle: images k3s ## Pack a version into dist/: programs, engine, images, checksums, SBOM, signature.
	@rm -rf $(BUNDLE) && mkdir -p $(BUNDLE)/images
	@ln bin/hks bin/hks-agent bin/hks-gateway bin/hks-buildkitd $(BUNDLE)/
	@cp -L bin/k3s $(BUNDLE)/k3s
	@ln bin/images/*.tar $(BUNDLE)/images/
	@for images in bin/k3s-airgap-images-*.tar.zst; do [ ! -e "$$images" ] || cp -L "$$images" $(BUNDLE)/; done
	@bin/k3s --version | head -n 1 >$(BUNDLE)/ENGINE
	@key=$$(go run ./packaging/bundle -key $(BUNDLE_KEY) -public) && \
		go build -ldflags "-s -w -X main.version=$(VERSION) -X main.bundleKey=$$key" -o $(BUNDLE)/ ./cmd/hks-installer
	@go run ./packaging/bundle -key $(BUNDLE_KEY) -folder $(BUNDLE) -version $(VERSION) \
		-epoch $$(git log -1 --format=%ct) -out dist/hks-$(VERSION)-linux-$(BUNDLE_ARCH).tar.gz
	@echo $(VERSION) >dist/latest && cp scripts/install.sh dist/install.sh
	@ls -lh dist/*.tar.gz

# A deb's version begins with a digit.
PACKAGE_VERSION = $(shell echo $(VERSION) | sed -E 's/^v([0-9])/\1/; /^[0-9]/!s/^/0.0.0~/; s/-/+/g')
PACKAGE_ENV = PACKAGE_VERSION=$(PACKAGE_VERSION) PACKAGE_ARCH=$(BUNDLE_ARCH) PACKAGE_BUNDLE=$(BUNDLE) PACKAGE_MANUAL=dist/manual

.PHONY: packages packages-of-bundle
packages: bundle packages-of-bundle ## Make deb and rpm packages of the bundle into dist/.

packages-of-bundle: bin/nfpm
	@rm -rf dist/manual && mkdir -p dist/manual
	@go run ./packaging/manual -out dist/manual -version $(VERSION) -epoch $$(git log -1 --format=%ct)
	@gzip -9nc CHANGELOG.md >dist/manual/changelog.gz
	@for kind in deb rpm; do $(PACKAGE_ENV) bin/nfpm package --config nfpm.yaml --packager $$kind --target dist/; done

bin/nfpm: packaging/nfpm/go.mod packaging/nfpm/go.sum
	@mkdir -p bin
	@go build -modfile=packaging/nfpm/go.mod -o bin/nfpm github.com/goreleaser/nfpm/v2/cmd/nfpm

.PHONY: hosts
hosts: packages ## Install, restart, reboot and remove the appliance on hosts with systemd.
	@scripts/prepare.sh test/hosts/apt-packages
	@go test -c -o bin/hosts.test ./test/hosts
	@cd test/hosts && TMPDIR=/var/tmp HKS_DIST=$(CURDIR)/dist HKS_HOSTS_CACHE=$(CACHE) ../../bin/hosts.test -test.v -test.timeout 60m

down: ## Stop and remove what `make up` brought up; data stays.
	@bin/hks-installer down --root $(ROOT)

purge: ## `make down`, and remove the data too.
	@bin/hks-installer purge --root $(ROOT) --yes

# The cluster's tests wait most of their time; the screens' fill it.
test: prepare lint unit acme ## Run everything.
	@$(MAKE) --no-print-directory --jobs 2 screens cluster

lint: build
	@echo "lint: gofmt, vet, staticcheck, shellcheck"
	@files=$$(gofmt -l agent cmd installer packaging test ui); test -z "$$files" || { echo "not formatted: $$files"; exit 1; }
	@go vet ./...
	@go tool -modfile=test/tools/go.mod staticcheck ./...
	@shellcheck scripts/*.sh packaging/package/*.sh agent/api/join.sh .ci/run

unit: build browser
	@echo "unit: all packages, floors, command line"
	@go test ./...
	@cd test/k3s && go test -vet=off ./internal/settings ./internal/token ./internal/netpol ./internal/node

.PHONY: acme
acme: bin/pebble
	@echo "acme: certificates by a real authority"
	@HKS_TEST_PEBBLE=$(CURDIR)/bin go test -count=1 -run RealAuthority ./agent/gateway

# Let's Encrypt's test authority and its name server, at the versions of test/acme.
bin/pebble: test/acme/go.mod test/acme/go.sum
	@mkdir -p bin
	@cd test/acme && go build -o $(CURDIR)/bin/ github.com/letsencrypt/pebble/v2/cmd/pebble github.com/letsencrypt/pebble/v2/cmd/pebble-challtestsrv

.PHONY: screens
screens: browser bin/sandbox
	@echo "screens: the web screens in a browser, over a double of the API"
	@go build -o bin/apidouble ./test/apidouble
	@cd test/browser && HKS_APIDOUBLE=$(CURDIR)/bin/apidouble ../../$(SANDBOX) node --test --test-concurrency=1 screens.test.js assist.test.js scale.test.js settings.test.js

cluster: build k3s images bin/sandbox bin/pebble browser builder
	@echo "cluster: the appliance in a sandbox, its scenarios, the browser"
	@go test -c -o bin/cluster.test ./test/cluster
	@mkdir -p bin/next && go build -ldflags "-s -w -X main.version=v999.0.0" -o bin/next/ ./cmd/hks-agent ./cmd/hks-gateway
	@cd test/cluster && HKS_BIN=$(CURDIR)/bin HKS_ARTEFACTS=$(CURDIR)/test/artefacts \
		../../bin/sandbox --nat -- ../../bin/cluster.test -test.v -test.timeout 70m

.PHONY: builder
builder: build bin/sandbox
	@echo "builder: a real BuildKit daemon in a sandbox"
	@go test -c -o bin/buildkit.test ./agent/buildkit
	@HKS_TEST_BUILDKITD=$(CURDIR)/bin/hks-buildkitd $(SANDBOX) bin/buildkit.test -test.run Real -test.timeout 10m

.PHONY: s3
s3: ## Copies of backups, against a real S3 server of a module of its own.
	@mkdir -p bin
	@cd packaging/versitygw && CGO_ENABLED=0 go build -ldflags "-s -w" -o ../../bin/versitygw github.com/versity/versitygw/cmd/versitygw
	@HKS_TEST_S3_SERVER=$(CURDIR)/bin/versitygw go test -count=1 -run Real ./agent/s3

bench: build k3s images bin/sandbox
	@go test -c -o bin/bench.test ./test/bench
	@cd test/bench && HKS_BIN=$(CURDIR)/bin \
		../../bin/sandbox --nat -- ../../bin/bench.test -test.run '^$$' -test.bench . -test.benchtime 1x -test.timeout 30m

.PHONY: leaks
leaks: ## Score the detectors on generated days and public series; the seed is printed, HKS_SEED repeats one.
	@go test -count=1 -run '^$$' -bench 'Leaks|Series|Detectors|Kubelets' -benchtime 1x ./test/bench

conformance: ## Run the OCI distribution suite against the image registry.
	@HKS_CONFORMANCE=1 go test -count=1 -v ./test/conformance

bin/sandbox: FORCE
	@mkdir -p bin
	@go build -o bin/sandbox ./test/sandbox

.PHONY: browser
browser: ## Install what the browser tests need, cached by lock file.
	@scripts/node-modules.sh $(CACHE) test/browser

clean:
	@rm -rf bin dist test/artefacts test/browser/node_modules

FORCE:
