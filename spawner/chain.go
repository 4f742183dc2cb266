package spawner

import (
	"context"
	"errors"

	"github.com/spawnward/spawnward/spawner/code"
)

// ErrNotMine is what a launcher returns, possibly wrapped, for a service that it
// does not serve; a [Chain] then asks the next one.
var ErrNotMine = errors.New("this launcher does not serve the request")

// Func plugs a function in as a [Launcher]. Its errors reach the caller as
// *[LauncherError]. A handle is had from [Local.Verify], so that a custom
// launcher cannot hand out a process that nobody verified.
type Func struct {
	// Name is used in errors.
	Name string
	// Start starts or discovers the backend.
	Start func(ctx context.Context, req Request) (*Handle, error)
}

// Launch calls Start.
func (f Func) Launch(ctx context.Context, req Request) (*Handle, error) {
	if f.Start == nil {
		return nil, &LauncherError{Name: f.Name, Err: ErrNotMine}
	}
	h, err := f.Start(ctx, req)
	if err == nil && h == nil {
		err = errors.New("it returned neither a handle nor an error")
	}
	if err != nil {
		return nil, &LauncherError{Name: f.Name, Err: err}
	}
	return h, nil
}

// Chain asks its launchers in order until one serves the request. The first
// error other than [ErrNotMine] ends it: a failed launch is never retried
// elsewhere. An empty chain serves nothing.
type Chain []Launcher

// Launch asks the launchers in order.
func (c Chain) Launch(ctx context.Context, req Request) (*Handle, error) {
	for _, l := range c {
		h, err := l.Launch(ctx, req)
		if !errors.Is(err, ErrNotMine) {
			return h, err
		}
	}
	return nil, code.New("launch "+req.Service, code.ServiceUnknown, ErrNotMine)
}
