"""The S3() table function: properties, listing, schema, reading (facts E2 to E4)."""

import gzip
import json
import os
import re
import tempfile
import threading
import zlib

import botocore.config
import botocore.exceptions
import botocore.session
from botocore import UNSIGNED

from . import globs
from .ddl import duckdb_type
from .errors import PREFIX, DorisError

ALIASES = {
    "s3.endpoint": ("s3.endpoint", "aws_endpoint"),
    "s3.region": ("s3.region", "region", "aws_region"),
    "s3.access_key": ("s3.access_key", "access_key", "aws_access_key"),
    "s3.secret_key": ("s3.secret_key", "secret_key", "aws_secret_key"),
    "s3.session_token": ("s3.session_token", "session_token", "aws_token"),
    "use_path_style": ("use_path_style",),
}
ALIASES_40 = {
    "s3.endpoint": ("endpoint",),
    "s3.region": ("client.region",),
    "s3.access_key": ("s3.access-key-id",),
    "s3.secret_key": ("s3.secret-access-key",),
    "s3.session_token": ("s3.session-token",),
    "use_path_style": ("s3.path-style-access",),
}
CSV_FORMATS = ("csv", "csv_with_names", "csv_with_names_and_types", "hive_text")
KNOWN_FORMATS = CSV_FORMATS + ("json", "parquet", "orc", "avro", "arrow", "wal")
COMPRESSIONS = ("UNKNOWN", "PLAIN", "GZ", "LZO", "BZ2", "LZ4FRAME", "DEFLATE", "SNAPPYBLOCK")
NULL_CELL = "\\N"
UNIT, RECORD = "\x1f", "\x1e"

_session_lock = threading.Lock()
_session = None
_clients = {}


def sql_str(text):
    return "'" + text.replace("'", "''") + "'"


def sql_id(name):
    return '"' + name.replace('"', '""') + '"'


