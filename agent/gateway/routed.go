package gateway

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"os"
	"strings"
)

// routeTable is the kernel's table of IPv4 routes, a line each: interface,
// destination, gateway, flags, three counters, mask, all in the machine's own
// byte order (proc(5)).
const routeTable = "/proc/net/route"

// errNoWay is why a dial is not tried.
var errNoWay = errors.New("the cluster's network is not up: the machine has no route to the instance")

// hasWay tells whether a route of its own leads to the address. A pod is always
// behind one. While the cluster's network is down, as after a start of the
// machine, only the default route is left, and whoever has that address outside
// would get the request.
func hasWay(address string) bool {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !at.Addr().Is4() || at.Addr().IsLoopback() {
		return true // not a pod of an IPv4 cluster
	}
	table, err := os.ReadFile(routeTable)
	return err != nil || routed(string(table), at.Addr())
}

func routed(table string, address netip.Addr) bool {
	bytes := address.As4()
	ip := binary.NativeEndian.Uint32(bytes[:])
	for line := range strings.Lines(table) {
		const destination, flags, mask, fields = 1, 3, 7, 8
		words := strings.Fields(line)
		if len(words) < fields {
			continue
		}
		to, ok1 := number(words[destination])
		of, ok2 := number(words[mask])
		how, ok3 := number("0000" + words[flags])
		const up, reject = 0x1, 0x200
		if ok1 && ok2 && ok3 && of != 0 && how&up != 0 && how&reject == 0 && ip&of == to {
			return true
		}
	}
	return false
}

func number(text string) (uint32, bool) {
	data, err := hex.DecodeString(text)
	if err != nil || len(data) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(data), true
}
