package service

import "encoding/json"

// Canonical is the JSON form of a definition with every default filled in, from
// which the digest of a definition without a file is made.
func Canonical(d *Definition) []byte {
	b, _ := json.Marshal(d)
	return b
}
