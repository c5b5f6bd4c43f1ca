package network

import (
	"fmt"
	"os"
	"strings"
)

// forwardSysctl is the switch for forwarding as a whole, below /proc/sys/net.
const forwardSysctl = "ipv4/ip_forward"

// setSysctls turns forwarding on. There is nothing to be set for bridges: Pods
// are on none.
func setSysctls() error {
	if now, err := readSysctl(forwardSysctl); err == nil && now == "1" {
		return nil
	}
	if err := writeSysctl(forwardSysctl, "1"); err != nil {
		return fmt.Errorf("turning IP forwarding on, without which Pods reach nobody: %w; set net.ipv4.ip_forward=1 yourself (in a container: --sysctl net.ipv4.ip_forward=1)", err)
	}
	return nil
}

// noteForwarding turns forwarding on again if somebody has turned it off, as
// loading sysctl.conf does on some machines, and tells about interfaces that are
// exempt from it.
func noteForwarding(found *Firewalls) {
	if err := setSysctls(); err != nil {
		found.Closed = append(found.Closed, err.Error())
		return
	}
	interfaces, err := defaultInterfaces()
	if err != nil {
		return // it is only a hint
	}
	for _, index := range interfaces {
		name := deviceName(index)
		if now, err := readSysctl("ipv4/conf/" + name + "/forwarding"); name != "" && err == nil && now == "0" {
			found.Closed = append(found.Closed, fmt.Sprintf("interface %s takes no packets that are to be forwarded (net.ipv4.conf.%s.forwarding=0): nobody reaches Pods through it, and they hear nothing from there. Run sysctl -w net.ipv4.conf.%s.forwarding=1", name, name, name))
		}
	}
}

// resetSysctl is for how many seconds conntrack remembers a TCP connection that
// was reset, below /proc/sys/net; the Service rules want 0.
const resetSysctl = "netfilter/nf_conntrack_tcp_timeout_close"

// restoreResets gives resetSysctl the kernel's default, if it is ours.
func restoreResets() error {
	if now, err := readSysctl(resetSysctl); err != nil || now != "0" {
		return nil
	}
	return writeSysctl(resetSysctl, "10")
}

func readSysctl(name string) (string, error) {
	value, err := os.ReadFile("/proc/sys/net/" + name)
	return strings.TrimSpace(string(value)), err
}
