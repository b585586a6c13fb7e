package buildkit

import (
	"context"

	"github.com/moby/buildkit/session/auth"
	"google.golang.org/grpc"

	"hks.dev/hks/agent"
)

// registryAuth tells the daemon the password of the appliance's own registry
// while a build runs, and of no other. Tokens of others the daemon asks for
// itself, without a name.
type registryAuth struct {
	auth.UnimplementedAuthServer
	registry Registry
}

// Register offers it to the session.
func (a *registryAuth) Register(server *grpc.Server) { auth.RegisterAuthServer(server, a) }

// Credentials answers the daemon.
func (a *registryAuth) Credentials(_ context.Context, asked *auth.CredentialsRequest) (*auth.CredentialsResponse, error) {
	if asked.GetHost() != a.registry.Address && asked.GetHost() != agent.RegistryHost {
		return &auth.CredentialsResponse{}, nil
	}
	return &auth.CredentialsResponse{Username: a.registry.Username, Secret: a.registry.Password}, nil
}
