"""Tokens of Doris's SQL, a cursor over them, and the translation to DuckDB's dialect."""

import re
from dataclasses import dataclass

from .errors import DorisError, syntax_error

SCAN = re.compile(
    r"(?P<ws>\s+|--[^\n]*(?:\n|$)|\#[^\n]*(?:\n|$)|/\*.*?\*/)"
    r"|(?P<str>'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\")"
    r"|(?P<bq>`(?:[^`]|``)*`)"
    r"|(?P<num>(?:\d+\.\d*|\.\d+|\d+)(?:[eE][+-]?\d+)?(?![A-Za-z_0-9$]))"
    r"|(?P<var>@@?(?:`[^`]*`|[A-Za-z_0-9.$]+))"
    r"|(?P<id>[A-Za-z_0-9$\u0080-\U0010ffff]+)"
    r"|(?P<op><=>|<<|>>|<=|>=|<>|!=|:=|&&|\|\||->|[-+*/%&|^~!<>=(),.;?:@\[\]{}])", re.S)
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "b": "\b", "Z": "\x1a"}


@dataclass
class Token:
    kind: str
    text: str
    pos: int
    value: str

    def word(self):
        return self.text.upper() if self.kind == "id" else ""


def unescape(body, quote):
    if "\\" not in body and quote not in body:
        return body
    out = []
    i = 0
    while i < len(body):
        c = body[i]
        if c == "\\" and i + 1 < len(body):
            i += 1
            c = body[i]
            out.append("\\" + c if c in "%_" else ESCAPES.get(c, c))
        elif c == quote:
            out.append(quote)
            i += 1
        else:
            out.append(c)
        i += 1
    return "".join(out)


def tokenize(sql, old_parser=False):
    out = []
    pos = 0
    while pos < len(sql):
        m = SCAN.match(sql, pos)
        if m is None:
            raise syntax_error(sql[pos], sql, pos, old_parser)
        kind, text = m.lastgroup, m.group()
        if kind == "str":
            out.append(Token(kind, text, pos, unescape(text[1:-1], text[0])))
        elif kind == "bq":
            out.append(Token(kind, text, pos, text[1:-1].replace("``", "`")))
        elif kind != "ws":
            out.append(Token(kind, text, pos, text))
        pos = m.end()
    return out


def split_statements(sql, old_parser=False):
    """[(text, tokens)] of every statement; positions stay those of the whole text."""
    out, part = [], []
    start = 0
    for t in tokenize(sql, old_parser):
        if t.kind == "op" and t.text == ";":
            if part:
                out.append((sql[start:t.pos].strip(), part))
            part, start = [], t.pos + 1
        else:
            part.append(t)
    if part:
        out.append((sql[start:].strip(), part))
    return out


