"""Errors as they reach a client, and the outcomes that are not errors."""

PREFIX = "errCode = 2, detailMessage = "

STATES = {
    1044: "42000", 1045: "28000", 1046: "3D000", 1047: "08S01", 1049: "42000", 1050: "42S01",
    1051: "42S02", 1054: "42S22", 1094: "HY000", 1095: "HY000", 1105: "HY000", 1142: "42000",
    1193: "HY000", 1203: "42000", 1227: "42000", 1231: "42000", 1232: "42000", 1235: "42000",
    1243: "HY000", 1251: "08004", 1396: "HY000", 5025: "HY000",
}


class DorisError(Exception):
    """An ERR packet. `raw` ones are sent as they are, the others behind Doris's errCode prefix."""

    def __init__(self, text, code=1105, raw=False):
        super().__init__(text)
        self.text = text
        self.code = code
        self.raw = raw

    @property
    def state(self):
        return STATES.get(self.code, "HY000")

    def wire_text(self, coded_prefix=True):
        if self.raw or (self.code != 1105 and not coded_prefix):
            return self.text
        return PREFIX + self.text


class LinkCut(Exception):
    """The client's link is gone on purpose: nothing may be answered any more."""


def syntax_error(near, sql, pos, old_parser=False):
    """The texts of the two parsers: Nereids (2.1 and later) and the cup grammar of 2.0."""
    line = sql.count("\n", 0, pos) + 1
    col = pos - (sql.rfind("\n", 0, pos) + 1)
    if old_parser:
        text = "Syntax error in line %d:\n%s\n%s^\nEncountered: %s\nExpected\n" % (
            line, sql.split("\n")[line - 1] if sql else "", " " * col, near or "EOF")
        return DorisError(text)
    if not near:
        return DorisError("\nmismatched input '<EOF>' expecting {';', statement}(line %d, pos %d)\n"
                          % (line, col))
    return DorisError("\nmismatched input '%s' expecting {<EOF>, ';'}(line %d, pos %d)\n"
                      % (near, line, col))
