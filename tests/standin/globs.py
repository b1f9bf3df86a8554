"""S3 uris and globs as each Doris version reads them (facts E2, E4). Pure functions."""

import re
from dataclasses import dataclass
from urllib.parse import unquote

from .profiles import S3_SCHEMES

URI = re.compile(r"^(([^:/?#]+):)?(//([^/?#]*))?([^?#]*)(\?([^#]*))?(#(.*))?", re.S)
ILLEGAL_20 = re.compile(r'[\x00-\x20"<>\\^`{|}\[\]\x7f]|%(?![0-9A-Fa-f]{2})')
JAVA_INT_MAX = 2147483647
OBJECT_SCHEMES = S3_SCHEMES - {"http", "https"}


class UriError(Exception):
    """The text is Doris's, without the errCode prefix."""


class GlobError(Exception):
    """A pattern the version's glob engine refuses."""


@dataclass
class Location:
    bucket: str
    key: str
    endpoint: str = None
    region: str = None


def normalize_path(path):
    """java.net.URI.normalize on a path: no empty, `.` or `..` segments; a trailing slash stays."""
    out = []
    for seg in path.split("/")[1:] if path.startswith("/") else path.split("/"):
        if seg in ("", "."):
            continue
        if seg == ".." and out and out[-1] != "..":
            out.pop()
            continue
        out.append(seg)
    text = ("/" if path.startswith("/") else "") + "/".join(out)
    return text + "/" if out and path.endswith(("/", "/.")) else text


def parse_uri(uri, profile, path_style=False, standard=False, has_endpoint=True):
    """Bucket, key and, where the uri carries it, the endpoint."""
    if not uri:
        raise UriError("Properties 'uri' is required.")
    if profile.strict_uri:
        bad = ILLEGAL_20.search(uri)
        if bad:
            raise UriError("Invalid s3 uri: Illegal character in path at index %d: %s"
                           % (bad.start(), uri))
    m = URI.match(uri)
    scheme, authority, path = (m.group(2) or "").lower(), m.group(4), m.group(5)
    path = normalize_path(unquote(path) if profile.strict_uri else path)
    if scheme not in (S3_SCHEMES | {"gs", "azure"} if profile.extra_schemes else S3_SCHEMES):
        raise UriError("Invalid uri: %s" % uri if profile.bare_endpoint
                       else "Invalid scheme: %s" % uri)
    if scheme in OBJECT_SCHEMES | {"gs", "azure"} and not standard:
        if not profile.strict_uri or has_endpoint:
            return _bucket_first(uri, authority, path)
        return _host_20(uri, authority, path)
    return _standard(uri, authority, path, path_style)


def _bucket_first(uri, authority, path):
    if not authority:
        raise UriError("missing bucket: " + uri)
    if len(path) <= 1:
        raise UriError("missing key: " + uri)
    return Location(authority, path[1:])


def _host_20(uri, authority, path):
    """2.0 without s3.endpoint: the authority must be bucket.endpoint."""
    bucket, dot, endpoint = (authority or "").partition(".")
    if not dot:
        raise UriError("can not parse endpoint from uri: %s, the authority must be bucket.endpoint"
                       " or s3.endpoint must be given" % uri)
    if len(path) <= 1:
        raise UriError("missing key: " + uri)
    return Location(bucket, path[1:], endpoint, _region(endpoint))


def _standard(uri, authority, path, path_style):
    if not authority:
        raise UriError("Invalid S3 URI: no hostname: " + uri)
    if path_style:
        bucket, slash, key = path[1:].partition("/")
        if not bucket:
            raise UriError("missing bucket: " + uri)
        if not slash or not key:
            raise UriError("missing key: " + uri)
        return Location(bucket, key, authority, _region(authority))
    bucket, dot, endpoint = authority.partition(".")
    if len(path) <= 1:
        raise UriError("missing key: " + uri)
    return Location(bucket, path[1:], endpoint if dot else None,
                    _region(endpoint) if dot else None)


def _region(endpoint):
    parts = endpoint.split(".")
    if len(parts) < 2:
        return None
    return parts[0] if "oss-" in parts[0] else parts[1]


# --- patterns -----------------------------------------------------------------------------------

def longest_prefix(pattern, special="*?[{\\"):
    hits = [pattern.find(c) for c in special if c in pattern]
    return pattern[:min(hits)] if hits else pattern


def rewrite_braces(pattern):
    """4.0.1: a group with any non-negative integer or range keeps its integers only.

    That drops words and leading zeros; a backslash or dollar sign in a kept group goes through
    Java's Matcher.appendReplacement, which eats the one and refuses the other.
    """
    return re.sub(r"\{([^}]+)\}", lambda m: _replacement(_rebuild(m.group(1))), pattern)


def _rebuild(content):
    numbers = {}
    for part in _java_split(content):
        part = part.strip(" \t\n\r\f\v")
        span = re.fullmatch(r"(-?[0-9]+)\.\.(-?[0-9]+)", part)
        if span:
            low, high = _java_int(span.group(1)), _java_int(span.group(2))
            if low < 0 or high < 0:
                continue
            for n in range(min(low, high), max(low, high) + 1):
                numbers[n] = True
        elif re.fullmatch(r"[0-9]+", part):
            numbers[_java_int(part)] = True
    return "{" + (",".join(map(str, numbers)) if numbers else content) + "}"


