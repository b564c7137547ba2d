package dial

import (
	"net/netip"
	"strings"
)

// bypass is a list of hosts that are reached without a proxy, as [ProxyFromEnvironment] documents it.
type bypass []exception

// exception is one entry. It is about every host, or a block of addresses, or else a name.
type exception struct {
	every bool
	block netip.Prefix // of one address, when only that is meant
	name  string       // in the form of canonicalName
	port  string       // empty for every port
}

func parseBypass(s string) bypass {
	var b bypass
	for _, entry := range strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' || r == '\r' }) {
		if e, ok := parseException(entry); ok {
			b = append(b, e)
		}
	}
	return b
}

// parseException reports false for an entry that has no host.
func parseException(s string) (e exception, ok bool) {
	if e.block, ok = parseBlock(s); ok {
		return e, true // before the last colon is looked for: an IPv6 address has colons of its own
	}
	host := s
	if i := strings.LastIndexByte(s, ':'); i >= 0 && !strings.HasSuffix(s, "]") {
		host, e.port = s[:i], s[i+1:]
	}
	if host == "*" {
		e.every = true
		return e, true
	}
	if inner, found := strings.CutPrefix(host, "["); found {
		host = strings.TrimSuffix(inner, "]")
	}
	if e.block, ok = parseBlock(host); ok {
		return e, true
	}
	// That a domain with a dot in front includes the domain itself is how curl reads it; net/http does not.
	host = strings.TrimPrefix(strings.TrimPrefix(host, "*."), ".")
	e.name = canonicalName(host)
	return e, e.name != ""
}

// parseBlock reads an address or a block of them.
func parseBlock(s string) (netip.Prefix, bool) {
	if a, ok := parseAddress(s); ok {
		return netip.PrefixFrom(a, a.BitLen()), true
	}
	p, err := netip.ParsePrefix(s)
	return p, err == nil
}

// parseAddress reads an address such that the same one is always the same value. A zone names one of this machine's
// interfaces, and is not part of what is compared.
func parseAddress(s string) (netip.Addr, bool) {
	a, err := netip.ParseAddr(s)
	return a.Unmap().WithZone(""), err == nil
}

// canonicalName returns a host name such that the same one is always the same string. A dot at the end makes a name
// absolute, and no different one.
func canonicalName(s string) string {
	return strings.ToLower(strings.TrimSuffix(s, "."))
}

// covers reports whether a host is reached without a proxy. An IPv6 address comes without brackets.
func (b bypass) covers(host, port string) bool {
	addr, isAddr := parseAddress(host)
	name := canonicalName(host)
	for _, e := range b {
		if e.port != "" && e.port != port {
			continue
		}
		switch {
		case e.every:
			return true
		case isAddr:
			if e.block.Contains(addr) {
				return true
			}
		case e.name != "" && (name == e.name || strings.HasSuffix(name, "."+e.name)):
			return true
		}
	}
	return false
}
