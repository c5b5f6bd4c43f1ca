package proxy

import (
	"encoding/binary"
	"errors"
	"sync"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/routing"
)

// monitor listens to the kernel's reports of changed rules.
type monitor struct {
	conn    *netlink.Conn
	running sync.WaitGroup
}

// startMonitor calls disturbed when somebody whose socket is not our own has
// changed our table, and when reports were lost, so that nobody knows.
func startMonitor(isOwn func(port uint32) bool, disturbed func()) (*monitor, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{Groups: 1 << (unix.NFNLGRP_NFTABLES - 1)})
	if err != nil {
		return nil, err
	}
	// Our own transactions are reported too, element by element.
	if err := conn.SetReadBuffer(monitorBuffer); err != nil {
		conn.Close()
		return nil, err
	}
	m := &monitor{conn: conn}
	m.running.Go(func() {
		for {
			messages, err := conn.Receive()
			if errors.Is(err, unix.ENOBUFS) {
				disturbed()
				continue
			}
			if err != nil {
				return
			}
			for _, message := range messages {
				if !isOwn(message.Header.PID) && concernsOurTable(message) {
					disturbed()
					break
				}
			}
		}
	})
	return m, nil
}

// monitorBuffer holds the reports of some thousand elements.
const monitorBuffer = 8 << 20

func (m *monitor) stop() {
	m.conn.Close()
	m.running.Wait()
}

// nftTableName is the attribute of the table's name in reports of everything
// (NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE, NFTA_SET_TABLE,
// NFTA_SET_ELEM_LIST_TABLE).
const nftTableName = 1

// concernsOurTable tells whether a report is about our table. Clients that the
// rules themselves put into a set are no change of anybody.
func concernsOurTable(message netlink.Message) bool {
	kind := message.Header.Type & 0xff
	if len(message.Data) < nfHeader || message.Data[0] != unix.NFPROTO_IPV4 || kind == unix.NFT_MSG_NEWGEN {
		return false
	}
	attributes, err := netlink.NewAttributeDecoder(message.Data[nfHeader:])
	if err != nil {
		return false
	}
	attributes.ByteOrder = binary.BigEndian
	for attributes.Next() {
		if attributes.Type() == nftTableName {
			return attributes.String() == routing.TableName
		}
	}
	return false
}
