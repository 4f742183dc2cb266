// Command spawnward starts local backends and daemons only after a policy has
// admitted the very file that runs. See the README for what it guarantees.
package main

import "os"

func main() {
	os.Exit(newApp(os.Stdin, os.Stdout, os.Stderr).run(os.Args[1:]))
}
