package network

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// legacyTables lists the tables of iptables-legacy that are in use.
const legacyTables = "/proc/net/ip_tables_names"

// noteLegacy tells about rules that nftables cannot reach: those of
// iptables-legacy, which are a world of their own in the kernel.
func noteLegacy(config Config, found *Firewalls, tables string) {
	names, err := os.ReadFile(tables)
	if err != nil || !slices.Contains(strings.Fields(string(names)), "filter") {
		return
	}
	out, err := exec.Command("iptables-legacy", "-S", "FORWARD").Output()
	if err != nil || !strings.Contains(string(out), "-P FORWARD DROP") {
		return
	}
	pods := podRange(config).String()
	if strings.Contains(string(out), "-s "+pods+" -j ACCEPT") && strings.Contains(string(out), "-d "+pods+" -j ACCEPT") {
		return
	}
	found.Closed = append(found.Closed, fmt.Sprintf("the FORWARD chain of iptables-legacy drops what no rule of it accepts, and coxswain writes to nftables only: Pods may reach neither each other nor the world. Run iptables-legacy -I FORWARD -s %s -j ACCEPT and iptables-legacy -I FORWARD -d %s -j ACCEPT, or change to iptables-nft (update-alternatives --set iptables /usr/sbin/iptables-nft)", pods, pods))
}
