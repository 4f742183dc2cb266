package service

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Format is a way in which a definition is written.
type Format string

// The formats. ServiceDef is the protobuf message of the v1 contract.
const (
	YAML       Format = "yaml"
	JSON       Format = "json"
	ServiceDef Format = "servicedef"
)

// extensions are the endings that are looked for, in this order.
func extensions() []string { return []string{".yaml", ".yml", ".json", ".servicedef"} }

// FormatOf tells the format from a file's name.
func FormatOf(path string) (Format, bool) {
	switch filepath.Ext(path) {
	case ".yaml", ".yml":
		return YAML, true
	case ".json":
		return JSON, true
	case ".servicedef":
		return ServiceDef, true
	}
	return "", false
}

// ParseFormat reads the name of a format as a person writes it.
func ParseFormat(name string) (Format, error) {
	formats := []Format{YAML, JSON, ServiceDef}
	if f := Format(name); slices.Contains(formats, f) {
		return f, nil
	}
	return "", fmt.Errorf("%s is not a format; use %s, %s or %s", quoteShort(name), YAML, JSON, ServiceDef)
}

// serviceOf gives the service that a file's name stands for.
func serviceOf(path string) string {
	base := filepath.Base(path)
	return strings.TrimSuffix(base, filepath.Ext(base))
}
