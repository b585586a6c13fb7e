package agent

import (
	"errors"
	"fmt"
)

// Code names a kind of failure. Codes are part of the API and never change
// meaning; the HTTP status of each is in agent/api.
type Code string

// The codes. A new one also needs a status in agent/api.
const (
	CodeInvalid          Code = "INVALID"                // the request is malformed; Details names the field
	CodeUnauthorized     Code = "UNAUTHORIZED"           // no or dead session or token
	CodeForbidden        Code = "FORBIDDEN"              // known, but not allowed
	CodeNotFound         Code = "NOT_FOUND"              // no such object
	CodeConflict         Code = "CONFLICT"               // the object is in a state that excludes the action
	CodeTooMany          Code = "TOO_MANY_REQUESTS"      // rate limit, try again later
	CodeTooLarge         Code = "TOO_LARGE"              // body over its limit
	CodeSetupRequired    Code = "SETUP_REQUIRED"         // no owner yet
	CodeSetupLink        Code = "SETUP_LINK_INVALID"     // one-time link used, expired or forged
	CodePlanLimit        Code = "PLAN_LIMIT_EXCEEDED"    // the plan does not allow one more
	CodeQuotaStorage     Code = "QUOTA_STORAGE_EXCEEDED" // the plan's storage is used up
	CodeQuota            Code = "QUOTA_EXCEEDED"         // CPU, memory or pod quota of the workspace
	CodeImagePull        Code = "IMAGE_PULL_FAILED"      // the image can't be had; Message holds the registry's words
	CodeInvalidImage     Code = "INVALID_IMAGE"          // the image's name or archive is malformed
	CodeRollout          Code = "ROLLOUT_FAILED"         // the new version never got ready
	CodeWorkspaceMissing Code = "WORKSPACE_NOT_READY"    // the workspace is absent or still being made
	CodeClusterAway      Code = "CLUSTER_UNAVAILABLE"    // the Kubernetes API does not answer
	CodeBuildFailed      Code = "BUILD_FAILED"           // the source does not build; Details holds the step and its last lines
	CodeBuilderAway      Code = "BUILDER_UNAVAILABLE"    // builds can't run now
	CodeGitHub           Code = "GITHUB_REFUSED"         // GitHub does not answer or refuses; Message names the permission
	CodeFunctionFailed   Code = "FUNCTION_FAILED"        // the function can't be loaded; Message holds its own words
	CodeVariableMissing  Code = "VARIABLE_MISSING"       // the function requires a variable that is not set
	CodeNoSpace          Code = "NO_SPACE"               // the disk is full
	CodeInvalidSchedule  Code = "INVALID_SCHEDULE"       // a cron expression or time zone is malformed; Details names the field
	CodeChannel          Code = "CHANNEL_REFUSED"        // a channel of reports does not take them; Message holds its words
	CodeInternal         Code = "INTERNAL"               // a fault of ours; Message holds an id found in the log
)

// Error is the only error users see: what happened, and the next thing to do.
type Error struct {
	Code    Code
	Message string         // what happened and why, one sentence
	Fix     string         // the next command or action; may be empty
	Details map[string]any // machine-readable facts, such as used, asked and limit
	Cause   error          // for the log; never shown
}

// Error returns the message; the fix is shown apart by whoever displays it.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an Error with a formatted message. A %w operand becomes the Cause.
func Errorf(code Code, fix, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Message: err.Error(), Fix: fix, Cause: errors.Unwrap(err)}
}

// CodeOf returns the code of the first Error in err's chain, CodeInternal for
// any other error, and "" for nil.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
