package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"hks.dev/hks/agent"
)

const diary = `app: diary
components:
  web:
    image: page:1
    port: 8080
    route: /
    volumes: [{name: data, path: /data, size: SIZE}]
`

func diaryOf(t *testing.T, size string) string {
	t.Helper()
	return projectFile(t, strings.Replace(diary, "SIZE", size, 1))
}

const diaryVolume = "diary-staging-web-data"

// page runs the sample in the diary's instance.
func page(t *testing.T, args ...string) result {
	t.Helper()
	return try(t, append([]string{"exec", "diary", "--", "/app"}, args...)...)
}

// reads waits until a file on the volume has a text.
func reads(t *testing.T, file, want string) {
	t.Helper()
	eventually(t, 2*time.Minute, func() string {
		if r := page(t, "read", file); r.exit != 0 || !strings.Contains(r.stdout, want) {
			return fmt.Sprintf("exit %d\n%s%s", r.exit, r.stdout, r.stderr)
		}
		return ""
	})
}

func keeps(t *testing.T, file, text string) {
	t.Helper()
	if r := page(t, "keep", file, text); r.exit != 0 {
		t.Fatalf("writing %s: exit %d\n%s%s", file, r.exit, r.stdout, r.stderr)
	}
}

func volumeOf(t *testing.T, name string) agent.Volume {
	t.Helper()
	return ask[agent.Volume](t, "volume", "show", name)
}

// volumeIs waits until a volume is ready with a size.
func volumeIs(t *testing.T, name string, size int64) agent.Volume {
	t.Helper()
	var v agent.Volume
	eventually(t, 2*time.Minute, func() string {
		v = volumeOf(t, name)
		if v.Status != agent.VolumeReady || v.SizeBytes != size {
			return fmt.Sprintf("%s has %d bytes: %s", v.Status, v.SizeBytes, v.Message)
		}
		return ""
	})
	return v
}

// grown waits for a growth. Where the machine lets nobody grow a mounted
// filesystem, the volume says that it waits for its instance to be replaced.
func grown(t *testing.T, name string, size int64, replace func()) agent.Volume {
	t.Helper()
	replaced := false
	eventually(t, 2*time.Minute, func() string {
		v := volumeOf(t, name)
		if v.Status == agent.VolumeReady && v.SizeBytes == size {
			return ""
		}
		if strings.Contains(v.Message, "next replaced") && !replaced {
			t.Log("this machine grows no mounted filesystem (CAP_SYS_RESOURCE is missing): its instance is replaced")
			replaced = true
			replace()
		}
		return fmt.Sprintf("%s has %d bytes: %s", v.Status, v.SizeBytes, v.Message)
	})
	return volumeIs(t, name, size)
}

// volumeGone deletes a volume with the test, and those of its name that are
// kept, once the app that has it is gone.
func volumeGone(t *testing.T, name string) {
	t.Cleanup(func() {
		appliance.leaving.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		run := func(args ...string) []byte {
			out, err := exec.CommandContext(ctx, filepath.Join(appliance.bin, "hks"), args...).CombinedOutput()
			if err != nil {
				t.Logf("hks %s: %v\n%s", strings.Join(args, " "), err, out)
			}
			return out
		}
		var all []agent.Volume
		if err := json.Unmarshal(run("volume", "list", "--json"), &all); err != nil {
			t.Logf("listing volumes: %v", err)
		}
		for _, v := range all {
			if v.Name == name {
				run("volume", "delete", v.ID, "--now", "--yes")
			}
		}
		if out, err := kubectlWith(ctx, "-n", workspace, "wait", "--for=delete", "--timeout=50s", "pvc/"+name); err != nil {
			t.Logf("waiting until the claim %s is gone: %v\n%s", name, err, out)
		}
	})
}

func TestA15VolumesOverThePlanAreRefusedBeforeAnythingIsMade(t *testing.T) {
	refusedWith(t, []string{"11 GiB", "hobby", "10 GiB", "plan upgrade"}, "deploy", "--source", diaryOf(t, "11Gi"))
	if out := inWorkspace(t, "get", "pvc", "-o", "name"); strings.Contains(out, "diary") {
		t.Errorf("something was made: %s", out)
	}
	refusedWith(t, []string{"components.web.volumes[0].size", "lots"}, "deploy", "--source", diaryOf(t, "lots"))
}

