package cni

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Reservations says which address belongs to whom. Each is a symbolic link in
// a directory, named by the address and pointing to its owner: making one is
// atomic and fails if it exists, so that no crash leaves half a reservation.
// The file "last" holds the address given last, so that a released one is
// used again as late as possible; without it, addresses begin at the start.
type Reservations struct {
	dir     string
	prefix  netip.Prefix
	gateway netip.Addr
}

// abandonedAfter is how old a reservation must be before exhaustion may take
// it back when its owner has no link: an ADD takes far less.
const abandonedAfter = 5 * time.Minute

// openReservations makes the directory if it is missing.
func openReservations(conf *Conf) (*Reservations, error) {
	r := &Reservations{dir: filepath.Join(conf.StateDir, "addresses"), prefix: conf.PodCIDR, gateway: conf.Gateway}
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory for Pod addresses: %w", err)
	}
	return r, nil
}

// Reserve gives owner an address. An owner that has one already gets the same.
// When none is free, those are taken back that are old and whose owner is not
// alive.
func (r *Reservations) Reserve(owner string, alive func(owner string) bool) (netip.Addr, error) {
	unlock, err := r.lock()
	if err != nil {
		return netip.Addr{}, err
	}
	defer unlock()
	owners, err := r.owners()
	if err != nil {
		return netip.Addr{}, err
	}
	for addr, who := range owners {
		if who == owner {
			return addr, nil
		}
	}
	addr, found := r.free(owners)
	if !found {
		r.takeBack(owners, alive)
		addr, found = r.free(owners)
	}
	if !found {
		return netip.Addr{}, fmt.Errorf("all %d Pod addresses of %s are in use: delete Pods, or start with a larger --pod-cidr", len(owners), r.prefix)
	}
	if err := os.Symlink(owner, filepath.Join(r.dir, addr.String())); err != nil {
		return netip.Addr{}, fmt.Errorf("reserving Pod address %s: %w", addr, err)
	}
	return addr, r.setLast(addr)
}

// Release frees every address of owner, if any.
func (r *Reservations) Release(owner string) error {
	return r.ReleaseIf(func(who string) bool { return who == owner })
}

// ReleaseIf frees the addresses of all owners that gone names. What conntrack
// remembers of them goes first, so that nobody inherits it.
func (r *Reservations) ReleaseIf(gone func(owner string) bool) error {
	unlock, err := r.lock()
	if err != nil {
		return err
	}
	defer unlock()
	owners, err := r.owners()
	if err != nil {
		return err
	}
	var errs []error
	for addr, who := range owners {
		if gone(who) {
			forgetConnections(addr)
			if err := os.Remove(filepath.Join(r.dir, addr.String())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("releasing Pod address %s: %w", addr, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Of is the address of owner; invalid if it has none.
func (r *Reservations) Of(owner string) (netip.Addr, error) {
	owners, err := r.owners()
	for addr, who := range owners {
		if who == owner {
			return addr, err
		}
	}
	return netip.Addr{}, err
}

// owners reads all reservations.
func (r *Reservations) owners() (map[netip.Addr]string, error) {
	dir, err := os.Open(r.dir)
	if err != nil {
		return nil, fmt.Errorf("reading the Pod addresses in use: %w", err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return nil, fmt.Errorf("reading the Pod addresses in use: %w", err)
	}
	owners := make(map[netip.Addr]string, len(names))
	for _, name := range names {
		addr, err := netip.ParseAddr(name)
		if err != nil {
			continue
		}
		// What is no link is nobody's, but its name is taken all the same.
		owner, err := os.Readlink(filepath.Join(r.dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		owners[addr] = owner
	}
	return owners, nil
}

// free is the first address after the last given one that nobody has.
func (r *Reservations) free(owners map[netip.Addr]string) (netip.Addr, bool) {
	first := number(r.prefix.Addr())
	size := uint32(1) << (32 - r.prefix.Bits())
	offset := number(r.last()) - first
	for range size {
		offset++
		if offset >= size-1 {
			offset = 1
		}
		addr := address(first + offset)
		if _, taken := owners[addr]; !taken && addr != r.gateway {
			return addr, true
		}
	}
	return netip.Addr{}, false
}

func (r *Reservations) takeBack(owners map[netip.Addr]string, alive func(owner string) bool) {
	for addr, owner := range owners {
		path := filepath.Join(r.dir, addr.String())
		info, err := os.Lstat(path)
		if err != nil || time.Since(info.ModTime()) < abandonedAfter || alive(owner) {
			continue
		}
		if os.Remove(path) == nil {
			delete(owners, addr)
		}
	}
}

// last is the address given last, or the first of the range.
func (r *Reservations) last() netip.Addr {
	text, err := os.ReadFile(filepath.Join(r.dir, "last"))
	if err != nil {
		return r.prefix.Addr()
	}
	if addr, err := netip.ParseAddr(string(text)); err == nil && r.prefix.Contains(addr) {
		return addr
	}
	return r.prefix.Addr()
}

func (r *Reservations) setLast(addr netip.Addr) error {
	if err := os.WriteFile(filepath.Join(r.dir, "last"), []byte(addr.String()), 0o600); err != nil {
		return fmt.Errorf("noting the last Pod address: %w", err)
	}
	return nil
}

// lock keeps other runs of the plugin out. The kernel lets go of it if this
// one dies.
func (r *Reservations) lock() (unlock func(), err error) {
	file, err := os.OpenFile(filepath.Join(r.dir, "lock"), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the Pod addresses: %w", err)
	}
	for {
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("locking the Pod addresses: %w", err)
	}
	return func() { file.Close() }, nil
}

func number(addr netip.Addr) uint32 {
	bytes := addr.As4()
	return binary.BigEndian.Uint32(bytes[:])
}

func address(n uint32) netip.Addr {
	var bytes [4]byte
	binary.BigEndian.PutUint32(bytes[:], n)
	return netip.AddrFrom4(bytes)
}
