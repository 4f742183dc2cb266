package conformance

import "context"

// request is one thing that is asked of a launcher.
type request struct {
	t      *tree
	step   *Step
	verb   string
	ref    string // SERVICE or SERVICE@VERSION
	policy string
	env    []string // the launcher's whole environment
}

// driver asks a launcher for something and waits for its answer. The error is
// the suite's own trouble, never the launcher's failure.
type driver interface {
	ask(ctx context.Context, r request, started func(pid int)) (*result, error)
}
