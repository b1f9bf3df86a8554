"""Statements of test files, of those of Debian's mariadb-test package above all."""

import pathlib
import re

MARIADB = pathlib.Path("/usr/share/mysql/mysql-test")
MOST_FILES = 100000
VERBS = ("admin alter analyze backup begin build call cancel change check clean commit copy create "
         "deallocate delete desc describe do drop execute explain export flush grant handler help "
         "insert install kill load lock merge optimize pause plan prepare purge recover refresh "
         "rename repair replace reset restore resume revoke rollback select set show start stop "
         "switch sync truncate uninstall unlock unset update use values warm with").split()
STATEMENT_START = re.compile(r"[\s(]*(%s)\b" % "|".join(VERBS), re.I)


def statements_of(text):
    """Texts that end with ; at the end of a line; mysqltest's own commands are left out."""
    lines = []
    for line in text.splitlines():
        if not lines and (not line.strip() or line.startswith(("#", "--"))):
            continue
        lines.append(line)
        if line.rstrip().endswith(";"):
            statement = "\n".join(lines).rstrip()[:-1]
            lines = []
            if STATEMENT_START.match(statement):
                yield statement


def read_statements(paths, most):
    """At most so many different ones, spread over all files."""
    found = {}
    for path in sorted(paths)[:MOST_FILES]:
        for statement in statements_of(path.read_text(encoding="utf-8", errors="replace")):
            found.setdefault(statement)
    every = max(1, len(found) // most)
    return list(found)[::every][:most]


def mariadb_files():
    return [path for path in MARIADB.rglob("*")
            if path.suffix in (".test", ".sql") and path.is_file()]
