package agent

import "time"

// DomainStatus is where a custom domain is on its way to a certificate.
type DomainStatus string

// A domain's statuses.
const (
	DomainChecking DomainStatus = "checking" // not looked at yet
	DomainWaiting  DomainStatus = "waiting"  // DNS, a port, or a certificate of the owner's is missing: Reason says which
	DomainAsking   DomainStatus = "asking"   // the certificate authority is being asked
	DomainValid    DomainStatus = "valid"    // has a certificate, until ValidUntil; Reason tells of a renewal that failed
	DomainFailed   DomainStatus = "failed"   // the authority refused, in the words of Reason; NextTry is when it is asked again
)

// Certificates come from two places.
const (
	CertificateACME = "acme" // asked for by the gateway, and renewed by it
	CertificateOwn  = "own"  // uploaded by the owner, who has to renew it
)

// Domain is a host of the owner's own that leads to an app. It belongs to the
// app and not to a release, so that a rollback leaves it alone.
type Domain struct {
	Host        string       `json:"host"` // in ASCII (punycode); "*.x" is every name one label below x
	Name        string       `json:"name"` // as people write it
	App         string       `json:"app"`
	Environment Environment  `json:"environment"`
	Component   string       `json:"component,omitempty"` // empty: all routes of the app
	URL         string       `json:"url,omitempty"`
	Status      DomainStatus `json:"status"`
	Reason      string       `json:"reason,omitempty"` // why it is not valid, or not renewed; a CA's own words
	Fix         string       `json:"fix,omitempty"`
	Check       DomainCheck  `json:"check"`
	Certificate Certificate  `json:"certificate"`
	Tries       int          `json:"tries,omitempty"`  // that failed since the last success
	NextTry     time.Time    `json:"nextTry,omitzero"` // when the authority is asked again
	CheckedAt   time.Time    `json:"checkedAt,omitzero"`
	CreatedAt   time.Time    `json:"createdAt"`
	By          string       `json:"by"`
}

// DomainCheck is what was seen of a domain from this machine.
type DomainCheck struct {
	CNAME     string   `json:"cname,omitempty"`
	Addresses []string `json:"addresses,omitempty"` // what the name points to
	Expected  []string `json:"expected,omitempty"`  // what it should point to
	DNS       Look     `json:"dns"`
	HTTP      Look     `json:"http"`  // port 80 of those addresses leads to this gateway
	HTTPS     Look     `json:"https"` // and port 443
}

// OK tells whether a certificate can be asked for.
func (c DomainCheck) OK() bool { return c.DNS.OK && c.HTTP.OK && c.HTTPS.OK }

// Look is one thing that was looked at.
type Look struct {
	OK      bool   `json:"ok"`
	Message string `json:"message,omitempty"` // plain words, of success too; empty: not looked at
}

// Certificate is what is known of a certificate; its key is nowhere in it.
type Certificate struct {
	Source     string    `json:"source,omitempty"` // CertificateACME or CertificateOwn; empty: there is none
	Issuer     string    `json:"issuer,omitempty"`
	Names      []string  `json:"names,omitempty"`
	Serial     string    `json:"serial,omitempty"` // hex
	ValidFrom  time.Time `json:"validFrom,omitzero"`
	ValidUntil time.Time `json:"validUntil,omitzero"`
	RenewAt    time.Time `json:"renewAt,omitzero"` // when the gateway asks for the next
}

// Maintenance is an app's maintenance page: the gateway answers 503 with it in
// place of the app.
type Maintenance struct {
	On      bool      `json:"on"`                // false only until the gateway was told
	Message string    `json:"message,omitempty"` // the owner's words; empty: those of the gateway
	Since   time.Time `json:"since"`
	By      string    `json:"by"`
	Applied bool      `json:"applied"` // the cluster was told, by which the gateway knows
}

// GatewayProbe is the URL path at which every gateway answers with the id of
// its process, whatever the host: this tells whether a domain leads here.
const GatewayProbe = "/.well-known/hks-gateway"

// GatewayDomain is what the agent tells the gateway of a domain.
type GatewayDomain struct {
	Host  string    `json:"host"`
	Ask   bool      `json:"ask"`             // a certificate may be asked for: DNS and ports were seen to be right
	Retry time.Time `json:"retry,omitzero"`  // a failure before this time is forgotten: ask at once
	Chain string    `json:"chain,omitempty"` // the owner's own certificate, PEM
	Key   string    `json:"key,omitempty"`   // and its key, PEM
}

// GatewayCertificate is what the gateway knows of a domain's certificate.
type GatewayCertificate struct {
	Host        string      `json:"host"`
	Asking      bool        `json:"asking,omitempty"`
	Certificate Certificate `json:"certificate"`
	Error       string      `json:"error,omitempty"` // of the last try, in the authority's words
	Tries       int         `json:"tries,omitempty"` // that failed since the last success
	LastTry     time.Time   `json:"lastTry,omitzero"`
	NextTry     time.Time   `json:"nextTry,omitzero"`
}
