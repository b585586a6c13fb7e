package hosts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
)

// detachLoops lets go of loop devices whose files are below a folder: they
// outlive the host that attached them.
func detachLoops(folder string) error {
	ctx, cancel := context.WithTimeout(context.Background(), callLimit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "losetup", "--list", "--json", "--output", "NAME,BACK-FILE").Output()
	if err != nil {
		return fmt.Errorf("listing loop devices: %w", err)
	}
	if len(strings.TrimSpace(string(out))) == 0 {
		return nil
	}
	var list struct {
		Loopdevices []struct {
			Name string `json:"name"`
			File string `json:"back-file"`
		} `json:"loopdevices"`
	}
	if err := json.Unmarshal(out, &list); err != nil {
		return fmt.Errorf("listing loop devices: %w", err)
	}
	var all error
	for _, device := range list.Loopdevices {
		if strings.Contains(device.File, folder) {
			all = errors.Join(all, run(ctx, nil, "losetup", "--detach", device.Name))
		}
	}
	return all
}
