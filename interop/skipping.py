"""What delta-rs passes over files by: the statistics of the files against their rows, and predicates with and without that."""

import collections
import decimal
import struct

import pyarrow as pa

import forms
from forms import check

INDEXED = 32  # columns that have statistics, unless the table says otherwise
STRING_PREFIX = 32  # characters of a bound
FIRST_DAY, LAST_DAY = -719162, 2932896  # of the years 1 and 9999
DAY = 86_400_000_000


# Statistics.

def statistics_leaves(fields, array_of, path=()):
    """Path, type and array of what has statistics: members of structs, and other columns as a whole. NULL where the struct is."""
    for f in fields:
        array = array_of(f["name"])
        if isinstance(f["type"], dict) and f["type"]["type"] == "struct":
            chunks = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
            children = dict(zip((m.name for m in chunks.type), chunks.flatten()))
            yield from statistics_leaves(f["type"]["fields"], children.__getitem__, path + (f["name"],))
        else:
            yield path + (f["name"],), f["type"], array


def ordered(form):
    """A value that Python orders as the type does; None for NaN and for what has no bounds."""
    tag, _, text = form.partition(":")
    if tag in ("f32", "f64"):
        return None if text == "nan" else struct.unpack(">f" if tag == "f32" else ">d", bytes.fromhex(text))[0]
    if tag == "s":
        return text.encode()
    return None if tag in ("b", "x", "v") else int(text)


def add_actions(table):
    """The files as delta-rs knows them, by path: bounds as values that can be compared, all else as it is."""
    listed, cells = pa.table(table.get_add_actions(flatten=True)), {}
    for name in listed.column_names:
        if name.startswith(("min.", "max.")):
            cells[name] = [f and ordered(f) for f in forms.forms(listed[name], "bound")]
        else:
            cells[name] = listed[name].to_pylist()
    return {path: {name: column[i] for name, column in cells.items()} for i, path in enumerate(cells["path"])}


def check_statistics(case, path, table, action):
    """How many bounds there are. What delta-rs says of a file is compared with the file's rows."""
    check(action["num_records"] == table.num_rows, path, "num_records is", action["num_records"], "of", table.num_rows)
    stored = [f for f in case["schema"]["fields"] if f["name"] not in case["partitions"]]
    compared, indexed = 0, int(case["indexed"] or INDEXED)
    for i, (names, kind, array) in enumerate(statistics_leaves(stored, table.column)):
        name = ".".join(names)
        nulls = action.get("null_count." + name)
        if 0 <= indexed <= i:
            check(nulls is None, name, "is beyond the first columns and has statistics")
            continue
        check(nulls == array.null_count, path, name, "null_count is", nulls, "of", array.null_count)
        if isinstance(kind, dict) or kind in ("boolean", "binary", "variant"):
            continue
        values = [f for f in forms.forms(array, kind) if f is not None]
        compared += check_bounds(f"{path} {name}", kind, [ordered(v) for v in values], action.get("min." + name), action.get("max." + name))
    return compared


def check_bounds(where, kind, values, low, high):
    nan = None in values
    values = [v for v in values if v is not None]
    if not values:
        check(low is None and high is None, where, "has bounds and no values:", low, high)
        return 0
    least, most = min(values), max(values)
    check(low is None or low <= least, where, "min", low, "is above", least)
    check(high is None or high >= most, where, "max", high, "is below", most)
    if kind in ("byte", "short", "integer", "long") or kind.startswith("decimal"):
        check((low, high) == (least, most), where, "bounds are", low, high, "expected", least, most)
    elif kind == "date" and FIRST_DAY <= least and most <= LAST_DAY:
        check((low, high) == (least, most), where, "bounds are", low, high, "expected", least, most)
    elif kind.startswith("timestamp") and FIRST_DAY * DAY <= least and most < (LAST_DAY + 1) * DAY - 1000:
        check(low is not None and high is not None and least - low < 1000 and high - most < 1000, where, "bounds are", low, high, "expected", least, most)
    elif kind in ("float", "double"):
        infinite = float("-inf"), float("inf")
        check(low is None if least in infinite else low == least, where, "min is", low, "expected", least)
        check(high is None if nan or most in infinite else high == most, where, "max is", high, "expected", most)
    elif kind == "string":
        check(low is not None and least.startswith(low), where, "min is", low, "expected a beginning of", least)
        check(high is not None or len(most.decode()) > STRING_PREFIX, where, "has no max, expected", most)
    return (low is not None) + (high is not None)


