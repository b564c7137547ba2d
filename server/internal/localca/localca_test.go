package localca

import (
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAuthority_StaysAndIsTrusted(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	first, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	pem, err := os.ReadFile(first.File())
	if err != nil {
		t.Fatal(err)
	}
	second, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if again, _ := os.ReadFile(second.File()); string(again) != string(pem) {
		t.Error("the second start made another authority")
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	for _, a := range []*Authority{first, second} {
		cfg, err := a.Config("ingest.example.org", "192.0.2.7")
		if err != nil {
			t.Fatal(err)
		}
		cert, err := x509.ParseCertificate(cfg.Certificates[0].Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		for _, host := range []string{"localhost", "127.0.0.1", "::1", "ingest.example.org", "192.0.2.7"} {
			if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: host}); err != nil {
				t.Errorf("%s: %v", host, err)
			}
		}
		if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, DNSName: "other.example.org"}); err == nil {
			t.Error("the certificate is good for a host that was not named")
		}
	}
}

func TestOpen_ADamagedAuthorityIsNotReplaced(t *testing.T) {
	for _, file := range []string{"ca.pem", "ca-key.pem"} {
		dir := t.TempDir()
		if _, err := Open(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "remove "+dir) {
			t.Errorf("%s: got %v", file, err)
		}
	}
}
