package network

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Rules of iptables-legacy cannot be changed from here: only told about, when
// they drop and nobody has let Pods through.
func TestLegacyRulesAreTold(t *testing.T) {
	dir := t.TempDir()
	tables := filepath.Join(dir, "ip_tables_names")
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	config := Config{PodCIDR: netip.MustParsePrefix("10.244.0.0/16")}
	const open = "-A FORWARD -s 10.244.0.0/16 -j ACCEPT\n-A FORWARD -d 10.244.0.0/16 -j ACCEPT\n"
	for name, test := range map[string]struct {
		tables, rules string
		told          bool
	}{
		"it drops":                     {"nat\nfilter\n", "-P FORWARD DROP\n", true},
		"it drops, and lets Pods in":   {"filter\n", "-P FORWARD DROP\n" + open, false},
		"it accepts":                   {"filter\n", "-P FORWARD ACCEPT\n", false},
		"its filter table is not used": {"nat\n", "-P FORWARD DROP\n", false},
	} {
		script := "#!/bin/sh\n[ \"$*\" = '-S FORWARD' ] || exit 2\ncat <<'EOF'\n" + test.rules + "EOF\n"
		if err := os.WriteFile(filepath.Join(dir, "iptables-legacy"), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(tables, []byte(test.tables), 0o600); err != nil {
			t.Fatal(err)
		}
		var found Firewalls
		noteLegacy(config, &found, tables)
		told := len(found.Closed) == 1 && strings.Contains(found.Closed[0], "iptables-legacy -I FORWARD -s 10.244.0.0/16 -j ACCEPT")
		if told != test.told || len(found.Opened) > 0 {
			t.Errorf("%s: found %q, want it told: %t", name, found, test.told)
		}
	}
}
