package cri

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"time"

	leasesapi "github.com/containerd/containerd/api/services/leases/v1"
	transferapi "github.com/containerd/containerd/api/services/transfer/v1"
	"github.com/containerd/containerd/api/types"
	"github.com/containerd/containerd/api/types/transfer"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

// Import brings in every image of an archive, as `docker save` writes it or of
// an OCI layout, compressed or not, unpacks it and returns the images' names.
func (i *Images) Import(ctx context.Context, archive io.Reader) ([]string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ctx, release, err := i.lease(ctx)
	if err != nil {
		return nil, explainRPC("importing images", err)
	}
	defer release()
	upload, err := i.openStream(ctx, "import")
	if err != nil {
		return nil, explainRPC("importing images", err)
	}
	progress, err := i.openStream(ctx, "progress")
	if err != nil {
		return nil, explainRPC("importing images", err)
	}
	sent := make(chan error, 1)
	go func() { sent <- upload.send(archive) }()
	saved := make(chan []string, 1)
	go func() { saved <- progress.savedNames() }()
	_, err = transferapi.NewTransferClient(i.conn).Transfer(inNamespace(ctx), &transferapi.TransferRequest{
		Source:      pack(&transfer.ImageImportStream{Stream: upload.id}),
		Destination: pack(importDestination()),
		Options:     &transferapi.TransferOptions{ProgressStream: progress.id},
	})
	if err != nil {
		cancel()
		return nil, importError(err, sent)
	}
	names := <-saved
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) == 0 {
		return nil, errors.New("the archive holds no image with a name: save it with one (docker save NAME:TAG), or name it in the OCI layout's index (org.opencontainers.image.ref.name)")
	}
	return names, i.awaitVisible(ctx, names)
}

// leaseLifetime ends a lease whose import never came to its end.
const leaseLifetime = time.Hour

// lease keeps containerd's garbage collection, which also runs right after a
// start, from what is imported until an image refers to it.
func (i *Images) lease(ctx context.Context) (leased context.Context, release func(), err error) {
	client := leasesapi.NewLeasesClient(i.conn)
	made, err := client.Create(inNamespace(ctx), &leasesapi.CreateRequest{
		ID:     "import-" + rand.Text(),
		Labels: map[string]string{"containerd.io/gc.expire": time.Now().Add(leaseLifetime).UTC().Format(time.RFC3339)},
	})
	if err != nil {
		return nil, nil, err
	}
	release = func() {
		// What cannot be released now expires.
		_, _ = client.Delete(inNamespace(context.WithoutCancel(ctx)), &leasesapi.DeleteRequest{ID: made.Lease.ID})
	}
	return metadata.AppendToOutgoingContext(ctx, "containerd-lease", made.Lease.ID), release, nil
}

// importError prefers the archive's own error, if there is one, to what the
// other side made of the broken stream.
func importError(err error, sent <-chan error) error {
	select {
	case sendErr := <-sent:
		if broken := archiveError(sendErr); broken != nil {
			return fmt.Errorf("reading the archive: %w", broken)
		}
	case <-time.After(100 * time.Millisecond): // the sender waits for more of the archive
	}
	return explainRPC("importing images", err)
}

// anonymous is the repository of images whose archive gives only a tag.
const anonymous = "localhost/imported"

// importDestination stores images under the names that the archive gives, and
// unpacks those for this machine so that the first container starts quickly.
// CRI adds its own labels when it learns of them.
func importDestination() *transfer.ImageStore {
	return &transfer.ImageStore{
		ExtraReferences: []*transfer.ImageReference{{Name: anonymous, IsPrefix: true, AllowOverwrite: true}},
		Unpacks:         []*transfer.UnpackConfiguration{{Platform: &types.Platform{OS: "linux", Architecture: runtime.GOARCH}}},
	}
}

// pack puts a message into the envelope that containerd expects: its type by
// bare name.
func pack(message proto.Message) *anypb.Any {
	content, err := proto.Marshal(message)
	if err != nil {
		panic("cri: " + err.Error()) // a message of ours, with valid text in it
	}
	return &anypb.Any{TypeUrl: string(message.ProtoReflect().Descriptor().FullName()), Value: content}
}

// unpack reads an envelope if it holds a message of that type.
func unpack(envelope *anypb.Any, message proto.Message) bool {
	return envelope.TypeUrl == string(message.ProtoReflect().Descriptor().FullName()) &&
		proto.Unmarshal(envelope.Value, message) == nil
}

// Import brings images in from an archive; see Images.Import.
func (e *Engine) Import(ctx context.Context, archive io.Reader) ([]string, error) {
	names, err := e.images.Import(ctx, archive)
	if err != nil {
		return nil, explainDisk(err, e.config)
	}
	return names, nil
}

// Images are the engine's images, open for as long as the Engine is.
func (e *Engine) Images() *Images { return e.images }

// ensurePause imports the pause image unless it is there.
func (e *Engine) ensurePause(ctx context.Context) error {
	known, err := e.images.Has(ctx, PauseImage)
	if err != nil || known {
		return err
	}
	path := e.config.binary("pause.tar")
	archive, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("importing the pause image: %w", err)
	}
	defer archive.Close()
	names, err := e.images.Import(ctx, archive)
	if err != nil {
		return fmt.Errorf("importing the pause image from %s: %w", path, err)
	}
	if !slices.Contains(names, PauseImage) {
		return fmt.Errorf("%s holds %v and not %s, which this cox needs: build both anew with make", path, names, PauseImage)
	}
	return nil
}
