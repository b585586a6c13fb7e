package manifest

// The blocks of the file. schema.json says the same for editors; a test holds
// both to the same keys.

// document is the whole file.
type document struct {
	App          *text              `yaml:"app"`
	Components   *components        `yaml:"components"`
	Environments *environmentsBlock `yaml:"environments"`
}

// components maps names to components.
type components struct {
	place
	byName map[string]*componentBlock
}

// environmentsBlock holds what differs in an environment.
type environmentsBlock struct {
	place
	Staging    *environmentBlock `yaml:"staging"`
	Production *environmentBlock `yaml:"production"`
}

// environmentBlock overrides keys of components.
type environmentBlock struct {
	place
	Components *components `yaml:"components"`
}

// componentBlock is one component, or what an environment overrides of it.
type componentBlock struct {
	place
	ok        bool            // nothing is wrong with any key alone
	Kind      *text           `yaml:"kind"`
	Build     *buildBlock     `yaml:"build"`
	Image     *text           `yaml:"image"`
	Port      *number         `yaml:"port"`
	Route     *routeBlock     `yaml:"route"`
	Env       *pairs          `yaml:"env"`
	Secrets   *names          `yaml:"secrets"`
	Health    *text           `yaml:"health"`
	Resources *resourcesBlock `yaml:"resources"`
	Replicas  *replicasBlock  `yaml:"replicas"`
	Command   *argv           `yaml:"command"`
	Test      *testBlock      `yaml:"test"`
	Release   *argv           `yaml:"release"`
	Volumes   *volumesBlock   `yaml:"volumes"`
}

// volumesBlock lists what the component keeps.
type volumesBlock struct {
	place
	list []*volumeBlock
}

// volumeBlock is one volume of a component.
type volumeBlock struct {
	place
	Name *text  `yaml:"name"`
	Path *text  `yaml:"path"`
	Size *plain `yaml:"size"` // may look like a number
}

// buildBlock says how the image is made; short form: the folder.
type buildBlock struct {
	place
	Folder     *text  `yaml:"folder"`
	Dockerfile *text  `yaml:"dockerfile"`
	Template   *text  `yaml:"template"`
	Target     *text  `yaml:"target"`
	Args       *pairs `yaml:"args"`
}

// routeBlock says where the component is reached; short form: the path.
type routeBlock struct {
	place
	Host *text `yaml:"host"`
	Path *text `yaml:"path"`
}

// resourcesBlock limits an instance.
type resourcesBlock struct {
	place
	CPU    *plain `yaml:"cpu"` // may look like a number
	Memory *plain `yaml:"memory"`
}

// replicasBlock says between how many instances the load decides; short form:
// a number that it does not change.
type replicasBlock struct {
	place
	Min   *number `yaml:"min"`
	Max   *number `yaml:"max"`
	CPU   *number `yaml:"cpu"` // percent of its limit that an instance is to take
	fixed *number
}

// testBlock is the target of the Dockerfile that runs the tests; short form: a
// command that is run in the image where the source is built.
type testBlock struct {
	place
	Target  *text `yaml:"target"`
	command *argv
}

// Bounds of the file.
const (
	maxComponents = 20
	maxReplicas   = 100
	maxVolumes    = 8 // of a component
	maxPathBytes  = 512
)
