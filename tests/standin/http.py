"""The HTTP port: the few FE endpoints a loader asks (C1, C3, D1, H), and the stand-in's control."""

import asyncio
import base64
import json
from urllib.parse import parse_qs, unquote, urlsplit

from . import auth, jobs
from .errors import PREFIX, DorisError

MAX_HEAD = 1 << 20
MAX_BODY = 16 << 20
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed",
           413: "Payload Too Large", 501: "Not Implemented", 503: "Service Unavailable"}


def envelope(msg="success", code=0, data=None):
    return {"msg": msg, "code": code, "data": data, "count": 0}


class HttpServer:
    """HTTP/1.1 with keep-alive, one request at a time per connection."""

    def __init__(self, server):
        self.server = server

    async def serve(self, reader, writer):
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    async def _one(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        headers = {}
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if colon:
                headers[name.strip().lower()] = value.strip()
        size = int(headers.get("content-length", "0"))
        if size > MAX_BODY or "transfer-encoding" in headers:
            self._answer(writer, 413, {"msg": "body too large or chunked"}, False)
            return False
        body = await reader.readexactly(size)
        loop = asyncio.get_running_loop()
        status, doc = await loop.run_in_executor(self.server.pool, self._route, method, target,
                                                 headers, body)
        keep = headers.get("connection", "").lower() != "close"
        self._answer(writer, status, doc, keep)
        await writer.drain()
        return keep

    def _answer(self, writer, status, doc, keep):
        data = json.dumps(doc).encode()
        writer.write(("HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
                      "Connection: %s\r\n\r\n" % (status, REASONS[status], len(data),
                                                  "keep-alive" if keep else "close")).encode() + data)

    def _route(self, method, target, headers, body):
        url = urlsplit(target)
        query = {k: v[-1] for k, v in parse_qs(url.query, keep_blank_values=True).items()}
        parts = [unquote(x) for x in url.path.strip("/").split("/")]
        if parts[0] == "standin":
            return self._control(method, parts[1:], body)
        if parts == ["api", "health"]:
            return self._health()
        if parts == ["api", "bootstrap"]:
            return self._bootstrap()
        if parts[0] != "api" or len(parts) not in (3, 4):
            return 404, envelope("Not Found", 404)
        user = self._user(headers)
        if user is None:
            return 200, {"msg": "Unauthorized", "code": 401, "data": "Access denied for user", "count": 0}
        if parts[-1] in ("_stream_load", "_stream_load_2pc"):
            return 501, {"status": "FAILED", "msg": "stream load is not in this stand-in"}
        return self._load_api(method, parts, query, user)

    def _user(self, headers):
        kind, _, value = headers.get("authorization", "").partition(" ")
        if kind.lower() != "basic":
            return None
        try:
            name, _, password = base64.b64decode(value).decode().partition(":")
        except ValueError:
            return None
        user = self.server.engine.users.get(name)
        if user is None or user.secret != auth.double_sha1(password):
            return None
        return user

    def _health(self):
        if self.server.knobs.not_ready and self.server.profile.health_503:
            return 503, envelope("Server is not ready", 503, "Server is not ready")
        return 200, envelope(data={"online_backend_num": 1, "total_backend_num": 1})

    def _bootstrap(self):
        if self.server.knobs.not_ready:
            return 200, envelope("not ready", 1)
        return 200, envelope(data={"replayedJournalId": 0, "queryPort": 0, "rpcPort": 0,
                                   "arrowFlightSqlPort": 0, "version": ""})

    def _load_api(self, method, parts, query, user):
        db, action = parts[1], parts[-1]
        engine = self.server.engine
        if db not in engine.tables:
            return 200, envelope("Error", 1, "errCode = 2, detailMessage = Unknown database '%s'" % db)
        if len(parts) == 3 and action == "get_load_state" and method == "GET":
            if not query.get("label"):
                return 200, envelope("Error", 1, "Missing params. Need label")
            txns = engine.with_label(db, query["label"])
            return 200, envelope(data=max(txns, key=lambda t: t.id).status if txns else "UNKNOWN")
        if len(parts) == 3 and action == "_cancel" and method == "POST":
            return self._cancel(db, query, user)
        return 404, envelope("Not Found", 404)

    def _cancel(self, db, query, user):
        if not query.get("label"):
            return 200, envelope("Error", 1, "Missing params. Need label")
        if not user.has("Load_priv", db):
            return 200, envelope("Error", 1, "Access denied for user '%s' to database '%s'"
                                 % (user.name, db))
        try:
            self.server.engine.cancel_label(db, query["label"])
        except DorisError as e:
            return 200, envelope("Error", 1, PREFIX + e.text)
        return 200, envelope()

    # --- control, not Doris ---

    def _control(self, method, parts, body):
        if parts == ["state"] and method == "GET":
            return 200, self.server.state()
        if parts == ["log"] and method == "GET":
            return 200, list(self.server.log)
        if parts == ["knobs"] and method == "POST":
            try:
                wanted = json.loads(body)
                for name, value in wanted.items():
                    self.server.knobs.set(name, value)
            except (ValueError, AttributeError) as e:
                return 400, {"error": str(e)}
            self.server.engine.wake.set()
            return 200, self.server.knobs.snapshot()
        if parts == ["jobs"] and method == "POST":
            try:
                jobs.control(self.server.engine, self.server.profile, json.loads(body))
            except (ValueError, AttributeError) as e:
                return 400, {"error": str(e)}
            return 200, {}
        if parts == ["transactions"] and method == "POST":
            try:
                wanted = json.loads(body)
                self.server.engine.finish(wanted["db"], wanted["label"], wanted["how"])
            except (ValueError, KeyError) as e:
                return 400, {"error": "db, label and how are wanted: %s" % e}
            except DorisError as e:
                return 400, {"error": e.text}
            return 200, {}
        return 404, {"error": "there are GET state, GET log, POST knobs, POST jobs, "
                              "POST transactions"}
