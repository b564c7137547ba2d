package rest

import (
	"slices"
	"strings"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
)

// assignment is Unity Catalog's PrivilegeAssignment. The principal is its client id.
type assignment struct {
	Principal  string   `json:"principal"`
	Privileges []string `json:"privileges"`
}

type effective struct {
	Principal  string               `json:"principal"`
	Privileges []effectivePrivilege `json:"privileges"`
}

type effectivePrivilege struct {
	Privilege         string `json:"privilege"`
	InheritedFromType string `json:"inherited_from_type,omitempty"`
	InheritedFromName string `json:"inherited_from_name,omitempty"`
}

// maxGrantChanges bounds the changes of one request.
const maxGrantChanges = 100

// spelling is how the client reads privileges: Unity Catalog's API has USE CATALOG, and Databricks' has USE_CATALOG, whose clients
// leave out what they do not know without a word.
func (r *request) spelling(p catalog.Privilege) string {
	if strings.Contains(r.UserAgent(), "databricks-sdk") {
		return strings.ReplaceAll(string(p), " ", "_")
	}
	return string(p)
}

// securable is what the path names, if the caller sees it.
func (s *server) securable(r *request) (n catalog.Name, err error) {
	switch kind := strings.ToUpper(r.PathValue("type")); kind {
	case catalog.TableType:
		t, err := s.table(r)
		return t.Name, err
	case catalog.CatalogType, catalog.SchemaType:
		ns, err := s.namespace(r, kind)
		return ns.Name, err
	default:
		return n, invalidf("The securable type %s is not supported: there are catalog, schema and table.", clip(r.PathValue("type")))
	}
}

// grants lists grants on what the path names. Who manages it sees all, others their own.
func (s *server) grants(r *request, list func(catalog.GrantFilter) ([]catalog.Grant, error)) ([]catalog.Grant, catalog.Name, error) {
	n, err := s.securable(r)
	if err != nil {
		return nil, n, err
	}
	f := catalog.GrantFilter{On: n, Principal: r.URL.Query().Get("principal")}
	if !r.who.Manages(n) {
		if f.Principal != "" {
			// Whether another exists is not told either.
			if p, err := s.Catalog.Principal(f.Principal); err != nil || p.ID != r.who.Principal() {
				return nil, n, denied("Only the owner of %s and the administrator can see the grants of others.", n)
			}
		}
		f.Principal = r.who.Principal()
	}
	all, err := list(f)
	return all, n, err
}

func (s *server) getPermissions(r *request) (any, error) {
	all, _, err := s.grants(r, s.Catalog.Grants)
	if err != nil {
		return nil, err
	}
	page, next, err := pageOf(r, byPrincipal(all), func(g catalog.Grant) string { return g.PrincipalID })
	list := make([]assignment, len(page))
	for i, g := range page {
		list[i].Principal = g.PrincipalID
		for _, p := range g.Privileges {
			list[i].Privileges = append(list[i].Privileges, r.spelling(p))
		}
	}
	return listed("privilege_assignments", list, next), err
}

func (s *server) effectivePermissions(r *request) (any, error) {
	all, n, err := s.grants(r, s.Catalog.Effective)
	if err != nil {
		return nil, err
	}
	var list []effective
	for _, g := range byPrincipal(all) {
		if len(list) == 0 || list[len(list)-1].Principal != g.PrincipalID {
			list = append(list, effective{Principal: g.PrincipalID})
		}
		e := &list[len(list)-1]
		for _, p := range g.Privileges {
			one := effectivePrivilege{Privilege: r.spelling(p)}
			if g.On != n {
				one.InheritedFromType, one.InheritedFromName = g.Type, g.On.String()
			}
			e.Privileges = append(e.Privileges, one)
		}
	}
	page, next, err := pageOf(r, list, func(e effective) string { return e.Principal })
	return listed("privilege_assignments", page, next), err
}

// permissionsChange is UpdatePermissions.
type permissionsChange struct {
	Changes []struct {
		Principal string              `json:"principal"`
		Add       []catalog.Privilege `json:"add"`
		Remove    []catalog.Privilege `json:"remove"`
	} `json:"changes"`
}

// updatePermissions makes all changes or none.
func (s *server) updatePermissions(r *request) (any, error) {
	n, err := s.securable(r)
	if err != nil {
		return nil, err
	}
	if !r.who.Manages(n) {
		return nil, notManaged("grant on", n)
	}
	var b permissionsChange
	if err := r.body(&b); err != nil {
		return nil, err
	}
	if len(b.Changes) > maxGrantChanges {
		return nil, invalidf("There are %d changes, more than the limit of %d.", len(b.Changes), maxGrantChanges)
	}
	var changes []catalog.GrantChange
	for _, c := range b.Changes {
		if c.Principal == "" {
			return nil, invalidf("A change names no principal.")
		}
		if len(c.Add)+len(c.Remove) > 0 {
			changes = append(changes, catalog.GrantChange{Principal: c.Principal, Add: c.Add, Remove: c.Remove})
		}
	}
	if err := s.Catalog.ChangeGrants(n, changes...); err != nil {
		return nil, err
	}
	s.changed(r, "grants changed", n)
	return s.getPermissions(r)
}

// byPrincipal puts grants in the order of pages, those of one principal as they were.
func byPrincipal(all []catalog.Grant) []catalog.Grant {
	slices.SortStableFunc(all, func(a, b catalog.Grant) int { return strings.Compare(a.PrincipalID, b.PrincipalID) })
	return all
}
