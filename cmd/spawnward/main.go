// Command spawnward starts local backends and daemons only after a policy has
// admitted the very file that runs. See the README for what it guarantees.
package main

import (
	"os"

	"github.com/spawnward/spawnward/wasm"
)

func main() {
	worker := wasm.RunWorker()
	a := newApp(os.Stdin, os.Stdout, os.Stderr)
	a.worker = worker
	os.Exit(a.run(os.Args[1:]))
}
