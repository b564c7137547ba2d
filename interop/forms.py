"""Values of Arrow arrays as texts with their types, the same ones that server/internal/property (expect.go) writes of what was sent.

Structure comes of the table's schema, as the Delta log has it; the type of every leaf comes of the array, so a value in another type
has another form. No date type of Python is used: none of them holds all values.
"""

import collections
import decimal
import json
import struct

import pyarrow as pa

PRECISE = decimal.Context(prec=80)


class Fault(Exception):
    pass


def check(ok, *words):
    if not ok:
        raise Fault(" ".join(map(str, words))[:4000])


def key(row):
    return json.dumps(row, ensure_ascii=False)


def compare(what, got, want):
    got, want = collections.Counter(map(key, got)), collections.Counter(map(key, want))
    missing, extra = want - got, got - want
    first = lambda c: min(c)[:1500] if c else "none"
    check(got == want, f"{what}: {missing.total()} rows are missing, {extra.total()} were not sent; missing {first(missing)}; not sent {first(extra)}")


def select(rows, columns):
    return [[row[i] for i in columns] for row in rows]


def rows_of(table, fields):
    """The rows of an Arrow table with these columns of the Delta log."""
    check(table.column_names == [f["name"] for f in fields], "the columns are", table.column_names)
    columns = [forms(table.column(i), f["type"]) for i, f in enumerate(fields)]
    return [list(row) for row in zip(*columns)] if columns else []


def forms(array, kind):
    """The values of an array of a type of the Delta log, None for NULL."""
    if isinstance(array, pa.ChunkedArray):
        return [f for chunk in array.chunks for f in forms(chunk, kind)]
    array = plain(array)
    valid = array.is_valid().to_pylist()
    if kind == "variant":
        parts = {f.name: binaries(c) for f, c in zip(array.type, array.flatten())}
        return [variant_form(m, v) if ok else None for ok, m, v in zip(valid, parts["metadata"], parts["value"])]
    if isinstance(kind, str):
        return leaves(array)
    if kind["type"] == "struct":
        children = dict(zip((f.name for f in array.type), array.flatten()))
        if list(children) != [f["name"] for f in kind["fields"]]:
            raise ValueError(f"the members are {list(children)}")
        columns = [forms(children[f["name"]], f["type"]) for f in kind["fields"]]
        return [{"s": list(row)} if ok else None for ok, row in zip(valid, zip(*columns))]
    ends = array.offsets.to_pylist()
    spans = [slice(a, b) for a, b in zip(ends, ends[1:])]
    if kind["type"] == "array":
        elements = forms(array.values, kind["elementType"])
        return [elements[span] if ok else None for ok, span in zip(valid, spans)]
    keys, values = forms(array.keys, kind["keyType"]), forms(array.items, kind["valueType"])
    return [{"m": sorted([k, v] for k, v in zip(keys[span], values[span]))} if ok else None for ok, span in zip(valid, spans)]


def plain(array):
    """Without the wrappings that mean nothing here: dictionaries, types of others, and texts and bytes with another layout."""
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_large_string(array.type) or pa.types.is_string_view(array.type):
        return array.cast(pa.string())
    if pa.types.is_large_binary(array.type) or pa.types.is_binary_view(array.type):
        return array.cast(pa.binary())
    return array


def binaries(array):
    return plain(array).to_pylist()


def leaves(array):
    kind = array.type
    if pa.types.is_boolean(kind):
        return each(array, lambda v: "b:true" if v else "b:false")
    if pa.types.is_signed_integer(kind):
        tag = f"i{kind.bit_width}:"
        return each(array, lambda v: f"{tag}{v}")
    if pa.types.is_floating(kind):
        width = kind.bit_width
        infinity, unsigned = {32: (0x7f800000, pa.uint32()), 64: (0x7ff0000000000000, pa.uint64())}[width]
        is_nan = lambda bits: bits & (1 << width - 1) - 1 > infinity
        return each(array.view(unsigned), lambda v: f"f{width}:nan" if is_nan(v) else f"f{width}:{v:0{width // 4}x}")
    if pa.types.is_decimal(kind):
        tag = f"dec({kind.precision},{kind.scale}):"
        return each(array, lambda v: f"{tag}{int(v.scaleb(kind.scale, PRECISE))}")
    if pa.types.is_string(kind):
        return each(array, lambda v: "s:" + v)
    if pa.types.is_binary(kind):
        return each(array, lambda v: "x:" + v.hex())
    if pa.types.is_date32(kind):
        return each(array.cast(pa.int32()), lambda v: f"date:{v}")
    if pa.types.is_timestamp(kind) and kind.unit == "us" and kind.tz in (None, "UTC"):
        tag = "ts:" if kind.tz else "ntz:"
        return each(array.cast(pa.int64()), lambda v: f"{tag}{v}")
    raise ValueError(f"no column has the type {kind}")


