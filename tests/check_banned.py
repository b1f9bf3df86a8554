#!/usr/bin/env python3
"""
What a compiler does not refuse and we do: banned functions, long files and functions, `//` comments,
TODO without an issue number, and text that belongs to one machine or to a registry.

    tests/check_banned.py [--self-test] [ROOT]

Prints one line for each offence and exits 1 if there is one.
"""

import pathlib
import re
import sys
import tempfile

LAYERS = ("base", "parser", "scheduler", "sources", "proxy")
FILE_LINES = 600
FUNCTION_LINES = 90

# function: what to use in its place
BANNED = {
    "strcpy": "buf or snprintf", "strcat": "buf", "strncat": "buf", "strncpy": "snprintf",
    "sprintf": "snprintf or buf", "vsprintf": "vsnprintf", "strtok": "span",
    "strtok_r": "span", "atoi": "span's parser", "atol": "span's parser",
    "atoll": "span's parser", "atof": "strtod with a check", "gets": "fgets",
    "alloca": "xmalloc", "signal": "sigaction or an event", "localtime": "localtime_r",
    "gmtime": "gmtime_r", "ctime": "clock_format_wall", "asctime": "clock_format_wall",
    "net_field_length": "wire's reader", "system": "posix_spawn", "tmpnam": "mkstemp",
    "mktemp": "mkstemp",
}
# function: the layer whose wrapper may call it
WRAPPED = {"strtol": "base", "strtoul": "base", "strtoll": "base", "strtoull": "base"}
# function: the only file that may call it
ONLY_IN = {"exit": "proxy/main.c", "_exit": "proxy/main.c"}

TEXT_SUFFIXES = {".c", ".h", ".py", ".sh", ".md", ".txt", ".json", ".yml", ".yaml", ".conf", ".ini",
                 ".build", ".service", ".toml", ".cfg", ".sql", ".supp", ""}
SKIPPED_FOLDERS = re.compile(r"^(\.git|build.*|__pycache__|\.pytest_cache|results)$")

