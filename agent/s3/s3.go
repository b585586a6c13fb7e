// Package s3 keeps copies of files in a store that speaks Amazon S3's API.
package s3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"hks.dev/hks/agent"
)

// Store copies files. It is safe for concurrent use; each call connects anew.
type Store struct{}

// New makes a Store.
func New() Store { return Store{} }

const (
	checkLimit = 20 * time.Second
	copyLimit  = 20 * time.Minute
	checkKey   = ".hks-check"
	checkText  = "written by hks to see whether this store takes backups\n"
	sumKey     = "Sha256" // of the user's metadata
)

func connect(target agent.BackupTarget) (*minio.Client, error) {
	at, err := url.Parse(target.Endpoint)
	if err != nil || at.Host == "" || at.User != nil || strings.Trim(at.Path, "/") != "" || (at.Scheme != "https" && at.Scheme != "http") {
		return nil, &agent.Error{Code: agent.CodeInvalid, Message: fmt.Sprintf("%q is not the address of an S3 store", target.Endpoint), Fix: "write it as https://HOST or http://HOST:PORT, without the bucket", Details: map[string]any{"field": "endpoint"}}
	}
	if target.Bucket == "" || target.AccessKey == "" || target.SecretKey == "" {
		return nil, &agent.Error{Code: agent.CodeInvalid, Message: "the bucket, the access key or the secret key is missing", Fix: "give all three", Details: map[string]any{"field": "bucket"}}
	}
	client, err := minio.New(at.Host, &minio.Options{
		Creds: credentials.NewStaticV4(target.AccessKey, target.SecretKey, ""), Secure: at.Scheme == "https", Region: target.Region,
		BucketLookup: minio.BucketLookupAuto, MaxRetries: 3,
	})
	if err != nil {
		return nil, agent.Errorf(agent.CodeInvalid, "correct the address", "the S3 store can't be used: %w", err)
	}
	return client, nil
}

// Check writes a small file, reads it again and removes it.
func (Store) Check(ctx context.Context, target agent.BackupTarget) error {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	client, err := connect(target)
	if err != nil {
		return err
	}
	name := strings.TrimPrefix(strings.Trim(target.Prefix, "/")+"/"+checkKey, "/")
	if _, err := client.PutObject(ctx, target.Bucket, name, strings.NewReader(checkText), int64(len(checkText)), minio.PutObjectOptions{}); err != nil {
		return explain("writing to", target, err)
	}
	object, err := client.GetObject(ctx, target.Bucket, name, minio.GetObjectOptions{})
	if err != nil {
		return explain("reading from", target, err)
	}
	text, err := io.ReadAll(io.LimitReader(object, int64(len(checkText))+1))
	if err := errors.Join(err, object.Close()); err != nil {
		return explain("reading from", target, err)
	}
	if string(text) != checkText {
		return explain("reading from", target, errors.New("it gave something else than what was written"))
	}
	return explain("removing from", target, client.RemoveObject(ctx, target.Bucket, name, minio.RemoveObjectOptions{}))
}

// Put copies a file there, and asks afterwards whether all of it arrived.
func (Store) Put(ctx context.Context, target agent.BackupTarget, key string, file io.Reader, bytes int64, sha256 string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, copyLimit)
	defer cancel()
	client, err := connect(target)
	if err != nil {
		return "", err
	}
	_, err = client.PutObject(ctx, target.Bucket, key, file, bytes, minio.PutObjectOptions{
		ContentType: "application/octet-stream", UserMetadata: map[string]string{sumKey: sha256},
	})
	if err != nil {
		return "", explain("writing to", target, err)
	}
	info, err := client.StatObject(ctx, target.Bucket, key, minio.StatObjectOptions{})
	if err == nil && info.Size != bytes {
		err = fmt.Errorf("%d of %d bytes arrived", info.Size, bytes)
	}
	if err != nil {
		return "", explain("writing to", target, err)
	}
	return "s3://" + target.Bucket + "/" + key, nil
}

// Get reads a file; the caller closes it.
func (Store) Get(ctx context.Context, target agent.BackupTarget, key string) (io.ReadCloser, error) {
	client, err := connect(target)
	if err != nil {
		return nil, err
	}
	object, err := client.GetObject(ctx, target.Bucket, key, minio.GetObjectOptions{})
	if err == nil {
		_, err = object.Stat()
	}
	if err != nil {
		return nil, explain("reading from", target, err)
	}
	return object, nil
}

// Remove takes a file away; one that is not there is fine.
func (Store) Remove(ctx context.Context, target agent.BackupTarget, key string) error {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	client, err := connect(target)
	if err != nil {
		return err
	}
	return explain("removing from", target, client.RemoveObject(ctx, target.Bucket, key, minio.RemoveObjectOptions{}))
}

const badKey = "give an access key that may read, write and delete in the bucket"

func explain(doing string, target agent.BackupTarget, err error) error {
	if err == nil {
		return nil
	}
	fix := "see whether it is up and this machine can reach it"
	switch minio.ToErrorResponse(err).Code {
	case "NoSuchBucket":
		fix = "make the bucket " + target.Bucket + " there first"
	case "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch":
		fix = badKey
	default:
		if strings.Contains(err.Error(), "access key") { // stores name this differently
			fix = badKey
		}
	}
	return agent.Errorf(agent.CodeConflict, fix, "%s the S3 store %s failed: %w", doing, target.Endpoint, err)
}
