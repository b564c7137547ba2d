// Package catalog knows what exists and who may use it: takes names, statements and credentials, gives catalogs, schemas,
// tables, principals and grants. It never looks into a table: columns live in the table's Delta log, and whoever executes a
// statement that needs them gives the [Engine] a [Tables].
//
//	Catalog    the store, one bbolt file: objects, principals and their secrets, grants, Check
//	Parse      SQL text -> statements; pure
//	Engine     statements -> changes of the store and of the lake
//	Access     what one caller may see and do
//
// # Names
//
// Names of catalogs, schemas and tables have 1 to 255 ASCII letters, digits and underscores. As in Unity Catalog they are
// compared and kept in lower case.
//
// # External tables
//
// A table with a location of its own is somebody else's: its entry goes, its files stay. Only an administrator may register one,
// which whoever calls the [Engine] sees to. No two tables have the same directory, or one inside of the other.
//
// # Privileges
//
// A privilege is granted on a catalog, a schema or a table and holds for everything inside of it. SELECT and MODIFY on a table
// are also had through the schema and the catalog; USE SCHEMA on a schema also through the catalog; USE CATALOG only on the
// catalog itself. ALL PRIVILEGES counts as every other privilege wherever it is granted or inherited. (The service is reported
// not to count it for ingestion; here it does, because a grant that is shown should hold.) Grants vanish with what they are
// granted on and with the principal.
//
// The owner of an object is whose principal made it, by client id: it has every privilege on that object and may drop it, grant
// and revoke, but needs USE on what it is in like everybody else. What SQL makes belongs to [DefaultOwner], the administrator.
// [Access] has these rules for the whole catalog.
//
// # Secrets
//
// A secret is made here, shown once and kept as an argon2id hash. It is never in an error, a log line or a result. Logins that
// fail are limited by client id and address, and by address.
//
// Concurrency: a [Catalog] and an [Engine] may be used by many goroutines. Reads run in parallel, changes one after the other;
// each change is one durable transaction. Only one process at a time can have the file open ([ErrLocked]).
//
// Failure: every method that changes something either did so durably or changed nothing. Errors are classified by [ErrNotFound],
// [ErrExists], [ErrNotEmpty], [ErrInvalid], [ErrBadCredentials], [ErrLimited], [ErrBusy] and [ErrLocked]; anything else is a
// failure of the disk.
package catalog
