// Package admin is what an operator does: run statements, manage principals, look at tables. It takes requests of the tool and
// gives plain data that prints and marshals.
//
// [Local] does it in the process that holds the catalog: the running server, or the tool itself while no server runs. [Client]
// asks a running server over HTTP, which [Handler] answers; both are an [API], so the tool does not care. [Connect] finds out
// which of the two a data directory needs.
//
// # The admin token
//
// A server writes a random token to admin.token in its data directory, readable by its owner only, and its address to
// server.json. Whoever can read the directory may administer the server; nobody else can.
package admin
