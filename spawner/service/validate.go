package service

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	maxPath     = 4095      // PATH_MAX without the NUL
	maxArg      = 1<<17 - 1 // what Linux takes as one argument
	maxArgs     = 1024
	maxEnv      = 1024
	maxLabels   = 128
	maxLabelKey = 128
	maxLabel    = 4096
	maxVersions = 4096
	maxFiles    = 64
	maxHooks    = 32
	maxIdle     = time.Duration(1<<32-1) * time.Second // an uint32 on the wire
)

// Validate checks a definition whose defaults are filled in. The error joins
// every [*Problem] that was found, each naming its field and what to write.
//
// An empty BinaryPath or PerVersionBinaryDir is no problem here: policy denies
// them with codes of their own.
func (d *Definition) Validate() error {
	var ps problems
	v := validator{ps: &ps}
	atMost := v.texts(d)
	if len(ps.list) > 0 {
		return ps.err() // nothing below may look at texts that are no text
	}
	v.identity(d)
	v.versions(d)
	v.labels(d.Labels)
	v.launch(&d.Launch, d.BinaryPath)
	if len(ps.list) == 0 && atMost > MaxBytes {
		if n := len(Canonical(d)); n > MaxBytes {
			v.bad("", "the definition is %d bytes in canonical form; the limit is %d", n, MaxBytes)
		}
	}
	return ps.err()
}

type validator struct{ ps *problems }

func (v validator) bad(field, format string, args ...any) { v.ps.add(0, field, format, args...) }

func (v validator) err(field string, err error) {
	if err != nil {
		v.bad(field, "%v", err)
	}
}

func (v validator) identity(d *Definition) {
	v.err("service_name", ValidName(d.ServiceName))
	if d.BinaryPath != "" {
		v.path("binary_path", d.BinaryPath)
	}
	if d.PerVersionBinaryDir != "" {
		v.path("per_version_binary_dir", d.PerVersionBinaryDir)
	}
	switch d.Isolation {
	case PrivateBroker, SharedBroker:
		if d.ExplicitInstance != "" {
			v.bad("explicit_instance", "it is set, but isolation is %s; remove it or write isolation: %s", d.Isolation, ExplicitInstance)
		}
	case ExplicitInstance:
		if d.ExplicitInstance == "" {
			v.bad("explicit_instance", "isolation %s needs the name of the instance here", ExplicitInstance)
			return
		}
		v.err("explicit_instance", ValidName(d.ExplicitInstance))
	default:
		v.bad("isolation", "%s is not an isolation; use %s, %s or %s", quoteShort(string(d.Isolation)), PrivateBroker, SharedBroker, ExplicitInstance)
	}
}

func (v validator) versions(d *Definition) {
	if d.MinVersion != "" {
		v.err("min_version", ValidVersion(d.MinVersion))
	}
	if !v.count("version_allow_list", len(d.VersionAllowList), maxVersions) {
		return
	}
	for i, version := range d.VersionAllowList {
		v.err(fmt.Sprintf("version_allow_list[%d]", i), ValidVersion(version))
	}
}

func (v validator) labels(labels map[string]string) {
	if !v.count("labels", len(labels), maxLabels) {
		return
	}
	for _, key := range sortedKeys(labels) {
		field := "labels." + shorten(key)
		switch {
		case key == "" || len(key) > maxLabelKey:
			v.bad(field, "a label's name has 1 to %d bytes", maxLabelKey)
		case strings.ContainsFunc(key, isControl):
			v.bad(field, "a label's name has no control characters")
		}
		if n := len(labels[key]); n > maxLabel {
			v.bad(field, "the value is %d bytes long; the limit is %d", n, maxLabel)
		}
	}
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// path checks that a path is absolute and short enough for the system.
func (v validator) path(field, path string) {
	switch {
	case !strings.HasPrefix(path, "/"):
		v.bad(field, "%s is not an absolute path; begin it with '/'", quoteShort(path))
	case len(path) > maxPath:
		v.bad(field, "the path is %d bytes long; the limit is %d", len(path), maxPath)
	}
}

func (v validator) count(field string, n, limit int) bool {
	if n > limit {
		v.bad(field, "it has %d entries; the limit is %d", n, limit)
	}
	return n <= limit
}

// besideText is more than the names, numbers and punctuation that stand beside
// one text in canonical form: no list holds structures without any.
const besideText = 2048

// texts refuses NUL bytes and invalid UTF-8 wherever a text stands. It returns a
// size that the canonical form cannot exceed, which spares making most of them.
func (v validator) texts(d *Definition) (atMost int) {
	const escaped = 6 // \u0000
	eachText("", valueOf(d), func(field, s string) {
		atMost += escaped*len(s) + besideText
		switch {
		case !utf8.ValidString(s):
			v.bad(field, "%s is not valid UTF-8", quoteShort(s))
		case strings.ContainsRune(s, 0):
			v.bad(field, "%s holds a NUL byte; remove it", quoteShort(s))
		}
	})
	return atMost
}
