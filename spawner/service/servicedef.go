package service

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/spawnward/spawnward/spawner/wire"
)

// parseServiceDef reads the protobuf message of the v1 contract.
//
// A field that this release does not know is an error, although the message may
// grow: a definition authorises a launch, and what a newer program wrote may be
// a restriction that must not be dropped in silence. So is a field or label that
// stands there twice, of which protobuf would keep the last.
func parseServiceDef(data []byte) (*Definition, error) {
	if len(data) == 0 {
		return nil, errors.New("it is empty; write at least service_name, binary_path and per_version_binary_dir")
	}
	if err := scanServiceDef(data); err != nil {
		return nil, err
	}
	var m wire.ServiceDefinition
	if err := m.Unmarshal(data); err != nil {
		return nil, errors.New("it is no service definition in protobuf form")
	}
	isolation, err := isolationOf(m.Isolation)
	if err != nil {
		return nil, err
	}
	d := Defaults()
	d.ServiceName = m.ServiceName
	d.BinaryPath = m.BinaryPath
	d.PerVersionBinaryDir = m.PerVersionBinaryDir
	d.Isolation = isolation
	d.ExplicitInstance = m.ExplicitInstance
	d.MinVersion = m.MinVersion
	d.VersionAllowList = m.VersionAllowList
	d.Labels = m.Labels
	d.Normalize()
	return &d, d.Validate()
}

// scanServiceDef checks the form of the bytes, field by field.
func scanServiceDef(data []byte) error {
	singular := map[int]bool{}
	labels := map[string]bool{}
	return eachField(data, "", func(number int, field string, value []byte) error {
		switch field {
		case "":
			return fmt.Errorf("it has field %d, which this release does not know; use a newer release, or write the definition without it", number)
		case "version_allow_list":
			return checkUTF8(field, value)
		case "labels":
			return scanLabel(value, labels)
		}
		if singular[number] {
			return &Problem{Field: field, Message: "it stands there twice; write the definition again"}
		}
		singular[number] = true
		return checkUTF8(field, value)
	})
}

// scanLabel checks one entry of the map of labels.
func scanLabel(data []byte, seen map[string]bool) error {
	key, parts := "", map[int]bool{}
	err := eachField(data, "labels", func(number int, field string, value []byte) error {
		if field == "" || parts[number] {
			return &Problem{Field: "labels", Message: "an entry holds more than one name and one value; write the definition again"}
		}
		parts[number] = true
		if number == 1 {
			key = string(value)
		}
		return checkUTF8("labels", value)
	})
	if err == nil && seen[key] {
		err = &Problem{Field: "labels", Message: quoteShort(key) + " stands there twice; write the definition again"}
	}
	seen[key] = true
	return err
}

// eachField visits the fields of a message; value is nil for numbers, field is
// "" for fields that are not known.
func eachField(data []byte, inside string, visit func(number int, field string, value []byte) error) error {
	for at := 0; at < len(data); {
		f, n, err := wire.NextField(data[at:])
		if err != nil {
			return fmt.Errorf("it is no service definition in protobuf form, or is truncated (byte %d)", at)
		}
		at += n
		field, want := messageField(inside, int(f.Number))
		if field != "" && f.Type != want {
			return &Problem{Field: field, Message: fmt.Sprintf("it has the wrong wire type (%d instead of %d); write the definition again", f.Type, want)}
		}
		if err := visit(int(f.Number), field, f.Bytes); err != nil {
			return err
		}
	}
	return nil
}

// messageField names the fields of the message, or of an entry of its labels.
func messageField(inside string, number int) (name string, kind protowire.Type) {
	if inside == "labels" {
		if number == 1 || number == 2 {
			return "labels", protowire.BytesType
		}
		return "", 0
	}
	if number == 3 {
		return "isolation", protowire.VarintType
	}
	names := []string{"", "service_name", "binary_path", "", "explicit_instance", "per_version_binary_dir", "min_version", "version_allow_list", "labels"}
	if number < len(names) {
		return names[number], protowire.BytesType
	}
	return "", 0
}

func checkUTF8(field string, value []byte) error {
	if !utf8.Valid(value) {
		return &Problem{Field: field, Message: quoteShort(string(value)) + " is not valid UTF-8; write the definition again"}
	}
	return nil
}

func isolationOf(i wire.BrokerIsolation) (Isolation, error) {
	switch i {
	case wire.PrivateBroker:
		return PrivateBroker, nil
	case wire.SharedBroker:
		return SharedBroker, nil
	case wire.ExplicitInstance:
		return ExplicitInstance, nil
	}
	return "", &Problem{Field: "isolation", Message: fmt.Sprintf("%d is not an isolation; use 0 (%s), 1 (%s) or 2 (%s)", i, PrivateBroker, SharedBroker, ExplicitInstance)}
}

func marshalServiceDef(d *Definition) ([]byte, error) {
	m := wire.ServiceDefinition{
		ServiceName:         d.ServiceName,
		BinaryPath:          d.BinaryPath,
		PerVersionBinaryDir: d.PerVersionBinaryDir,
		ExplicitInstance:    d.ExplicitInstance,
		MinVersion:          d.MinVersion,
		VersionAllowList:    d.VersionAllowList,
		Labels:              d.Labels,
	}
	switch d.Isolation {
	case SharedBroker:
		m.Isolation = wire.SharedBroker
	case ExplicitInstance:
		m.Isolation = wire.ExplicitInstance
	}
	return m.Marshal()
}
