package installer

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"hks.dev/hks/agent/store"
)

// Bounds of what doctor finds well.
const (
	startLimit   = 3 * time.Minute
	expiryNotice = 30 * 24 * time.Hour // a certificate that ends sooner is told of
	diskFloor    = 1 << 30             // bytes; the registry and the engine refuse to write below it
	diskLow      = 0.10                // of the file system; the kubelet removes images and pods near it
	lookupLimit  = 5 * time.Second
)

// checkDatabases wants databases that SQLite finds sound.
func (d *doctor) checkDatabases(ctx context.Context) []Finding {
	var findings []Finding
	sound := 0
	for file, fix := range map[string]string{
		d.paths.State("hks.db"):    "restore a backup of the appliance; one from before the last upgrade is below " + d.snapshots() + " (hks-installer rollback)",
		d.engineDatabase():         "restore a backup of the appliance; the cluster's objects are in it",
		d.paths.State("series.db"): "stop the agent and move the file away: it holds charts only",
	} {
		if !exists(file) {
			continue
		}
		facts, err := store.InspectFile(ctx, file)
		switch {
		case err != nil:
			findings = append(findings, unknown(err)...)
		case !facts.Sound:
			findings = append(findings, broken(fix, "the database %s is damaged: %s", file, strings.Join(facts.Faults, "; ")))
		default:
			sound++
		}
	}
	if len(findings) == 0 {
		return fine("%d are sound", sound)
	}
	return findings
}

// certificateFiles are those that the machine itself makes and renews, and why
// a restart of the engine helps; the gateway looks after its own.
func (m *machine) certificateFiles() ([]string, error) {
	files := []string{m.paths.State("api/tls.pem"), m.paths.State("registry/tls/ca.crt"), m.paths.State("registry/tls/server.crt")}
	for _, pattern := range []string{"server/tls/*.crt", "agent/*.crt"} {
		more, err := filepath.Glob(filepath.Join(m.paths.K3sData(), pattern))
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	return files, nil
}

// checkCertificates wants certificates that are in force, and a clock that
// agrees with them.
func (d *doctor) checkCertificates(context.Context) []Finding {
	files, err := d.certificateFiles()
	if err != nil {
		return unknown(err)
	}
	now := d.now()
	var findings []Finding
	sound := 0
	for _, file := range files {
		certificate, err := readCertificate(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			findings = append(findings, broken("put the file back from a backup of the appliance", "the certificate %s is damaged: %v", file, err))
			continue
		}
		ofEngine := strings.HasPrefix(file, d.paths.K3sData()+"/")
		fix := "remove the file and run hks-installer up: it is made anew, and clients log in again with the new fingerprint"
		if ofEngine {
			fix = "restart the engine, which renews its certificates: hks-installer down, then hks-installer up --from FOLDER"
		}
		switch {
		case now.Before(certificate.NotBefore):
			f := broken("set the clock of the machine right, and keep it so by a time service (chrony, systemd-timesyncd)",
				"the clock says %s, which is before the certificate %s begins (%s): the clock is behind", now.UTC().Format(time.RFC3339), file, certificate.NotBefore.UTC().Format(time.RFC3339))
			f.Check = "clock"
			findings = append(findings, f)
		case now.After(certificate.NotAfter):
			findings = append(findings, broken(fix, "the certificate %s ended on %s", file, certificate.NotAfter.UTC().Format(time.RFC3339)))
		case certificate.NotAfter.Sub(now) < expiryNotice:
			findings = append(findings, Finding{Level: Warning, Message: fmt.Sprintf("the certificate %s ends on %s", file, certificate.NotAfter.UTC().Format(time.RFC3339)), Fix: fix})
		default:
			sound++
		}
	}
	if len(findings) == 0 {
		return fine("%d are in force", sound)
	}
	return findings
}

// readCertificate reads the first certificate of a PEM file.
func readCertificate(file string) (*x509.Certificate, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return x509.ParseCertificate(block.Bytes)
		}
	}
	return nil, errors.New("it holds no certificate")
}

func freeSpaceOf(path string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(path, &st); err != nil {
		return 0, 0, err
	}
	return int64(st.Bavail) * st.Bsize, int64(st.Blocks) * st.Bsize, nil
}

