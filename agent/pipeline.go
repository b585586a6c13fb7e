package agent

import (
	"strconv"
	"time"
)

// GitHub is the connection to GitHub, or to a GitHub Enterprise Server. The
// token itself is never shown.
type GitHub struct {
	Connected bool       `json:"connected"`
	URL       string     `json:"url,omitempty"`     // of the API, such as https://api.github.com/
	Login     string     `json:"login,omitempty"`   // whose token it is
	HookURL   string     `json:"hookUrl,omitempty"` // where GitHub reaches this appliance; empty: polling only
	CheckedAt time.Time  `json:"checkedAt,omitzero"`
	App       *GitHubApp `json:"app,omitempty"` // nil: connected by a token
}

// GitHubApp is the App that hks is at GitHub. Its key is never shown.
type GitHubApp struct {
	ID           int64  `json:"id"`
	Slug         string `json:"slug,omitempty"`
	InstallURL   string `json:"installUrl,omitempty"` // where an account lets it in
	Installation int64  `json:"installation,omitempty"`
	Account      string `json:"account,omitempty"` // that it is installed in; empty: none yet
}

// GitHubInstallation is an account that a GitHub App is installed in.
type GitHubInstallation struct {
	ID      int64  `json:"id"`
	Account string `json:"account"`
}

// GitHubAppStart begins to make an App through the browser.
type GitHubAppStart struct {
	URL          string `json:"url,omitempty"`          // as in GitHubConnect
	HookURL      string `json:"hookUrl,omitempty"`      // as in GitHub
	Organization string `json:"organization,omitempty"` // whose the App is to be; empty: one's own
	Origin       string `json:"origin"`                 // where the browser has this appliance, such as https://HOST:8443
}

// GitHubAppForm is what the browser posts to GitHub. It holds no secret.
type GitHubAppForm struct {
	Action   string    `json:"action"`
	Manifest string    `json:"manifest"`
	Page     string    `json:"page"` // of this appliance, which posts it
	Expires  time.Time `json:"expires"`
}

// GitHubConnect is how to connect.
type GitHubConnect struct {
	Token   string `json:"token"`
	URL     string `json:"url,omitempty"`     // default https://api.github.com/
	HookURL string `json:"hookUrl,omitempty"` // as in GitHub
	AppID   int64  `json:"appId,omitempty"`   // of a GitHub App, instead of Token
	AppKey  string `json:"appKey,omitempty"`  // PEM
	Account string `json:"account,omitempty"` // the App's installation, when there are several
}

// GitRepository is one repository that the connection can see.
type GitRepository struct {
	Name    string `json:"name"` // OWNER/NAME
	Branch  string `json:"branch"`
	Private bool   `json:"private"`
}

// GitSecret is how hks is let in to a plain git repository.
type GitSecret struct {
	Key   string `json:"key,omitempty"`   // of SSH, PEM
	Basic string `json:"basic,omitempty"` // user:password of HTTPS
}

// Pipeline builds, tests and deploys an app to staging at every push to a
// branch. It has the name of its app.
type Pipeline struct {
	Name       string `json:"name"`
	Repository string `json:"repository"`          // OWNER/NAME
	Branch     string `json:"branch"`              // default: the repository's own
	Remote     string `json:"remote,omitempty"`    // address of a plain git repository; empty: Repository is at GitHub
	Password   string `json:"password,omitempty"`  // user:password of a Remote by HTTPS; taken when it is made, never shown
	DeployKey  string `json:"deployKey,omitempty"` // public half, to be added to a Remote by SSH
	HostKey    string `json:"hostKey,omitempty"`   // of a Remote by SSH: no other server is spoken to
	HostPrint  string `json:"hostPrint,omitempty"` // its fingerprint, to compare

	Folder       string             `json:"folder,omitempty"` // of the project within the repository
	SkipTests    bool               `json:"skipTests,omitempty"`
	Test         []string           `json:"test,omitempty"`         // argv that runs the tests, instead of the one that is found
	Reports      string             `json:"reports,omitempty"`      // folder in which the tests leave JUnit files, as seen from the project
	Paths        []string           `json:"paths,omitempty"`        // patterns as in .dockerignore; a push that touches none of them starts nothing; empty: all do
	PullRequests bool               `json:"pullRequests,omitempty"` // build and test them; those of forks after approval
	Previews     int                `json:"previews,omitempty"`     // pull requests of own branches that have an app of their own at a time; 0: none
	PreviewDays  int                `json:"previewDays,omitempty"`  // after which an app that got no push is removed; default 7
	PromoteTags  string             `json:"promoteTags,omitempty"`  // pattern such as v*: such a tag at what staging serves promotes it to production
	Variables    []PipelineVariable `json:"variables,omitempty"`    // for tests and builds; never taken from here, only shown
	Head         string             `json:"head,omitempty"`         // the newest commit that was seen
	HookID       int64              `json:"hookId,omitempty"`       // at GitHub; 0: polling only
	HookNote     string             `json:"hookNote,omitempty"`     // why there is none
	PollNote     string             `json:"pollNote,omitempty"`     // why the last look at the branch failed
	CreatedAt    time.Time          `json:"createdAt"`
}

