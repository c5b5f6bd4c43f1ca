# How the engine is built: included by the Makefile, and a reason to build the
# engine anew when it changes.

pinned = $(shell sed -nE 's!^\s*(require )?$(2) (v[^ ]+).*!\2!p' tools/$(1)/go.mod)
CONTAINERD_MODULE := github.com/containerd/containerd/v2
CONTAINERD_VERSION := $(call pinned,containerd,$(CONTAINERD_MODULE))
RUNC_VERSION := $(call pinned,runc,github.com/opencontainers/runc)
PAUSE_IMAGE := coxswain.dev/pause:1

# What our configuration never uses is left out.
CONTAINERD_TAGS := urfave_cli_no_docs osusergo netgo static_build no_btrfs no_zfs no_devmapper no_tracing no_rdt nri_no_wasm
CONTAINERD_STAMP := -s -w -X $(CONTAINERD_MODULE)/version.Version=$(CONTAINERD_VERSION) -X $(CONTAINERD_MODULE)/version.Package=$(CONTAINERD_MODULE)

$(BIN)/containerd: tools/containerd/go.mod tools/containerd/go.sum tools/engine.mk | $(BIN)/.deps
	$(call timed,CGO_ENABLED=0 $(GO) -C tools/containerd build -trimpath -tags '$(CONTAINERD_TAGS)' \
		-ldflags '$(CONTAINERD_STAMP)' -o ../../$@ $(CONTAINERD_MODULE)/cmd/containerd)

$(BIN)/containerd-shim-runc-v2: tools/containerd-shim-runc-v2/go.mod tools/containerd-shim-runc-v2/go.sum tools/engine.mk | $(BIN)/.deps
	$(call timed,CGO_ENABLED=0 $(GO) -C tools/containerd-shim-runc-v2 build -trimpath -tags '$(CONTAINERD_TAGS) no_grpc' \
		-ldflags '$(CONTAINERD_STAMP)' -o ../../$@ $(CONTAINERD_MODULE)/cmd/containerd-shim-runc-v2)

# runc enters namespaces in C and filters system calls with libseccomp, both
# linked in statically.
$(BIN)/runc: tools/runc/go.mod tools/runc/go.sum tools/engine.mk | $(BIN)/.deps
	@[ -e "$$(pkg-config --variable=libdir libseccomp 2>/dev/null)/libseccomp.a" ] || \
		{ echo 'runc is built with libseccomp, which is not installed. Run: make deps' >&2; exit 1; }
	$(call timed,CGO_ENABLED=1 $(GO) -C tools/runc build -trimpath -tags 'seccomp urfave_cli_no_docs netgo osusergo' \
		-ldflags '-s -w -linkmode external -extldflags -static' -o ../../$@ github.com/opencontainers/runc)

PAUSE_CFLAGS := -Os -Wall -Wextra -Werror -ffreestanding -fno-stack-protector -fno-asynchronous-unwind-tables \
	-fno-pie -no-pie -static -nostdlib -Wl,--build-id=none -Wl,-z,noseparate-code -Wl,-z,norelro -s

$(BIN)/pause: tools/pause/pause.c tools/engine.mk | $(BIN)/.deps
	$(call timed,$(CC) $(PAUSE_CFLAGS) -o $@ $<)

$(BIN)/pause.tar: $(BIN)/pause tools/pause/pack/main.go
	$(call timed,CGO_ENABLED=0 $(GO) run ./tools/pause/pack $(PAUSE_IMAGE) $(BIN)/pause $@)