LITERAL = re.compile(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/', re.S)
CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join([*BANNED, *WRAPPED, *ONLY_IN]))
TODO = re.compile(r"\b(TODO|FIXME)\b(?![^\n]*#\d)")
# Written so that they do not find themselves.
FOREIGN = [
    (re.compile(r"(?<![\w.])/(?:wor[k]/|roo[t]/|home/[a-z]+/|tmp/b[-]|tmp/brie[f])"),
     "a path of one machine"),
    (re.compile(r"\b(?:%s)" % "|".join(name + "[.]" + domain for name, domain in (
        ("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "(?:org|com)"), ("golan" + "g", "org"),
        ("crates", "io"), ("debian", "org"), ("maven[.]apache", "org"), ("maven", "org")))),
     "the host of a package registry"),
    (re.compile(r"-----BEGI[N] (?:[A-Z]+ )?PRIVATE KEY"), "a private key"),
]


def blank(m):
    """Comments vanish, literals become empty; lines stay."""
    text = m.group(0)
    lines = "\n" * text.count("\n")
    return lines if text.startswith("/") else '""' + lines


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def long_functions(code):
    """A function's body opens with { in the first column (.clang-format) and closes likewise."""
    start = None
    for number, line in enumerate(code.split("\n"), 1):
        if start is None and line.rstrip() == "{":
            start = number
        elif start is not None and line.startswith("}"):
            if number - start - 1 > FUNCTION_LINES:
                yield start, "function of %d lines, at most %d" % (number - start - 1,
                                                                   FUNCTION_LINES)
            start = None


def check_code(relative, text):
    """Rules for our C. Yields (line, what is wrong)."""
    folder = relative.split("/", 1)[0]
    code = LITERAL.sub(blank, text)
    for m in CALL.finditer(code):
        name, line = m.group(1), line_of(code, m.start())
        if name in BANNED:
            yield line, "%s() is banned: use %s" % (name, BANNED[name])
        elif name in WRAPPED and folder not in (WRAPPED[name], "tests"):
            yield line, "%s() without %s's wrapper" % (name, WRAPPED[name])
        elif name in ONLY_IN and folder != "tests" and relative != ONLY_IN[name]:
            yield line, "%s() outside %s" % (name, ONLY_IN[name])
    for m in re.finditer(r"//", code):
        yield line_of(code, m.start()), "a // comment: write /* */"
    yield from long_functions(code)


def check_text(relative, text):
    """Rules for every file."""
    for pattern, what in FOREIGN:
        for m in pattern.finditer(text):
            yield line_of(text, m.start()), "%s: %s" % (what, m.group(0))
    if relative.endswith((".c", ".h", ".py", ".sh")):
        for m in TODO.finditer(text):
            if not relative.endswith("check_banned.py"):
                yield line_of(text, m.start()), "%s without an issue number (#12)" % m.group(1)
        n = text.count("\n")
        if n > FILE_LINES:
            yield n, "%d lines, at most %d" % (n, FILE_LINES)


def text_files(root):
    for path in sorted(root.iterdir()):
        if path.is_dir():
            if not SKIPPED_FOLDERS.match(path.name):
                yield from text_files(path)
        elif path.suffix in TEXT_SUFFIXES and not path.is_symlink():
            yield path


def check(root):
    found = []
    for path in text_files(root):
        relative = path.relative_to(root).as_posix()
        raw = path.read_bytes()
        if b"\0" in raw or "/corpus/" in relative:
            continue
        text = raw.decode("utf-8", "replace")
        wrong = list(check_text(relative, text))
        if path.suffix in (".c", ".h") and relative.split("/", 1)[0] in (*LAYERS, "tests"):
            wrong += check_code(relative, text)
        found += ["%s:%d: %s" % (relative, line, what) for line, what in wrong]
    return found


GOOD = "/* strcpy( in a comment, \"TO\" */\nint f(void)\n{\n    return my_strcpy(\"atoi(\");\n}\n"
BAD_FILES = [
    ("base/bad.c", "void f(void)\n{\n    strcpy(a, b);\n}\n", "strcpy() is banned"),
    ("proxy/bad.c", "int n = atoi(s);\n", "atoi() is banned"),
    ("parser/bad.c", "long n = strtol(s, &e, 10);\n", "without base's wrapper"),
    ("scheduler/bad.c", "void f(void)\n{\n    exit(1);\n}\n", "exit() outside"),
    ("sources/bad.c", "int a; // no\n", "// comment"),
    ("sources/bad.c", "/* TO" + "DO later */\n", "without an issue number"),
    ("proxy/bad.c", "int g(void)\n{\n%s}\n" % ("    f();\n" * 91), "function of 91 lines"),
    ("proxy/bad.c", "\n" * 601, "601 lines, at most 600"),
    ("README.md", "see /wor" + "k/notes\n", "a path of one machine"),
    ("deploy/bad.sh", "pip install -i https://pyp" + "i.org/simple\n", "package registry"),
]


def self_test():
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        for folder in (*LAYERS, "deploy"):
            (root / folder).mkdir()
        (root / "base/good.c").write_text(GOOD, encoding="utf-8")
        if check(root):
            raise AssertionError("self-test: good code was refused: %s" % check(root))
        for path, text, expected in BAD_FILES:
            (root / path).write_text(text, encoding="utf-8")
            found = check(root)
            if len(found) != 1 or not found[0].startswith(path + ":") or expected not in found[0]:
                raise AssertionError("self-test: %s should be refused for %r, but: %s"
                                     % (path, expected, found))
            (root / path).unlink()


def main(argv):
    if "--self-test" in argv:
        argv.remove("--self-test")
        self_test()
    root = pathlib.Path(argv[0] if argv else pathlib.Path(__file__).parent.parent).resolve()
    found = check(root)
    print("\n".join(found) if found else "nothing banned")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