// checkDisks wants room where the appliance writes.
func (d *doctor) checkDisks(context.Context) []Finding {
	const fix = "free some: hks image prune, hks build prune, hks volume list shows volumes that are only kept; or give the machine a larger disk"
	var findings []Finding
	seen := map[string]bool{}
	for _, dir := range []string{d.paths.State(), d.paths.K3sData(), d.paths.Logs(), d.paths.Versions()} {
		if !exists(dir) {
			continue
		}
		free, total, err := d.free(dir)
		if err != nil {
			findings = append(findings, unknown(err)...)
			continue
		}
		if key := fmt.Sprint(free, total); seen[key] {
			continue // the same file system
		} else {
			seen[key] = true
		}
		switch {
		case free < diskFloor:
			findings = append(findings, broken(fix, "%s has %.1f GiB free, and below %.1f GiB neither images nor the cluster may write", dir, gib(free), gib(diskFloor)))
		case float64(free) < diskLow*float64(total):
			findings = append(findings, Finding{Level: Warning, Message: fmt.Sprintf("%s has %.1f GiB of %.1f GiB free", dir, gib(free), gib(total)), Fix: fix})
		default:
			findings = append(findings, Finding{Level: OK, Message: fmt.Sprintf("%s: %.1f GiB free", dir, gib(free))})
		}
	}
	return findings
}

// checkVolumes wants every volume to be mounted.
func (d *doctor) checkVolumes(ctx context.Context) []Finding {
	disks, err := d.disks()
	if err != nil {
		return unknown(err)
	}
	list, err := disks.List()
	if err != nil {
		return unknown(err)
	}
	mounted, err := disks.Mounted()
	if err != nil {
		return unknown(err)
	}
	wanted, err := d.wantedVolumes(ctx)
	if err != nil {
		return unknown(err)
	}
	var findings []Finding
	for _, id := range wanted {
		switch {
		case slices.Contains(mounted, id):
		case !slices.Contains(list, id):
			findings = append(findings, broken("restore it from a backup of what was on it; hks volume list says whose it is", "the disk of the volume %s is gone from %s", id, d.paths.Volumes()))
		default:
			findings = append(findings, broken("hks-installer doctor --fix mounts it; the agent does so at its start", "the volume %s is not mounted, so what needs it does not start", id))
			d.mend = append(d.mend, mending{"the volume " + id + " is mounted", func(ctx context.Context) error { return disks.Mount(ctx, id) }})
		}
	}
	if len(findings) == 0 {
		return fine("%d of %d are mounted, all that are in use", len(mounted), len(list))
	}
	return findings
}

// wantedVolumes are those that something uses; kept ones are not mounted.
func (d *doctor) wantedVolumes(ctx context.Context) ([]string, error) {
	if !exists(d.paths.State("hks.db")) {
		return nil, nil
	}
	return store.MountedVolumesIn(ctx, d.paths.State("hks.db"))
}

// checkAddress wants the machine to have the address that its node was made with.
func (d *doctor) checkAddress(context.Context) []Finding {
	file := filepath.Join(d.paths.K3sData(), "agent/serving-kubelet.crt")
	certificate, err := readCertificate(file)
	if errors.Is(err, fs.ErrNotExist) {
		return fine("the node has none yet")
	}
	if err != nil {
		return unknown(err)
	}
	have, err := d.addresses()
	if err != nil {
		return unknown(err)
	}
	var wants []string
	for _, ip := range certificate.IPAddresses {
		if ip.IsLoopback() {
			continue
		}
		wants = append(wants, ip.String())
		for _, address := range have {
			if network, ok := address.(*net.IPNet); ok && network.IP.Equal(ip) {
				return fine("the machine has the node's address %s", ip)
			}
		}
	}
	if len(wants) == 0 {
		return fine("the node is bound to none")
	}
	return []Finding{broken("give the machine that address again; or restart the engine, which takes the new one: hks-installer down, then hks-installer up --from FOLDER",
		"the machine's address has changed: the node was made with %s, which the machine has no more", strings.Join(wants, ", "))}
}

// askNameServer asks the machine's name server who serves the root: whatever
// it answers, it is alive.
func askNameServer(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, lookupLimit)
	defer cancel()
	_, err := (&net.Resolver{PreferGo: true}).LookupNS(ctx, ".")
	if failed, ok := errors.AsType[*net.DNSError](err); ok && (failed.IsNotFound || !failed.IsTimeout && strings.Contains(failed.Err, "server misbehaving")) {
		return nil // it answered
	}
	return err
}

// checkNames wants a name server that answers. An appliance without the
// internet does without.
func (d *doctor) checkNames(ctx context.Context) []Finding {
	if err := d.lookup(ctx); err != nil {
		return []Finding{{
			Level: Warning, Message: fmt.Sprintf("no name server answers (%v): images and sources from elsewhere, certificates and reports won't get through", err),
			Fix: "see /etc/resolv.conf and the network; an appliance that needs nothing from outside works all the same",
		}}
	}
	return fine("a name server answers")
}