func TestA19VolumeOfAnApp(t *testing.T) {
	quiet(t)
	volumeGone(t, diaryVolume) // after its app
	remove(t, "diary")
	hks(t, "deploy", "--source", diaryOf(t, "64Mi"))
	v := volumeIs(t, diaryVolume, 64<<20)
	disk := filepath.Join("/var/lib/hks/volumes", v.ID)

	t.Run("its size is a wall, and the machine has room", func(t *testing.T) {
		r := page(t, "fill", "/data/full", "100")
		if r.exit == 0 || !strings.Contains(r.stderr, "no space left") {
			t.Errorf("exit %d\n%s%s", r.exit, r.stdout, r.stderr)
		}
		var stat unix.Statfs_t
		if err := unix.Statfs("/var/lib/hks", &stat); err != nil || int64(stat.Bavail)*stat.Bsize < 100<<20 {
			t.Errorf("the machine's own disk is full: %v", err)
		}
		if v := volumeOf(t, diaryVolume); v.FreeBytes > 1<<20 || v.UsedBytes < 32<<20 {
			t.Errorf("its fill: %+v", v)
		}
		page(t, "fill", "/data/full", "0")
	})
	keeps(t, "/data/note", "dear diary")

	t.Run("it survives a kill of the instance", func(t *testing.T) {
		inWorkspace(t, "delete", "pod", "-l", "hks.dev/app=diary", "--grace-period=0", "--force")
		reads(t, "/data/note", "dear diary")
	})
	t.Run("a kill of the agent", func(t *testing.T) {
		kill(t, "agent")
		up(t)
		healthy(t)
		reads(t, "/data/note", "dear diary")
	})
	t.Run("an unmounted disk is mounted again, and nothing starts beside it", func(t *testing.T) {
		if err := unix.Unmount(filepath.Join(disk, "fs"), 0); err != nil {
			t.Fatal(err)
		}
		inWorkspace(t, "delete", "pod", "-l", "hks.dev/app=diary", "--grace-period=0", "--force")
		reads(t, "/data/note", "dear diary")
	})
	t.Run("bad changes are refused", func(t *testing.T) {
		refusedWith(t, []string{"can't shrink"}, "deploy", "--source", diaryOf(t, "32Mi"))
		refusedWith(t, []string{"can't shrink"}, "volume", "resize", diaryVolume, "32Mi")
		refusedWith(t, []string{"hobby plan"}, "volume", "resize", diaryVolume, "11Gi")
		refusedWith(t, []string{"one instance", "volume"}, "deploy", "--source", projectFile(t, strings.Replace(diary, "SIZE", "64Mi", 1)+"    replicas: 2\n"))
		refusedWith(t, []string{"has a volume"}, "scale", "diary", "2")
		refusedWith(t, []string{"in use"}, "volume", "delete", diaryVolume, "--now", "--yes")
	})
	t.Run("it grows by a release", func(t *testing.T) {
		hks(t, "deploy", "--source", diaryOf(t, "128Mi"))
		grown(t, diaryVolume, 128<<20, func() { hks(t, "app", "restart", "diary") })
		reads(t, "/data/note", "dear diary")
	})
	t.Run("it grows by hand", func(t *testing.T) {
		hks(t, "volume", "resize", diaryVolume, "192Mi")
		grown(t, diaryVolume, 192<<20, func() { hks(t, "app", "restart", "diary") })
		reads(t, "/data/note", "dear diary")
		if r := page(t, "fill", "/data/full", "140"); r.exit != 0 {
			t.Errorf("exit %d\n%s%s", r.exit, r.stdout, r.stderr)
		}
		page(t, "fill", "/data/full", "0")
		if out := inWorkspace(t, "get", "pvc", diaryVolume, "-o", "jsonpath={.status.capacity.storage}"); out != "192Mi" {
			t.Errorf("the claim says %q", out)
		}
	})
	t.Run("a rollback keeps it", func(t *testing.T) {
		hks(t, "rollback", "diary", "1")
		reads(t, "/data/note", "dear diary")
		volumeIs(t, diaryVolume, 192<<20)
	})
	t.Run("a deleted app leaves it for its grace", func(t *testing.T) {
		out := hks(t, "app", "delete", "diary", "--yes")
		if !strings.Contains(out, "kept     volume/"+diaryVolume+" until ") {
			t.Errorf("it said\n%s", out)
		}
		v := volumeOf(t, diaryVolume)
		if days := time.Until(v.KeptUntil).Hours() / 24; v.Status != agent.VolumeKept || days < 6.9 || days > 7.1 {
			t.Errorf("got %+v", v)
		}
		hks(t, "deploy", "--source", diaryOf(t, "64Mi"))
		reads(t, "/data/note", "dear diary")
		if v := volumeOf(t, diaryVolume); v.Status != agent.VolumeReady || !v.KeptUntil.IsZero() {
			t.Errorf("used again: %+v", v)
		}
	})
	t.Run("a claim that is gone is restored", func(t *testing.T) {
		hks(t, "app", "delete", "diary", "--yes")
		inWorkspace(t, "delete", "pvc", diaryVolume)
		eventually(t, time.Minute, func() string {
			if v := volumeOf(t, diaryVolume); v.Status != agent.VolumeKept {
				return string(v.Status)
			}
			if out, err := kubectl(t, "get", "pv", "-o", "name"); err != nil || strings.Contains(out, v.ID) {
				return "the volume is still in the cluster"
			}
			return ""
		})
		if _, err := os.Stat(filepath.Join(disk, "disk.img")); err != nil {
			t.Fatal(err)
		}
		hks(t, "volume", "restore", diaryVolume)
		volumeIs(t, diaryVolume, 192<<20)
		hks(t, "deploy", "--source", diaryOf(t, "64Mi"))
		reads(t, "/data/note", "dear diary")
	})
	t.Run("deleted now, nothing is left", func(t *testing.T) {
		hks(t, "app", "delete", "diary", "--yes")
		hks(t, "volume", "delete", diaryVolume, "--now", "--yes")
		eventually(t, time.Minute, func() string {
			if _, err := os.Stat(disk); err == nil {
				return "the disk is there"
			}
			return ""
		})
		if out, err := kubectl(t, "get", "pv", "-o", "name"); err != nil || strings.Contains(out, v.ID) {
			t.Errorf("%s %v", out, err)
		}
	})
}

