#!/usr/bin/env python3
"""
Include directions: a folder may include only what its layer allows, and nothing points upward.

    tests/check_layers.py [--self-test] [ROOT]

Prints one line for each offence and exits 1 if there is one. --self-test first proves on a tree of
its own that every kind of offence is found.
"""

import pathlib
import re
import sys
import tempfile

SCHEDULER_INTERFACES = {"scheduler/%s.h" % name
                        for name in ("source", "sink", "spec", "cancel", "record", "explain", "files")}
EVERYTHING = {"base", "parser", "scheduler", "sources", "proxy"}

# folder: the folders of ours it may include from
ALLOWED = {
    "base": {"base"},
    "parser": {"base", "parser"},
    "scheduler": {"base", "scheduler"},
    "sources": {"base", "sources", "scheduler"},  # of scheduler only SCHEDULER_INTERFACES
    "proxy": EVERYTHING,
}
# folder: libraries it may use besides libc, by the beginning of the header's name
LIBRARIES = {
    "base": ("event2/",),
    "parser": (),
    "scheduler": ("event2/", "openssl/", "sqlite3.h", "jansson.h"),
    "sources": ("event2/", "curl/", "openssl/", "expat.h", "jansson.h", "mysql", "mariadb",
                "librdkafka/"),
    "proxy": ("",),  # any
}
LIBC = {
    "alloca.h", "assert.h", "ctype.h", "dirent.h", "errno.h", "fcntl.h", "float.h", "getopt.h",
    "grp.h", "inttypes.h", "limits.h", "locale.h", "malloc.h", "math.h", "netdb.h", "poll.h",
    "pthread.h", "pwd.h", "sched.h", "signal.h", "stdalign.h", "stdarg.h", "stdatomic.h",
    "stdbool.h", "stddef.h", "stdint.h", "stdio.h", "stdlib.h", "stdnoreturn.h", "string.h",
    "strings.h", "syslog.h", "threads.h", "time.h", "unistd.h", "wchar.h", "features.h",
}
LIBC_FOLDERS = ("sys/", "netinet/", "arpa/", "net/", "linux/", "bits/")

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]+(["<])([^">\n]+)[">]', re.M)
COMMENT = re.compile(r"/\*.*?\*/", re.S)


def blank_comments(text):
    return COMMENT.sub(lambda m: "\n" * m.group(0).count("\n"), text)


def check_ours(root, folder, name):
    """What is wrong with `#include "name"` in a file of `folder`; None when nothing is."""
    if "/" not in name or name.startswith((".", "/")):
        return 'include "%s" is not written from the repository root' % name
    target = name.split("/", 1)[0]
    if target not in EVERYTHING:
        return 'include "%s" is not a header of %s' % (name, ", ".join(sorted(EVERYTHING)))
    if not (root / name).is_file():
        return 'include "%s": there is no such file' % name
    if target not in ALLOWED[folder]:
        return 'include "%s" points upward: %s/ may include only %s' % (
            name, folder, ", ".join(sorted(ALLOWED[folder])))
    if folder == "sources" and target == "scheduler" and name not in SCHEDULER_INTERFACES:
        return 'include "%s": of scheduler/ sources may include only %s' % (
            name, ", ".join(sorted(SCHEDULER_INTERFACES)))
    return None


def check_system(root, folder, name):
    if name.split("/", 1)[0] in EVERYTHING and (root / name).is_file():
        return 'include <%s> is ours: write it with quotation marks' % name
    if name in LIBC or name.startswith(LIBC_FOLDERS):
        return None
    if name.startswith(LIBRARIES[folder]):
        return None
    return "include <%s>: %s/ may use only %s" % (
        name, folder, ", ".join(["libc", *(x.rstrip("/") for x in LIBRARIES[folder])]))


def guard_of(path):
    """proxy/local.h has the guard PROXY_LOCAL_H."""
    return re.sub(r"[^A-Za-z0-9]", "_", path).upper()


def check_file(root, path):
    """Yields (line, what is wrong)."""
    relative = path.relative_to(root).as_posix()
    folder = relative.split("/", 1)[0]
    text = blank_comments(path.read_text(encoding="utf-8", errors="replace"))
    ours_since = None
    for m in INCLUDE.finditer(text):
        line = text.count("\n", 0, m.start()) + 1
        quote, name = m.groups()
        if quote == '"':
            ours_since = ours_since or line
            wrong = check_ours(root, folder, name)
        else:
            wrong = check_system(root, folder, name)
            if wrong is None and ours_since:
                wrong = "include <%s> stands after ours (line %d)" % (name, ours_since)
        if wrong:
            yield line, wrong
    if path.suffix == ".h":
        guard = guard_of(relative)
        if not re.match(r"\s*#ifndef %s\n#define %s\n" % (guard, guard), text):
            yield 1, "does not open with the header guard %s" % guard


def check(root):
    """All offences of a tree, as file:line: text."""
    found = []
    for folder in sorted(EVERYTHING):
        for path in sorted((root / folder).rglob("*.[ch]")):
            for line, wrong in check_file(root, path):
                found.append("%s:%d: %s" % (path.relative_to(root), line, wrong))
    return found


def write_tree(root, files):
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".h" and "GUARD" not in text:
            guard = guard_of(name)
            text = "#ifndef %s\n#define %s\n%s\n#endif\n" % (guard, guard, text)
        path.write_text(text.replace("/* GUARD */", ""), encoding="utf-8")


GOOD_TREE = {
    "base/err.h": "#include <stdbool.h>",
    "base/buf.c": '#include <event2/event.h>\n#include "base/err.h"',
    "parser/stmt.h": '#include "base/err.h"',
    "scheduler/store.h": "",
    "scheduler/source.h": '#include "base/err.h"',
    "sources/s3_source.c": '#include <curl/curl.h>\n\n#include "scheduler/source.h"',
    "proxy/local.h": '#include "parser/stmt.h"\n#include "sources/all.h"',
    "sources/all.h": '/* #include "proxy/local.h" in a comment is none */',
}
# each file alone makes the good tree bad, with this in the message
BAD_FILES = [
    ("base/bad.c", '#include "scheduler/store.h"', "points upward"),
    ("base/bad.h", '#include "parser/stmt.h"', "points upward"),
    ("parser/bad.c", '#include "scheduler/source.h"', "points upward"),
    ("scheduler/bad.c", '#include "sources/all.h"', "points upward"),
    ("scheduler/deeper/bad.c", '#  include "proxy/local.h"', "points upward"),
    ("sources/bad.c", '#include "scheduler/store.h"', "of scheduler/ sources may include only"),
    ("sources/bad.h", '#include "proxy/local.h"', "points upward"),
    ("proxy/bad.c", '#include "local.h"', "not written from the repository root"),
    ("proxy/bad.c", '#include "../base/err.h"', "not written from the repository root"),
    ("proxy/bad.c", '#include "base/none.h"', "no such file"),
    ("proxy/bad.c", "#include <base/err.h>", "quotation marks"),
    ("parser/bad.c", "#include <sqlite3.h>", "may use only libc"),
    ("proxy/bad.c", '#include "base/err.h"\n#include <stdio.h>', "stands after ours"),
    ("proxy/bad.h", "#pragma once /* GUARD */", "header guard PROXY_BAD_H"),
]


def self_test():
    """Raises unless the good tree passes and each bad file is found."""
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        write_tree(root, GOOD_TREE)
        if check(root):
            raise AssertionError("self-test: a good tree was refused: %s" % check(root))
        for path, text, expected in BAD_FILES:
            write_tree(root, {path: text})
            found = check(root)
            if len(found) != 1 or not found[0].startswith(path + ":") or expected not in found[0]:
                raise AssertionError("self-test: %s with %r should be refused for %r, but: %s"
                                     % (path, text, expected, found))
            (root / path).unlink()


def main(argv):
    if "--self-test" in argv:
        argv.remove("--self-test")
        self_test()
    root = pathlib.Path(argv[0] if argv else pathlib.Path(__file__).parent.parent).resolve()
    if not (root / "base").is_dir():
        sys.exit("check_layers: %s is not the root of the repository" % root)
    found = check(root)
    print("\n".join(found) if found else "include directions are as they should be")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
