"""Catalog clients that share no code with ours find the tables, read them and manage grants.

usage: catalog.py ZEROBUS_BINARY OUT_DIR

Runs after client.py, on the tables that it has made, against the same server. DuckDB's and Spark's catalog clients are no packages
that a registry has as they are (DuckDB's extension is a download), so they are not here; docs/catalog.md says what they ask for.
"""

import asyncio
import importlib.metadata
import json
import os
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request

BINARY, OUT = sys.argv[1:3]
DATA = OUT + "/data"
MINE, OTHER, EMPTY = "main.default.json_types", "main.default.proto_types", "main.default.catalog_empty"

os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1"
for name in list(os.environ):
    if name.startswith(("DATABRICKS_", "UNITY_")):
        del os.environ[name]

import databricks.sdk
import databricks.sdk.errors
import databricks.sdk.service.catalog as dbc
import deltalake
import unitycatalog.client as uc


def tool(*args):
    return subprocess.run([BINARY, *args, "--data", DATA], check=True, capture_output=True, text=True).stdout


def workspace():
    with open(OUT + "/serve.out") as f:
        return dict(line.split()[:2] for line in f)["http"]


HTTP = workspace()


class Reader:
    """A principal that may read one of the tables, and an empty one."""

    def __init__(self):
        c = json.loads(tool("principal", "create", "catalog-reader", "--json"))
        self.id, self.secret = c["client_id"], c["client_secret"]
        tool("sql", f"GRANT USE CATALOG ON CATALOG main TO `{self.id}`; GRANT USE SCHEMA ON SCHEMA main.default TO `{self.id}`; "
                    f"GRANT SELECT ON TABLE {MINE} TO `{self.id}`; CREATE TABLE {EMPTY} (id BIGINT, s STRING); GRANT SELECT ON TABLE {EMPTY} TO `{self.id}`;")
        form = urllib.parse.urlencode({
            "grant_type": "client_credentials", "scope": "all-apis", "client_id": self.id, "client_secret": self.secret})
        with urllib.request.urlopen(HTTP + "/oidc/v1/token", form.encode(), timeout=30) as r:
            self.token = json.load(r)["access_token"]

    def get(self, path):
        req = urllib.request.Request(HTTP + "/api/2.1/unity-catalog/" + path, headers={"Authorization": "Bearer " + self.token})
        with urllib.request.urlopen(req, timeout=30) as r:
            return json.load(r)


def say(package, what):
    print(f"catalog   {package} {importlib.metadata.version(package)}: {what}")


def refused(kind, call, *parts):
    try:
        call()
    except kind as e:
        assert all(p in str(e) for p in parts), e
        return
    raise AssertionError(f"{parts} was not refused")