class Cursor:
    """A hand parser's view of one statement. Every mismatch is Doris's syntax error."""

    def __init__(self, sql, tokens, old_parser=False):
        self.sql = sql
        self.tokens = tokens
        self.i = 0
        self.old_parser = old_parser

    def peek(self, ahead=0):
        k = self.i + ahead
        return self.tokens[k] if k < len(self.tokens) else None

    def at(self, *words):
        """Do the next tokens spell these words or operators?"""
        for k, word in enumerate(words):
            t = self.peek(k)
            if t is None or (t.word() if word[0].isalpha() else t.text if t.kind == "op" else "") != word:
                return False
        return True

    def accept(self, *words):
        if self.at(*words):
            self.i += len(words)
            return True
        return False

    def expect(self, *words):
        for word in words:
            if not self.accept(word):
                self.fail()

    def fail(self):
        t = self.peek()
        end = len(self.sql)
        raise syntax_error(t.text if t else "", self.sql, t.pos if t else end, self.old_parser)

    def done(self):
        return self.i >= len(self.tokens)

    def end(self):
        if not self.done():
            self.fail()

    def next(self):
        t = self.peek()
        if t is None:
            self.fail()
        self.i += 1
        return t

    def identifier(self):
        t = self.peek()
        if t is None or t.kind not in ("id", "bq") or (t.kind == "id" and t.text.isdigit()):
            self.fail()
        self.i += 1
        return t.value

    def string(self):
        t = self.peek()
        if t is None or t.kind != "str":
            self.fail()
        self.i += 1
        return t.value

    def integer(self):
        t = self.peek()
        if t is None or t.kind != "num" or not t.text.isdigit():
            self.fail()
        self.i += 1
        return int(t.text)

    def name(self):
        """`[[ctl.]db.]table` as (db or None, table)."""
        parts = [self.identifier()]
        while self.accept("."):
            parts.append(self.identifier())
        if len(parts) == 3 and parts[0] == "internal":
            parts = parts[1:]
        if len(parts) > 2:
            raise DorisError("Unknown catalog '%s'" % parts[0], 5086)
        return (parts[0] if len(parts) == 2 else None), parts[-1]

    def identifiers(self):
        """`(a, b, …)`"""
        self.expect("(")
        out = [self.identifier()]
        while self.accept(","):
            out.append(self.identifier())
        self.expect(")")
        return out

    def properties(self):
        """`(k = v, …)`, each side a string, word or number."""
        out = {}
        self.expect("(")
        if self.accept(")"):
            return out
        while True:
            key = self._property_side()
            self.expect("=")
            out[key] = self._property_side()
            if self.accept(")"):
                return out
            self.expect(",")

    def _property_side(self):
        t = self.next()
        if t.kind == "op":
            self.i -= 1
            self.fail()
        return t.value

    def skip_parens(self):
        """The tokens between `(` and its `)`."""
        self.expect("(")
        start, depth = self.i, 1
        while depth:
            t = self.next()
            depth += {"(": 1, ")": -1}.get(t.text if t.kind == "op" else "", 0)
        return self.tokens[start:self.i - 1]

    def text_from(self, pos):
        """The statement's own text from `pos`; the whole may hold other statements after it."""
        last = self.tokens[-1]
        return self.sql[pos:last.pos + len(last.text)]

    def rest(self):
        out = self.tokens[self.i:]
        self.i = len(self.tokens)
        return out


CAST_TYPES = {"STRING": "VARCHAR", "TEXT": "VARCHAR", "CHAR": "VARCHAR", "LARGEINT": "HUGEINT",
              "DATETIME": "TIMESTAMP", "DATETIMEV2": "TIMESTAMP", "DATEV2": "DATE", "SIGNED": "BIGINT",
              "UNSIGNED": "HUGEINT", "DECIMALV3": "DECIMAL", "DECIMALV2": "DECIMAL",
              "JSONB": "VARCHAR", "JSON": "VARCHAR", "BINARY": "VARCHAR"}
FUNCTIONS = {"IFNULL": "coalesce", "NVL": "coalesce", "CURDATE": "current_date", "UCASE": "upper",
             "LCASE": "lower", "CHAR_LENGTH": "length", "CHARACTER_LENGTH": "length",
             "LENGTH": "strlen", "GROUP_CONCAT": "string_agg", "SUBSTR": "substring",
             "TRUNCATE": "trunc", "RAND": "random", "APPROX_COUNT_DISTINCT": "approx_count_distinct",
             "NDV": "approx_count_distinct", "POW": "pow", "MD5": "md5", "ANY_VALUE": "any_value",
             "IF": "__standin_if", "DATE_FORMAT": "strftime"}
OPERATORS = {"&&": "AND", "||": "OR", "<=>": "IS NOT DISTINCT FROM", "!": "NOT"}
WORDS = {"DIV": "//", "RLIKE": "SIMILAR TO", "REGEXP": "SIMILAR TO"}


def quote_id(name):
    return '"' + name.replace('"', '""') + '"'


