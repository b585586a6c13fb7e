package server

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
)

// loadBootstrap brings back the CA, keys and encryption settings of the cluster whose datastore this is, when the files
// are gone: a restored state.db and the token are enough, as with k3s.
func (r *runner) loadBootstrap(ctx context.Context, f files, secret string) error {
	if _, err := os.Stat(f.tls("server-ca.key")); err == nil {
		return nil
	}
	client, err := storeClient(f)
	if err != nil {
		return err
	}
	defer client.Close()
	sealed, err := get(ctx, client, bootstrapKey(secret))
	if errors.Is(err, io.EOF) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading bootstrap data: %w", err)
	}
	data, err := open(secret, sealed)
	if err != nil {
		return fmt.Errorf("bootstrap data doesn't open with this token: %w", err)
	}
	var kept map[string][]byte
	if err := json.Unmarshal(data, &kept); err != nil {
		return err
	}
	for _, name := range f.kept() {
		if kept[name] == nil {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(f.in(name)), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(f.in(name), kept[name], 0o600); err != nil {
			return err
		}
	}
	log.Printf("level=info msg=\"brought back certificates and keys from the datastore\"")
	return nil
}

// saveBootstrap stores the cluster's identity in its datastore.
func (r *runner) saveBootstrap(ctx context.Context, f files, secret string) error {
	client, err := storeClient(f)
	if err != nil {
		return err
	}
	defer client.Close()
	if _, err := get(ctx, client, bootstrapKey(secret)); !errors.Is(err, io.EOF) {
		return err
	}
	kept := map[string][]byte{}
	for _, name := range f.kept() {
		data, err := os.ReadFile(f.in(name))
		if err != nil && !os.IsNotExist(err) {
			return err
		}
		if err == nil {
			kept[name] = data
		}
	}
	data, err := json.Marshal(kept)
	if err != nil {
		return err
	}
	sealed, err := seal(secret, data)
	if err != nil {
		return err
	}
	if err := create(ctx, client, bootstrapKey(secret), sealed); err != nil {
		return fmt.Errorf("storing bootstrap data: %w", err)
	}
	return nil
}

func bootstrapKey(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return "/bootstrap/" + hex.EncodeToString(sum[:])[:12]
}

func seal(secret string, data []byte) ([]byte, error) {
	salt := make([]byte, 16)
	rand.Read(salt) //nolint:errcheck // never fails
	gcm, err := newCipher(secret, salt)
	if err != nil {
		return nil, err
	}
	nonce := make([]byte, gcm.NonceSize())
	rand.Read(nonce) //nolint:errcheck // never fails
	return gcm.Seal(append(salt, nonce...), nonce, data, nil), nil
}

func open(secret string, sealed []byte) ([]byte, error) {
	if len(sealed) < 28 {
		return nil, errors.New("too short")
	}
	gcm, err := newCipher(secret, sealed[:16])
	if err != nil {
		return nil, err
	}
	return gcm.Open(nil, sealed[16:28], sealed[28:], nil)
}

func newCipher(secret string, salt []byte) (cipher.AEAD, error) {
	key, err := pbkdf2.Key(sha256.New, secret, salt, 4096, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