def s3_client(endpoint, region, access, secret, token, path_style):
    """Clients are expensive to make and safe to share."""
    global _session
    key = (endpoint, region, access, secret, token, path_style)
    with _session_lock:
        if key in _clients:
            return _clients[key]
        if _session is None:
            _session = botocore.session.Session()
            _session.set_config_variable("credentials_file", os.devnull)
            _session.set_config_variable("config_file", os.devnull)
        config = botocore.config.Config(
            signature_version="s3v4" if access else UNSIGNED, proxies={}, connect_timeout=5,
            read_timeout=60, retries={"max_attempts": 0}, max_pool_connections=32,
            s3={"addressing_style": "path" if path_style else "virtual"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required")
        if len(_clients) > 200:
            _clients.clear()
        _clients[key] = _session.create_client(
            "s3", region_name=region, endpoint_url=endpoint, aws_access_key_id=access or None,
            aws_secret_access_key=secret or None, aws_session_token=token or None, config=config)
        return _clients[key]


def separator(text):
    """Doris's own escapes: `\\t`, `\\n`, and `\\x01` hexadecimal."""
    if re.fullmatch(r"(\\[xX]|0[xX])([0-9A-Fa-f]{2})+", text):
        return bytes.fromhex(text[2:]).decode("latin-1")
    return text.replace("\\t", "\t").replace("\\n", "\n").replace("\\r", "\r")


def gunzip(data):
    """With the texts of BE/exec/decompressor.cpp and its line reader: they do not name the file."""
    try:
        return gzip.decompress(data)
    except EOFError:
        raise DorisError("[INTERNAL_ERROR]Compressed file has been truncated, which is not "
                         "allowed") from None
    except (OSError, zlib.error):
        raise DorisError("[INTERNAL_ERROR]Failed to inflate. return code: -3") from None


class S3Function:
    """One S3() call. plan() lists and finds the schema; load() reads what was listed."""

    def __init__(self, props, profile, knobs):
        self.profile = profile
        self.knobs = knobs
        self.props = {k.lower(): v for k, v in props.items()}
        self.files = []
        self.columns = []
        self.typed = []
        self.header_names = None

    # --- planning ---

    def plan(self):
        try:
            self._properties()
            self._list()
            self._schema()
        except globs.UriError as e:
            raise self._error(str(e)) from None
        except globs.GlobError as e:
            raise self._error("parse file failed, err: " + PREFIX + str(e)) from None
        return self.columns

    def _error(self, text):
        return DorisError(text if self.profile.old_parser else "Can not build s3(): " + text)

    def _get(self, name, default=""):
        keys = ALIASES.get(name, (name,))
        if self.profile.bare_endpoint:
            keys = keys + ALIASES_40.get(name, ())
        for key in keys:
            if key in self.props:
                return self.props[key]
        return default

    def _flag(self, name):
        return self._get(name).lower() == "true"

    def _properties(self):
        self._format_properties()
        path_style = self._flag("use_path_style")
        endpoint = self._get("s3.endpoint")
        if "uri" not in self.props:
            raise self._error("Properties 'uri' is required.")
        self.where = globs.parse_uri(self.props["uri"], self.profile, path_style,
                                     self._flag("force_parsing_by_standard_uri"), bool(endpoint))
        endpoint = endpoint or self.where.endpoint
        if not endpoint:
            raise self._error("Properties 's3.endpoint' is required.")
        region = self._get("s3.region") or self.where.region
        if not region:
            raise self._error(
                "Region is not set. If you are using a standard endpoint, the region will be "
                "detected automatically. Otherwise, please specify it explicitly."
                if self.profile.bare_endpoint else "Properties 's3.region' is required.")
        access, secret = self._get("s3.access_key"), self._get("s3.secret_key")
        if bool(access) != bool(secret) or not (access or self.profile.bare_endpoint):
            missing = "s3.secret_key" if access else "s3.access_key"
            raise self._error("Properties '%s' is required." % missing)
        if "://" not in endpoint:
            endpoint = "http://" + endpoint
        try:
            self.client = s3_client(endpoint, region, access, secret,
                                    self._get("s3.session_token"), path_style)
        except (ValueError, botocore.exceptions.BotoCoreError) as e:
            raise self._error("Failed to access object storage, message=%s" % e) from None

    def _format_properties(self):
        self.format = self._get("format").lower()
        if self.format not in KNOWN_FORMATS:
            raise self._error("format:%s is not supported." % self.format)
        if self.format in ("orc", "avro", "arrow", "wal"):
            raise self._error("format:%s is real in Doris but not in this stand-in." % self.format)
        default_sep = "\x01" if self.format == "hive_text" else "\t"
        self.sep = separator(self._get("column_separator", default_sep))
        self.delim = separator(self._get("line_delimiter", "\n"))
        if not self.sep:
            raise self._error("column_separator can not be empty.")
        if not self.delim:
            raise self._error("line_delimiter can not be empty.")
        self.skip = self._number("skip_lines")
        self.compress = self._get("compress_type", "UNKNOWN").upper()
        if self.compress not in COMPRESSIONS:
            raise self._error("Compress type : %s is not supported." % self.compress)
        self.enclose = self._get("enclose") if self.profile.enclose else ""
        self.escape = self._get("escape") if self.profile.enclose else ""
        if len(self.enclose) > 1 or len(self.escape) > 1:
            raise self._error("enclose and escape should be a single-char")
        self.by_line, self.strip_array = (self._flag("read_json_by_line"),
                                          self._flag("strip_outer_array"))
        if (self.profile.json_line_default and "read_json_by_line" not in self.props
                and "strip_outer_array" not in self.props):
            self.by_line = True
        if self.format in CSV_FORMATS:
            self._csv_schema(self._get("csv_schema"))

    def _number(self, name):
        text = self._get(name, "0")
        if not re.fullmatch(r"-?[0-9]+", text):
            raise self._error('For input string: "%s"' % text)
        return max(int(text), 0)

    def _csv_schema(self, text):
        for part in filter(None, text.split(";")):
            name, colon, kind = part.partition(":")
            if not colon:
                raise self._error("invalid csv schema: " + text)
            kind = duckdb_type(kind.strip())
            if kind is None:
                raise self._error("unsupported column type: " + part.partition(":")[2])
            self.typed.append((name.strip(), kind))

    def _list(self):
        """The snapshot: names and sizes now; the reading comes later."""
        match, prefix = globs.matcher(self.where.key, self.profile)
        token = None
        try:
            while True:
                extra = {"ContinuationToken": token} if token else {}
                page = self.client.list_objects_v2(Bucket=self.where.bucket, Prefix=prefix, **extra)
                for item in page.get("Contents", ()):
                    if match(item["Key"]) and not item["Key"].endswith("/"):
                        self.files.append((item["Key"], item["Size"]))
                if not page.get("IsTruncated"):
                    return
                token = page["NextContinuationToken"]
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as e:
            raise self._error(self._list_error(e)) from None

    def _list_error(self, e):
        if isinstance(e, botocore.exceptions.ClientError):
            meta = e.response.get("ResponseMetadata", {})
            text = "%s (Service: S3, Status Code: %s, Request ID: %s)" % (
                e.response.get("Error", {}).get("Message", e), meta.get("HTTPStatusCode"),
                meta.get("RequestId", "null"))
        else:
            text = str(e)
        if self.profile.bare_endpoint:
            return "parse file failed, err: %sFailed to access object storage, message=%s" % (
                PREFIX, text)
        return "parse file failed, err: %serrors while get file status %s" % (PREFIX, text)

    def _schema(self):
        first = next((key for key, size in self.files if size > 0), None)
        if self.typed:
            self.columns = list(self.typed)
        elif first is None:
            self.columns = [("__dummy_col", "VARCHAR")]
        elif self.format in CSV_FORMATS:
            self.columns = [(n, "VARCHAR") for n in self._csv_names(self._text(first))]
        elif self.format == "json":
            self.columns = [(n, "VARCHAR") for n in self._json_names(self._text(first))]
        else:
            self.columns = self._parquet_schema(first)

    def _csv_names(self, text):
        rows = self._split(text)
        if self.format in ("csv_with_names", "csv_with_names_and_types"):
            return [n.strip() for n in rows[0]] if rows else ["__dummy_col"]
        rows = [r for r in rows[self.skip:] if r != [""]]
        return ["c%d" % (i + 1) for i in range(len(rows[0]))] if rows else ["__dummy_col"]

    def _json_names(self, text):
        paths = self._json_paths()
        if paths is not None:
            return [name for name, _ in paths]
        try:
            obj, _ = json.JSONDecoder().raw_decode(text.lstrip())
        except ValueError:
            raise self._error("[DATA_QUALITY_ERROR]Parse json data for JsonDoc failed. code: 3, "
                              "error info: The JSON document has an improper structure") from None
        obj = obj[0] if isinstance(obj, list) and self.strip_array and obj else obj
        if not isinstance(obj, dict):
            raise self._error("[DATA_QUALITY_ERROR]JSON data is not an object" + (
                ", `strip_outer_array` must be TRUE" if isinstance(obj, list) else ""))
        return list(obj)

    def _json_paths(self):
        text = self._get("jsonpaths")
        if not text:
            return None
        try:
            paths = json.loads(text)
            return [(path.rsplit(".", 1)[-1].strip('"'), path) for path in paths]
        except (ValueError, AttributeError):
            raise self._error("Invalid json path: %s" % text) from None

    # --- bytes ---

    def _fetch(self, key):
        """As a BE reads: its own uri parser cuts at `?` and `#`, trims, and refuses `://` (E4)."""
        listed, key = key, re.split(r"[?#]", key)[0].strip()
        if "://" in listed:
            raise DorisError("[INVALID_ARGUMENT]Invalid S3 URI: s3://%s/%s"
                             % (self.where.bucket, listed))
        try:
            data = self.client.get_object(Bucket=self.where.bucket, Key=key)["Body"].read()
        except (botocore.exceptions.ClientError, botocore.exceptions.BotoCoreError) as e:
            raise DorisError("[INTERNAL_ERROR]failed to read s3://%s/%s: %s"
                             % (self.where.bucket, key, e)) from None
        if self.compress == "GZ" or (self.compress == "UNKNOWN" and key.endswith(".gz")):
            return gunzip(data)
        if self.compress not in ("UNKNOWN", "PLAIN"):
            raise DorisError("compress_type %s is not in this stand-in" % self.compress)
        return data

    def _text(self, key):
        return self._fetch(key).decode("utf-8", "replace")

    def _strip_cr(self):
        knob = self.knobs.csv_strip_cr
        return (knob == "1" or (knob == "auto" and self.profile.strip_cr)) and self.delim == "\n"

    def _split(self, text):
        """Every line, split; only for small questions, the reading goes through DuckDB."""
        if self.enclose:
            return parse_enclosed(text, self.sep, self.delim, self.enclose, self.escape)
        lines = text.split(self.delim)
        if lines and lines[-1] == "":
            lines.pop()
        if self._strip_cr():
            lines = [x[:-1] if x.endswith("\r") else x for x in lines]
        return [x.split(self.sep) for x in lines]

    # --- reading ---

    def load(self, cursor, table, check_cancel):
        """Fills `table`, made by the caller with self.columns, from the listed files."""
        files = [key for key, size in self.files if size > 0]
        with tempfile.TemporaryDirectory(prefix="standin-s3-") as tmp:
            paths = []
            for i, key in enumerate(files):
                check_cancel()
                path = os.path.join(tmp, "%06d" % i)
                data = self._fetch(key)
                if self.format != "parquet":
                    data = self._prepare(data.decode("utf-8", "replace"))
                with open(path, "wb") as f:
                    f.write(data)
                paths.append(path)
            if not paths:
                return
            if self.format == "parquet":
                for path in paths:
                    cursor.execute(self._parquet_sql(cursor, table, path))
            else:
                listing = "[" + ", ".join(sql_str(x) for x in paths) + "]"
                sql = self._json_sql if self.format == "json" else self._csv_sql
                cursor.execute(sql(table, listing))

    def _prepare(self, text):
        """Makes the file one DuckDB can split with plain string functions."""
        if self.format == "json":
            return self._json_lines(text).encode("utf-8")
        if self.enclose:
            rows = parse_enclosed(text, self.sep, self.delim, self.enclose, self.escape)
            text = RECORD.join(UNIT.join(row) for row in rows)
        return text.encode("utf-8")

    def _csv_sql(self, table, listing):
        sep, delim = (UNIT, RECORD) if self.enclose else (self.sep, self.delim)
        skip = self.skip + {"csv_with_names": 1, "csv_with_names_and_types": 2}.get(self.format, 0)
        line = "line"
        if self._strip_cr() and not self.enclose:
            line = "CASE WHEN ends_with(line, chr(13)) THEN line[:-2] ELSE line END"
        cells = []
        for i, (_, kind) in enumerate(self.columns):
            cell = "nullif(f[%d], %s)" % (i + 1, sql_str(NULL_CELL))
            if self._flag("trim_double_quotes"):
                cell = ("CASE WHEN len(f[{0}]) > 1 AND starts_with(f[{0}], '\"') AND "
                        "ends_with(f[{0}], '\"') THEN f[{0}][2:-2] ELSE {1} END").format(i + 1, cell)
            cells.append(cell if kind == "VARCHAR" else "TRY_CAST(%s AS %s)" % (cell, kind))
        return ("INSERT INTO %s SELECT %s FROM (SELECT string_split(l, %s) AS f FROM (SELECT %s AS l "
                "FROM (SELECT unnest(string_split(content, %s)[%d:]) AS line FROM read_text(%s))) "
                "WHERE l <> '')" % (table, ", ".join(cells), sql_str(sep), line, sql_str(delim),
                                    skip + 1, listing))

    def _json_lines(self, text):
        """One object a line, whatever the framing; refuses what Doris's reader refuses."""
        if self.by_line and not self.strip_array:
            docs = [x for x in text.split(self.delim) if x.strip()]
            return RECORD.join(self._json_object(line) for line in docs)
        out = []
        for chunk in ([x for x in text.split(self.delim) if x.strip()] if self.by_line else [text]):
            if not chunk.strip():
                continue
            doc = self._json_any(chunk)
            if isinstance(doc, list) and not self.strip_array:
                raise DorisError("[DATA_QUALITY_ERROR]JSON data is array-object, "
                                 "`strip_outer_array` must be TRUE.")
            for obj in doc if isinstance(doc, list) else [doc]:
                out.append(json.dumps(obj, ensure_ascii=False))
        return RECORD.join(out)

    def _json_any(self, text):
        root = self._get("json_root")
        try:
            doc = json.loads(text)
            for part in filter(None, root.lstrip("$").split(".")):
                doc = doc[part]
            return doc
        except (ValueError, KeyError, TypeError) as e:
            raise DorisError("[DATA_QUALITY_ERROR]Parse json data for JsonDoc failed. code: 3, "
                             "error info: %s" % e) from None

    def _json_object(self, line):
        doc = self._json_any(line)
        if not isinstance(doc, dict):
            raise DorisError("[DATA_QUALITY_ERROR]JSON data is array-object, "
                             "`strip_outer_array` must be TRUE." if isinstance(doc, list) else
                             "[DATA_QUALITY_ERROR]JSON data is not an object")
        return json.dumps(doc, ensure_ascii=False) if self._get("json_root") else line

    def _json_sql(self, table, listing):
        paths = self._json_paths() or [(n, '$."%s"' % n.replace('"', '\\"'))
                                       for n, _ in self.columns]
        cells = ", ".join("json_extract_string(l, %s)" % sql_str(path) for _, path in paths)
        return ("INSERT INTO %s SELECT %s FROM (SELECT unnest(string_split(content, %s)) AS l FROM "
                "read_text(%s)) WHERE l <> ''" % (table, cells, sql_str(RECORD), listing))

    # --- parquet ---

    def _parquet_schema(self, key):
        import duckdb
        with tempfile.NamedTemporaryFile(prefix="standin-s3-") as f:
            f.write(self._fetch(key))
            f.flush()
            try:
                with duckdb.connect() as con:
                    rows = con.execute("DESCRIBE SELECT * FROM read_parquet(%s)"
                                       % sql_str(f.name)).fetchall()
            except duckdb.Error as e:
                raise self._error("[CORRUPTION]Invalid parquet file %s: %s"
                                  % (key, str(e).split("\n")[0])) from None
        names = [r[0].lower() for r in rows]
        if len(set(names)) < len(names) and self.profile.bare_endpoint:
            raise self._error("Repeated lowercase column names: %s" % sorted(names))
        return [(r[0].lower(), r[1]) for r in rows]

    def _parquet_sql(self, cursor, table, path):
        have = {r[0].lower(): r[0] for r in cursor.execute(
            "DESCRIBE SELECT * FROM read_parquet(%s)" % sql_str(path)).fetchall()}
        cells = ", ".join("TRY_CAST(%s AS %s)" % (sql_id(have[n]), kind) if n in have else "NULL"
                          for n, kind in self.columns)
        return "INSERT INTO %s SELECT %s FROM read_parquet(%s)" % (table, cells, sql_str(path))


def parse_enclosed(text, sep, delim, quote, escape):
    """CSV with an enclosing character: separators inside it are data, a doubled one is itself."""
    rows, row, cell = [], [], []
    i, size, inside = 0, len(text), False
    while i < size:
        c = text[i]
        if escape and c == escape and i + 1 < size:
            cell.append(text[i + 1])
            i += 2
        elif inside:
            if c == quote and text[i + 1:i + 2] == quote:
                cell.append(quote)
                i += 2
                continue
            inside = c != quote
            if inside:
                cell.append(c)
            i += 1
        elif c == quote and not cell:
            inside = True
            i += 1
        elif text.startswith(sep, i):
            row.append("".join(cell))
            cell = []
            i += len(sep)
        elif text.startswith(delim, i):
            row.append("".join(cell))
            rows.append(row)
            row, cell = [], []
            i += len(delim)
        else:
            cell.append(c)
            i += 1
    if cell or row:
        row.append("".join(cell))
        rows.append(row)
    return rows
