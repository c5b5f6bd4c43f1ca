# Coxswain is built into bin/: cox itself, its CNI plugin, and the engine that
# it ships: containerd, its shim and runc at the versions pinned in tools/*/go.mod,
# and a pause image of our own.
#
#   make         build everything that has changed
#   make deps    install the Debian packages that the build and the node need
#   make clean   delete what was built

SHELL := /bin/bash
.DELETE_ON_ERROR:

# The newest toolchain wins over an older one that Debian packaged (make deps).
export PATH := $(CURDIR)/bin/go/bin:$(PATH)
GO ?= go

BIN := bin
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
pinned = $(shell sed -nE 's!^\s*(require )?$(2) (v[^ ]+).*!\2!p' tools/$(1)/go.mod)
CONTAINERD_MODULE := github.com/containerd/containerd/v2
CONTAINERD_VERSION := $(call pinned,containerd,$(CONTAINERD_MODULE))
RUNC_VERSION := $(call pinned,runc,github.com/opencontainers/runc)
PAUSE_IMAGE := coxswain.dev/pause:1

.PHONY: all
all: $(BIN)/cox $(BIN)/cox-cni $(BIN)/containerd $(BIN)/containerd-shim-runc-v2 $(BIN)/runc $(BIN)/pause.tar

# Every build says what it makes and how long that took.
timed = @mkdir -p $(BIN); start=$$(date +%s%N); printf '%-28s ' '$@'; \
	$(1) && printf '%d.%03d s\n' $$((($$(date +%s%N)-start)/1000000000)) $$((($$(date +%s%N)-start)/1000000%1000))

# --- our own programs

sources = $(shell find $(1) -name '*.go' -not -name '*_test.go' 2>/dev/null)
STAMP := -X main.version=$(VERSION) \
	-X coxswain.dev/cox/internal/cri.ContainerdVersion=$(CONTAINERD_VERSION) \
	-X coxswain.dev/cox/internal/cri.RuncVersion=$(RUNC_VERSION)

# Holds the stamp of the last build, so that a new commit or pin rebuilds cox.
$(BIN)/.stamp: FORCE
	@mkdir -p $(BIN); echo '$(STAMP)' | cmp -s - $@ || echo '$(STAMP)' > $@

$(BIN)/cox: $(call sources,cmd/cox internal) go.mod go.sum $(BIN)/.stamp
	$(call timed,CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w $(STAMP)' -o $@ ./cmd/cox)

$(BIN)/cox-cni: $(call sources,cmd/cox-cni internal/cni) go.mod go.sum
	$(call timed,CGO_ENABLED=0 $(GO) build -trimpath -ldflags '-s -w' -o $@ ./cmd/cox-cni)

# --- the engine

# What our configuration never uses is left out.
CONTAINERD_TAGS := urfave_cli_no_docs osusergo netgo static_build no_btrfs no_zfs no_devmapper no_tracing
CONTAINERD_STAMP := -s -w -X $(CONTAINERD_MODULE)/version.Version=$(CONTAINERD_VERSION) -X $(CONTAINERD_MODULE)/version.Package=$(CONTAINERD_MODULE)

$(BIN)/containerd: tools/containerd/go.mod tools/containerd/go.sum
	$(call timed,CGO_ENABLED=0 $(GO) -C tools/containerd build -trimpath -tags '$(CONTAINERD_TAGS)' \
		-ldflags '$(CONTAINERD_STAMP)' -o ../../$@ $(CONTAINERD_MODULE)/cmd/containerd)

$(BIN)/containerd-shim-runc-v2: tools/containerd-shim-runc-v2/go.mod tools/containerd-shim-runc-v2/go.sum
	$(call timed,CGO_ENABLED=0 $(GO) -C tools/containerd-shim-runc-v2 build -trimpath -tags '$(CONTAINERD_TAGS) no_grpc' \
		-ldflags '$(CONTAINERD_STAMP)' -o ../../$@ $(CONTAINERD_MODULE)/cmd/containerd-shim-runc-v2)

# runc enters namespaces in C and filters system calls with libseccomp, both
# linked in statically.
$(BIN)/runc: tools/runc/go.mod tools/runc/go.sum
	@[ -e "$$(pkg-config --variable=libdir libseccomp 2>/dev/null)/libseccomp.a" ] || \
		{ echo 'runc is built with libseccomp, which is not installed. Run: make deps' >&2; exit 1; }
	$(call timed,CGO_ENABLED=1 $(GO) -C tools/runc build -trimpath -tags 'seccomp urfave_cli_no_docs netgo osusergo' \
		-ldflags '-s -w -linkmode external -extldflags -static' -o ../../$@ github.com/opencontainers/runc)

PAUSE_CFLAGS := -Os -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables \
	-fno-pie -no-pie -static -nostdlib -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,norelro -s

$(BIN)/pause: tools/pause/pause.c
	$(call timed,$(CC) $(PAUSE_CFLAGS) -o $@ $<)

$(BIN)/pause.tar: $(BIN)/pause tools/pause/pack/main.go
	$(call timed,CGO_ENABLED=0 $(GO) run ./tools/pause/pack $(PAUSE_IMAGE) $(BIN)/pause $@)

# --- the machine

.PHONY: deps
deps:
	@hack/deps

.PHONY: clean
clean:
	rm -rf $(BIN)

.PHONY: FORCE
FORCE:
