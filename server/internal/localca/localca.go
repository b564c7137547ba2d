// Package localca makes TLS work without a certificate from outside: it keeps a certificate authority in a directory and
// issues a fresh server certificate at every start. Clients trust the authority's certificate, whose path does not change.
//
// Concurrency: Open is called once, at start. Failure: an authority that is damaged or near its end is an error that says to
// remove the directory; it is never replaced in silence, because clients trust it.
package localca

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	serverLife    = 397 * 24 * time.Hour // the longest that common clients accept
	skew          = time.Hour            // clocks of clients may be behind
)

// Authority is a certificate authority.
type Authority struct {
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Open reads the authority of a directory, or makes it.
func Open(dir string) (*Authority, error) {
	a := &Authority{file: filepath.Join(dir, "ca.pem")}
	keyFile := filepath.Join(dir, "ca-key.pem")
	certPEM, err := os.ReadFile(a.file)
	if errors.Is(err, fs.ErrNotExist) {
		return a, a.create(dir, keyFile)
	}
	if err != nil {
		return nil, err
	}
	pair, err := tls.LoadX509KeyPair(a.file, keyFile)
	if err != nil {
		return nil, fmt.Errorf("certificate authority: %w; remove %s to make a new one, which clients must then trust", err, dir)
	}
	block, _ := pem.Decode(certPEM)
	if a.cert, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, fmt.Errorf("certificate authority %s: %w", a.file, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !a.cert.IsCA || time.Until(a.cert.NotAfter) < serverLife {
		return nil, fmt.Errorf("certificate authority %s cannot be used any more: remove %s to make a new one, which clients must then trust", a.file, dir)
	}
	a.key = key
	return a, nil
}

// File is the path of the certificate that clients trust.
func (a *Authority) File() string { return a.file }

func (a *Authority) create(dir, keyFile string) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return err
	}
	tmpl, err := template("zerobus local certificate authority", authorityLife)
	if err != nil {
		return err
	}
	tmpl.IsCA, tmpl.BasicConstraintsValid = true, true
	tmpl.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	tmpl.MaxPathLenZero = true
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, a.key.Public(), a.key)
	if err != nil {
		return err
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		return err
	}
	// The certificate comes last: with it the authority exists.
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600); err != nil {
		return err
	}
	return os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644)
}

func template(name string, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-skew), NotAfter: now.Add(life),
	}, nil
}

// Config issues a certificate for the given host names and addresses, and for localhost, the loopback addresses and this
// machine's name. TLS 1.2 is the oldest version that is spoken.
func (a *Authority) Config(hosts ...string) (*tls.Config, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	tmpl, err := template("zerobus", serverLife)
	if err != nil {
		return nil, err
	}
	tmpl.KeyUsage = x509.KeyUsageDigitalSignature
	tmpl.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	for _, h := range append(hosts, "localhost", "127.0.0.1", "::1") {
		if ip := net.ParseIP(h); ip != nil {
			tmpl.IPAddresses = append(tmpl.IPAddresses, ip)
		} else if h != "" && !slices.Contains(tmpl.DNSNames, h) {
			tmpl.DNSNames = append(tmpl.DNSNames, h)
		}
	}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key}},
	}, nil
}
