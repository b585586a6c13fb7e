// Package function runs functions: versions built to digest-pinned archives, a
// pool of warm pods that are given a function once, and a durable queue of
// asynchronous calls.
//
// A pod of the pool is generic: it holds a runtime with the framework loaded
// and nothing of anybody's. A claim hands it one function by a call signed with
// the pod's own random key, which is in the pod's environment until the runtime
// has read it: whoever may read pods of the workspace may also exec into them.
// After that call the pod's endpoint is closed, and the pod is deleted when it is
// no longer needed; it never returns to the pool.
//
// Calls do not pass here. The gateway knows the instances, asks for another by
// Claim when all are busy, and tells what each does when it is asked.
package function