def each(array, form):
    return [None if v is None else form(v) for v in array.to_pylist()]


# VARIANT, by https://github.com/apache/parquet-format/blob/master/VariantEncoding.md: both sides become lists that begin with what
# they are, with numbers as they were written.

def variant_form(metadata, value):
    return "v:" + json.dumps(Variant(metadata, value).tree)


def sent_variant(text):
    """The form of the JSON text that was sent: integers of up to 64 bits, decimals with their digits, doubles where there is an exponent."""
    def integer(text):
        return ["int", text] if -2**63 <= int(text) < 2**63 else ["decimal", text]

    def number(text):
        return ["double", struct.pack(">d", float(text)).hex()] if "e" in text.lower() else ["decimal", str(PRECISE.create_decimal(text))]

    class Members(list):
        pass

    class Number(list):
        pass

    def walk(v):
        if isinstance(v, Number):
            return list(v)
        if isinstance(v, Members):
            return ["object", sorted([k, walk(x)] for k, x in v)]
        if isinstance(v, list):
            return ["array", *map(walk, v)]
        if isinstance(v, str):
            return ["text", v]
        return ["null"] if v is None else ["bool", v]

    parsed = json.loads(text, parse_int=lambda t: Number(integer(t)), parse_float=lambda t: Number(number(t)), object_pairs_hook=Members)
    return "v:" + json.dumps(walk(parsed))


class Variant:
    """One value, decoded."""

    def __init__(self, metadata, value):
        size = (metadata[0] >> 6) + 1
        if metadata[0] & 0x0f != 1:
            raise ValueError(f"the metadata has version {metadata[0] & 0x0f}")
        count = int.from_bytes(metadata[1:1 + size], "little")
        at = [int.from_bytes(metadata[1 + size * (i + 1):1 + size * (i + 2)], "little") for i in range(count + 1)]
        names = metadata[1 + size * (count + 2):]
        self.names = [names[a:b].decode() for a, b in zip(at, at[1:])]
        self.value = value
        self.tree = self.at(0)

    def number(self, at, size):
        return int.from_bytes(self.value[at:at + size], "little")

    def at(self, at):
        basic, header = self.value[at] & 3, self.value[at] >> 2
        at += 1
        if basic == 0:
            return self.primitive(header, at)
        if basic == 1:
            return ["text", self.value[at:at + header].decode()]
        large = header >> (4 if basic == 2 else 2) & 1
        width, ids = (header & 3) + 1, (header >> 2 & 3) + 1
        count = self.number(at, 4 if large else 1)
        at += 4 if large else 1
        if basic == 3:
            base = at + width * (count + 1)
            return ["array", *(self.at(base + self.number(at + width * i, width)) for i in range(count))]
        offsets = at + ids * count
        base = offsets + width * (count + 1)
        return ["object", sorted([self.names[self.number(at + ids * i, ids)], self.at(base + self.number(offsets + width * i, width))] for i in range(count))]

    def primitive(self, kind, at):
        if kind == 0:
            return ["null"]
        if kind in (1, 2):
            return ["bool", kind == 1]
        if kind in (3, 4, 5, 6):
            return ["int", str(int.from_bytes(self.value[at:at + 2**(kind - 3)], "little", signed=True))]
        if kind == 7:
            return ["double", self.value[at:at + 8][::-1].hex()]
        if kind in (8, 9, 10):
            unscaled = int.from_bytes(self.value[at + 1:at + 1 + 2**(kind - 6)], "little", signed=True)
            return ["decimal", str(decimal.Decimal(unscaled).scaleb(-self.value[at], PRECISE))]
        if kind == 16:
            size = self.number(at, 4)
            return ["text", self.value[at + 4:at + 4 + size].decode()]
        raise ValueError(f"JSON has no value of the primitive type {kind}")
