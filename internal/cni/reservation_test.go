package cni

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

func testReservations(t testing.TB, dir, prefix string) *Reservations {
	t.Helper()
	p := netip.MustParsePrefix(prefix)
	r, err := openReservations(&Conf{PodCIDR: p, Gateway: p.Addr().Next(), StateDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func nobody(string) bool    { return false }
func everybody(string) bool { return true }

// An address belongs to one owner, is in the range and is neither the gateway
// nor one of the two at the ends; there is one as long as there is room.
func TestReservationsAreExclusive(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := os.MkdirTemp("", "reservations-")
		if err != nil {
			rt.Fatal(err)
		}
		defer os.RemoveAll(dir)
		r := testReservations(t, dir, "10.0.0.0/29")
		const room = 5
		has := map[string]netip.Addr{}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			owner := fmt.Sprint("c", rapid.IntRange(0, 8).Draw(rt, "owner"))
			if rapid.Bool().Draw(rt, "release") {
				if err := r.Release(owner); err != nil {
					rt.Fatal(err)
				}
				delete(has, owner)
				continue
			}
			addr, err := r.Reserve(owner, everybody)
			before, had := has[owner]
			switch {
			case had && (err != nil || addr != before):
				rt.Fatalf("%s got %s (%v), want %s again", owner, addr, err, before)
			case !had && len(has) == room:
				if err == nil {
					rt.Fatalf("%s got %s of a full range", owner, addr)
				}
				continue
			case err != nil:
				rt.Fatal(err)
			}
			for other, taken := range has {
				if taken == addr && other != owner {
					rt.Fatalf("%s got %s, which %s has", owner, addr, other)
				}
			}
			if last := addr.As4()[3]; last < 2 || last > 6 {
				rt.Fatalf("%s got %s", owner, addr)
			}
			has[owner] = addr
		}
	})
}

// A crash between reserving and connecting leaves a reservation without a
// link. It is taken back when it is old and the range is full, not before.
func TestAbandonedReservationsAreTakenBack(t *testing.T) {
	dir := t.TempDir()
	r := testReservations(t, dir, "10.0.0.0/30")
	first, err := r.Reserve("crashed", nobody)
	if err != nil {
		t.Fatal(err)
	}
	if addr, err := r.Reserve("next", nobody); err == nil {
		t.Fatalf("a reservation that is new was taken back: %s", addr)
	}
	old := unix.NsecToTimespec(time.Now().Add(-2 * abandonedAfter).UnixNano())
	path := filepath.Join(dir, "addresses", first.String())
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, path, []unix.Timespec{old, old}, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		t.Fatal(err)
	}
	if addr, err := r.Reserve("next", everybody); err == nil {
		t.Fatalf("a reservation whose owner has a link was taken back: %s", addr)
	}
	if addr, err := r.Reserve("next", nobody); err != nil || addr != first {
		t.Errorf("got %s (%v), want %s", addr, err, first)
	}
}

// Whatever is in the directory, an address comes out.
func TestBrokenFilesDoNotMatter(t *testing.T) {
	for name, content := range map[string]string{"last": "nonsense", "10.0.0.2": "no link", "strange": "", "10.9.9.9": ""} {
		dir := t.TempDir()
		r := testReservations(t, dir, "10.0.0.0/24")
		if err := os.WriteFile(filepath.Join(dir, "addresses", name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if addr, err := r.Reserve("a", nobody); err != nil || !addr.IsValid() {
			t.Errorf("with a file %s: %s, %v", name, addr, err)
		}
	}
}