def quote_str(text):
    return "'" + text.replace("'", "''").replace("\0", "") + "'"


def translate(tokens, values=None):
    """DuckDB text for the tokens of a query. `values` answers @@x and functions of the session."""
    out = []
    i = 0
    while i < len(tokens):
        i = _step(tokens, i, out, values or (lambda kind, name: None))
    return " ".join(out)


def _step(tokens, i, out, values):
    t = tokens[i]
    word = t.word()
    called = i + 1 < len(tokens) and tokens[i + 1].text == "(" and tokens[i + 1].kind == "op"
    after_dot = i > 0 and tokens[i - 1].kind == "op" and tokens[i - 1].text == "."
    if not after_dot and _is_in_internal(tokens, i):
        return i + 2  # the only catalog there is
    if t.kind == "str":
        out.append(quote_str(t.value))
    elif t.kind == "bq":
        out.append(quote_id(t.value))
    elif t.kind == "var":
        out.append(values("var", t.text))
    elif t.kind == "op":
        out.append(OPERATORS.get(t.text, t.text))
    elif after_dot:
        out.append(quote_id(t.text) if not called else t.text)
    elif called and word in ("CAST", "TRY_CAST"):
        return _cast(tokens, i, out, values)
    elif called and values("function", word) is not None and tokens[i + 2].text == ")":
        out.append(values("function", word))
        return i + 3
    elif word == "CURRENT_USER" and values("function", word) is not None:
        out.append(values("function", word))
    elif called and word == "UNHEX" and tokens[i + 2].kind == "str" and tokens[i + 3].text == ")":
        out.append(quote_str(bytes.fromhex(tokens[i + 2].value).decode("utf-8", "replace")))
        return i + 4
    elif called and word in FUNCTIONS:
        if word == "CURDATE":
            out.append("current_date")
            return i + 3
        out.append(FUNCTIONS[word])
    elif word == "LIMIT" and _comma_limit(tokens, i):
        out.append("LIMIT %s OFFSET %s" % (tokens[i + 3].text, tokens[i + 1].text))
        return i + 4
    elif word in ("RLIKE", "REGEXP") and i + 1 < len(tokens) and tokens[i + 1].kind == "str":
        out.append("SIMILAR TO " + quote_str("(?s).*(?:%s).*" % tokens[i + 1].value))  # anywhere
        return i + 2
    elif word in WORDS and out:
        out.append(WORDS[word])
    else:
        out.append(t.text)
    return i + 1


def _is_in_internal(tokens, i):
    """internal.db.table: the name of the catalog."""
    return (i + 3 < len(tokens) and tokens[i].kind in ("id", "bq") and tokens[i].value == "internal"
            and tokens[i + 1].text == tokens[i + 3].text == ".")


def _comma_limit(tokens, i):
    return (i + 3 < len(tokens) and tokens[i + 1].kind == "num" and tokens[i + 2].text == ","
            and tokens[i + 3].kind == "num")


def _cast(tokens, i, out, values):
    """CAST that yields NULL where Doris's (not strict) one does, with Doris's type names."""
    depth, k, split = 0, i + 1, None
    while k < len(tokens):
        t = tokens[k]
        if t.kind == "op" and t.text in "()":
            depth += 1 if t.text == "(" else -1
            if depth == 0:
                break
        elif depth == 1 and t.word() == "AS":
            split = k
        k += 1
    if split is None or k >= len(tokens):
        out.append(tokens[i].text)
        return i + 1
    inner = translate(tokens[i + 2:split], values)
    kind = tokens[split + 1:k]
    name = CAST_TYPES.get(kind[0].word(), kind[0].text) if kind else ""
    tail = "" if name in ("VARCHAR", "TIMESTAMP", "HUGEINT", "BIGINT") else "".join(
        x.text for x in kind[1:])
    out.append("TRY_CAST(%s AS %s%s)" % (inner, name, tail))
    return k + 1
