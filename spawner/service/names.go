package service

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spawnward/spawnward/spawner/code"
)

const (
	maxName    = 64
	maxVersion = 64
)

// ValidName checks the name of a service or an instance: 1 to 64 characters of
// a-z, 0-9 and '-'. The error says what is wrong with it.
func ValidName(name string) error {
	switch {
	case name == "":
		return errors.New("the name is empty; use 1 to 64 characters of a-z, 0-9 and '-'")
	case len(name) > maxName:
		return fmt.Errorf("the name is %d bytes long; use at most %d", len(name), maxName)
	}
	for _, r := range name {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
		case r >= 'A' && r <= 'Z':
			return fmt.Errorf("the name %q has upper-case letters, which would collide on case-insensitive systems; write %q", name, strings.ToLower(name))
		default:
			return fmt.Errorf("the name %q has the character %q; use only a-z, 0-9 and '-'", name, r)
		}
	}
	return nil
}

// ValidVersion checks a version: MAJOR.MINOR.PATCH with an optional tail of
// '-' and dot-separated identifiers of a-z and 0-9; no leading zeros, no empty
// identifiers, no build tag, at most 64 bytes.
func ValidVersion(version string) error {
	bad := func(why string) error {
		return fmt.Errorf("the version %s %s; write it like 1.2.3 or 1.2.3-rc.1", quoteShort(version), why)
	}
	switch {
	case version == "":
		return bad("is empty")
	case len(version) > maxVersion:
		return bad(fmt.Sprintf("is longer than %d bytes", maxVersion))
	case strings.Contains(version, "+"):
		return bad("has a build tag")
	}
	core, tail, hasTail := strings.Cut(version, "-")
	numbers := strings.Split(core, ".")
	if len(numbers) != 3 {
		return bad("is not MAJOR.MINOR.PATCH")
	}
	for _, n := range numbers {
		if n == "" || !isDigits(n) {
			return bad("is not three numbers")
		}
		if hasLeadingZero(n) {
			return bad("has a leading zero")
		}
	}
	if !hasTail {
		return nil
	}
	for _, id := range strings.Split(tail, ".") {
		switch {
		case id == "":
			return bad("has an empty identifier after '-'")
		case strings.Trim(id, "abcdefghijklmnopqrstuvwxyz0123456789") != "":
			return bad("has characters other than a-z, 0-9 and '.' after '-'")
		case isDigits(id) && hasLeadingZero(id):
			return bad("has a leading zero after '-'")
		}
	}
	return nil
}

func isDigits(s string) bool       { return strings.Trim(s, "0123456789") == "" }
func hasLeadingZero(s string) bool { return len(s) > 1 && s[0] == '0' }

func quoteShort(s string) string {
	if len(s) > 80 {
		return fmt.Sprintf("%q…", s[:80])
	}
	return fmt.Sprintf("%q", s)
}

// InstanceID returns the broker instance of a definition: "shared",
// "private:<service>" or "explicit:<name>". The definition must be valid.
func InstanceID(d *Definition) string {
	switch d.Isolation {
	case SharedBroker:
		return "shared"
	case ExplicitInstance:
		return "explicit:" + d.ExplicitInstance
	}
	return "private:" + d.ServiceName
}

// ParseRef splits "SERVICE" or "SERVICE@VERSION" and checks both parts. The
// version is empty when there is no '@'. Errors have the code
// service_name_invalid or version_invalid.
func ParseRef(ref string) (name, version string, err error) {
	name, version, hasVersion := strings.Cut(ref, "@")
	if err := ValidName(name); err != nil {
		return "", "", code.New("read "+quoteShort(ref), code.ServiceNameInvalid, err)
	}
	if !hasVersion {
		return name, "", nil
	}
	if err := ValidVersion(version); err != nil {
		return "", "", code.New("read "+quoteShort(ref), code.VersionInvalid, err)
	}
	return name, version, nil
}

// OnlyVersion returns the version to launch when none was asked for: the only
// one that the definition lists. Otherwise the error, code usage, says what to
// write.
func (d *Definition) OnlyVersion() (string, error) {
	const op = "choose a version"
	switch len(d.VersionAllowList) {
	case 1:
		return d.VersionAllowList[0], nil
	case 0:
		return "", code.New(op, code.Usage, fmt.Errorf("the definition of %s lists no version; write %s@VERSION", d.ServiceName, d.ServiceName))
	}
	return "", code.New(op, code.Usage, fmt.Errorf("the definition of %s lists %d versions; write one of %s@%s",
		d.ServiceName, len(d.VersionAllowList), d.ServiceName, strings.Join(d.VersionAllowList, ", "+d.ServiceName+"@")))
}
