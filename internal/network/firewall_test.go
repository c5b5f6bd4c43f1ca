package network_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coxswain.dev/cox/internal/network"
	"coxswain.dev/cox/internal/network/networktest"
)

// nft runs nft with a script. What other firewalls write is text here, as they
// and their manuals write it.
func nft(t testing.TB, script string) string {
	t.Helper()
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v\n%s\n%s", err, out, script)
	}
	return string(out)
}

// firewall puts tables of somebody else in force until the test ends.
func firewall(t testing.TB, tables string) {
	t.Helper()
	nft(t, tables)
	t.Cleanup(func() { nft(t, "flush ruleset") })
}

// rulesOf lists a chain as users see it, without the counters.
func rulesOf(t testing.TB, chain string) string {
	t.Helper()
	out, err := exec.Command("nft", append([]string{"--stateless", "list", "chain"}, strings.Fields(chain)...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("nft list chain %s: %v\n%s", chain, err, out)
	}
	var rules []string
	for line := range strings.Lines(string(out)) {
		line = strings.TrimSpace(line)
		if line != "" && line != "}" && !strings.HasPrefix(line, "table ") && !strings.HasPrefix(line, "chain ") && !strings.HasPrefix(line, "type ") {
			rules = append(rules, strings.ReplaceAll(line, "counter ", ""))
		}
	}
	return strings.Join(rules, "\n")
}

const (
	dockers = `table ip filter {
	chain DOCKER-USER { counter return; }
	chain DOCKER-ISOLATION-STAGE-1 { counter return; }
	chain INPUT { type filter hook input priority filter; policy accept; }
	chain FORWARD { type filter hook forward priority filter; policy drop
		counter jump DOCKER-USER
		counter jump DOCKER-ISOLATION-STAGE-1
		oifname "docker0" ct state related,established counter accept
	}
}`
	ufws = `table ip filter {
	chain ufw-user-forward { }
	chain ufw-user-input { tcp dport 22 counter accept; }
	chain ufw-before-forward { ct state related,established counter accept; counter jump ufw-user-forward; }
	chain ufw-before-input { ct state related,established counter accept; counter jump ufw-user-input; }
	chain ufw-after-forward { }
	chain INPUT { type filter hook input priority filter; policy drop
		counter jump ufw-before-input
	}
	chain FORWARD { type filter hook forward priority filter; policy drop
		counter jump ufw-before-forward
		counter jump ufw-after-forward
	}
}`
	byHand = `table inet filter {
	chain input { type filter hook input priority filter; policy drop
		iifname "lo" accept
		ct state established,related accept
	}
	chain forward { type filter hook forward priority filter; policy accept
		ct state established,related accept
		log prefix "forward " counter reject with icmpx admin-prohibited
	}
	chain output { type filter hook output priority filter; policy drop
		oifname "lo" accept
		ct state established,related accept
	}
}`
	firewalls = "table inet firewalld {\n\tchain filter_FORWARD { type filter hook forward priority filter + 10; policy accept\n\t\tct state { established, related } accept\n\t\treject with icmpx admin-prohibited\n\t}\n}"

	passFrom  = `ip saddr 10.244.0.0/16 accept comment "coxswain: from Pods 10.244.0.0/16"`
	passTo    = `ip daddr 10.244.0.0/16 accept comment "coxswain: to Pods 10.244.0.0/16"`
	passInput = `ip saddr 10.244.0.0/16 ip daddr 10.244.0.1 accept comment "coxswain: Pods 10.244.0.0/16 to their gateway"`
)

// Each rule of ours is at the place that its firewall keeps for others, is
// there once however often we look, and goes without a trace.
func TestPodsAreLetThroughOtherFirewalls(t *testing.T) {
	for _, test := range []struct {
		name, tables string
		// doors are chains, want what is in them then.
		doors  []string
		want   []string
		opened []string
	}{
		{"Docker", dockers, []string{"ip filter DOCKER-USER"}, []string{passFrom + "\n" + passTo + "\nreturn"},
			[]string{"Pods are let through in the firewall chain DOCKER-USER of table filter (Docker)"}},
		{"ufw", ufws, []string{"ip filter ufw-user-forward", "ip filter ufw-user-input"}, []string{passFrom + "\n" + passTo, passInput + "\ntcp dport 22 accept"},
			[]string{"Pods are let through in the firewall chain ufw-user-forward of table filter (ufw)", "Pods are let through in the firewall chain ufw-user-input of table filter (ufw)"}},
		{"iptables", "table ip filter { chain FORWARD { type filter hook forward priority filter; policy drop; }; }", []string{"ip filter FORWARD"}, []string{passFrom + "\n" + passTo},
			[]string{"Pods are let through in the firewall chain FORWARD of table filter (iptables)"}},
		{"Docker's chain that nobody jumps to", strings.ReplaceAll(dockers, "counter jump DOCKER-USER", ""), []string{"ip filter DOCKER-USER"}, []string{"return"},
			[]string{"Pods are let through in the firewall chain FORWARD of table filter (iptables)"}},
		{"rules by hand", byHand, []string{"inet filter output"}, []string{`ip daddr 10.244.0.0/16 accept comment "coxswain: this machine to Pods 10.244.0.0/16"` + "\noifname \"lo\" accept\nct state established,related accept"},
			[]string{"Pods are let through in the firewall chain forward of table filter (nftables)", "Pods are let through in the firewall chain input of table filter (nftables)", "Pods are let through in the firewall chain output of table filter (nftables)"}},
		{"what lets Pods through by itself", `table ip filter { chain FORWARD { type filter hook forward priority filter; policy accept; tcp dport 25 drop; }; }
			table ip6 filter { chain FORWARD { type filter hook forward priority filter; policy drop; }; }`, []string{"ip6 filter FORWARD"}, []string{""}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			firewall(t, test.tables)
			config := testConfig(t)
			before, _ := exec.Command("nft", "--stateless", "list", "ruleset").Output()
			for range 2 {
				found, err := network.OpenFirewalls(config)
				if diff := cmp.Diff(network.Firewalls{Opened: test.opened}, found); err != nil || diff != "" {
					t.Errorf("found (-want +got), %v:\n%s", err, diff)
				}
				for i, door := range test.doors {
					if diff := cmp.Diff(test.want[i], rulesOf(t, door)); diff != "" {
						t.Errorf("%s (-want +got):\n%s", door, diff)
					}
				}
			}
			if err := network.CloseFirewalls(config); err != nil {
				t.Error(err)
			}
			after, _ := exec.Command("nft", "--stateless", "list", "ruleset").Output()
			if diff := cmp.Diff(string(before), string(after)); diff != "" {
				t.Errorf("something is left (-before +after):\n%s", diff)
			}
		})
	}
}

