package server

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/k3s-io/kine/pkg/endpoint"
	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// startStore starts kine on SQLite.
func (r *runner) startStore(f files) error {
	logrus.SetLevel(logrus.WarnLevel)
	_, err := endpoint.Listen(r.storeCtx, endpoint.Config{
		WaitGroup:           &r.store,
		Listener:            "unix://" + f.socket(),
		Endpoint:            "sqlite://" + f.db() + "?_journal=WAL&cache=shared&_busy_timeout=30000&_txlock=immediate",
		NotifyInterval:      5 * time.Second,
		EmulatedETCDVersion: "3.6.11",
		CompactTimeout:      5 * time.Second,
		CompactMinRetain:    1000,
		CompactBatchSize:    1000,
		PollBatchSize:       500,
	})
	if err != nil {
		return fmt.Errorf("datastore %s: %w", f.db(), err)
	}
	return nil
}

func storeClient(f files) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + f.socket()}, DialTimeout: 10 * time.Second})
}

func get(ctx context.Context, c *clientv3.Client, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	res, err := c.Get(ctx, key)
	if err != nil {
		return nil, err
	}
	if len(res.Kvs) == 0 {
		return nil, io.EOF
	}
	return res.Kvs[0].Value, nil
}

// create stores a key that isn't there yet.
func create(ctx context.Context, c *clientv3.Client, key string, value []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	_, err := c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", 0)).Then(clientv3.OpPut(key, string(value))).Commit()
	return err
}
