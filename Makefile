# Copyright The Kaeru Authors.
# SPDX-License-Identifier: Apache-2.0

SHELL := /usr/bin/env bash -o pipefail
.SHELLFLAGS := -ec
.DEFAULT_GOAL := help

IMG ?= kaeru:latest
PACKAGES ?= ./...
# A package with many databases or a crash test takes minutes under the race detector on two cores.
# SQLite is C that was translated. Its memory is not Go's, so the race detector sees nothing there, and
# takes four fifths of the time of tests that use it: all but that one package is looked at.
TEST_FLAGS ?= -race -gcflags=modernc.org/sqlite/lib=-race=false -timeout 20m
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS = -s -w -X github.com/kaeru-dev/kaeru/internal/version.version=$(VERSION) \
	-X github.com/kaeru-dev/kaeru/internal/version.commit=$(COMMIT)

##@ Start here

.PHONY: help
help: ## Show this.
	@awk 'BEGIN { FS = ":.*##" } \
		/^##@/ { printf "\n\033[1m%s\033[0m\n", substr($$0, 5) } \
		/^[a-z-]+:.*##/ { printf "  \033[36m%-15s\033[0m%s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# The demo is compiled as bin/kaeru is, so that no package is compiled twice.
.PHONY: demo
demo: build ## Bring up a whole Kaeru with a made-up shop, on this machine alone. DEMO=once ends by itself.
	CGO_ENABLED=0 go run -trimpath ./hack/demo

.PHONY: build
build: ## Build bin/kaeru, a static program.
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/kaeru ./cmd/kaeru

.PHONY: run
run: build ## Run the manager on SQLite, against the cluster of the current kubeconfig.
	@mkdir -p .cache
	bin/kaeru manager --store sqlite://$(CURDIR)/.cache/kaeru.db --gateway-address 127.0.0.1:8080 --public-url http://127.0.0.1:8080

##@ Develop

.PHONY: test
test: deps ## Run all tests, with the race detector. PACKAGES=./internal/store narrows it.
	@hack/controlplane/build.sh >/dev/null
	go test $(TEST_FLAGS) $(PACKAGES)

.PHONY: verify
verify: ## Run every other check: generated files, lint, licence headers, manifests, chart, go.mod.
	@hack/verify.sh

.PHONY: generate
generate: ## Write deep copies, CRDs, RBAC, the chart's CRDs and docs/api.md from the Go types.
	@hack/generate.sh

.PHONY: lint
lint: ## Run golangci-lint, with kube-api-linter for the API types.
	@hack/verify.sh lint

.PHONY: fmt
fmt: ## Format the Go code.
	"$$(hack/tools/build.sh golangci-lint)" fmt

.PHONY: tidy
tidy: ## Tidy go.mod.
	go mod tidy

.PHONY: bench
bench: ## Run the benchmarks. PACKAGES=./internal/audience BENCH=Refresh narrows it.
	go test -run '^$$' -bench '$(or $(BENCH),.)' -benchmem -timeout 60m $(PACKAGES)

.PHONY: bench-scenarios
bench-scenarios: deps ## Measure ticks among 1,000,000 who are enrolled, and the planning of 100,000 messages.
	go test ./internal/dispatch -run '^$$' -bench '^BenchmarkTick$$|PlanRun' -benchtime 1x -timeout 60m

.PHONY: check-providers
check-providers: ## Hold what is sent to LINE and Twilio against their OpenAPI descriptions. OPENAPI=DIR holds them.
	@go run ./hack/checkproviders $(OPENAPI)

# FLAGS=-h shows what there is to choose.
.PHONY: bench-segments
bench-segments: deps ## Measure segments against SQL by hand over 1,000,000 customers. FLAGS="-customers 50000" for fewer.
	go run ./hack/segmentbench $(FLAGS)

.PHONY: bench-dispatch
bench-dispatch: deps ## Measure mails and pushes a second against the bare clients. FLAGS="-messages 10000,1000000" for more, -h for the rest.
	go run ./hack/dispatchbench $(FLAGS)

.PHONY: bench-gateway
bench-gateway: deps ## Measure how many tracked calls the gateway takes, also while PostgreSQL restarts. FLAGS=-h shows what there is to choose.
	go run ./hack/gatewaybench $(FLAGS)

# FLAGS="-faults kill,fail-over" plays these alone; FLAGS=-h shows what there is to choose.
.PHONY: chaos
chaos: deps ## Play rounds in which everything fails, and count what became of each message. ROUNDS=100 SEED=1 FLAGS="-o json"
	@hack/controlplane/build.sh >/dev/null
	go run ./hack/chaos -rounds $(or $(ROUNDS),10) $(if $(SEED),-seed $(SEED)) $(FLAGS)

.PHONY: deps
deps: ## Install what the tests need beside Go (PostgreSQL's programs, Node.js, Chromium), or say what to install.
	@hack/deps.sh

##@ Install

.PHONY: docker-build
docker-build: ## Build the image. IMG=registry/kaeru:tag names it.
	docker build --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) -t $(IMG) .

.PHONY: install
install: ## Install the CRDs into the cluster of the current kubeconfig.
	kubectl apply --server-side -k config/crd

.PHONY: uninstall
uninstall: ## Remove the CRDs, and with them every Segment, Scenario and ChannelConfig.
	kubectl delete --ignore-not-found -k config/crd

.PHONY: deploy
deploy: ## Install Kaeru into the cluster of the current kubeconfig.
	kubectl apply --server-side -k config/default

.PHONY: undeploy
undeploy: ## Remove what deploy installed, the CRDs included.
	kubectl delete --ignore-not-found -k config/default
