package dns

import (
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// maxUpstreams is what resolv.conf(5) allows.
const maxUpstreams = 3

// resolvConf is the file that names the resolvers of this machine.
type resolvConf struct {
	path string
	// own are addresses that lead back to us.
	own []netip.Addr
	log *slog.Logger

	mu       sync.Mutex
	modified time.Time
	listed   []*upstream
}

// upstreams are those that the file names, read again when it has changed.
func (c *resolvConf) upstreams() []*upstream {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.path == "" {
		return c.listed
	}
	info, err := os.Stat(c.path)
	if err != nil {
		c.listed, c.modified = nil, time.Time{}
		return nil
	}
	if info.ModTime().Equal(c.modified) {
		return c.listed
	}
	c.read()
	c.modified = info.ModTime()
	return c.listed
}

func (c *resolvConf) read() {
	c.listed = nil
	conf, err := dns.ClientConfigFromFile(c.path)
	if err != nil {
		c.log.Warn("names outside the cluster are not known to Pods: the machine's resolvers could not be read", "file", c.path, "error", err)
		return
	}
	for _, server := range conf.Servers {
		addr, err := netip.ParseAddr(server)
		if err != nil || slices.Contains(c.own, addr) || len(c.listed) == maxUpstreams {
			continue
		}
		c.listed = append(c.listed, &upstream{address: net.JoinHostPort(server, conf.Port)})
	}
	if len(c.listed) == 0 {
		c.log.Warn("names outside the cluster are not known to Pods: the file names no resolver but ours; add a nameserver to it", "file", c.path)
	}
}