# Predicates.

def literal(form):
    tag, _, text = form.partition(":")
    if tag == "b":
        return text
    if tag in ("i8", "i16", "i32", "i64"):
        return f"arrow_cast('{text}', 'Int{tag[1:]}')"
    if tag in ("f32", "f64"):
        return f"arrow_cast('{'NaN' if text == 'nan' else repr(ordered(form))}', 'Float{tag[1:]}')"
    if tag == "s":
        return "'" + text.replace("'", "''") + "'"
    if tag == "x":
        return f"X'{text}'"
    if tag == "date":
        return f"arrow_cast(arrow_cast('{text}', 'Int32'), 'Date32')"
    if tag in ("ts", "ntz"):
        zone = 'Some("UTC")' if tag == "ts" else "None"
        return f"arrow_cast(arrow_cast('{text}', 'Int64'), 'Timestamp(Microsecond, {zone})')"
    precision, scale = tag[4:-1].split(",")
    return f"arrow_cast('{decimal.Decimal(int(text)).scaleb(-int(scale), forms.PRECISE):f}', 'Decimal128({precision}, {scale})')"


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


Scalar = collections.namedtuple("Scalar", "sql depth values")


def scalars(fields, rows, path="", depth=0, null=False):
    """The columns, and members of structs, that predicates are made of. A member NOT NULL of a struct that may be
    NULL is none: DataFusion takes it for 0 where the struct is NULL, in tables that delta-rs wrote as well."""
    for i, f in enumerate(fields):
        if null and not f["nullable"]:
            continue
        name = path + "['" + f["name"].replace("'", "''") + "']" if path else quoted(f["name"])
        values = [row and row[i] for row in rows]
        if isinstance(f["type"], str) and f["type"] != "variant":
            yield Scalar(name, depth, values)
        elif isinstance(f["type"], dict) and f["type"]["type"] == "struct":
            yield from scalars(f["type"]["fields"], [v and v["s"] for v in values], name, depth + 1, f["nullable"])


ZEROS = {"f32:00000000", "f32:80000000", "f64:0000000000000000", "f64:8000000000000000"}


def predicate(rnd, of, partitions):
    """A predicate as a function of the SQL of its column. To delta-rs 0.0 and -0.0 are equal in rows but not as values of a partition, so
    there is none on the zeros of columns that a table is partitioned by."""
    some = [v for v in of.values if v is not None and not (of.sql in partitions and v in ZEROS)]
    if not some or rnd.random() < 0.1:
        return rnd.choice(["{} IS NULL", "{} IS NOT NULL"]).format
    value = literal(rnd.choice(some))
    operator = rnd.choice(["=", "<>"] if some[0].startswith("b:") else ["=", "=", "<>", "<", "<=", ">", ">="])
    return lambda sql: f"{sql} {operator} {value}"


def check_predicate(table, case, rnd, readable, of):
    """Whether delta-rs passes over files for a predicate, with which it finds the same rows as when it cannot."""
    fields = [case["schema"]["fields"][i] for i in readable]
    column = rnd.choice(of)
    make = predicate(rnd, column, [quoted(p) for p in case["partitions"]])
    # random() is not known before a row is looked at, and never 2.
    pruned, whole = make(column.sql), make(f"CASE WHEN random() < 2.0 THEN {column.sql} END")
    columns = [f["name"] for f in fields]
    with_skipping, without = (forms.rows_of(pa.table(table.scan(columns=columns, predicate=p)), fields) for p in (pruned, whole))
    forms.compare(f"predicate {pruned}", with_skipping, without)
    # The list of files takes no predicates on what is deeper; scans do.
    return column.depth < 2 and len(table.file_uris(file_pruning_predicate=pruned)) < len(table.file_uris())
