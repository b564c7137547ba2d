// Package rest is the server's HTTP side: the token endpoint, Unity Catalog for those who look for tables, health, and the
// administration of package admin under its own path. It takes and gives JSON and forms; it never sees a record.
// docs/catalog.md describes what callers see.
//
// Concurrency: handlers run on net/http's goroutines and share nothing but the catalog and the token authority. Failure: every
// error is answered in the form that the clients of that endpoint read; details of the server's inside go to the log only.
package rest
