package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	amqp "github.com/rabbitmq/amqp091-go"
)

// connector is an engine whose image has no client of its own to be tried
// with: it logs in over the network as an application does.
type connector interface {
	connect(ctx context.Context, host, password string) error
}

func (r rabbitmq) connect(_ context.Context, host, password string) error {
	at := url.URL{Scheme: "amqp", User: url.UserPassword(r.user, password), Host: net.JoinHostPort(host, rabbitPort), Path: "/" + r.database}
	connection, err := amqp.DialConfig(at.String(), amqp.Config{Dial: amqp.DefaultDial(rabbitAnswer)})
	if err != nil {
		return err
	}
	_, err = connection.Channel()
	return errors.Join(err, connection.Close())
}

func (o objects) connect(ctx context.Context, host, password string) error {
	ctx, cancel := context.WithTimeout(ctx, objectsAnswer)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, "http://"+net.JoinHostPort(host, objectsPort)+"/"+o.database, nil)
	if err != nil {
		return err
	}
	nothing := sha256.Sum256(nil)
	sum := hex.EncodeToString(nothing[:])
	request.Header.Set("X-Amz-Content-Sha256", sum)
	err = v4.NewSigner().SignHTTP(ctx, aws.Credentials{AccessKeyID: o.user, SecretAccessKey: password}, request, sum, "s3", objectsRegion, time.Now())
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		err = fmt.Errorf("the bucket %s answers %s", o.database, response.Status)
	}
	return errors.Join(err, response.Body.Close())
}
