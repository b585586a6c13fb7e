package gateway

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// tableOf writes routes as the kernel does: network and flags.
func tableOf(routes ...[2]string) string {
	var b strings.Builder
	b.WriteString("Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n")
	for _, r := range routes {
		prefix := netip.MustParsePrefix(r[0])
		to, mask := prefix.Addr().As4(), [4]byte{}
		binary.BigEndian.PutUint32(mask[:], ^uint32(0)<<(32-prefix.Bits()))
		if prefix.Bits() == 0 {
			mask = [4]byte{}
		}
		fmt.Fprintf(&b, "eth0\t%08X\t00000000\t%s\t0\t0\t0\t%08X\t0\t0\t0\n", binary.NativeEndian.Uint32(to[:]), r[1], binary.NativeEndian.Uint32(mask[:]))
	}
	return b.String()
}

func TestRouted(t *testing.T) {
	outward := [2]string{"0.0.0.0/0", "0003"}
	for name, tt := range map[string]struct {
		table string
		want  bool
	}{
		"only the way out":     {tableOf(outward), false},
		"the node's bridge":    {tableOf(outward, [2]string{"10.42.0.0/24", "0001"}), true},
		"by way of a node":     {tableOf(outward, [2]string{"10.42.0.0/24", "0003"}), true},
		"another node's pods":  {tableOf(outward, [2]string{"10.42.1.0/24", "0001"}), false},
		"a route that refuses": {tableOf(outward, [2]string{"10.42.0.0/16", "0201"}), false},
		"a route that is down": {tableOf(outward, [2]string{"10.42.0.0/24", "0000"}), false},
		"a host's own":         {tableOf([2]string{"10.42.0.7/32", "0005"}), true},
		"nothing":              {"", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := routed(tt.table, netip.MustParseAddr("10.42.0.7")); got != tt.want {
				t.Errorf("got %v in\n%s", got, tt.table)
			}
		})
	}
	for _, address := range []string{"127.0.0.1:80", "[::1]:80", "name:80"} {
		if !hasWay(address) {
			t.Errorf("%s is held back", address)
		}
	}
}
