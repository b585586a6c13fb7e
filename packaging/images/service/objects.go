package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// objects is versitygw, which speaks S3's protocol over a folder: a bucket is
// a folder, an object is a file, and what S3 knows of it is in the file's
// extended attributes. An object that is written again is another file, so
// that one that was opened stays as it was.
type objects struct{ settings }

const (
	objectsServer = "/usr/local/bin/versitygw"
	objectsPort   = "9000"
	objectsOwner  = "hks" // the server's own user; only this program has its key
	objectsRegion = "us-east-1"
	objectsAnswer = 5 * time.Second

	uploads    = ".sgwtmp" // unfinished ones of a bucket
	attributes = "SCHILY.xattr."
	objectType = "user." // of attributes
)

func (o objects) folder() exchange     { return exchange{filepath.Join(o.data, "s3")} }
func (o objects) usersFile() string    { return filepath.Join(o.data, "users", "users.json") }
func (o objects) passwordFile() string { return filepath.Join(o.data, ".hks-password") }

func (o objects) start(_ context.Context, settings []string) error {
	if len(settings) > 0 {
		return errors.New("this server takes no further settings")
	}
	folder := o.folder()
	if err := folder.take(); err != nil {
		return err
	}
	if _, err := os.Stat(folder.folder); errors.Is(err, fs.ErrNotExist) {
		if err := o.create(); err != nil {
			return err
		}
	} else if err != nil {
		return fmt.Errorf("looking for the data: %w", err)
	}
	secret, err := os.ReadFile(o.passwordFile())
	if err != nil {
		return fmt.Errorf("reading the own key: %w", err)
	}
	for name, value := range map[string]string{"ROOT_ACCESS_KEY_ID": objectsOwner, "ROOT_SECRET_ACCESS_KEY": string(secret)} {
		if err := os.Setenv(name, value); err != nil {
			return err
		}
	}
	admin := filepath.Join(o.run, "admin.sock")
	if err := os.Remove(admin); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("removing what a killed server left: %w", err)
	}
	// Users are read anew for each request: one that is dropped is out at once.
	return become(objectsServer, "--port", ":"+objectsPort, "--admin-port", admin, "--region", objectsRegion, "--health", "/health", "--quiet",
		"--iam-dir", filepath.Dir(o.usersFile()), "--iam-cache-disable", "posix", folder.folder)
}

// create makes the first user and the first bucket.
func (o objects) create() error {
	password, err := o.firstPassword()
	if err != nil {
		return err
	}
	if err := writeAll(o.passwordFile(), strings.NewReader(rand.Text()+rand.Text()), 0o600); err != nil {
		return err
	}
	if err := o.putUsers(map[string]objectUser{o.user: newObjectUser(o.user, password)}); err != nil {
		return err
	}
	folder := o.folder()
	made := folder.folder + ".new"
	if err := os.MkdirAll(filepath.Join(made, o.database), 0o755); err != nil {
		return err
	}
	return errors.Join(os.Rename(made, folder.folder), syncFolder(o.data))
}

func (o objects) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, objectsAnswer)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+objectsPort+"/health", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("it answers %s", response.Status)
	}
	return errors.Join(err, response.Body.Close())
}

// objectUser is a user as the server reads it. The role admin reaches all
// buckets, whoever made them; the server's settings are on a socket of its own.
type objectUser struct {
	Access string `json:"access"`
	Secret string `json:"secret"`
	Role   string `json:"role"`
}

func newObjectUser(name, password string) objectUser { return objectUser{name, password, "admin"} }

type objectUsers struct {
	Accounts map[string]objectUser `json:"accessAccounts"`
}

func (o objects) users() (map[string]objectUser, error) {
	text, err := os.ReadFile(o.usersFile())
	if err != nil {
		return nil, fmt.Errorf("reading the users: %w", err)
	}
	var users objectUsers
	if err := json.Unmarshal(text, &users); err != nil {
		return nil, fmt.Errorf("reading the users: %w", err)
	}
	if users.Accounts == nil {
		users.Accounts = map[string]objectUser{}
	}
	return users.Accounts, nil
}

