package policy

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
)

// minRSABits is the smallest RSA key that is accepted.
const minRSABits = 2048

// Key verifies the signatures of bundles. It is a public key: a launcher that
// held a shared secret could sign what it checks.
type Key struct {
	id         string
	public     crypto.PublicKey
	algorithms []string // of JWS, the default first
}

// ParseKey reads a public key in PEM form: RSA of 2048 bits or more, ECDSA on
// P-256, P-384 or P-521, or Ed25519.
func ParseKey(text []byte) (*Key, error) {
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, errors.New("holds no key in PEM form ('-----BEGIN PUBLIC KEY-----')")
	}
	if more, _ := pem.Decode(rest); more != nil {
		return nil, errors.New("holds more than one key; keep one in each file")
	}
	var public any
	var err error
	switch block.Type {
	case "PUBLIC KEY":
		public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	default:
		return nil, fmt.Errorf("holds a %s, and a public key is needed; 'openssl pkey -in KEY -pubout' gives it", block.Type)
	}
	if err != nil {
		return nil, err
	}
	return newKey(public)
}

func newKey(public any) (*Key, error) {
	algorithms, err := algorithmsOf(public)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(der)
	return &Key{"sha256:" + hex.EncodeToString(sum[:]), public, algorithms}, nil
}

// algorithmsOf gives the signature algorithms that go with a public key; none
// of them takes the text of a key for a shared secret.
func algorithmsOf(public any) ([]string, error) {
	switch k := public.(type) {
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSABits {
			return nil, fmt.Errorf("an RSA key of %d bits is too weak; use %d or more", k.N.BitLen(), minRSABits)
		}
		return []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}, nil
	case *ecdsa.PublicKey:
		switch k.Curve.Params().Name {
		case "P-256":
			return []string{"ES256"}, nil
		case "P-384":
			return []string{"ES384"}, nil
		case "P-521":
			return []string{"ES512"}, nil
		}
	case ed25519.PublicKey:
		return []string{"EdDSA"}, nil
	}
	return nil, fmt.Errorf("a key of the kind %T is not supported; use RSA, ECDSA or Ed25519", public)
}

// ID is "sha256:" and the digest of the key's DER form (SubjectPublicKeyInfo).
func (k *Key) ID() string { return k.id }

func (k *Key) allows(algorithm string) bool { return slices.Contains(k.algorithms, algorithm) }

// SigningKey signs bundles.
type SigningKey struct {
	// Key verifies what the signing key signs.
	Key     *Key
	private crypto.PrivateKey
}

// ParseSigningKey reads a private key in PEM form, of the kinds that [ParseKey]
// knows; not one that is encrypted.
func ParseSigningKey(text []byte) (*SigningKey, error) {
	block, _ := pem.Decode(skipParameters(text))
	if block == nil {
		return nil, errors.New("holds no private key in PEM form")
	}
	var private any
	var err error
	switch block.Type {
	case "PRIVATE KEY":
		private, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		private, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		private, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		return nil, fmt.Errorf("holds a %s, and a private key that is not encrypted is needed", block.Type)
	}
	if err != nil {
		return nil, err
	}
	var public any
	switch k := private.(type) {
	case *rsa.PrivateKey:
		public = &k.PublicKey
	case *ecdsa.PrivateKey:
		public = &k.PublicKey
	case ed25519.PrivateKey:
		public = k.Public()
	}
	key, err := newKey(public)
	if err != nil {
		return nil, err
	}
	return &SigningKey{key, private}, nil
}

// skipParameters passes over the block that openssl writes before an EC key.
func skipParameters(text []byte) []byte {
	if block, rest := pem.Decode(text); block != nil && block.Type == "EC PARAMETERS" {
		return rest
	}
	return text
}
