# Coxswain is built into bin/: cox itself, its CNI plugin, and the engine that
# it ships: containerd, its shim and runc at the versions pinned in tools/*/go.mod,
# and a pause image of our own.
#
#   make         build everything that has changed
#   make demo    build, start, roll the sample application out, update it under load
#   make test    build, and pass all tests (as root)
#   make bench   measure whole instances
#   make bench-net  measure what Services cost beside Pods' own addresses
#   make soak-traffic  send requests for as long as wanted while everything changes
#   make soak    try the controllers against faults: SEEDS=1000000 TIME=10m FROM=1
#   make search  try all interleavings of small rollouts: REPLICAS=4 REVISIONS=3 EXACT=2
#   make mutants show which mistakes in the cores the tests would not see
#   make install put it below /usr/local, with a systemd unit
#   make deps    install the Debian packages that the build and the node need
#   make clean   delete what was built

SHELL := /bin/bash
.DELETE_ON_ERROR:

# The newest toolchain wins over an older one that Debian packaged (make deps).
export PATH := $(CURDIR)/bin/go/bin:$(PATH)
GO ?= go
# Everything but runc is without C, tests too: one compilation serves all.
export CGO_ENABLED := 0

BIN := bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

.PHONY: all
all: $(BIN)/cox $(BIN)/cox-cni $(BIN)/containerd $(BIN)/containerd-shim-runc-v2 $(BIN)/runc $(BIN)/pause.tar $(BIN)/http-go.tar

# Every build says what it makes and how long that took.
timed = @mkdir -p $(BIN); start=$$(date +%s%N); printf '%-28s ' '$@'; \
	$(1) && printf '%d.%03d s\n' $$((($$(date +%s%N)-start)/1000000000)) $$((($$(date +%s%N)-start)/1000000%1000))

# The Debian packages are looked for once, and after a change of the list.
$(BIN)/.deps: hack/deps
	@mkdir -p $(BIN) && hack/deps && touch $@

# --- the engine

include tools/engine.mk

# --- our own programs
#
# Without -trimpath: it would have everything compiled once more than `go test`
# does, which is minutes.

sources = $(shell find $(1) -name '*.go' -not -name '*_test.go' 2>/dev/null)
# What the kubectl that is built in says it is: as the API server does.
KUBERNETES := $(shell sed -nE 's/^const Version = "(.*)"/\1/p' internal/apiserver/config.go)
STAMP := -X main.version=$(VERSION) -X k8s.io/component-base/version.gitVersion=$(KUBERNETES) \
	-X coxswain.dev/cox/internal/cri.ContainerdVersion=$(CONTAINERD_VERSION) \
	-X coxswain.dev/cox/internal/cri.RuncVersion=$(RUNC_VERSION)

# Holds the stamp of the last build, so that a new commit or pin rebuilds cox.
$(BIN)/.stamp: FORCE
	@mkdir -p $(BIN); echo '$(STAMP)' | cmp -s - $@ || echo '$(STAMP)' > $@

$(BIN)/cox: $(call sources,cmd/cox internal) go.mod go.sum $(BIN)/.stamp | $(BIN)/.deps
	$(call timed,CGO_ENABLED=0 $(GO) build -ldflags '-s -w $(STAMP)' -o $@ ./cmd/cox)

$(BIN)/cox-cni: $(call sources,cmd/cox-cni internal/cni) go.mod go.sum | $(BIN)/.deps
	$(call timed,CGO_ENABLED=0 $(GO) build -ldflags '-s -w' -o $@ ./cmd/cox-cni)

# The sample application, as images that need no registry.
$(BIN)/http-go: $(call sources,examples/http-go) go.mod go.sum | $(BIN)/.deps
	$(call timed,CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $@ ./examples/http-go)

$(BIN)/http-go.tar: $(BIN)/http-go
	$(call timed,CGO_ENABLED=0 $(GO) run ./examples/http-go/pack $(BIN)/http-go $@)