func (o objects) putUsers(users map[string]objectUser) error {
	text, err := json.Marshal(objectUsers{users})
	if err != nil {
		return err
	}
	file := o.usersFile()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	if err := writeAll(file+".new", bytes.NewReader(text), 0o600); err != nil {
		return err
	}
	return errors.Join(os.Rename(file+".new", file), syncFolder(filepath.Dir(file)))
}

func (o objects) addUser(_ context.Context, name, password string) error {
	if !passwordGrammar.MatchString(password) {
		return errors.New("the password is not 16 to 128 letters and digits")
	}
	users, err := o.users()
	if err != nil {
		return err
	}
	users[name] = newObjectUser(name, password)
	return o.putUsers(users)
}

func (o objects) dropUser(_ context.Context, name string) error {
	users, err := o.users()
	if err != nil {
		return err
	}
	delete(users, name)
	return o.putUsers(users)
}

// backup writes all objects, each whole as it was at one moment; unfinished
// uploads stay out.
func (o objects) backup(ctx context.Context, out io.Writer) (Contents, error) {
	packed, err := gzip.NewWriterLevel(out, gzip.BestSpeed)
	if err != nil {
		return Contents{}, err
	}
	archive := tar.NewWriter(packed)
	tables, err := scan(ctx, o.folder().folder, archive)
	if err != nil {
		return Contents{}, err
	}
	return Contents{Tables: tables}, errors.Join(archive.Close(), packed.Close())
}

// scan counts and hashes the objects of each bucket, and writes them into an
// archive when there is one.
func scan(ctx context.Context, folder string, archive *tar.Writer) ([]Table, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // only read
	found := map[string]*Table{}
	sums := map[string]uint64{}
	err = fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrNotExist):
			return nil // deleted meanwhile
		case err != nil || name == ".":
			return err
		case entry.IsDir() && (name[0] == '.' || path.Base(name) == uploads): // the server's own
			return fs.SkipDir
		case !entry.IsDir() && (!entry.Type().IsRegular() || !strings.Contains(name, "/")):
			return nil // no object
		}
		sum, err := one(root, name, archive)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		bucket, _, _ := strings.Cut(name, "/")
		if found[bucket] == nil {
			found[bucket] = &Table{Name: bucket}
		}
		if !entry.IsDir() {
			found[bucket].Rows++
		}
		sums[bucket] += sum
		return nil
	})
	if err != nil {
		return nil, err
	}
	tables := []Table{}
	for bucket, t := range found {
		t.Checksum = strconv.FormatUint(sums[bucket], 16)
		tables = append(tables, *t)
	}
	sortTables(tables)
	return tables, nil
}

// one hashes a file or folder with its attributes: both are read of the same
// open file.
func one(root *os.Root, name string, archive *tar.Writer) (uint64, error) {
	file, err := root.Open(name)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }() // only read
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	held, err := attributesOf(file)
	if err != nil {
		return 0, err
	}
	header := &tar.Header{Name: name, Mode: int64(info.Mode().Perm()), ModTime: info.ModTime(), Format: tar.FormatPAX, PAXRecords: map[string]string{}, Typeflag: tar.TypeDir}
	if !info.IsDir() {
		header.Typeflag, header.Size = tar.TypeReg, info.Size()
	} else {
		header.Name += "/"
	}
	sum := sha256.New()
	_, _ = fmt.Fprintf(sum, "%q %d\n", name, header.Size) // never fails
	for _, key := range slices.Sorted(maps.Keys(held)) {
		header.PAXRecords[attributes+key] = held[key]
		_, _ = fmt.Fprintf(sum, "%q %q\n", key, held[key])
	}
	out := io.Writer(sum)
	if archive != nil {
		if err := archive.WriteHeader(header); err != nil {
			return 0, err
		}
		out = io.MultiWriter(sum, archive)
	}
	if !info.IsDir() {
		if _, err := io.CopyN(out, file, header.Size); err != nil {
			return 0, err
		}
	}
	return binary.BigEndian.Uint64(sum.Sum(nil)), nil
}

