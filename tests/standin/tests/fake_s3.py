"""A small S3: buckets, PUT, GET, ListObjectsV2 with pages of 3. It checks the access key, not the
signature: point S3_URL at a real store (Swift) for that."""

import http.server
import threading
import urllib.parse
from xml.sax.saxutils import escape

PAGE = 3


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def _answer(self, status, body=b"", kind="application/xml"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _error(self, status, code):
        self._answer(status, ("<Error><Code>%s</Code><Message>%s</Message></Error>"
                              % (code, code)).encode())

    def _place(self):
        url = urllib.parse.urlsplit(self.path)
        bucket, _, key = urllib.parse.unquote(url.path[1:]).partition("/")
        return bucket, key, dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))

    def do_PUT(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        bucket, key, _ = self._place()
        objects = self.server.buckets.setdefault(bucket, {})
        if key:
            objects[key] = body
        self._answer(200)

    def do_DELETE(self):
        bucket, key, _ = self._place()
        self.server.buckets[bucket].pop(key, None)
        self._answer(204)

    def do_GET(self):
        if "Credential=AKIDEXAMPLE/" not in self.headers.get("Authorization", ""):
            return self._error(403, "InvalidAccessKeyId")
        bucket, key, query = self._place()
        objects = self.server.buckets.get(bucket)
        if objects is None:
            return self._error(404, "NoSuchBucket")
        if key:
            if key not in objects:
                return self._error(404, "NoSuchKey")
            return self._answer(200, objects[key], "application/octet-stream")
        return self._list(objects, query)

    def _list(self, objects, query):
        after = query.get("continuation-token", "")
        keys = sorted(k for k in objects if k.startswith(query.get("prefix", "")) and k > after)
        page = keys[:PAGE]
        encode = urllib.parse.quote if query.get("encoding-type") == "url" else escape
        items = "".join("<Contents><Key>%s</Key><Size>%d</Size><ETag>e</ETag><LastModified>"
                        "2024-01-01T00:00:00.000Z</LastModified></Contents>"
                        % (encode(k), len(objects[k])) for k in page)
        more = len(keys) > PAGE
        tail = "<NextContinuationToken>%s</NextContinuationToken>" % escape(page[-1]) if more else ""
        coding = "<EncodingType>url</EncodingType>" if "encoding-type" in query else ""
        self._answer(200, ("<ListBucketResult>%s<IsTruncated>%s</IsTruncated>%s%s</ListBucketResult>"
                           % (coding, str(more).lower(), tail, items)).encode())


class FakeS3:
    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.buckets = {}
        self.url = "http://127.0.0.1:%d" % self.server.server_port
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
