// Package volumes puts what a Pod mounts into its place on the host.
//
// Below Root every Pod has a folder by its UID:
//
//	volumes/NAME            what a volume holds
//	subpaths/NAME/C/N       bind mounts, for a container's N-th mount with subPath
//
// Volumes made of API objects are written so that a container sees one version
// or the next and never a mixture: the files lie in a folder named by the time,
// ..data leads to it, the names that containers see lead through ..data, and a
// new version is one rename of that link. Secrets and tokens are kept in memory
// file systems.
package volumes