# --- running it

# Flags of `cox up`, such as --data-dir=/tmp/cox.
FLAGS ?=
.PHONY: demo
demo: all
	@CGO_ENABLED=0 $(GO) run ./examples/demo $(FLAGS)

.PHONY: test
test: all
	CGO_ENABLED=0 $(GO) vet ./...
	CGO_ENABLED=0 $(GO) test -timeout 20m ./...

# How long requests are sent while everything changes: make soak-traffic FOR=1h.
FOR ?= 10m
.PHONY: soak-traffic
soak-traffic: all
	CGO_ENABLED=0 $(GO) test -v -timeout 0 -run 'NoNewConnection|ThroughAnIngress' ./test/traffic -traffic $(FOR)

BENCH ?= .
.PHONY: bench
bench: all
	CGO_ENABLED=0 $(GO) test -run '^$$' -bench '$(BENCH)' -benchtime 1x -timeout 30m ./test/bench

# With 1, 1,000 and 20,000 Services: first packet, connections a second, throughput,
# changes of rules; and from a Pod's readiness to its first request.
.PHONY: bench-net
bench-net: all
	CGO_ENABLED=0 $(GO) test -run '^$$' -bench 'FirstPacket|Connect$$' -benchtime 1000x -timeout 30m ./internal/proxy
	CGO_ENABLED=0 $(GO) test -run '^$$' -bench 'ConnectionRate|Throughput|Replace|Scale' -benchtime 30x -timeout 30m ./internal/proxy
	CGO_ENABLED=0 $(GO) test -run '^$$' -bench 'ReadyToFirst' -benchtime 1x -timeout 30m ./test/bench

# Schedules of the simulator, from the seed FROM on, until SEEDS are done or TIME
# is over. A failure names its seed.
SEEDS ?= 1000000000
TIME ?= 10m
FROM ?= 1
.PHONY: soak
soak:
	$(GO) test ./internal/sim -run TestSoak -v -timeout 0 -args -soak $(TIME) -schedules $(SEEDS) -seed $(FROM)

# All interleavings of small rollouts with one crash and one stale read: what
# decisions read for up to REPLICAS and REVISIONS, everything for up to EXACT
# replicas. STATES bounds each setting.
REPLICAS ?= 4
REVISIONS ?= 3
EXACT ?= 2
STATES ?= 0
.PHONY: search
search:
	$(GO) test ./internal/sim -run TestSearch -v -timeout 0 -args -replicas $(REPLICAS) -revisions $(REVISIONS) -exact $(EXACT) -states $(STATES)

# Words that choose mutants, or packages: MUTANTS='-v ./internal/rollout', or
# those mistakes only that Kubernetes has made: MUTANTS=-historic.
MUTANTS ?=
.PHONY: mutants
mutants:
	$(GO) run ./tools/mutants $(MUTANTS)

# --- the machine

.PHONY: deps
deps:
	@hack/deps && echo 'deps: everything is there'

# cox finds its engine beside itself, wherever the link to it is.
PREFIX ?= /usr/local
.PHONY: install
install: all
	install -d $(DESTDIR)$(PREFIX)/lib/coxswain $(DESTDIR)$(PREFIX)/bin $(DESTDIR)/etc/systemd/system
	install -m 755 $(addprefix $(BIN)/,cox cox-cni containerd containerd-shim-runc-v2 runc) $(DESTDIR)$(PREFIX)/lib/coxswain
	install -m 644 $(BIN)/pause.tar $(DESTDIR)$(PREFIX)/lib/coxswain
	ln -sf ../lib/coxswain/cox $(DESTDIR)$(PREFIX)/bin/cox
	sed 's!/usr/local!$(PREFIX)!' contrib/systemd/coxswain.service > $(DESTDIR)/etc/systemd/system/coxswain.service

.PHONY: clean
clean:
	rm -rf $(BIN)

.PHONY: FORCE
FORCE:
