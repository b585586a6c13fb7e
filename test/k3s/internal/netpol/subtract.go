package netpol

import "net/netip"

// subtract gives the ranges of cidr that are in none of the others.
func subtract(cidr string, except []string) []string {
	whole, err := netip.ParsePrefix(cidr)
	if err != nil || !whole.Addr().Is4() {
		return nil
	}
	left := []netip.Prefix{whole.Masked()}
	for _, e := range except {
		hole, err := netip.ParsePrefix(e)
		if err != nil || !hole.Addr().Is4() {
			continue
		}
		var next []netip.Prefix
		for _, p := range left {
			next = append(next, without(p, hole.Masked())...)
		}
		left = next
	}
	out := make([]string, 0, len(left))
	for _, p := range left {
		out = append(out, p.String())
	}
	return out
}

func without(p, hole netip.Prefix) []netip.Prefix {
	switch {
	case !p.Overlaps(hole):
		return []netip.Prefix{p}
	case hole.Bits() <= p.Bits():
		return nil
	}
	low, high := halves(p)
	return append(without(low, hole), without(high, hole)...)
}

func halves(p netip.Prefix) (low, high netip.Prefix) {
	bits := p.Bits() + 1
	a := p.Addr().As4()
	low = netip.PrefixFrom(p.Addr(), bits)
	a[(bits-1)/8] |= 1 << (7 - (bits-1)%8)
	return low, netip.PrefixFrom(netip.AddrFrom4(a), bits)
}
