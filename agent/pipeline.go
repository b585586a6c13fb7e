package agent

import "time"

// GitHub is the connection to GitHub, or to a GitHub Enterprise Server. The
// token itself is never shown.
type GitHub struct {
	Connected bool      `json:"connected"`
	URL       string    `json:"url,omitempty"`     // of the API, such as https://api.github.com/
	Login     string    `json:"login,omitempty"`   // whose token it is
	HookURL   string    `json:"hookUrl,omitempty"` // where GitHub reaches this appliance; empty: polling only
	CheckedAt time.Time `json:"checkedAt,omitzero"`
}

// GitHubConnect is how to connect.
type GitHubConnect struct {
	Token   string `json:"token"`
	URL     string `json:"url,omitempty"`     // default https://api.github.com/
	HookURL string `json:"hookUrl,omitempty"` // as in GitHub
}

// GitRepository is one repository that the connection can see.
type GitRepository struct {
	Name    string `json:"name"` // OWNER/NAME
	Branch  string `json:"branch"`
	Private bool   `json:"private"`
}

// Pipeline builds, tests and deploys an app to staging at every push to a
// branch. It has the name of its app.
type Pipeline struct {
	Name       string    `json:"name"`
	Repository string    `json:"repository"`       // OWNER/NAME
	Branch     string    `json:"branch"`           // default: the repository's own
	Folder     string    `json:"folder,omitempty"` // of the project within the repository
	SkipTests  bool      `json:"skipTests,omitempty"`
	Head       string    `json:"head,omitempty"`     // the newest commit that was seen
	HookID     int64     `json:"hookId,omitempty"`   // at GitHub; 0: polling only
	HookNote   string    `json:"hookNote,omitempty"` // why there is none
	PollNote   string    `json:"pollNote,omitempty"` // why the last look at the branch failed
	CreatedAt  time.Time `json:"createdAt"`
}

// Commit is what a run is made from. All of it but SHA is text of strangers.
type Commit struct {
	SHA     string `json:"sha"`
	Message string `json:"message,omitempty"` // its first line
	Author  string `json:"author,omitempty"`
	URL     string `json:"url,omitempty"`
}

// Run is one way of a commit through a pipeline.
type Run struct {
	ID         int64     `json:"id"`
	Pipeline   string    `json:"pipeline"`
	Repository string    `json:"repository"`
	Branch     string    `json:"branch"`
	Commit     Commit    `json:"commit"`
	Trigger    string    `json:"trigger"` // webhook, poll, manual, rerun
	Status     RunStatus `json:"status"`
	Steps      []RunStep `json:"steps"`
	Build      int64     `json:"build,omitempty"`   // whose log is the run's
	Release    int       `json:"release,omitempty"` // of staging
	By         string    `json:"by"`
	Note       string    `json:"note,omitempty"` // what does not change the outcome, such as a status that GitHub did not take
	Failure    *Failure  `json:"failure,omitempty"`
	CreatedAt  time.Time `json:"createdAt"`
	StartedAt  time.Time `json:"startedAt,omitzero"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`
}

// The steps of a run, in their order.
const (
	StepCheckout = "checkout"
	StepBuild    = "build and test"
	StepDeploy   = "deploy to staging"
)

// RunStep is one step of a run.
type RunStep struct {
	Name       string    `json:"name"`
	Status     RunStatus `json:"status"`
	StartedAt  time.Time `json:"startedAt,omitzero"`
	FinishedAt time.Time `json:"finishedAt,omitzero"`
}

// Delivery is one call of a webhook, whoever made it.
type Delivery struct {
	ID       string    `json:"id"` // as the sender named it
	Pipeline string    `json:"pipeline"`
	Event    string    `json:"event"`
	Outcome  string    `json:"outcome"` // accepted, duplicate, forged, oversized, ignored
	Why      string    `json:"why,omitempty"`
	At       time.Time `json:"at"`
}
