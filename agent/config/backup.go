package config

import (
	"encoding/base64"
	"fmt"
	"net/url"
	"path/filepath"
	"time"
)

// Backup is how the appliance itself is saved.
type Backup struct {
	Dir     string        `yaml:"dir"`     // folder of the archives; default: var/lib/hks/archives
	Every   time.Duration `yaml:"every"`   // 0: as the plan says, which is daily on pro
	Keep    int           `yaml:"keep"`    // scheduled archives; 0: as the plan says
	Volumes bool          `yaml:"volumes"` // with the volumes
	Drill   time.Duration `yaml:"drill"`   // between two drills; 0: none
}

func (b Backup) validate() error {
	switch {
	case b.Dir != "" && !filepath.IsAbs(b.Dir):
		return fmt.Errorf("backup.dir: %q is not an absolute path", b.Dir)
	case b.Every != 0 && b.Every < 10*time.Minute:
		return fmt.Errorf("backup.every: %s is less than 10m", b.Every)
	case b.Drill != 0 && b.Drill < 10*time.Minute:
		return fmt.Errorf("backup.drill: %s is less than 10m", b.Drill)
	case b.Keep < 0:
		return fmt.Errorf("backup.keep: %d is no number of archives", b.Keep)
	}
	return nil
}

// Update is where the appliance hears of newer versions. It is not asked
// anything unless an address is given.
type Update struct {
	URL string `yaml:"url"` // of a file that names the newest version, with a signature beside it
	Key string `yaml:"key"` // public half of the key it is signed with, base64 (Ed25519)
}

func (u Update) validate() error {
	if u.URL == "" {
		return nil
	}
	if at, err := url.Parse(u.URL); err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != "http" {
		return fmt.Errorf("update.url: %q is no address of a file", u.URL)
	}
	if key, err := base64.StdEncoding.DecodeString(u.Key); err != nil || len(key) != 32 {
		return fmt.Errorf("update.key: %q is no public key", u.Key)
	}
	return nil
}
