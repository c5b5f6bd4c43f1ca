package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"google.golang.org/grpc/grpclog"

	"coxswain.dev/cox/internal/cri"
)

// ImportImages brings in the images of an archive; "-" is standard input.
func ImportImages(ctx context.Context, config Config, path string, in io.Reader, out io.Writer) error {
	if path != "-" {
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		in = file
	}
	images, err := config.openImages()
	if err != nil {
		return err
	}
	defer images.Close()
	names, err := images.Import(ctx, in)
	if err != nil {
		return fmt.Errorf("importing %s: %w", path, err)
	}
	for _, name := range names {
		fmt.Fprintf(out, "imported %s\n", name)
	}
	return nil
}

func (c Config) openImages() (*cri.Images, error) {
	settings, err := c.parseShared()
	if err != nil {
		return nil, err
	}
	// gRPC's own lines would say the same as the error.
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	if settings.RuntimeEndpoint != "" {
		return cri.OpenImages(settings.RuntimeEndpoint)
	}
	endpoint := cri.Endpoint(settings.RunDir)
	if _, err := os.Stat(strings.TrimPrefix(endpoint, "unix://")); errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("cox is not running in %s: `cox up` starts it", settings.RunDir)
	}
	return cri.OpenImages(endpoint)
}

// ListImages prints the images on this machine.
func ListImages(ctx context.Context, config Config, out io.Writer) error {
	images, err := config.openImages()
	if err != nil {
		return err
	}
	defer images.Close()
	list, err := images.List(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "IMAGE\tID\tSIZE")
	for _, image := range list {
		for _, name := range image.Tags {
			fmt.Fprintf(table, "%s\t%s\t%s\n", name, shortID(image.ID), megabytes(image.SizeBytes))
		}
	}
	return table.Flush()
}

// shortID is the first 12 digits of a digest, as other tools print it.
func shortID(id string) string {
	const prefix, digits = len("sha256:"), 12
	if len(id) < prefix+digits {
		return id
	}
	return id[prefix : prefix+digits]
}

func megabytes(bytes uint64) string { return fmt.Sprintf("%.1f MB", float64(bytes)/1e6) }
