package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"

	"github.com/spawnward/spawnward/policy"
	"github.com/spawnward/spawnward/spawner/code"
)

// maxBundleFile bounds a bundle that is to be signed, in bytes.
const maxBundleFile = 128 << 20

func (a *app) policyBuildCommand() *command {
	var out string
	var o policy.PackOptions
	return &command{
		name: "build", args: "DIR|BUNDLE", short: "check a site and make a bundle of it, in the format of OPA or with an index",
		example: "spawnward policy build site-policy --sequence 12 --revision v1.4.0 --out site.tar.gz\n  spawnward policy build site-policy --sequence 12 --index --out site.index",
		flags: func(fs *pflag.FlagSet) {
			fs.StringVar(&out, "out", "", "the bundle to write (needed)")
			fs.Int64Var(&o.Sequence, "sequence", 0, "number of the release, which must rise (default: the manifest's)")
			fs.StringVar(&o.Revision, "revision", "", "what people call the release (default: the manifest's)")
			fs.BoolVar(&o.Index, "index", false, "put long lists of digests into an index, so that they cost a launch nothing; opa does not read that form")
			fs.StringVar(&o.Name, "name", "", "name of the bundle, for its sequence numbers (default: the manifest's)")
		},
		run: func(ctx context.Context, args []string) error {
			dir, err := oneArg("policy build", args, "DIR or BUNDLE")
			if err != nil {
				return err
			}
			if out == "" {
				return usage("policy build", "it needs --out FILE")
			}
			if o.Sequence < 0 {
				return usage("policy build", "--sequence %d is below 0", o.Sequence)
			}
			p, err := policy.Pack(ctx, dir, o)
			if err != nil {
				return a.invalidPolicy(dir, err)
			}
			return a.writeBundle(out, p, "built", "")
		},
	}
}

func (a *app) policySignCommand() *command {
	var out, key string
	return &command{
		name: "sign", args: "BUNDLE", short: "sign a bundle, so that launchers with the public key accept it",
		example: "openssl genpkey -algorithm ed25519 -out release.pem\n  openssl pkey -in release.pem -pubout -out release.pub\n  spawnward policy sign site.tar.gz --key release.pem",
		flags: func(fs *pflag.FlagSet) {
			fs.StringVar(&key, "key", "", "the private key in PEM form: RSA, ECDSA or Ed25519 (needed)")
			fs.StringVar(&out, "out", "", "the signed bundle (default: in place of BUNDLE)")
		},
		run: func(ctx context.Context, args []string) error {
			file, err := oneArg("policy sign", args, "BUNDLE")
			if err != nil {
				return err
			}
			if key == "" {
				return usage("policy sign", "it needs --key FILE")
			}
			if out == "" {
				out = file
			}
			return a.policySign(ctx, file, key, out)
		},
	}
}

func (a *app) policySign(ctx context.Context, file, key, out string) error {
	text, err := readOwn(os.Geteuid(), key, maxKeyFile)
	if err != nil {
		return usage("policy sign", "--key: %w", err)
	}
	signer, err := policy.ParseSigningKey(text)
	if err != nil {
		return usage("policy sign", "--key %s: %w", key, err)
	}
	bundle, err := readOwn(os.Geteuid(), file, maxBundleFile)
	if err != nil {
		return a.invalidPolicy(file, &policy.Error{C: code.PolicyInvalid, Where: file, Err: err})
	}
	p, err := policy.Sign(ctx, bundle, signer)
	if err != nil {
		return a.invalidPolicy(file, err)
	}
	return a.writeBundle(out, p, "signed", signer.Key.ID())
}

// jsonBundle is what policy build and policy sign say.
type jsonBundle struct {
	Path   string       `json:"path"`
	Policy jsonPolicyID `json:"policy"`
	Key    string       `json:"key"` // that signed it; "" when none did
	Files  []string     `json:"files"`
}

func (a *app) writeBundle(out string, p *policy.Packed, verb, key string) error {
	if err := replaceFile(out, p.Bundle); err != nil {
		return err
	}
	if a.flags.output == "json" {
		return a.printJSON(jsonBundle{out, jsonPolicyID{p.Policy.ID, p.Policy.Revision, p.Policy.Sequence}, key, p.Files})
	}
	rows := [][2]string{{verb, out}, {"  policy", p.Policy.ID}, {"  revision", p.Policy.Revision}, {"  sequence", fmt.Sprint(p.Policy.Sequence)}}
	if key != "" {
		rows = append(rows, [2]string{"  key", key})
	}
	return a.table(rows)
}

// replaceFile puts data in the place of a file all at once, durably; one that
// is there keeps its mode.
func replaceFile(name string, data []byte) (err error) {
	mode := os.FileMode(0o644)
	if info, err := os.Lstat(name); err == nil {
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is no regular file; name another one", name)
		}
		mode = info.Mode().Perm()
	}
	tmp := filepath.Join(filepath.Dir(name), ".tmp-"+rand.Text())
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", name, err), os.Remove(tmp))
		}
	}()
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return err
	}
	return os.Rename(tmp, name)
}
