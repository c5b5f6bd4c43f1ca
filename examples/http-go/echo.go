package main

import (
	"io"
	"log"
	"net"
)

// echo sends back what it gets, over TCP and over UDP: load tests ask for it
// with the variable ECHO, an address such as :8081.
func echo(address string) error {
	packets, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	go func() {
		buffer := make([]byte, 2048)
		for {
			n, client, err := packets.ReadFrom(buffer)
			if err != nil {
				log.Fatal(err)
			}
			if _, err := packets.WriteTo(buffer[:n], client); err != nil {
				log.Print(err)
			}
		}
	}()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				log.Fatal(err)
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn) // until the client has had enough
			}()
		}
	}()
	return nil
}
