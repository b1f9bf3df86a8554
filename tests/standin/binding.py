"""Table functions and information_schema inside a query: each becomes a temp table."""

from . import jobs
from .errors import DorisError
from .s3tvf import S3Function
from .sql import Cursor, Token, quote_id

FUNCTIONS = {"S3", "JOBS", "TASKS", "NUMBERS"}


class StaticTable:
    """Rows that are known already: jobs(), tasks(), information_schema."""

    def __init__(self, columns, rows):
        self.columns = columns
        self.rows = rows

    def plan(self):
        return self.columns

    def load(self, cursor, name, _check):
        if self.rows:
            marks = ", ".join("?" for _ in self.columns)
            cursor.executemany("INSERT INTO %s VALUES (%s)" % (name, marks), self.rows)


class Numbers:
    """numbers("number" = "N"), handy for large results."""

    def __init__(self, props):
        self.count = int(props.get("number", "0"))

    def plan(self):
        return [("number", "BIGINT")]

    def load(self, cursor, name, _check):
        cursor.execute("INSERT INTO %s SELECT range FROM range(%d)" % (name, self.count))


class Binding:
    """tokens = the query with every function call replaced; plan() before load()."""

    def __init__(self, ex, tokens):
        self.ex = ex
        self.sources = []         # (temp table, source)
        self.sleep_s = 0.0
        self.tokens = self._replace(tokens)

    def _replace(self, tokens):
        out = []
        i = 0
        while i < len(tokens):
            i = self._step(tokens, i, out)
        return out

    def _step(self, tokens, i, out):
        t = tokens[i]
        before = tokens[i - 1] if i else None
        called = i + 1 < len(tokens) and tokens[i + 1].text == "("
        source_place = before is not None and (before.word() in ("FROM", "JOIN") or before.text == ",")
        if t.word() == "SLEEP" and called and i + 3 < len(tokens) and tokens[i + 2].kind == "num":
            self.sleep_s += float(tokens[i + 2].text)
            out.append(Token("num", "1", t.pos, "1"))
            return i + 4
        if called and source_place and t.kind == "id" and self._is_table_function(tokens, i):
            c = Cursor("", tokens, self.ex.profile.old_parser)
            c.i = i + 1
            props = c.properties()
            self._add(self._function(t.word(), props), out, t.pos)
            return c.i
        if (t.kind in ("id", "bq") and t.value.lower() == "information_schema"
                and i + 2 < len(tokens) and tokens[i + 1].text == "."):
            source = self.ex.information_schema(tokens[i + 2].value.lower())
            if source is not None:
                self._add(StaticTable(*source), out, t.pos)
                return i + 3
        out.append(t)
        return i + 1

    def _is_table_function(self, tokens, i):
        if tokens[i].word() in FUNCTIONS:
            return True
        # "name"("k" = …) in a FROM is a table function nobody knows
        return (i + 3 < len(tokens) and tokens[i + 2].kind in ("str", "id")
                and tokens[i + 3].text == "=")

    def _function(self, word, props):
        ex = self.ex
        if word == "S3":
            return S3Function(props, ex.profile, ex.knobs)
        if word == "NUMBERS":
            return Numbers({k.lower(): v for k, v in props.items()})
        if word in ("JOBS", "TASKS"):
            return self._jobs(word.lower(), props)
        raise DorisError("Could not find table function " + word.lower())

    def _jobs(self, name, props):
        names = jobs.columns(self.ex.profile, name)
        is_insert = jobs.check_call(self.ex, props)
        return StaticTable([(n, "VARCHAR") for n in names],
                           jobs.rows(self.ex, name) if is_insert else [])

    def _add(self, source, out, pos):
        self.ex.n_temp += 1
        name = "__tvf_%d" % self.ex.n_temp
        self.sources.append((name, source))
        out.append(Token("bq", "`%s`" % name, pos, name))

    def plan(self):
        """Schemas, with an empty table for each, so that the query can be described."""
        try:
            for name, source in self.sources:
                cols = source.plan()
                self.ex.cur.execute("CREATE TEMP TABLE %s (%s)" % (
                    quote_id(name), ", ".join("%s %s" % (quote_id(n), k) for n, k in cols)))
        except BaseException:
            self.drop()
            raise

    def load(self):
        """The reading: only at execution."""
        if self.sleep_s:
            self.ex.sleep(self.sleep_s)
        for name, source in self.sources:
            self.ex.check_cancel()
            source.load(self.ex.cur, quote_id(name), self.ex.check_cancel)

    def drop(self):
        for name, _ in self.sources:
            self.ex.cur.execute("DROP TABLE IF EXISTS temp.main." + quote_id(name))
        self.ex.drop_temps()