// attributesOf reads the extended attributes that users may set.
func attributesOf(file *os.File) (map[string]string, error) {
	held := map[string]string{}
	buffer := make([]byte, 64<<10) // as large as all of a file's may be
	n, err := unix.Flistxattr(int(file.Fd()), buffer)
	if err != nil {
		return nil, fmt.Errorf("listing the attributes: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimSuffix(string(buffer[:n]), "\x00"), "\x00") {
		if !strings.HasPrefix(name, objectType) {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Fgetxattr(int(file.Fd()), name, value)
		if errors.Is(err, unix.ENODATA) {
			continue // taken away meanwhile
		}
		if err != nil {
			return nil, fmt.Errorf("reading the attribute %s: %w", name, err)
		}
		held[name] = string(value[:n])
	}
	return held, nil
}

// restore unpacks an archive beside the data and compares; the next start
// takes it over. Users stay those of now.
func (o objects) restore(ctx context.Context, want Contents, in io.Reader) (Contents, func() error, error) {
	fail := func(err error) (Contents, func() error, error) { return Contents{}, nil, err }
	folder := o.folder()
	if err := folder.begin(); err != nil {
		return fail(err)
	}
	defer folder.drop()
	through := newMeasured()
	archive := io.TeeReader(in, through)
	err := unpack(ctx, folder.making(), archive)
	if _, rest := io.Copy(io.Discard, archive); err == nil {
		err = rest
	}
	if damaged := through.whole(want); damaged != nil {
		return fail(damaged) // the reason of whatever else went wrong
	}
	if err != nil {
		return fail(err)
	}
	tables, err := scan(ctx, folder.making(), nil)
	if err != nil {
		return fail(err)
	}
	if difference := differs(want.Tables, tables); difference != "" {
		return fail(errors.New("what was restored is not what was saved: " + difference))
	}
	if err := folder.commit(); err != nil {
		return fail(err)
	}
	return Contents{SHA256: want.SHA256, Bytes: want.Bytes, Tables: tables}, stopServer, nil
}

// unpack makes the files of an archive, and puts them on disk.
func unpack(ctx context.Context, folder string, in io.Reader) error {
	packed, err := gzip.NewReader(in)
	if err != nil {
		return err
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // what was made is on disk by then
	archive := tar.NewReader(packed)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		if err := place(root, header, archive); err != nil {
			return fmt.Errorf("making %s: %w", header.Name, err)
		}
	}
	at, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(at.Fd())), at.Close())
}

// place makes one file or folder of an archive.
func place(root *os.Root, header *tar.Header, content io.Reader) (err error) {
	name := strings.TrimSuffix(header.Name, "/")
	mode := fs.FileMode(header.Mode).Perm()
	if header.Typeflag == tar.TypeDir {
		if err := root.MkdirAll(name, mode|0o700); err != nil {
			return err
		}
	}
	how := os.O_RDONLY
	if header.Typeflag == tar.TypeReg {
		how = os.O_CREATE | os.O_EXCL | os.O_WRONLY
	}
	file, err := root.OpenFile(name, how, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if header.Typeflag == tar.TypeReg {
		if _, err := io.Copy(file, content); err != nil {
			return err
		}
	}
	for key, value := range header.PAXRecords {
		attribute, ok := strings.CutPrefix(key, attributes)
		if !ok || !strings.HasPrefix(attribute, objectType) {
			continue
		}
		if err := unix.Fsetxattr(int(file.Fd()), attribute, []byte(value), 0); err != nil {
			return fmt.Errorf("setting the attribute %s: %w", attribute, err)
		}
	}
	if header.Typeflag == tar.TypeReg { // an object's is when it was written
		return root.Chtimes(name, header.ModTime, header.ModTime)
	}
	return nil
}
