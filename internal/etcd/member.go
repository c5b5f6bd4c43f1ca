package etcd

import (
	"net/url"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
)

const (
	// tick is the pulse of the raft state machine. A lone member needs none:
	// nobody waits for its heartbeats, and elect does not wait for the
	// election timeout. A slow pulse is processor time saved;
	// docs/adr/0002-etcd-tick.md has the figures.
	tick = 500 * time.Millisecond
	// electionTicks is the fewest that etcd allows.
	electionTicks = 5

	// snapshotEntries and keptEntries bound the log kept in memory: a single
	// member has no follower that could need old entries.
	snapshotEntries = 2000
	keptEntries     = 100

	// batchInterval is how often applied writes move from memory to the
	// database file. Durability comes from the log, which is synced for
	// every write; a longer interval only wakes the process less often.
	batchInterval = 500 * time.Millisecond

	// quotaBytes bounds the database, as etcd itself recommends at most.
	quotaBytes = 8 << 30

	memberName = "coxswain"
)

// memberConfig describes a cluster of one member that no other can reach: it
// listens on the unix socket only.
func memberConfig(config Config, logs *logCore) *embed.Config {
	c := embed.NewConfig()
	c.Name = memberName
	c.Dir = config.DataDir
	client := url.URL{Scheme: "unix", Path: config.Socket}
	// The peer address is a name without a listener: it is stored in the
	// member list and never dialled.
	peer := url.URL{Scheme: "http", Host: "localhost:0"}
	c.ListenClientUrls, c.AdvertiseClientUrls = []url.URL{client}, []url.URL{client}
	c.ListenPeerUrls, c.AdvertisePeerUrls = nil, []url.URL{peer}
	c.InitialCluster = memberName + "=" + peer.String()

	c.TickMs = uint(tick.Milliseconds())
	c.ElectionMs = electionTicks * c.TickMs
	c.SnapshotCount, c.SnapshotCatchUpEntries = snapshotEntries, keptEntries
	c.BackendBatchInterval = batchInterval
	c.QuotaBackendBytes = quotaBytes
	// The compactor of this package does it by growth; etcd's own would
	// wake up by the clock.
	c.AutoCompactionRetention = "0"
	c.EnableGRPCGateway = false
	c.ZapLoggerBuilder = embed.NewZapLoggerBuilder(logs.logger())
	return c
}
