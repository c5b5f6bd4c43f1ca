package etcd

import (
	"context"
	"expvar"
	"time"

	"go.etcd.io/etcd/server/v3/etcdserver"
	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// electPoll is how often a start asks the member to lead. It can only once its
// own membership has been read back from its log, a few milliseconds in.
const electPoll = 2 * time.Millisecond

// calmPolls is how many polls in a row must find everything applied.
const calmPolls = 3

// elect makes the only member lead now. Raft would wait for an election
// timeout first, in case somebody else leads; here nobody else is. The member
// is sent the message by which a leader hands over to it. If that is refused,
// the timeout still comes.
func elect(server *etcdserver.EtcdServer) {
	ticker := time.NewTicker(electPoll)
	defer ticker.Stop()
	self := uint64(server.MemberID())
	calm, last := 0, uint64(0)
	for server.Leader() == 0 {
		// A member that has not yet read back all of its log looks through the
		// rest of it before it leads, and ends the process if that has been
		// compacted meanwhile, as it is after the first hundred entries.
		applied := server.AppliedIndex()
		if applied == 0 || applied != last || applied != server.CommittedIndex() || !raftHasCaughtUp() {
			calm, last = 0, applied
		} else if calm++; calm >= calmPolls {
			// An error says no more than that it is too early or too late.
			_ = server.Process(context.Background(), &raftpb.Message{Type: raftpb.MsgTimeoutNow.Enum(), From: &self, To: &self})
		}
		select {
		case <-ticker.C:
		case <-server.StoppingNotify():
			return
		}
	}
}

// raftHasCaughtUp tells whether raft has been told that all of its log is
// applied. The server applies it first, and may have compacted it by the time
// it tells. etcd shows this in one place only: the status that it publishes for
// the newest member of the process.
func raftHasCaughtUp() bool {
	published, ok := expvar.Get("raft.status").(expvar.Func)
	if !ok {
		return false
	}
	status, ok := published.Value().(raft.Status)
	return ok && status.HardState != nil && status.Applied > 0 && status.Applied == status.GetCommit()
}
