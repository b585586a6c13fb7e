package server

import (
	"log"
	"net"
	"os"
)

// notifyReady tells systemd that the service is up.
func notifyReady() {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return
	}
	if name[0] == '@' {
		name = "\x00" + name[1:]
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		log.Printf("level=error msg=\"telling systemd\" error=%q", err)
		return
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("READY=1\n")); err != nil {
		log.Printf("level=error msg=\"telling systemd\" error=%q", err)
	}
}