// attached tells whether a loop device has a disk's file.
func attached(t *testing.T, id string) bool {
	t.Helper()
	files, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if data, err := os.ReadFile(file); err == nil && strings.Contains(string(data), id) {
			return true
		}
	}
	return false
}

func TestA94VolumesAfterDownAndUp(t *testing.T) {
	quiet(t)
	volumeGone(t, diaryVolume)
	remove(t, "diary")
	hks(t, "deploy", "--source", diaryOf(t, "64Mi"))
	v := volumeIs(t, diaryVolume, 64<<20)
	keeps(t, "/data/note", "still there")
	if !attached(t, v.ID) {
		t.Error("no loop device has the volume's file")
	}
	if out, err := installer(t.Context(), "down"); err != nil {
		t.Fatalf("down: %v\n%s", err, out)
	}
	for _, name := range leftovers(t) {
		t.Error(name)
	}
	if attached(t, v.ID) {
		t.Error("a loop device still has the volume's file")
	}
	up(t)
	healthy(t)
	reads(t, "/data/note", "still there")
}

func TestA12VolumeOfPostgreSQLGrows(t *testing.T) {
	quiet(t)
	serviceGone(t, "books")
	hks(t, "market", "install", "postgresql", "books", "--storage", "256Mi")
	if class := inWorkspace(t, "get", "pvc", "books-data", "-o", "jsonpath={.spec.storageClassName}"); class != agent.StorageClass {
		t.Fatalf("its volume is of the class %q", class)
	}
	volumeIs(t, "books-data", 256<<20)
	psql(t, "books", "CREATE TABLE book (title text);\nINSERT INTO book VALUES ('first');\n")
	hks(t, "market", "upgrade", "books", "--storage", "512Mi")
	grown(t, "books-data", 512<<20, func() { inWorkspace(t, "delete", "pod", "books-0") })
	eventually(t, 2*time.Minute, func() string {
		if r := tryInput(t, "SELECT title FROM book;\n", "connect", "books"); r.exit != 0 || !strings.Contains(r.stdout, "first") {
			return r.stdout + r.stderr
		}
		return ""
	})
	disk := filepath.Join("/var/lib/hks/volumes", volumeOf(t, "books-data").ID)
	hks(t, "market", "uninstall", "books", "--yes")
	if v := volumeOf(t, "books-data"); v.Status != agent.VolumeKept || v.KeptUntil.IsZero() {
		t.Errorf("removed: %+v", v)
	}
	hks(t, "market", "uninstall", "books", "--purge", "--yes")
	eventually(t, time.Minute, func() string {
		if _, err := os.Stat(disk); err == nil {
			return "the disk is there"
		}
		return ""
	})
}
