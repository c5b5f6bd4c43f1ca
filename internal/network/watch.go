package network

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"coxswain.dev/cox/internal/routing"
)

// lookPause lies between two looks at the firewalls: whoever rewrites theirs
// does it in many steps.
const lookPause = 200 * time.Millisecond

// Not every firewall tells when it changes, and a list may lack what was there
// while others changed theirs: there is another look after closedLook where
// something is closed, and after openLook where all is open.
const closedLook, openLook = 30 * time.Second, 5 * time.Minute

// KeepFirewallsOpen opens the other firewalls, and again whenever one of them
// changes, until ctx ends. What it finds goes to report, first at once and then
// when it differs. It returns an error only if it cannot begin.
func KeepFirewallsOpen(ctx context.Context, config Config, log *slog.Logger, report func(Firewalls)) error {
	changed := make(chan struct{}, 1)
	stop, err := watchOthers(func() {
		select {
		case changed <- struct{}{}:
		default: // there is a look to come anyway
		}
	})
	if err != nil {
		return fmt.Errorf("watching the other firewalls: %w", err)
	}
	defer stop()
	var last *Firewalls
	for {
		found, err := OpenFirewalls(config)
		looked, again := time.Now(), openLook
		switch {
		case err != nil:
			log.Warn("the other firewalls of this machine could not be looked at, trying again", "error", err)
			again = closedLook
		case last == nil || !last.Equal(found):
			found.Log(log)
			report(found)
			last = &found
		}
		if len(found.Closed) > 0 {
			again = closedLook
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-time.After(again):
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Until(looked.Add(lookPause))):
		}
	}
}

// watchOthers calls changed when somebody changes tables, chains or rules that
// are not those of Services, or what is forwarded, and when the kernel's reports
// were lost.
func watchOthers(changed func()) (stop func(), err error) {
	stopRules, err := watch(unix.NETLINK_NETFILTER, unix.NFNLGRP_NFTABLES, concernsOthers, changed)
	if err != nil {
		return nil, err
	}
	stopSettings, err := watch(unix.NETLINK_ROUTE, unix.RTNLGRP_IPV4_NETCONF, func(netlink.Message) bool { return true }, changed)
	if err != nil {
		stopRules()
		return nil, err
	}
	return func() { stopRules(); stopSettings() }, nil
}

// watch calls changed for reports of a group that concern us.
func watch(family int, group uint, concerns func(netlink.Message) bool, changed func()) (stop func(), err error) {
	conn, err := netlink.Dial(family, &netlink.Config{Groups: 1 << (group - 1)})
	if err != nil {
		return nil, err
	}
	if err := conn.SetReadBuffer(reportBuffer); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	var reading sync.WaitGroup
	reading.Go(func() {
		for {
			messages, err := conn.Receive()
			if err != nil && !errors.Is(err, unix.ENOBUFS) {
				return // closed
			}
			if err != nil || slices.ContainsFunc(messages, concerns) {
				changed()
			}
		}
	})
	return func() {
		conn.Close() // only to end Receive
		reading.Wait()
	}, nil
}

// reportBuffer holds the reports of some thousand changes: those of Service
// rules are among them.
const reportBuffer = 8 << 20

// nftTableName is the attribute of the table's name in reports of tables,
// chains and rules (NFTA_TABLE_NAME, NFTA_CHAIN_TABLE, NFTA_RULE_TABLE).
const nftTableName = 1

// concernsOthers tells whether a report is about a table, a chain or a rule of
// somebody else. What is in their sets says nothing about Pods.
func concernsOthers(message netlink.Message) bool {
	switch message.Header.Type & 0xff {
	case unix.NFT_MSG_NEWTABLE, unix.NFT_MSG_DELTABLE, unix.NFT_MSG_NEWCHAIN, unix.NFT_MSG_DELCHAIN, unix.NFT_MSG_NEWRULE, unix.NFT_MSG_DELRULE:
	default:
		return false
	}
	const header = 4 // nfgenmsg: family, version, resource
	if len(message.Data) < header {
		return false
	}
	attributes, err := netlink.NewAttributeDecoder(message.Data[header:])
	if err != nil {
		return false
	}
	attributes.ByteOrder = binary.BigEndian
	for attributes.Next() {
		if attributes.Type() == nftTableName {
			return attributes.String() != routing.TableName
		}
	}
	return false
}
