package spawner

import (
	"fmt"
	"os"

	"github.com/spawnward/spawnward/spawner/endpoint"
	"github.com/spawnward/spawnward/spawner/flight"
	"github.com/spawnward/spawnward/spawner/process"
)

// self is what this process is all its life.
type self struct {
	flight.Holder
	pidNamespace uint64 // inode
}

func lookAtSelf() (*self, error) {
	st, err := process.ReadStat(os.Getpid())
	if err != nil {
		return nil, fmt.Errorf("look at the launcher: %w", err)
	}
	boot, err := endpoint.BootID()
	if err != nil {
		return nil, fmt.Errorf("name this boot: %w", err)
	}
	ns, err := pidNamespace()
	if err != nil {
		return nil, err
	}
	return &self{flight.Holder{PID: st.PID, StartTicks: st.StartTicks, BootID: boot}, ns}, nil
}
