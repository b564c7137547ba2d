"""A Spark session with Delta Lake from .installed, small enough for two cores, and what a value is as Spark's JSON."""

import base64
import glob
import os

import tables

HERE = os.path.dirname(os.path.abspath(__file__))
DELTA = next(line.split("==")[1].strip() for line in open(HERE + "/requirements.txt") if line.startswith("delta-spark"))


def start(out):
    from pyspark.sql import SparkSession

    jars = sorted(glob.glob(HERE + "/.installed/jars/*.jar"))
    settings = {
        "spark.jars": ",".join(jars),
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.delta.logStore.file.impl": "LinkLogStore",  # see src/
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.warehouse.dir": out + "/warehouse",
        "spark.local.dir": out + "/tmp",
        "spark.driver.memory": "1500m",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.extraJavaOptions": f"-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Duser.timezone=UTC -Dderby.system.home={out}/tmp",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.log.level": "ERROR",
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.adaptive.enabled": "false",
        "spark.databricks.delta.snapshotPartitions": "1",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "1",  # the tasks of VACUUM
        "spark.sql.codegen.wholeStage": "false",  # compiling takes longer than these few rows
        "spark.databricks.delta.retentionDurationCheck.enabled": "false",  # for the dry run
    }
    builder = SparkSession.builder.master("local[2]").appName("interop")
    for key, value in settings.items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def quoted(name):
    return "`" + name.replace("`", "``") + "`"


def text(value):
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def as_json(kind, e, depth=0):
    """An expression of what JSON can have, for a value of any type. Dates and times become numbers, whatever Python's can hold."""
    name, x = kind[0], f"x{depth}"
    if name == "date":
        return f"unix_date({e})"
    if name == "timestamp":
        return f"unix_micros({e})"
    if name == "timestamp_ntz":
        return f"unix_micros(CAST({e} AS TIMESTAMP))"
    if name == "decimal":
        return f"CAST({e} AS STRING)"
    if name == "float":
        return f"CAST({e} AS DOUBLE)"
    if name == "binary":
        return f"hex({e})"
    if name == "array":
        return f"transform({e}, {x} -> {as_json(kind[1], x, depth + 1)})"
    if name == "map":
        key, value = as_json(kind[1], x + ".key", depth + 1), as_json(kind[2], x + ".value", depth + 1)
        return f"transform(map_entries({e}), {x} -> named_struct('key', {key}, 'value', {value}))"
    if name == "struct":
        fields = ", ".join(f"{text(f)}, {as_json(k, e + '.' + quoted(f), depth)}" for f, k in kind[1])
        return f"IF({e} IS NULL, NULL, named_struct({fields}))"
    return e


def from_json(kind, value):
    """What as_json gave, in a form that tables.canonical takes."""
    name = kind[0]
    if value is None:
        return None
    if name == "binary":
        return bytes.fromhex(value)
    if name == "array":
        return [from_json(kind[1], v) for v in value]
    if name == "map":
        return [(from_json(kind[1], e["key"]), from_json(kind[2], e["value"])) for e in value]
    if name == "struct":
        return {f: from_json(k, value[f]) for f, k in kind[1]}
    return value


def literal(kind, value):
    """A constant of SQL for what a record says of a scalar."""
    name = kind[0]
    if name == "date":
        return f"DATE_FROM_UNIX_DATE({value})"
    if name == "timestamp":
        return f"TIMESTAMP_MICROS({value})"
    if name == "timestamp_ntz":
        return f"CAST(TIMESTAMP_MICROS({value}) AS TIMESTAMP_NTZ)"
    if name == "binary":
        return f"X'{base64.b64decode(value).hex()}'"
    if name in ("string", "char", "varchar"):
        return text(value)
    if name == "boolean":
        return str(value)
    exact = {"decimal": f"DECIMAL({kind[1]},{kind[2]})" if name == "decimal" else ""}
    return f"CAST('{value}' AS {exact.get(name, name)})"


def row_expression(table):
    fields = ", ".join(f"{text(n)}, {as_json(k, quoted(n))}" for n, k in table.kinds.items())
    return f"to_json(named_struct({fields}), map('ignoreNullFields', 'false')) AS row"


def keys(table, frame):
    """The rows of a data frame as tables.Table.key has them."""
    import json
    rows = [json.loads(r.row) for r in frame.selectExpr(row_expression(table)).collect()]
    return [table.key({n: from_json(k, r[n]) for n, k in table.kinds.items()}) for r in rows]


def scalars(table):
    """Expressions of all scalar columns and fields of structs, with their kinds and how to find a value in a record."""
    def walk(path, kind):
        if kind[0] == "struct":
            for f, k in kind[1]:
                yield from walk(path + [f], k)
        elif kind[0] not in ("array", "map"):
            yield path, kind
    for name, kind in table.kinds.items():
        yield from walk([name], kind)