// A Pod range of an earlier run does not stay open.
func TestTheRuleForAnEarlierPodRangeGoes(t *testing.T) {
	firewall(t, dockers)
	config := testConfig(t)
	if _, err := network.OpenFirewalls(config); err != nil {
		t.Fatal(err)
	}
	config.PodCIDR = netip.MustParsePrefix("10.11.0.0/16")
	if _, err := network.OpenFirewalls(config); err != nil {
		t.Fatal(err)
	}
	if want, got := strings.ReplaceAll(passFrom+"\n"+passTo+"\nreturn", "10.244", "10.11"), rulesOf(t, "ip filter DOCKER-USER"); got != want {
		t.Errorf("DOCKER-USER has\n%s\nwant\n%s", got, want)
	}
}

// keepOpen runs the watch until the test ends, and returns its reports.
func keepOpen(t testing.TB, config network.Config) <-chan network.Firewalls {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	reports, ended := make(chan network.Firewalls, 16), make(chan error, 1)
	go func() {
		ended <- network.KeepFirewallsOpen(ctx, config, slog.New(slog.NewTextHandler(io.Discard, nil)), func(f network.Firewalls) { reports <- f })
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return reports
}

func awaitReport(t testing.TB, reports <-chan network.Firewalls) network.Firewalls {
	t.Helper()
	select {
	case report := <-reports:
		return report
	case <-time.After(10 * time.Second):
		t.Fatal("no report in 10 s")
		return network.Firewalls{}
	}
}

// brokenWays connects in the ways that Pods live by, and says which fail.
func brokenWays(pod, other, world *networktest.Pod, gateway string) (broken []string) {
	for _, way := range []struct {
		name, to string
		dial     func(network, address string) (net.Conn, error)
	}{
		{"Pod to Pod", net.JoinHostPort(other.Addr.String(), "8080"), pod.Dial},
		{"Pod to the world", net.JoinHostPort(world.Addr.String(), "8080"), pod.Dial},
		{"Pod to its gateway", gateway, pod.Dial},
		{"this machine to a Pod", net.JoinHostPort(pod.Addr.String(), "8080"), func(network, address string) (net.Conn, error) {
			return net.DialTimeout(network, address, networktest.DialTimeout)
		}},
	} {
		conn, err := way.dial("tcp4", way.to)
		if err != nil {
			broken = append(broken, fmt.Sprintf("%s: %v", way.name, err))
			continue
		}
		conn.Close()
	}
	return broken
}

// What other firewalls drop, the rule lets through; it is there again when
// somebody has flushed it, and when a firewall begins while we run.
func TestARuleThatIsFlushedComesBack(t *testing.T) {
	for name, tables := range map[string]string{"Docker": dockers, "ufw": ufws, "rules by hand": byHand} {
		t.Run(name, func(t *testing.T) {
			n := networktest.Setup(t)
			world, pod, other := n.NewNeighbour(t, "world"), n.NewPod(t, "pod"), n.NewPod(t, "other")
			for _, p := range []*networktest.Pod{world, pod, other} {
				p.ServeNames(t, 8080)
			}
			// The world's way back to Pods, which the Service rules make it not need.
			if err := world.RouteTo(n.PodCIDR, networktest.HostAddr); err != nil {
				t.Fatal(err)
			}
			listener, err := net.Listen("tcp4", net.JoinHostPort(n.Gateway().String(), "0"))
			if err != nil {
				t.Fatal(err)
			}
			defer listener.Close()
			go networktest.AnswerNames("gateway", listener)
			check := func(when string) {
				t.Helper()
				if broken := brokenWays(pod, other, world, listener.Addr().String()); len(broken) > 0 {
					t.Errorf("%s: %v", when, broken)
				}
			}
			check("without any firewall")

			firewall(t, tables)
			if broken := brokenWays(pod, other, world, listener.Addr().String()); len(broken) == 0 {
				t.Error("this firewall drops nothing: the test shows nothing")
			}
			reports := keepOpen(t, n.Config)
			awaitReport(t, reports)
			check("with the firewall")

			nft(t, "flush table "+strings.Join(strings.Fields(tables)[1:3], " "))
			nft(t, "delete table "+strings.Join(strings.Fields(tables)[1:3], " "))
			awaitReport(t, reports) // nothing is open or closed now
			nft(t, tables)
			awaitReport(t, reports)
			check("after it was flushed and loaded again")
		})
	}
}

// A rule that goes while its chain stays changes nothing in the report.
func TestOnlyTheRuleIsFlushed(t *testing.T) {
	firewall(t, dockers)
	reports := keepOpen(t, testConfig(t))
	awaitReport(t, reports)
	nft(t, "flush chain ip filter DOCKER-USER")
	deadline := time.Now().Add(10 * time.Second)
	for rulesOf(t, "ip filter DOCKER-USER") != passFrom+"\n"+passTo {
		if time.Now().After(deadline) {
			t.Fatalf("after 10 s DOCKER-USER has\n%s", rulesOf(t, "ip filter DOCKER-USER"))
		}
	}
}

// Tables that iptables made are listed by it as before.
func TestIptablesShowsTheRule(t *testing.T) {
	iptables, err := exec.LookPath("iptables-nft")
	if err != nil {
		t.Skip("there is no iptables-nft here")
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(iptables, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("iptables %v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	t.Cleanup(func() { nft(t, "flush ruleset") })
	run("-N", "DOCKER-USER")
	run("-A", "DOCKER-USER", "-j", "RETURN")
	run("-P", "FORWARD", "DROP")
	run("-A", "FORWARD", "-m", "comment", "--comment", "first", "-j", "DOCKER-USER")
	run("-A", "INPUT", "-j", "REJECT", "--reject-with", "icmp-host-prohibited")
	config := testConfig(t)
	if _, err := network.OpenFirewalls(config); err != nil {
		t.Fatal(err)
	}
	want := `-N DOCKER-USER
-A DOCKER-USER -s 10.244.0.0/16 -m comment --comment "coxswain: from Pods 10.244.0.0/16" -j ACCEPT
-A DOCKER-USER -d 10.244.0.0/16 -m comment --comment "coxswain: to Pods 10.244.0.0/16" -j ACCEPT
-A DOCKER-USER -j RETURN
`
	if diff := cmp.Diff(want, run("-S", "DOCKER-USER")); diff != "" {
		t.Errorf("iptables -S DOCKER-USER (-want +got):\n%s", diff)
	}
	if got := run("-S", "INPUT"); !strings.Contains(got, `-s 10.244.0.0/16 -d 10.244.0.1/32 -m comment --comment "coxswain: Pods 10.244.0.0/16 to their gateway" -j ACCEPT`) {
		t.Errorf("iptables -S INPUT:\n%s", got)
	}
	// Whoever knows only iptables can remove it, too.
	run("-D", "DOCKER-USER", "-s", "10.244.0.0/16", "-m", "comment", "--comment", "coxswain: from Pods 10.244.0.0/16", "-j", "ACCEPT")
}

// fakeFirewalld puts a firewall-cmd into PATH that keeps the sources of a zone
// in a file, as the real one does in its memory.
func fakeFirewalld(t *testing.T) (sources func() string) {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "trusted")
	script := fmt.Sprintf(`#!/bin/sh
[ "$1" = --zone=trusted ] || exit 112
source="${2#*=}"
case "$2" in
--query-source=*) grep -qsx "$source" %[1]s ;;
--add-source=*) grep -qsx "$source" %[1]s && exit 16; echo "$source" >>%[1]s ;;
--remove-source=*) grep -vx "$source" %[1]s >%[1]s.new; mv %[1]s.new %[1]s ;;
*) exit 2 ;;
esac
`, file)
	if err := os.WriteFile(filepath.Join(dir, "firewall-cmd"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	return func() string {
		content, err := os.ReadFile(file)
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		return strings.Join(strings.Fields(string(content)), " ")
	}
}

func TestFirewalldIsToldToTrustPods(t *testing.T) {
	sources := fakeFirewalld(t)
	firewall(t, firewalls)
	rules := rulesOf(t, "inet firewalld filter_FORWARD")
	config := testConfig(t)
	for range 2 {
		found, err := network.OpenFirewalls(config)
		want := network.Firewalls{Opened: []string{"Pods are let through by firewalld: 10.244.0.0/16 is a source of the zone trusted"}}
		if diff := cmp.Diff(want, found); err != nil || diff != "" {
			t.Errorf("found (-want +got), %v:\n%s", err, diff)
		}
		if got := sources(); got != "10.244.0.0/16" {
			t.Errorf("the sources are %q", got)
		}
	}
	config.PodCIDR = netip.MustParsePrefix("10.11.0.0/16")
	if _, err := network.OpenFirewalls(config); err != nil || sources() != "10.11.0.0/16" {
		t.Errorf("with another Pod range the sources are %q (%v)", sources(), err)
	}
	if err := network.CloseFirewalls(config); err != nil || sources() != "" {
		t.Errorf("in the end the sources are %q (%v)", sources(), err)
	}
	if got := rulesOf(t, "inet firewalld filter_FORWARD"); got != rules {
		t.Errorf("firewalld's own chain was changed:\n%s", got)
	}
}

// What the user has trusted stays so.
func TestASourceOfTheUserStays(t *testing.T) {
	sources := fakeFirewalld(t)
	firewall(t, firewalls)
	if out, err := exec.Command("firewall-cmd", "--zone=trusted", "--add-source=10.244.0.0/16").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	config := testConfig(t)
	if _, err := network.OpenFirewalls(config); err != nil {
		t.Fatal(err)
	}
	if err := network.CloseFirewalls(config); err != nil || sources() != "10.244.0.0/16" {
		t.Errorf("the sources are %q (%v)", sources(), err)
	}
}

// firewalld that loads its configuration again forgets what it was told.
func TestFirewalldThatForgetsIsToldAgain(t *testing.T) {
	sources := fakeFirewalld(t)
	firewall(t, firewalls)
	config := testConfig(t)
	awaitReport(t, keepOpen(t, config))
	forget := exec.Command("firewall-cmd", "--zone=trusted", "--remove-source=10.244.0.0/16")
	if out, err := forget.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	nft(t, "delete table inet firewalld\n"+firewalls)
	deadline := time.Now().Add(10 * time.Second)
	for sources() == "" {
		if time.Now().After(deadline) {
			t.Fatal("not told again in 10 s")
		}
	}
	if err := network.CloseFirewalls(config); err != nil {
		t.Error(err)
	}
}

func TestWhatCannotBeOpenedIsExplained(t *testing.T) {
	t.Setenv("PATH", filepath.Dir(mustFind(t, "nft"))) // without firewall-cmd
	firewall(t, firewalls)
	found, err := network.OpenFirewalls(testConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Closed) != 1 || !strings.Contains(found.Closed[0], "firewall-cmd --zone=trusted --add-source=10.244.0.0/16") {
		t.Errorf("closed: %q, want what to run", found.Closed)
	}
}

func mustFind(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// A table may be its maker's alone, as those of newer firewalls are.
func TestAFirewallThatRefusesARuleIsExplained(t *testing.T) {
	firewall(t, dockers)
	owner := exec.Command(mustFind(t, "nft"), "-i")
	script, err := owner.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := owner.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		script.Close() // its table goes with it
		owner.Wait()
	}()
	if _, err := io.WriteString(script, "add table ip owned { flags owner; }\nadd chain ip owned forward { type filter hook forward priority 5; policy drop; }\n"); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for exec.Command("nft", "list", "chain", "ip", "owned", "forward").Run() != nil {
		if time.Now().After(deadline) {
			t.Skip("this nft or this kernel has no tables with an owner")
		}
	}
	config := testConfig(t)
	found, err := network.OpenFirewalls(config)
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Closed) != 1 || !strings.Contains(found.Closed[0], "chain forward of table owned (nftables)") || !strings.Contains(found.Closed[0], "operation not permitted") {
		t.Errorf("closed: %q, want the owned table and why", found.Closed)
	}
	// It stands in nobody else's way.
	if len(found.Opened) != 1 || rulesOf(t, "ip filter DOCKER-USER") != passFrom+"\n"+passTo+"\nreturn" {
		t.Errorf("opened: %q", found.Opened)
	}
	if err := network.CloseFirewalls(config); err != nil {
		t.Error(err)
	}
}
