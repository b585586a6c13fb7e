package domain

import (
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/net/idna"

	"hks.dev/hks/agent"
)

// profile reads names as browsers do (UTS #46), into their ASCII form (RFC 5891).
var profile = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false), idna.StrictDomainName(true), idna.VerifyDNSLength(true))

// parseHost reads a host as people write it. It may begin with "*.".
func parseHost(text string) (string, error) {
	refused := func(why string) (string, error) {
		return "", &agent.Error{
			Code: agent.CodeInvalid, Message: fmt.Sprintf("%.80q can't be a domain: %s", text, why),
			Fix: "give a name such as www.example.com, or *.example.com", Details: map[string]any{"field": "host", "value": text},
		}
	}
	name, wild := strings.CutPrefix(strings.TrimSpace(text), "*.")
	name = strings.TrimSuffix(name, ".")
	if _, err := netip.ParseAddr(strings.Trim(name, "[]")); err == nil {
		return refused("it is an address")
	}
	if strings.ContainsAny(name, "/:@?#") {
		return refused("it is not a name alone")
	}
	host, err := profile.ToASCII(name)
	if err != nil || agent.ValidateHost(host) != nil {
		return refused("it is not the name of a host")
	}
	if !strings.Contains(host, ".") {
		return refused("it has one part only")
	}
	if wild {
		host = "*." + host
	}
	return host, nil
}

// nameOf is a host as people write it.
func nameOf(host string) string {
	name, wild := strings.CutPrefix(host, "*.")
	if shown, err := profile.ToUnicode(name); err == nil {
		name = shown
	}
	if wild {
		name = "*." + name
	}
	return name
}
