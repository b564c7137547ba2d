package sink

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// validity is enough for the longest benchmark; an hour before now is for clocks that disagree.
const validity = 7 * 24 * time.Hour

// SelfSigned makes a certificate for 127.0.0.1, ::1 and localhost, with an ECDSA key on P-256, and the authority that
// signed it, which clients trust by caPEM. They are two, since some clients refuse an authority as a server. Both are
// valid for a week, and the authority's key is forgotten.
func SelfSigned() (serverConfig *tls.Config, caPEM []byte, err error) {
	now := time.Now()
	template := func(serial int64, name string) *x509.Certificate {
		return &x509.Certificate{
			SerialNumber:          big.NewInt(serial),
			Subject:               pkix.Name{CommonName: name},
			NotBefore:             now.Add(-time.Hour),
			NotAfter:              now.Add(validity),
			BasicConstraintsValid: true,
		}
	}
	ca := template(1, "benchmark authority")
	ca.IsCA = true
	ca.KeyUsage = x509.KeyUsageCertSign
	leaf := template(2, "benchmark sink")
	leaf.KeyUsage = x509.KeyUsageDigitalSignature
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leaf.DNSNames = []string{"localhost"}
	leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}

	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make the authority's key: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("make the server's key: %w", err)
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return nil, nil, fmt.Errorf("sign the authority: %w", err)
	}
	if ca, err = x509.ParseCertificate(caDER); err != nil { // for its key id, which the certificate below refers to
		return nil, nil, fmt.Errorf("read the authority: %w", err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, &key.PublicKey, caKey)
	if err != nil {
		return nil, nil, fmt.Errorf("sign the server: %w", err)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}},
		MinVersion:   tls.VersionTLS12,
	}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), nil
}
