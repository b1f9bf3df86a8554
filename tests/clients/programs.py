"""
The clients as one thing: each takes steps and gives a transcript, a list of lists of fields for each
step. README.md has the language that the programs speak on stdin and stdout.
"""

import dataclasses
import re
import subprocess
import urllib.parse

import procs
import toolbox
from mariadb import PASSWORD, USER

PATIENCE_S = 60
SECOND = re.compile(r"^(.*\d\d:\d\d:\d\d)(?:\.(\d+?)0*)?$")
MASKS = ((re.compile(r"\(port=\d+\)"), ""), (re.compile(r"\(conn=\d+\) "), ""),
         (re.compile(r"\(conn:\d+[^)]*\) "), ""))


def text(sql):
    return ("text", sql)


def prep(sql, *params):
    return ("prep", sql, *params)


def again(*params):
    return ("again", *params)


def param(value):
    """A value of Python's as a field."""
    if value is None:
        return "null"
    if isinstance(value, bytes):
        return "bin:" + value.hex()
    if isinstance(value, str):
        return "str:" + value.encode().hex()
    if isinstance(value, int):
        return "int:%d" % value
    if hasattr(value, "hour"):
        return "time:" + value.isoformat(" ", "microseconds")
    return ("date:" if hasattr(value, "year") else "dec:") + str(value)


