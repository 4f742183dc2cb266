package policy

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	opabundle "github.com/open-policy-agent/opa/v1/bundle"
)

// hashes of files that a signature may name, beside its default.
const (
	fileHash      = "SHA-256"
	defaultPlugin = "_default"
)

// verifySignature demands that one of the keys signed exactly the files of a
// bundle: each is listed, with its digest, and none that is listed is missing.
// There is no list of exceptions. It gives the key.
func (s *site) verifySignature(files []source, keys []*Key) (*Key, error) {
	i := slices.IndexFunc(files, func(f source) bool { return f.name == signaturesName })
	if i < 0 {
		return nil, errors.New("is not signed, and only signed bundles are accepted here; sign it with 'policy sign'")
	}
	token, err := readToken(files[i].text)
	if err != nil {
		return nil, invalidFile(signaturesName, err)
	}
	key, listed, err := verifyToken(token, keys)
	if err != nil {
		return nil, invalidFile(signaturesName, err)
	}
	for _, f := range slices.Delete(slices.Clone(files), i, i+1) {
		info, ok := listed[f.name]
		if !ok {
			return nil, invalidFile(f.name, errors.New("is not part of what was signed; remove it, or sign the bundle again"))
		}
		delete(listed, f.name)
		if err := s.matches(f, info); err != nil {
			return nil, invalidFile(f.name, err)
		}
	}
	if len(listed) > 0 {
		return nil, invalidFile(slices.Sorted(maps.Keys(listed))[0], errors.New("was signed and is missing; build and sign the bundle again"))
	}
	return key, nil
}

// matches compares a file with its signed digest. Of structured files OPA signs
// the value and not the text; the value that counts is the one read here, so
// that two readers cannot be told two things.
func (s *site) matches(f source, info opabundle.FileInfo) error {
	if !slices.Contains([]string{"SHA-256", "SHA-384", "SHA-512"}, info.Algorithm) {
		return fmt.Errorf("was signed by a digest of the kind %q; sign with %s", info.Algorithm, fileHash)
	}
	sum, err := s.digest(f, opabundle.HashingAlgorithm(info.Algorithm))
	if err != nil {
		return err
	}
	want, err := hex.DecodeString(info.Hash)
	if err != nil || !bytes.Equal(sum, want) {
		return errors.New("is not as it was signed; build and sign the bundle again")
	}
	return nil
}

func (s *site) digest(f source, algorithm opabundle.HashingAlgorithm) ([]byte, error) {
	hasher, err := opabundle.NewSignatureHasher(algorithm)
	if err != nil {
		return nil, err
	}
	if !opabundle.IsStructuredDoc(f.name) {
		return hasher.HashFile(f.text)
	}
	n, err := s.parse(f)
	if err != nil {
		return nil, err
	}
	return hasher.HashFile(n.plain())
}

// readToken gives the one signature of a signatures file.
func readToken(text []byte) (string, error) {
	var c opabundle.SignaturesConfig
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return "", err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return "", errors.New("holds more than one value")
	}
	if len(c.Signatures) != 1 {
		return "", fmt.Errorf("holds %d signatures, want one", len(c.Signatures))
	}
	if c.Plugin != "" && c.Plugin != defaultPlugin {
		return "", fmt.Errorf("was made by the plugin %q, which is not known here", c.Plugin)
	}
	return c.Signatures[0], nil
}

// verifyToken gives the first key that made a signature, and the files that it
// lists by name.
func verifyToken(token string, keys []*Key) (*Key, map[string]opabundle.FileInfo, error) {
	algorithm, err := tokenAlgorithm(token)
	if err != nil {
		return nil, nil, err
	}
	causes := make([]string, 0, len(keys))
	for _, k := range keys {
		if !k.allows(algorithm) {
			causes = append(causes, fmt.Sprintf("%s is no key for %.16q", k.id, algorithm))
			continue
		}
		files, err := opabundle.VerifyBundleSignature(opabundle.SignaturesConfig{Signatures: []string{token}}, opabundle.NewVerificationConfig(
			map[string]*opabundle.KeyConfig{k.id: {Key: k.text, Algorithm: algorithm}}, k.id, "", nil))
		if err == nil {
			return k, files, nil
		}
		causes = append(causes, fmt.Sprintf("%s: %v", k.id, err))
	}
	return nil, nil, fmt.Errorf("no accepted key made this signature (%s); sign with an accepted key, or let --verification-key or verification_keys name this one",
		strings.Join(causes, "; "))
}

func tokenAlgorithm(token string) (string, error) {
	head, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return "", fmt.Errorf("the signature is no token: %w", err)
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	if err := json.Unmarshal(text, &header); err != nil {
		return "", fmt.Errorf("the signature is no token: %w", err)
	}
	return header.Algorithm, nil
}

// sign gives the signatures file for a bundle's other files.
func sign(files []source, key *SigningKey) (source, error) {
	s := &site{parsed: map[string]*node{}}
	var listed []opabundle.FileInfo
	for _, f := range files {
		sum, err := s.digest(f, fileHash)
		if err != nil {
			return source{}, invalidFile(f.name, err)
		}
		listed = append(listed, opabundle.NewFile(f.name, hex.EncodeToString(sum), fileHash))
	}
	token, err := opabundle.GenerateSignedToken(listed, opabundle.NewSigningConfig(key.text, key.Key.algorithms[0], ""), key.Key.id)
	if err != nil {
		return source{}, fmt.Errorf("sign: %w", err)
	}
	text, err := json.MarshalIndent(opabundle.SignaturesConfig{Signatures: []string{token}}, "", " ")
	return source{signaturesName, append(text, '\n')}, err
}