// PipelineVariable is a variable of a pipeline's builds and tests. The value of
// a secret is never shown.
type PipelineVariable struct {
	Name   string `json:"name"`
	Value  string `json:"value,omitempty"`
	Secret bool   `json:"secret,omitempty"`
}

// PipelineEnv changes variables of a pipeline, and leaves the others.
type PipelineEnv struct {
	Set     map[string]string `json:"set,omitzero"`     // shown, and in the images' history: build arguments
	Secrets map[string]string `json:"secrets,omitzero"` // never shown, in no image
	Unset   []string          `json:"unset,omitempty"`
}

// Pull is a pull request. All of it but Number and SHA is text of strangers.
type Pull struct {
	Number int    `json:"number"`
	Title  string `json:"title,omitempty"`
	Author string `json:"author,omitempty"`
	Branch string `json:"branch,omitempty"`
	SHA    string `json:"sha"`
	URL    string `json:"url,omitempty"`
	Fork   bool   `json:"fork,omitempty"` // it comes of another repository
}

// Preview is the app of a pull request.
type Preview struct {
	Pipeline string    `json:"pipeline"`
	Pull     int       `json:"pull"`
	App      string    `json:"app"`
	At       time.Time `json:"at"` // of its newest run
}

// GitPermission is one permission that hks needs of a repository.
type GitPermission struct {
	Name    string `json:"name"` // as GitHub's screens call it, such as Contents: read
	For     string `json:"for"`
	Granted bool   `json:"granted"`
	Why     string `json:"why,omitempty"` // GitHub's words when it is not
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
	ID         int64       `json:"id"`
	Pipeline   string      `json:"pipeline"`
	Repository string      `json:"repository"`
	Branch     string      `json:"branch"`
	Commit     Commit      `json:"commit"`
	Trigger    string      `json:"trigger"`            // webhook, poll, manual, rerun
	Pull       *Pull       `json:"pull,omitempty"`     // of which the commit is
	Approval   string      `json:"approval,omitempty"` // of a fork's: needed, or by whom it was given
	App        string      `json:"app,omitempty"`      // that it deploys to, where that is a preview; empty: the pipeline's, or none for a pull request
	Before     string      `json:"before,omitempty"`   // the commit before it, for the link to the difference
	Status     RunStatus   `json:"status"`
	Steps      []RunStep   `json:"steps"`
	Build      int64       `json:"build,omitempty"`      // whose log is the run's
	Release    int         `json:"release,omitempty"`    // of staging
	Deployment int64       `json:"deployment,omitempty"` // at GitHub
	Of         int64       `json:"of,omitempty"`         // the run that this one does again
	Again      int         `json:"again,omitempty"`      // the release of that which is made again, without a build
	Slow       bool        `json:"slow,omitempty"`       // it took far longer than the runs before it
	Tests      *TestCounts `json:"tests,omitempty"`      // as their reports tell
	By         string      `json:"by"`
	Note       string      `json:"note,omitempty"` // what does not change the outcome, such as a status that GitHub did not take
	Failure    *Failure    `json:"failure,omitempty"`
	CreatedAt  time.Time   `json:"createdAt"`
	StartedAt  time.Time   `json:"startedAt,omitzero"`
	FinishedAt time.Time   `json:"finishedAt,omitzero"`
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

// ApprovalNeeded is the approval of a run that waits for it.
const ApprovalNeeded = "needed"

// Waits tells whether a run goes no further without its owner.
func (r Run) Waits() bool { return r.Approval == ApprovalNeeded }

// Deploys tells whether a run ends in a release.
func (r Run) Deploys() bool { return r.Pull == nil || r.App != "" }

// Target is the app that a run builds for: a pull request has one of its own,
// whether that is deployed or not, so that it shares no cache with the branch.
func (r Run) Target() string {
	if r.Pull != nil {
		return PreviewName(r.Pipeline, r.Pull.Number)
	}
	return r.Pipeline
}

// PreviewName is the app of a pull request.
func PreviewName(pipeline string, pull int) string { return pipeline + "-pr-" + strconv.Itoa(pull) }

// TestCounts are the tests of a run by their outcome.
type TestCounts struct {
	Passed  int `json:"passed"`
	Failed  int `json:"failed"`
	Skipped int `json:"skipped"`
	Flaky   int `json:"flaky,omitempty"`
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