def cell(value):
    """A value of Python's as a client that is right shows it."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return normal(str(value))


def normal(field):
    """One spelling of a time: drivers differ in the zeros behind it."""
    m = SECOND.match(field)
    if not m:
        return field
    return m.group(1) + ("." + m.group(2) if m.group(2) and m.group(2) != "0" else "")


def masked(field):
    for pattern, replacement in MASKS:
        field = pattern.sub(replacement, field)
    return field


@dataclasses.dataclass
class Client:
    """`argv` makes the command line of (port, password, database, is_multi)."""

    name: str
    argv: object
    prepares: bool = True  # on the server
    # Claims MULTI_STATEMENTS, which Doris does not offer, to get each result of a text. None: the
    # claim is made, but all results but the first are dropped.
    several: bool = True
    # Wants more of PREPARE's answer than the ten bytes that Doris 2.0 sends.
    needs_long_prepare: bool = False
    # Takes Doris's utf8 for MySQL's of three bytes, and shows no others.
    is_utf8mb3: bool = False

    def run(self, port, steps, password=PASSWORD, db="test", multi=False):
        done = subprocess.run(
            [str(arg) for arg in self.argv(port, password, db, multi)],
            input="".join("\t".join(fields) + "\n" for fields in steps).encode(),
            capture_output=True, timeout=procs.patience(PATIENCE_S))
        said = done.stdout.decode()
        assert done.returncode == 0, "%s: %s ended with %d\n%s\n%s" % (
            self.name, steps[said.count("\n--\n")::-1][:1], done.returncode, said[-500:],
            done.stderr.decode()[-3000:])
        return transcript(said)


def transcript(said):
    """[[fields of each line] of each step]; a refused login is one step."""
    found, lines = [], []
    for line in said.splitlines():
        if line == "--":
            found.append(lines)
            lines = []
        else:
            lines.append([masked(field) for field in line.split("\t")])
    return found + ([lines] if lines else [])


def plain(make, *more):
    def argv(port, password, db, multi):
        return [*make(), *more, port, USER, password, db, *(["multi"] if multi else [])]
    return argv


def jdbc(driver, scheme):
    def argv(port, password, db, multi):
        options = {"useServerPrepStmts": "true", **({"allowMultiQueries": "true"} if multi else {})}
        url = "jdbc:%s://127.0.0.1:%d/%s?%s" % (scheme, port, db, urllib.parse.urlencode(options))
        return [*toolbox.java(driver), url, USER, password]
    return argv


class Cli:
    """The command line, whose verbose output says as much as the programs do."""

    name, prepares, several = "mariadb-cli", False, True
    needs_long_prepare = is_utf8mb3 = False
    NEXT = re.compile(r"^-{14}\n(.*?)\n-{14}\n\n?", re.M | re.S)
    ERROR = re.compile(r"^ERROR (\d+) \((\w+)\)(?: at line (\d+))?: (.*)$", re.M)

    def run(self, port, steps, password=PASSWORD, db="test", multi=False):
        """A statement a line, so that an error's line says which it was."""
        sql = "".join("%s$$\n" % self.literal(fields) for fields in self._filled(steps))
        done = subprocess.run(
            ["mariadb", "--no-defaults", "-h127.0.0.1", "-P%d" % port, "-u" + USER,
             "-p" + password, "--batch", "--skip-column-names", "--force", "-vv",
             "--default-character-set=utf8mb4", "--binary-as-hex", "--delimiter=$$", db],
            input=sql.encode(), capture_output=True, timeout=procs.patience(PATIENCE_S))
        parts = self.NEXT.split(done.stdout.decode())[2::2]
        errors = self.ERROR.findall(done.stderr.decode())
        if not parts:
            return [[["err", *error[:2], error[3]] for error in errors]]
        found = [self._lines(part) for part in parts]
        for code, state, line, message in errors:
            found[int(line) - 1].append(["err", code, state, message])
        return found

    @staticmethod
    def _filled(steps):
        """With the text that `again` means."""
        last = None
        for verb, *rest in steps:
            if verb == "again":
                yield [last, *rest]
            else:
                last = rest[0]
                yield rest

    @staticmethod
    def literal(fields):
        """The text with its parameters in it."""
        values = iter(fields[1:])

        def one(_):
            kind, _, value = next(values).partition(":")
            if kind == "null":
                return "NULL"
            if kind == "bin":
                return "X'%s'" % value
            if kind == "str":
                value = bytes.fromhex(value).decode().replace("\\", "\\\\").replace("'", "''")
            return value if kind in ("int", "dec") else "'%s'" % value
        return re.sub(r"\?", one, fields[0])

    def _lines(self, part):
        """What one statement said, as lines of a transcript."""
        out, rows = [], []
        for line in part.splitlines():
            count = re.match(r"(?:Query OK, )?(\d+) rows? (affected|in set)|Empty set", line)
            if count is None:
                rows.append(["row", *[self._cell(c) for c in line.split("\t")]])
            elif count.group(2) == "affected":
                out.append(["ok", count.group(1)])
                rows = []
            else:
                n = int(count.group(1) or 0)
                out += [*[row for row in rows if row != ["row", ""]], ["end", str(n)]]
                rows = []
        return out

    @staticmethod
    def _cell(text):
        """It shows an empty blob and none alike."""
        if text == "0x":
            return "0x or NULL"
        return text.lower() if re.match(r"0x[0-9A-F]+$", text) else text


CLIENTS = [
    Cli(),
    Client("pymysql", plain(toolbox.python, "pymysql"), prepares=False),
    Client("mysqlclient", plain(toolbox.python, "mysqlclient"), prepares=False),
    Client("pydoris", plain(toolbox.python, "pydoris"), prepares=False, several=None),
    Client("connector-python", plain(toolbox.python, "connector")),
    Client("connector-python-c", plain(toolbox.python, "connector-c")),
    Client("connector-j-9", jdbc("mysql-9", "mysql"), several=False),
    Client("mariadb-j-2.7", jdbc("mariadb-2.7", "mariadb")),
    Client("mariadb-j-3.5", jdbc("mariadb-3.5", "mariadb"), several=False),
    Client("go-sql-driver", plain(toolbox.go)),
    Client("node-mysql2", plain(toolbox.node, "mysql2"), needs_long_prepare=True, is_utf8mb3=True),
    Client("node-mariadb", plain(toolbox.node, "mariadb"), several=False),
    Client("mysql_async", plain(toolbox.rust), several=False, needs_long_prepare=True),
]
