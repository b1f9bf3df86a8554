"""The two listeners, the sessions, and what they share."""

import asyncio
import base64
import collections
import concurrent.futures
import hashlib
import os
import threading
import time

from . import protocol as p
from .http import MAX_HEAD, HttpServer
from .session import Session

THREADS = 192
LOG_BYTES = 1 << 20    # of one statement; its sha256 covers all of it


class Server:
    """`engine` and `knobs` are shared with every thread; the session table has its own lock."""

    def __init__(self, engine, profile, knobs):
        self.engine = engine
        self.profile = profile
        self.knobs = knobs
        self.pool = concurrent.futures.ThreadPoolExecutor(THREADS, thread_name_prefix="work")
        self.lock = threading.Lock()
        self.by_id = {}
        self.next_id = 0
        self.numbers = set()  # of the connections that are open
        self.accepted = 0
        self.log = collections.deque(maxlen=1000)
        self.proxy_lines = collections.deque(maxlen=1000)
        self.started = time.strftime("%Y-%m-%d %H:%M:%S")
        self.mysql_port = self.http_port = 0
        self.tasks = set()

    async def start(self, port, http_port):
        self.http = HttpServer(self)
        self.mysql_listener = await asyncio.start_server(self._mysql, "127.0.0.1", port, backlog=512)
        self.http_listener = await asyncio.start_server(self._http, "127.0.0.1", http_port,
                                                        limit=MAX_HEAD)
        self.mysql_port = self.mysql_listener.sockets[0].getsockname()[1]
        self.http_port = self.http_listener.sockets[0].getsockname()[1]

    async def stop(self):
        self.mysql_listener.close()
        self.http_listener.close()
        for session in self.sessions():
            session.executor.cancel("FE is shutting down")
            session.kill_link()
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.pool.shutdown(wait=False, cancel_futures=True)

    async def _mysql(self, reader, writer):
        if self.knobs.refuse_connections:
            p.PacketStream(reader, writer).cut()
            return
        with self.lock:
            conn_id = self.knobs.connection_id
            if conn_id == 0 or conn_id in self.numbers:
                conn_id = self.next_id
                self.next_id += 1
            self.numbers.add(conn_id)
            self.accepted += 1
        session = Session(self, conn_id, reader, writer)
        self.tasks.add(asyncio.current_task())
        try:
            await session.run()
        finally:
            self.tasks.discard(asyncio.current_task())
            with self.lock:
                self.by_id.pop(conn_id, None)
                self.numbers.discard(conn_id)

    async def _http(self, reader, writer):
        self.tasks.add(asyncio.current_task())
        try:
            await self.http.serve(reader, writer)
        finally:
            self.tasks.discard(asyncio.current_task())

    # --- sessions ---

    def sessions(self):
        with self.lock:
            return list(self.by_id.values())

    def session_of(self, conn_id):
        with self.lock:
            return self.by_id.get(conn_id)

    def logged_in(self, session):
        with self.lock:
            self.by_id[session.conn_id] = session

    def connection_limit(self, session, user):
        """The 1203 text, or None when there is room. Counts those who are logged in."""
        now = self.sessions()
        own = sum(1 for s in now if s.executor.user.name == user.name)
        if len(now) < self.knobs.max_conn and own < self.knobs.max_user_connections:
            return None
        if self.profile.limit_text_long:
            return "Reach limit of connections. Total: %d, User: %d, Current: %d" % (
                self.knobs.max_conn, self.knobs.max_user_connections, len(now))
        return "Reach limit of connections"

    def user_changed(self, user):
        for session in self.sessions():
            if session.executor.user.name == user.name:
                session.executor.user = user

    # --- what tests look at ---

    def log_statement(self, session, command, body):
        self.log.append({
            "time": time.time(), "conn_id": session.conn_id, "user": session.executor.user.name,
            "db": session.executor.db, "command": command, "size": len(body),
            "sha256": hashlib.sha256(body).hexdigest(), "repr": repr(body[:4096]),
            "base64": base64.b64encode(body[:LOG_BYTES]).decode()})

    def state(self):
        e = self.engine
        with e.wlock:
            states = collections.Counter(t.status for t in e.txns.values())
            return {
                "pid": os.getpid(), "profile": self.profile.name, "knobs": self.knobs.snapshot(),
                "inserts": {k: e.counters[k] for k in ("begun", "committed", "aborted")},
                "commits_begun": e.counters["commits_begun"], "transactions": dict(states), "next_txn": e.next_txn,
                "proxy_lines": list(self.proxy_lines), "sessions": len(self.sessions()), "connections_accepted": self.accepted,
                "running": [{"id": s.conn_id, "user": s.executor.user.name, "sql": s.executor.sql}
                            for s in self.sessions() if s.executor.command == "Query"]}
