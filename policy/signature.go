package policy

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/lestrrat-go/jwx/v3/jws/jwsbb"
)

// What this project writes itself into a signature.
const (
	fileHash      = "SHA-256"
	defaultPlugin = "_default"
)

// signatures is OPA's file of signatures: a JSON Web Token over the digests of
// the files.
type signatures struct {
	Signatures []string `json:"signatures"`
	Plugin     string   `json:"plugin,omitempty"`
}

// claims are what is signed.
type claims struct {
	Files []signedFile `json:"files"`
	KeyID string       `json:"keyid,omitempty"` // for OPA; the keys that are accepted are known here
	Scope string       `json:"scope,omitempty"`
}

type signedFile struct {
	Name      string `json:"name"`
	Hash      string `json:"hash"` // hexadecimal
	Algorithm string `json:"algorithm"`
}

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
func (s *site) matches(f source, info signedFile) error {
	sum, err := s.digest(f, info.Algorithm)
	if err != nil {
		return err
	}
	want, err := hex.DecodeString(info.Hash)
	if err != nil || !bytes.Equal(sum, want) {
		return errors.New("is not as it was signed; build and sign the bundle again")
	}
	return nil
}

// digest is what a signature holds of a file, in OPA's form: of a structured
// file that is its value as JSON with sorted keys and without white space.
func (s *site) digest(f source, algorithm string) ([]byte, error) {
	var h hash.Hash
	switch algorithm {
	case fileHash:
		h = sha256.New()
	case "SHA-384":
		h = sha512.New384()
	case "SHA-512":
		h = sha512.New()
	default:
		return nil, fmt.Errorf("was signed by a digest of the kind %q; sign with %s", algorithm, fileHash)
	}
	text := f.text
	if base := path.Base(f.name); slices.Contains([]string{"data.json", "data.yaml", "data.yml", ".manifest"}, base) {
		n, err := s.parse(f)
		if err != nil {
			return nil, err
		}
		var b bytes.Buffer
		enc := json.NewEncoder(&b) // sorts the keys
		enc.SetEscapeHTML(false)
		if err := enc.Encode(n.plain()); err != nil {
			return nil, err
		}
		text = bytes.TrimSuffix(b.Bytes(), []byte("\n"))
	}
	h.Write(text)
	return h.Sum(nil), nil
}

// readToken gives the one signature of a signatures file.
func readToken(text []byte) (string, error) {
	var c signatures
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
func verifyToken(token string, keys []*Key) (*Key, map[string]signedFile, error) {
	header, rest, _ := strings.Cut(token, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	algorithm, err := tokenAlgorithm(header)
	if err != nil {
		return nil, nil, err
	}
	sum, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil {
		return nil, nil, fmt.Errorf("the signature is no token: %w", err)
	}
	causes := make([]string, 0, len(keys))
	for _, k := range keys {
		if !k.allows(algorithm) {
			causes = append(causes, fmt.Sprintf("%s is no key for %.16q", k.id, algorithm))
			continue
		}
		if err := jwsbb.Verify(k.public, algorithm, []byte(header+"."+payload), sum); err != nil {
			causes = append(causes, fmt.Sprintf("%s: %v", k.id, err))
			continue
		}
		files, err := readClaims(payload)
		return k, files, err
	}
	return nil, nil, fmt.Errorf("no accepted key made this signature (%s); sign with an accepted key, or let --verification-key or verification_keys name this one",
		strings.Join(causes, "; "))
}

func tokenAlgorithm(header string) (string, error) {
	var h struct {
		Algorithm string          `json:"alg"`
		Critical  json.RawMessage `json:"crit"`
	}
	if err := decodePart(header, &h); err != nil {
		return "", fmt.Errorf("the signature is no token: %w", err)
	}
	if h.Critical != nil {
		return "", errors.New("the signature demands extensions (crit), and none is known here")
	}
	return h.Algorithm, nil
}

// readClaims gives what a token that is verified says of files.
func readClaims(payload string) (map[string]signedFile, error) {
	var c claims
	if err := decodePart(payload, &c); err != nil {
		return nil, fmt.Errorf("the signature is no token: %w", err)
	}
	if c.Scope != "" {
		return nil, fmt.Errorf("was signed for the scope %q, and none is known here", c.Scope)
	}
	files := make(map[string]signedFile, len(c.Files))
	for _, f := range c.Files {
		if _, twice := files[f.Name]; twice {
			return nil, fmt.Errorf("lists %q twice", f.Name)
		}
		files[f.Name] = f
	}
	return files, nil
}

func decodePart(part string, to any) error {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, to)
}

// sign gives the signatures file for a bundle's other files.
func sign(files []source, key *SigningKey) (source, error) {
	s := &site{parsed: map[string]*node{}}
	c := claims{KeyID: key.Key.id}
	for _, f := range files {
		sum, err := s.digest(f, fileHash)
		if err != nil {
			return source{}, invalidFile(f.name, err)
		}
		c.Files = append(c.Files, signedFile{f.name, hex.EncodeToString(sum), fileHash})
	}
	algorithm := key.Key.algorithms[0]
	header, err := json.Marshal(map[string]string{"alg": algorithm, "kid": key.Key.id, "typ": "JWT"})
	if err != nil {
		return source{}, fmt.Errorf("sign: %w", err)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		return source{}, fmt.Errorf("sign: %w", err)
	}
	token := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(payload)
	sum, err := jwsbb.Sign(key.private, algorithm, []byte(token), nil)
	if err != nil {
		return source{}, fmt.Errorf("sign: %w", err)
	}
	token += "." + base64.RawURLEncoding.EncodeToString(sum)
	text, err := json.MarshalIndent(signatures{Signatures: []string{token}}, "", " ")
	return source{signaturesName, append(text, '\n')}, err
}
