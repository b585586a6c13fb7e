package agent

import "strconv"

// FieldManager owns what hks applies to the cluster.
const FieldManager = "hks"

// SystemNamespace holds the platform's own objects.
const SystemNamespace = "hks-system"

// IngressClass is the class of the routes that the gateway serves.
const IngressClass = "hks"

// DefaultWorkspace is the name of the workspace that the first login makes.
const DefaultWorkspace = "dev-workspace"

// RegistryHost is the name under which nodes know the appliance's own image
// registry; registries.yaml maps it to the real address.
const RegistryHost = "registry.hks.internal"

// Labels of objects that hks makes.
const (
	LabelName        = "app.kubernetes.io/name"
	LabelInstance    = "app.kubernetes.io/instance"
	LabelComponent   = "app.kubernetes.io/component"
	LabelPartOf      = "app.kubernetes.io/part-of"
	LabelManagedBy   = "app.kubernetes.io/managed-by"
	LabelApp         = "hks.dev/app"
	LabelEnvironment = "hks.dev/environment"
	LabelRelease     = "hks.dev/release"
	LabelFunction    = "hks.dev/function"
	LabelRuntime     = "hks.dev/function-runtime" // of a function's pod, with or without its function
	LabelWorkspace   = "hks.dev/workspace"
	LabelNodePool    = "hks.dev/node-pool"
)

// Values of labels, and the taint of dedicated nodes.
const (
	ManagedBy      = "hks"
	PoolShared     = "shared"
	PoolDedicated  = "dedicated"
	TaintDedicated = "hks.dev/dedicated"
)

// AnnotationMaintenance on an Ingress has the gateway answer in place of the
// app, with the message that is its value.
const AnnotationMaintenance = "hks.dev/maintenance"

// ObjectName is the name of the cluster objects of an app in an environment,
// such as "web-staging". Environments are part of an app's identity.
func ObjectName(app string, env Environment) string { return app + "-" + string(env) }

// ComponentName is the name of the cluster objects of one component of an app:
// that of the app itself for the only component of an app without a file.
func ComponentName(app string, env Environment, component string) string {
	if component == DefaultComponent {
		return ObjectName(app, env)
	}
	return ObjectName(app, env) + "-" + component
}

// HostLabel is the first label of the default host of an app: "web" in
// production, "web-staging" in staging.
func HostLabel(app string, env Environment) string {
	if env == Production {
		return app
	}
	return ObjectName(app, env)
}

// ReleaseName is the name of objects that belong to one release of an app.
func ReleaseName(app string, env Environment, number int) string {
	return ObjectName(app, env) + "-" + strconv.Itoa(number)
}
