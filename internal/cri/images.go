package cri

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	runtimev1 "k8s.io/cri-api/pkg/apis/runtime/v1"
)

// Images are the images of a running engine. They need no Engine, so that a
// command beside a running cox can use them.
type Images struct {
	conn *grpc.ClientConn
}

// Image is one image on this machine.
type Image struct {
	// ID is the digest of the image's configuration.
	ID string
	// Tags are its names with a tag, Digests those with a digest.
	Tags, Digests []string
	SizeBytes     uint64
	// Pinned images are the engine's own and are not deleted.
	Pinned bool
}

// OpenImages connects to the engine at an endpoint.
func OpenImages(endpoint string) (*Images, error) {
	endpoint, err := normalEndpoint(endpoint)
	if err != nil {
		return nil, err
	}
	conn, err := dial(endpoint)
	if err != nil {
		return nil, err
	}
	return &Images{conn: conn}, nil
}

// Close ends the connection.
func (i *Images) Close() error { return i.conn.Close() }

// criNamespace is where containerd keeps what CRI works with.
const criNamespace = "k8s.io"

func inNamespace(ctx context.Context) context.Context {
	return metadata.AppendToOutgoingContext(ctx, "containerd-namespace", criNamespace)
}

// List returns all images, by name.
func (i *Images) List(ctx context.Context) ([]Image, error) {
	answer, err := runtimev1.NewImageServiceClient(i.conn).ListImages(ctx, &runtimev1.ListImagesRequest{})
	if err != nil {
		return nil, explainRPC("listing images", err)
	}
	var images []Image
	for _, image := range answer.Images {
		slices.Sort(image.RepoTags)
		slices.Sort(image.RepoDigests)
		images = append(images, Image{ID: image.Id, Tags: image.RepoTags, Digests: image.RepoDigests, SizeBytes: image.Size, Pinned: image.Pinned})
	}
	slices.SortFunc(images, func(a, b Image) int { return cmp.Compare(a.sortKey(), b.sortKey()) })
	return images, nil
}

func (i Image) sortKey() string {
	return slices.Concat(i.Tags, i.Digests, []string{i.ID})[0]
}

// Has tells whether there is an image of that name.
func (i *Images) Has(ctx context.Context, name string) (bool, error) {
	answer, err := runtimev1.NewImageServiceClient(i.conn).ImageStatus(ctx,
		&runtimev1.ImageStatusRequest{Image: &runtimev1.ImageSpec{Image: name}})
	if err != nil {
		return false, explainRPC(fmt.Sprintf("looking for image %q", name), err)
	}
	return answer.Image != nil, nil
}

// Delete removes an image with all of its names. Containers that use it run on.
func (i *Images) Delete(ctx context.Context, name string) error {
	client := runtimev1.NewImageServiceClient(i.conn)
	spec := &runtimev1.ImageSpec{Image: name}
	answer, err := client.ImageStatus(ctx, &runtimev1.ImageStatusRequest{Image: spec})
	switch {
	case err != nil:
		return explainRPC(fmt.Sprintf("looking for image %q", name), err)
	case answer.Image == nil:
		return fmt.Errorf("image %q is not on this machine (cox images list shows those that are)", name)
	case answer.Image.Pinned:
		return fmt.Errorf("image %q is needed by the engine itself and cannot be deleted", name)
	}
	if _, err := client.RemoveImage(ctx, &runtimev1.RemoveImageRequest{Image: spec}); err != nil {
		return explainRPC(fmt.Sprintf("deleting image %q", name), err)
	}
	return nil
}

// visibleDeadline bounds how long CRI may take to take note of an import,
// which it learns by an event.
const visibleDeadline = 10 * time.Second

// awaitVisible returns when CRI knows all of the names.
func (i *Images) awaitVisible(ctx context.Context, names []string) error {
	ctx, cancel := context.WithTimeout(ctx, visibleDeadline)
	defer cancel()
	for _, name := range names {
		for {
			known, err := i.Has(ctx, name)
			if err != nil {
				return err
			}
			if known {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("image %q was imported, but the container runtime does not list it", name)
			case <-time.After(retryPeriod):
			}
		}
	}
	return nil
}

// explainRPC makes an error for people of what gRPC returned.
func explainRPC(doing string, err error) error {
	switch status.Code(err) {
	case codes.Unimplemented:
		return fmt.Errorf("%s: the container runtime cannot do that; it has to be a containerd of version 2", doing)
	case codes.Unavailable:
		return fmt.Errorf("%s: the container engine does not answer (%s); is cox up?", doing, status.Convert(err).Message())
	}
	return fmt.Errorf("%s: %w", doing, errors.New(status.Convert(err).Message()))
}
