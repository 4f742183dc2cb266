// Command naive is a launcher of another make for the suite's own tests: it
// speaks the suite's protocol, starts what a definition names, and checks
// nothing. It shows that the suite finds that out.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v3"

	"github.com/spawnward/spawnward/conformance"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "naive:", err)
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) error {
	var q conformance.Request
	if err := json.NewDecoder(in).Decode(&q); err != nil {
		return err
	}
	a := conformance.Answer{Protocol: conformance.ProtocolVersion}
	switch q.Operation {
	case "launch":
		result, err := launch(&q)
		if err != nil {
			result = failed(err)
		}
		if a.Result, err = json.Marshal(result); err != nil {
			return err
		}
	default:
		a.Unsupported = "it knows nothing but launch"
	}
	return json.NewEncoder(out).Encode(a)
}

func failed(err error) map[string]any {
	return map[string]any{"outcome": "failed", "error": map[string]any{"code": "failed", "message": err.Error()}}
}

// launch starts the program and believes it.
func launch(q *conformance.Request) (map[string]any, error) {
	text, err := os.ReadFile(filepath.Join(q.ServicesDir, q.Service+".yaml"))
	if err != nil {
		return nil, err
	}
	var d struct {
		BinaryPath string `yaml:"binary_path"`
		Launch     struct {
			Args []string `yaml:"args"`
		} `yaml:"launch"`
	}
	if err := yaml.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	endpoint := filepath.Join(q.RuntimeDir, q.Service+".sock")
	args := d.Launch.Args
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "${endpoint}", endpoint)
	}
	instance := "private:" + q.Service
	cmd := exec.Command(d.BinaryPath, args...)
	cmd.Env = append(os.Environ(),
		"RUNNING_PROCESS_BROKER_V1_SERVICE_NAME="+q.Service, "RUNNING_PROCESS_BROKER_V1_SERVICE_VERSION="+q.Version,
		"RUNNING_PROCESS_BROKER_V1_BACKEND_PIPE="+endpoint, "RUNNING_PROCESS_BROKER_V1_BACKEND_NAMESPACE="+instance,
		"RUNNING_PROCESS_BROKER_V1_INSTANCE="+instance, "RUNNING_PROCESS_IS_DAEMON=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return map[string]any{
		"outcome": "launched", "service": q.Service, "version": q.Version, "instance": instance,
		"identity": map[string]any{"pid": cmd.Process.Pid, "ipc_endpoint": map[string]any{"namespace_id": instance, "path": endpoint}},
	}, nil
}
