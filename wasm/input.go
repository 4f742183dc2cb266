package wasm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// MaxInput is the largest input of a hook as JSON, in bytes.
const MaxInput = 1 << 20

// Input is what a hook reads from its standard input, as one JSON object.
type Input struct {
	V        int               `json:"v"` // set to 1 by Run
	Service  string            `json:"service"`
	Version  string            `json:"version"`
	Instance string            `json:"instance"`
	Binary   Binary            `json:"binary"`
	Args     []string          `json:"args"`
	Env      map[string]string `json:"env"`
	Labels   map[string]string `json:"labels"`
	// Config is what the definition hands to this hook.
	Config map[string]any `json:"config"`
}

// Binary is the measured file that is to be started.
type Binary struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// ParseInput reads an input that a person wrote, with no unknown field and
// nothing after it. Fields may be left out.
func ParseInput(data []byte) (Input, error) {
	var in Input
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	d.UseNumber()
	if err := d.Decode(&in); err != nil {
		return Input{}, fmt.Errorf("read the hook's input: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Input{}, errors.New("read the hook's input: something follows the object")
	}
	if in.V != 0 && in.V != 1 {
		return Input{}, fmt.Errorf("read the hook's input: v is %d, not 1", in.V)
	}
	return in, nil
}

// encode writes every field, so that an author may rely on its presence.
func (in Input) encode() ([]byte, error) {
	in.V = 1
	if in.Args == nil {
		in.Args = []string{}
	}
	for _, m := range []*map[string]string{&in.Env, &in.Labels} {
		if *m == nil {
			*m = map[string]string{}
		}
	}
	if in.Config == nil {
		in.Config = map[string]any{}
	}
	data, err := json.Marshal(in)
	if err != nil {
		return nil, fmt.Errorf("encode its input: %w", err)
	}
	if len(data) > MaxInput {
		return nil, fmt.Errorf("its input has %d bytes, at most %d are allowed; shorten its configuration or the environment", len(data), MaxInput)
	}
	return data, nil
}
