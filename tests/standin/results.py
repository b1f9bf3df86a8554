"""What a statement leaves behind for the protocol to send."""

from dataclasses import dataclass, field

from . import protocol as p

DUCK_KINDS = {
    "BOOLEAN": p.TINY, "TINYINT": p.TINY, "SMALLINT": p.SHORT, "INTEGER": p.LONG,
    "BIGINT": p.LONGLONG, "UTINYINT": p.SHORT, "USMALLINT": p.LONG, "UINTEGER": p.LONGLONG,
    "FLOAT": p.FLOAT, "DOUBLE": p.DOUBLE, "DATE": p.DATE, "TIMESTAMP": p.DATETIME,
}


@dataclass
class Ok:
    affected: int = 0
    warnings: int = 0
    info: str = ""


@dataclass
class Col:
    name: str
    kind: int = p.STRING
    scale: int = 0


@dataclass
class Rows:
    """`fetch(n)` gives the next rows and [] at the end; it may block, so call it in a thread."""

    cols: list
    fetch: object = None
    rows: list = field(default_factory=list)

    def next(self, n):
        if self.fetch:
            return self.fetch(n)
        out, self.rows = self.rows[:n], self.rows[n:]
        return out


def table(names, rows):
    """A result whose cells are all strings, as SHOW gives them."""
    return Rows([Col(n) for n in names], rows=[list(r) for r in rows])


def duck_col(name, kind):
    text = str(kind)
    if text.startswith("DECIMAL"):
        return Col(name, p.NEWDECIMAL, int(text.rstrip(")").split(",")[1]))
    if text.startswith("TIMESTAMP"):
        return Col(name, p.DATETIME, 6 if text == "TIMESTAMP WITH TIME ZONE" else 0)
    return Col(name, DUCK_KINDS.get(text, p.STRING))
