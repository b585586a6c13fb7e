package config

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
)

// LetsEncrypt is the directory of the certificate authority that is asked by
// default. Asking means to agree to its terms (README.md, Custom domains).
const LetsEncrypt = "https://acme-v02.api.letsencrypt.org/directory"

// ACMEOff as a directory asks no authority: certificates are uploaded.
const ACMEOff = "off"

// ACME is how certificates for custom domains are asked for (RFC 8555).
type ACME struct {
	Directory string `yaml:"directory"` // URL of the authority's directory, or off
	Email     string `yaml:"email"`     // of the account; the authority may write to it
	CA        string `yaml:"ca"`        // file with a PEM bundle that the directory's own certificate is checked against
	Resolver  string `yaml:"resolver"`  // ADDRESS:PORT of the name server asked about domains; default: the machine's
}

// Off tells whether no authority is asked.
func (a ACME) Off() bool { return a.Directory == ACMEOff }

func (g Gateway) validate() error {
	for _, address := range g.Addresses {
		if _, err := netip.ParseAddr(address); err != nil {
			return fmt.Errorf("gateway.addresses: %q is not an IP address", address)
		}
	}
	if u, err := url.Parse(g.ACME.Directory); !g.ACME.Off() && (err != nil || u.Scheme != "https" || u.Host == "") {
		return fmt.Errorf("gateway.acme.directory: %q is neither an https URL nor off", g.ACME.Directory)
	}
	if g.ACME.Email != "" && (!strings.Contains(g.ACME.Email, "@") || strings.ContainsAny(g.ACME.Email, " \t\n,")) {
		return fmt.Errorf("gateway.acme.email: %q is not an e-mail address", g.ACME.Email)
	}
	if g.ACME.CA != "" && !filepath.IsAbs(g.ACME.CA) {
		return fmt.Errorf("gateway.acme.ca: %q is not an absolute path", g.ACME.CA)
	}
	if g.ACME.Resolver != "" {
		if _, _, err := net.SplitHostPort(g.ACME.Resolver); err != nil {
			return fmt.Errorf("gateway.acme.resolver: %q is not ADDRESS:PORT", g.ACME.Resolver)
		}
	}
	return nil
}