def _java_split(content):
    parts = content.split(",")
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return parts


def _java_int(text):
    n = int(text)
    if n > JAVA_INT_MAX or n < -JAVA_INT_MAX - 1:
        raise GlobError('For input string: "%s"' % text)
    return n


def _replacement(text):
    out = []
    i = 0
    while i < len(text):
        c = text[i]
        if c == "\\":
            i += 1
            if i == len(text):
                raise GlobError("character to be escaped is missing")
            c = text[i]
        elif c == "$":
            _check_group(text, i + 1)
        out.append(c)
        i += 1
    return "".join(out)


def _check_group(text, i):
    if i == len(text):
        raise GlobError("Illegal group reference: group index is missing")
    if text[i] in "01":
        raise GlobError("a group reference of one's own is outside of what is modelled")
    if text[i].isdigit():
        raise GlobError("No group %s" % text[i])
    raise GlobError("Illegal group reference")


def matcher(pattern, profile):
    """A predicate on keys and the list prefix to ask S3 for."""
    if profile.brace_rewrite:
        pattern = rewrite_braces(pattern)
    if profile.globs == "star":
        regex = "".join("[^/]*" if c == "*" else re.escape(c) for c in pattern)
        prefix = longest_prefix(pattern, "*")
        return re.compile(regex, re.S).fullmatch, prefix
    if profile.globs == "hadoop":
        if longest_prefix(pattern) == pattern:
            return pattern.__eq__, pattern
        return re.compile(hadoop_regex(pattern), re.S).fullmatch, longest_prefix(pattern)
    test = re.compile(nio_regex(pattern), re.S).fullmatch
    return (lambda key: test(re.sub("/+", "/", key).rstrip("/"))), longest_prefix(pattern)


def nio_regex(pattern):
    """java.nio glob: `**` crosses `/`, groups do not nest, `!` negates a class."""
    out = []
    i, grouped = 0, False
    while i < len(pattern):
        c = pattern[i]
        i += 1
        if c == "\\":
            if i == len(pattern):
                raise GlobError("No character to escape near index %d\n%s" % (i - 1, pattern))
            out.append(re.escape(pattern[i]))
            i += 1
        elif c == "[":
            text, i = _nio_class(pattern, i)
            out.append(text)
        elif c == "{":
            if grouped:
                raise GlobError("Cannot nest groups near index %d\n%s" % (i - 1, pattern))
            out.append("(?:(?:")
            grouped = True
        elif c == "}" and grouped:
            out.append("))")
            grouped = False
        elif c == "," and grouped:
            out.append(")|(?:")
        elif c == "*":
            if pattern[i:i + 1] == "*":
                out.append(".*")
                i += 1
            else:
                out.append("[^/]*")
        elif c == "?":
            out.append("[^/]")
        else:
            out.append(re.escape(c))
    if grouped:
        raise GlobError("Missing '}' near index %d\n%s" % (len(pattern) - 1, pattern))
    return "".join(out)


def _nio_class(pattern, i):
    out = ["(?!/)["]
    if pattern[i:i + 1] == "^":
        out.append("\\^")
        i += 1
    else:
        if pattern[i:i + 1] == "!":
            out.append("^")
            i += 1
        if pattern[i:i + 1] == "-":
            out.append("\\-")
            i += 1
    while i < len(pattern) and pattern[i] != "]":
        c = pattern[i]
        if c == "/":
            raise GlobError("Explicit 'name separator' in class near index %d\n%s" % (i, pattern))
        out.append(c if c == "-" else re.escape(c))
        i += 1
    if i == len(pattern):
        raise GlobError("Missing ']' near index %d\n%s" % (i - 1, pattern))
    return "".join(out) + "]", i + 1


def hadoop_regex(pattern):
    """Hadoop's globStatus: groups nest and may hold `/`, `*` stays inside a component."""
    out = []
    i, depth = 0, 0
    while i < len(pattern):
        c = pattern[i]
        i += 1
        if c == "\\":
            if i == len(pattern):
                raise GlobError("Missing escaped character near index %d" % (i - 1))
            out.append(re.escape(pattern[i]))
            i += 1
        elif c == "[":
            text, i = _hadoop_class(pattern, i)
            out.append(text)
        elif c == "{":
            out.append("(?:")
            depth += 1
        elif c == "}" and depth:
            out.append(")")
            depth -= 1
        elif c == "," and depth:
            out.append("|")
        else:
            out.append({"*": "[^/]*", "?": "[^/]"}.get(c) or re.escape(c))
    if depth:
        raise GlobError("Unclosed group near index %d" % len(pattern))
    return "".join(out)


def _hadoop_class(pattern, i):
    out = ["(?!/)["]
    if pattern[i:i + 1] in ("^", "!"):
        out.append("^")
        i += 1
    first = True
    while i < len(pattern) and (pattern[i] != "]" or first):
        c = pattern[i]
        if c == "\\" and i + 1 < len(pattern):
            i += 1
            c = re.escape(pattern[i])
        else:
            c = c if c == "-" else re.escape(c)
        out.append(c)
        first = False
        i += 1
    if i >= len(pattern):
        raise GlobError("Unclosed character class near index %d" % i)
    return "".join(out) + "]", i + 1
