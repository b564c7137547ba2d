package rest

import (
	"strings"

	"github.com/zerobus-go/zerobus/server/internal/catalog"
)

// catalogInfo and schemaInfo are Unity Catalog's CatalogInfo and SchemaInfo.
type catalogInfo struct {
	Name        string            `json:"name"`
	FullName    string            `json:"full_name"`
	CatalogType string            `json:"catalog_type"`
	Comment     string            `json:"comment,omitempty"`
	Properties  map[string]string `json:"properties"`
	Owner       string            `json:"owner"`
	CreatedAt   int64             `json:"created_at"` // milliseconds since the epoch
	UpdatedAt   int64             `json:"updated_at"`
	ID          string            `json:"id"`
	MetastoreID string            `json:"metastore_id"`
}

type schemaInfo struct {
	Name        string            `json:"name"`
	CatalogName string            `json:"catalog_name"`
	FullName    string            `json:"full_name"`
	CatalogType string            `json:"catalog_type"`
	Comment     string            `json:"comment,omitempty"`
	Properties  map[string]string `json:"properties"`
	Owner       string            `json:"owner"`
	CreatedAt   int64             `json:"created_at"`
	UpdatedAt   int64             `json:"updated_at"`
	SchemaID    string            `json:"schema_id"`
	MetastoreID string            `json:"metastore_id"`
}

const managedCatalog = "MANAGED_CATALOG"

// namespaceInfo is the one or the other.
func (s *server) namespaceInfo(ns catalog.Namespace) any {
	if ns.Name.Schema == "" {
		return s.catalogInfo(ns)
	}
	return s.schemaInfo(ns)
}

func (s *server) catalogInfo(ns catalog.Namespace) catalogInfo {
	return catalogInfo{
		Name: ns.Name.Catalog, FullName: ns.Name.String(), CatalogType: managedCatalog, Comment: ns.Comment, Properties: notNil(ns.Properties),
		Owner: ns.Owner, CreatedAt: ns.Created.UnixMilli(), UpdatedAt: ns.Updated.UnixMilli(), ID: ns.ID.String(), MetastoreID: s.Catalog.ID().String(),
	}
}

func (s *server) schemaInfo(ns catalog.Namespace) schemaInfo {
	return schemaInfo{
		Name: ns.Name.Schema, CatalogName: ns.Name.Catalog, FullName: ns.Name.String(), CatalogType: managedCatalog, Comment: ns.Comment,
		Properties: notNil(ns.Properties), Owner: ns.Owner, CreatedAt: ns.Created.UnixMilli(), UpdatedAt: ns.Updated.UnixMilli(),
		SchemaID: ns.ID.String(), MetastoreID: s.Catalog.ID().String(),
	}
}

