// Package domain looks after custom domains: it checks that a name and its
// ports lead to this appliance before a certificate is asked for, tells the
// gateway which certificates to ask an authority for and which of the owner's
// own to use, and keeps what came of it where people see it.
package domain