class Uc:
    """deltalake opens uc://TABLE in a process of its own, because deltalake 1.6.6 has two troubles with any catalog's local tables: it
    often does not come back after its last answer, and it reads a directory as if that were listed in order."""

    def __init__(self, reader, table):
        self.table = table
        env = dict(os.environ, DATABRICKS_WORKSPACE_URL=HTTP, UNITY_ALLOW_HTTP_URL="true",
                   DATABRICKS_CLIENT_ID=reader.id, DATABRICKS_CLIENT_SECRET=reader.secret)
        code = "import deltalake, sys; print('rows', deltalake.DeltaTable(sys.argv[1]).to_pyarrow_table(columns=['id']).num_rows)"
        self.process = subprocess.Popen([sys.executable, "-c", code, "uc://" + table], env=env, text=True,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def result(self, want):
        """What has happened by now."""
        try:
            out, _ = self.process.communicate(timeout=2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            return "does not come back"
        if "Expected contiguous commit files" in out:
            return "wants files in order"
        assert out == f"rows {want}\n", out
        return f"reads {want} rows"


def delta_rs(reader, single, several):
    with open(f"{OUT}/sent-{MINE.rpartition('.')[2]}.json") as f:
        sent = sorted(r["id"] for r in json.load(f))
    refused(urllib.error.HTTPError, lambda: reader.get("tables/" + OTHER), "404")
    for table, want in ((MINE, sent), (EMPTY, [])):
        location = reader.get("tables/" + table)["storage_location"]
        got = deltalake.DeltaTable(location).to_pyarrow_table(columns=["id"])["id"].to_pylist()
        assert sorted(got) == want, (table, len(got), len(want))
    say("deltalake", f"by the location that it is told it reads the {len(sent)} rows that were sent; "
                     f"uc:// {single.result(0)} (one version), {several.result(len(sent))} (several)")


async def unity(reader, admin):
    def client(token):
        return uc.ApiClient(uc.Configuration(host=HTTP + "/api/2.1/unity-catalog"), "Authorization", "Bearer " + token)

    async with client(admin) as a:
        catalogs, schemas, tables, grants = uc.CatalogsApi(a), uc.SchemasApi(a), uc.TablesApi(a), uc.GrantsApi(a)
        await catalogs.create_catalog(uc.CreateCatalog(name="interop", comment="ünï", properties={"k": "v"}))
        made = await schemas.create_schema(uc.CreateSchema(name="s", catalog_name="interop"))
        assert made.full_name == "interop.s", made
        columns = [
            uc.ColumnInfo(name="id", type_name=uc.ColumnTypeName.LONG, type_text="bigint", position=0, nullable=False,
                          type_json='{"name":"id","type":"long","nullable":false,"metadata":{}}'),
            uc.ColumnInfo(name="price", type_name=uc.ColumnTypeName.DECIMAL, type_precision=10, type_scale=2, position=1),
        ]
        for name in ("t1", "t2", "t3"):
            t = await tables.create_table(uc.CreateTable(
                name=name, catalog_name="interop", schema_name="s", table_type=uc.TableType.MANAGED,
                data_source_format=uc.DataSourceFormat.DELTA, columns=columns))
        assert [(c.name, c.type_text, c.nullable) for c in t.columns] == [("id", "bigint", False), ("price", "decimal(10,2)", True)], t
        names, page = [], None
        while True:
            r = await tables.list_tables("interop", "s", max_results=2, page_token=page)
            names += [x.name for x in r.tables]
            page = r.next_page_token
            if page is None:
                break
        assert names == ["t1", "t2", "t3"], names
        creds = await uc.TemporaryCredentialsApi(a).generate_temporary_table_credentials(
            uc.GenerateTemporaryTableCredential(table_id=t.table_id, operation=uc.TableOperation.READ))
        assert creds.url == t.storage_location and creds.url.startswith("file:///"), creds
        await grants.update(uc.SecurableType.TABLE, "interop.s.t1", uc.UpdatePermissions(changes=[
            uc.PermissionsChange(principal="catalog-reader", add=[uc.Privilege.SELECT, uc.Privilege.MODIFY], remove=[])]))
        got = await grants.get(uc.SecurableType.TABLE, "interop.s.t1")
        assert [(g.principal, g.privileges) for g in got.privilege_assignments] == [(reader.id, [uc.Privilege.SELECT, uc.Privilege.MODIFY])], got
        for name in names:
            await tables.delete_table("interop.s." + name)
        await schemas.delete_schema("interop.s")
        await catalogs.delete_catalog("interop")
        listed = [c.name for c in (await catalogs.list_catalogs()).catalogs]
        assert listed == ["main"], listed
    say("unitycatalog-client", "made, listed, granted and dropped a catalog, a schema and tables")


def databricks_sdk(reader, admin):
    w = databricks.sdk.WorkspaceClient(host=HTTP, client_id=reader.id, client_secret=reader.secret)
    assert [c.name for c in w.catalogs.list()] == ["main"]
    assert [s.full_name for s in w.schemas.list("main")] == ["main.default"]
    assert [t.full_name for t in w.tables.list("main", "default")] == [EMPTY, MINE]
    t = w.tables.get(MINE)
    assert t.columns[0].name == "id" and t.columns[0].type_name == dbc.ColumnTypeName.LONG and not t.columns[0].nullable, t.columns[0]
    assert w.tables.exists(MINE).table_exists and not w.tables.exists(OTHER).table_exists
    refused(databricks.sdk.errors.NotFound, lambda: w.tables.get(OTHER), "does not exist")
    refused(databricks.sdk.errors.PermissionDenied, lambda: w.tables.delete(MINE), "owner")
    own = w.grants.get("table", MINE)
    assert [(g.principal, g.privileges) for g in own.privilege_assignments] == [(reader.id, [dbc.Privilege.SELECT])], own

    a = databricks.sdk.WorkspaceClient(host=HTTP, token=admin)
    change = lambda **k: a.grants.update("schema", "main.default", changes=[dbc.PermissionsChange(principal=reader.id, **k)])
    got = change(add=[dbc.Privilege.CREATE_TABLE])
    assert (reader.id, [dbc.Privilege.USE_SCHEMA, dbc.Privilege.CREATE_TABLE]) in [(g.principal, g.privileges) for g in got.privilege_assignments], got
    change(remove=[dbc.Privilege.CREATE_TABLE])
    inherited = [(p.privilege, p.inherited_from_name) for g in w.grants.get_effective("table", MINE).privilege_assignments for p in g.privileges]
    assert inherited == [(dbc.Privilege.SELECT, None)], inherited
    say("databricks-sdk", "listed what the principal may see, and that alone; read and changed grants")


def main():
    tool("table", "head", MINE, "-n", "1")  # commits what is durable
    with open(DATA + "/admin.token") as f:
        admin = f.read().strip()
    reader = Reader()
    attempts = Uc(reader, EMPTY), Uc(reader, MINE)
    asyncio.run(unity(reader, admin))
    databricks_sdk(reader, admin)
    delta_rs(reader, *attempts)


if __name__ == "__main__":
    main()