func notNil(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

func (s *server) listCatalogs(r *request) (any, error) {
	all, err := s.Catalog.Catalogs()
	if err != nil {
		return nil, err
	}
	page, next, err := pageOf(r, seen(r.who, all), nameOfNamespace)
	infos := make([]catalogInfo, len(page))
	for i, ns := range page {
		infos[i] = s.catalogInfo(ns)
	}
	return listed("catalogs", infos, next), err
}

func (s *server) listSchemas(r *request) (any, error) {
	in, err := s.within(r, catalog.CatalogType, "catalog_name")
	if err != nil {
		return nil, err
	}
	all, err := s.Catalog.Schemas(in.Catalog)
	if err != nil {
		return nil, err
	}
	page, next, err := pageOf(r, seen(r.who, all), nameOfNamespace)
	infos := make([]schemaInfo, len(page))
	for i, ns := range page {
		infos[i] = s.schemaInfo(ns)
	}
	return listed("schemas", infos, next), err
}

func nameOfNamespace(ns catalog.Namespace) string { return ns.Name.String() }

// seen are those that the caller may see.
func seen(who *caller, all []catalog.Namespace) (list []catalog.Namespace) {
	for _, ns := range all {
		who.Know(ns.Name, ns.Owner)
		if who.Sees(ns.Name) {
			list = append(list, ns)
		}
	}
	return list
}

// within reads what a list is of from query parameters, one for each part of the name.
func (s *server) within(r *request, objectType string, params ...string) (n catalog.Name, err error) {
	parts := make([]string, len(params))
	for i, p := range params {
		if parts[i] = r.URL.Query().Get(p); parts[i] == "" {
			return n, invalidf("%s is missing.", p)
		}
	}
	if n, err = catalog.ParseSecurable(objectType, strings.Join(parts, ".")); err != nil {
		return n, err
	}
	r.about = n
	if _, err := s.Catalog.Namespace(n); isNotFound(err) || err == nil && !r.who.Sees(n) {
		return n, unknown(n)
	} else if err != nil {
		return n, err
	}
	return n, nil
}

func (s *server) getCatalog(r *request) (any, error) { return s.getNamespace(r, catalog.CatalogType) }

func (s *server) getSchema(r *request) (any, error) { return s.getNamespace(r, catalog.SchemaType) }

func (s *server) getNamespace(r *request, objectType string) (any, error) {
	ns, err := s.namespace(r, objectType)
	if err != nil {
		return nil, err
	}
	return s.namespaceInfo(ns), nil
}

// namespace is what the path names, if the caller sees it.
func (s *server) namespace(r *request, objectType string) (ns catalog.Namespace, err error) {
	n, err := r.named(objectType)
	if err != nil {
		return ns, err
	}
	if ns, err = s.Catalog.Namespace(n); isNotFound(err) || err == nil && !r.who.Sees(n) {
		err = unknown(n)
	}
	return ns, err
}

// newNamespace is CreateCatalog and CreateSchema.
type newNamespace struct {
	Name        string            `json:"name"`
	CatalogName string            `json:"catalog_name"`
	Comment     string            `json:"comment"`
	Properties  map[string]string `json:"properties"`
	StorageRoot string            `json:"storage_root"`
}

func (s *server) createCatalog(r *request) (any, error) {
	var b newNamespace
	if err := r.body(&b); err != nil {
		return nil, err
	}
	if !r.who.Admin() {
		return nil, denied("Only the administrator can make a catalog.")
	}
	return s.createNamespace(r, catalog.CatalogType, b, b.Name)
}

func (s *server) createSchema(r *request) (any, error) {
	var b newNamespace
	if err := r.body(&b); err != nil {
		return nil, err
	}
	if b.CatalogName == "" {
		return nil, invalidf("catalog_name is missing.")
	}
	in, err := catalog.ParseSecurable(catalog.CatalogType, b.CatalogName)
	if err != nil {
		return nil, err
	}
	if err := s.mayCreate(r, catalog.CreateSchema, in); err != nil {
		return nil, err
	}
	return s.createNamespace(r, catalog.SchemaType, b, b.CatalogName, b.Name)
}

func (s *server) createNamespace(r *request, objectType string, b newNamespace, parts ...string) (any, error) {
	if b.Name == "" {
		return nil, invalidf("name is missing.")
	}
	n, err := catalog.ParseSecurable(objectType, strings.Join(parts, "."))
	if err != nil {
		return nil, err
	}
	if b.StorageRoot != "" {
		return nil, invalidf("storage_root cannot be chosen: the server keeps all tables in its own lake.")
	}
	r.about = n
	ns, err := s.engine.CreateNamespace(r.Context(), catalog.Namespace{Name: n, Comment: b.Comment, Owner: r.who.Owner(), Properties: b.Properties})
	if err != nil {
		return nil, err
	}
	s.changed(r, "created", n)
	return s.namespaceInfo(ns), nil
}

// mayCreate finds whether the caller may make something in a catalog or schema.
func (s *server) mayCreate(r *request, p catalog.Privilege, in catalog.Name) error {
	// What does not exist is seen by the administrator only.
	if _, err := s.Catalog.Namespace(in); isNotFound(err) || err == nil && !r.who.Sees(in) {
		return unknown(in)
	} else if err != nil {
		return err
	}
	if !r.who.May(p, in) {
		return denied("The principal is missing %s on %s %s.", p, in.Type(), in)
	}
	return nil
}

// namespaceChange is UpdateCatalog and UpdateSchema.
type namespaceChange struct {
	Comment    *string           `json:"comment"`
	Owner      *string           `json:"owner"`
	Properties map[string]string `json:"properties"`
	NewName    *string           `json:"new_name"`
}

func (s *server) updateCatalog(r *request) (any, error) {
	return s.updateNamespace(r, catalog.CatalogType)
}

func (s *server) updateSchema(r *request) (any, error) {
	return s.updateNamespace(r, catalog.SchemaType)
}

func (s *server) updateNamespace(r *request, objectType string) (any, error) {
	ns, err := s.namespace(r, objectType)
	if err != nil {
		return nil, err
	}
	n := ns.Name
	if !r.who.Manages(n) {
		return nil, notManaged("change", n)
	}
	var b namespaceChange
	if err := r.body(&b); err != nil {
		return nil, err
	}
	if b.NewName != nil && !strings.EqualFold(*b.NewName, n.String()) {
		return nil, invalidf("%s cannot be renamed.", n)
	}
	if b.Owner != nil && *b.Owner != catalog.DefaultOwner {
		p, err := s.Catalog.Principal(*b.Owner)
		if err != nil {
			return nil, err
		}
		b.Owner = &p.ID
	}
	if err := s.Catalog.Alter(n, catalog.Change{Comment: b.Comment, Owner: b.Owner, Properties: b.Properties}); err != nil {
		return nil, err
	}
	s.changed(r, "changed", n)
	if ns, err = s.Catalog.Namespace(n); err != nil {
		return nil, err
	}
	return s.namespaceInfo(ns), nil
}

func (s *server) deleteCatalog(r *request) (any, error) {
	return s.deleteNamespace(r, catalog.CatalogType)
}

func (s *server) deleteSchema(r *request) (any, error) {
	return s.deleteNamespace(r, catalog.SchemaType)
}

func (s *server) deleteNamespace(r *request, objectType string) (any, error) {
	ns, err := s.namespace(r, objectType)
	if err != nil {
		return nil, err
	}
	force, err := r.flag("force")
	if err != nil {
		return nil, err
	}
	return s.drop(r, ns.Name, force)
}

func (s *server) drop(r *request, n catalog.Name, cascade bool) (any, error) {
	if !r.who.Manages(n) {
		return nil, notManaged("drop", n)
	}
	if err := s.engine.Drop(r.Context(), n, cascade); err != nil {
		return nil, err
	}
	s.changed(r, "dropped", n)
	return struct{}{}, nil
}

func notManaged(what string, n catalog.Name) error {
	return denied("Only the owner of %s, the owner of what it is in, and the administrator can %s it.", n, what)
}

// changed leaves a trace of who changed what.
func (s *server) changed(r *request, what string, n catalog.Name) {
	s.Logger.Info("catalog "+what, "object", n.String(), "principal", r.who.Owner())
}
