package network_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"coxswain.dev/cox/internal/network"
	"coxswain.dev/cox/internal/network/networktest"
)

func addressesOf(t *testing.T, m network.Machine) []netip.Addr {
	t.Helper()
	found, err := m.Addresses()
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestAMachinesAddressesAreThoseOfItsWayOut(t *testing.T) {
	n := networktest.Setup(t)
	m := network.Machine{PodCIDR: n.PodCIDR}
	if got, want := addressesOf(t, m), []netip.Addr{n.Gateway()}; !slices.Equal(got, want) {
		t.Errorf("alone it has %v, want the gateway %v", got, want)
	}
	n.NewNeighbour(t, "neighbour")
	if got, want := addressesOf(t, m), []netip.Addr{networktest.HostAddr}; !slices.Equal(got, want) {
		t.Errorf("with a way out it has %v, want %v", got, want)
	}
}

func TestAPortIsFreeWhenNobodyListens(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")
	var m network.Machine
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	port := int32(listener.Addr().(*net.TCPAddr).Port)
	if m.PortFree(loopback, corev1.ProtocolTCP, port) {
		t.Error("a port is free that somebody listens on, on all addresses")
	}
	if !m.PortFree(loopback, corev1.ProtocolUDP, port) {
		t.Error("the same number is another port in UDP")
	}
	listener.Close()
	if !m.PortFree(loopback, corev1.ProtocolTCP, port) {
		t.Error("a port is taken that nobody listens on any more")
	}
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if m.PortFree(loopback, corev1.ProtocolUDP, int32(conn.LocalAddr().(*net.UDPAddr).Port)) {
		t.Error("a UDP port is free that somebody reads from")
	}
}

// A neighbour finds an address that this machine was given, and no longer one
// that it gave up.
func TestAMachineAnswersForAddressesThatItHolds(t *testing.T) {
	n := networktest.Setup(t)
	neighbour := n.NewNeighbour(t, "neighbour")
	m := network.Machine{PodCIDR: n.PodCIDR}
	listener, err := net.Listen("tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go networktest.AnswerNames("machine", listener)
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	answers := func(addr string) bool {
		conn, err := neighbour.Dial("tcp4", net.JoinHostPort(addr, port))
		if err != nil {
			return false
		}
		conn.Close()
		return true
	}
	a, b := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("192.0.2.11")
	for _, held := range [][]netip.Addr{{a}, {a, b}, {a, b}, {b}} {
		if err := m.Hold(held); err != nil {
			t.Fatal(err)
		}
		for _, addr := range held {
			if !answers(addr.String()) {
				t.Errorf("holding %v, %s does not answer", held, addr)
			}
		}
	}
	if answers(a.String()) {
		t.Errorf("%s answers, which was given up", a)
	}
	if got, want := addressesOf(t, m), []netip.Addr{networktest.HostAddr}; !slices.Equal(got, want) {
		t.Errorf("the machine's own addresses are %v, want %v", got, want)
	}
	for range 2 {
		if err := m.Hold(nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := net.InterfaceByName("coxswain-pool"); err == nil {
		t.Error("the device is still there")
	}
}
