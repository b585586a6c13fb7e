package kube

import (
	"context"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"hks.dev/hks/agent"
)

// RequestTimeout bounds one ordinary request to the API server.
const RequestTimeout = 15 * time.Second

// Applier is a typed client of one kind, such as AppsV1().Deployments(ns);
// C is its apply configuration and T its object.
type Applier[C, T any] interface {
	Apply(ctx context.Context, config *C, opts metav1.ApplyOptions) (*T, error)
}

// Apply makes the object as configured, by server-side apply, and returns it
// as the server holds it. hks owns the fields it names, so it takes them over
// from other managers; fields that it does not name stay theirs.
func Apply[C, T any](ctx context.Context, to Applier[C, T], doing string, config *C) (*T, error) {
	return ApplyAs(ctx, to, agent.FieldManager, doing, config)
}

// ApplyAs is Apply under the name of another manager: what it names stays when
// hks no longer does.
func ApplyAs[C, T any](ctx context.Context, to Applier[C, T], manager, doing string, config *C) (*T, error) {
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	object, err := to.Apply(ctx, config, metav1.ApplyOptions{FieldManager: manager, Force: true})
	if err != nil {
		return nil, Explain(doing, err)
	}
	return object, nil
}

// Deleter is a typed client of one kind, as far as deleting goes.
type Deleter interface {
	Delete(ctx context.Context, name string, opts metav1.DeleteOptions) error
}

// Delete removes the named object with what it owns (in the background); an
// object that is not there is fine.
func Delete(ctx context.Context, from Deleter, doing, name string) error {
	ctx, cancel := context.WithTimeout(ctx, RequestTimeout)
	defer cancel()
	background := metav1.DeletePropagationBackground
	err := from.Delete(ctx, name, metav1.DeleteOptions{PropagationPolicy: &background})
	return IgnoreNotFound(Explain(doing, err))
}

// IgnoreNotFound turns the error of an absent object into none.
func IgnoreNotFound(err error) error {
	if agent.CodeOf(err) == agent.CodeNotFound {
		return nil
	}
	return err
}
