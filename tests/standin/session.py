"""One client connection: handshake, command loop, results on the wire (facts A1 to A9)."""

import asyncio

from . import auth, protocol as p, txn
from .errors import DorisError, LinkCut
from .executor import Executor, statements
from .results import Ok, duck_col
from .sql import Token

CHUNK = 2000
PROXY_LINE_MAX = 107


class Session:
    """Owned by the server's loop; the executor's work runs in the server's thread pool."""

    def __init__(self, server, conn_id, reader, writer):
        self.server = server
        self.profile = server.profile
        self.conn_id = conn_id
        self.peer = tuple((writer.get_extra_info("peername") or ("127.0.0.1", 0))[:2])
        self.stream = p.PacketStream(reader, writer)
        self.writer = writer
        self.loop = asyncio.get_running_loop()
        self.executor = Executor(server, conn_id, self.peer[0], self.cut_link)
        self.caps = 0
        self.prepared = {}
        self.next_stmt = 1
        self.killed = False

    # --- life ---

    async def run(self):
        try:
            if await self._handshake():
                await self._commands()
        except (p.BadSequence, p.Malformed, ConnectionError, LinkCut, asyncio.CancelledError):
            pass
        finally:
            await self._work(self._close_executor)
            if not self.stream.dead:
                self.writer.close()

    def _close_executor(self):
        txn.closed(self.executor)
        self.executor.close()

    def _work(self, fn, *args):
        return self.loop.run_in_executor(self.server.pool, fn, *args)

    def cut_link(self):
        """From any thread: a reset, as when the FE dies."""
        self.loop.call_soon_threadsafe(self.stream.cut)

    def kill_link(self):
        """KILL: closed without a packet."""
        self.killed = True
        self.loop.call_soon_threadsafe(self._kill_now)

    def _kill_now(self):
        self.stream.dead = True
        self.writer.close()

    async def _send(self, *payloads):
        for payload in payloads:
            self.stream.write(payload)
        await self.stream.drain()

    async def _fail(self, code, state, text):
        await self._send(p.err_packet(code, state, text))
        return False

    # --- handshake ---

    async def _proxy_line(self):
        """enable_proxy_protocol (facts A2); False: the link is to be closed."""
        mode = self.server.knobs.proxy_protocol
        if mode == "off":
            return True
        if mode == "optional" and not await self._has_first_byte():
            self.server.proxy_lines.append("")
            return True
        line = b""
        try:
            while not line.endswith(b"\r\n"):
                line += await self.stream.reader.readexactly(1)
                if len(line) > PROXY_LINE_MAX or not line.startswith(b"PROXY "[:len(line)]):
                    return False  # v2 among others: "not supported yet"
        except asyncio.IncompleteReadError:
            return False
        return self._take_proxy_line(line.decode("ascii", "replace"))

    async def _has_first_byte(self):
        """
        Within proxy_wait_ms; testReadWithTimeout(buffer, 10) in Doris. Whether it has come decides,
        however late this loop comes to look.
        """
        end = self.loop.time() + self.server.knobs.proxy_wait_ms / 1000
        while self.loop.time() < end and not self.stream.reader._buffer:
            await asyncio.sleep(0.001)
        if not self.stream.reader._buffer:
            await asyncio.sleep(0)  # what the socket has is read now
            await asyncio.sleep(0)
        return bool(self.stream.reader._buffer)

    def _take_proxy_line(self, line):
        self.server.proxy_lines.append(line[:-2])
        words = line.split()
        if words[1] == "UNKNOWN":
            return True
        if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
            return False
        self.peer = (words[2], int(words[4]))
        self.executor.host = words[2]
        return True

    async def _handshake(self):
        if not await self._proxy_line():
            return False
        salt = auth.scramble()
        await self._send(p.greeting(self.conn_id, self.executor.vars.get("version"),
                                    self.profile.caps, 33, salt))
        payload = await self.stream.read()
        if payload is None:
            return False
        if len(payload) < 4 or not payload[1] & 0x02:
            return await self._fail(1251, "08004", "Client does not support authentication protocol "
                                    "requested by server; consider upgrading MySQL client")
        hello = auth.HandshakeResponse(payload)
        self.caps = hello.caps
        answer = await self._native_answer(hello, salt)
        if answer is None:
            return False
        user = self.server.engine.users.get(hello.user)
        if user is None or not auth.verify_native(user.secret, salt, answer):
            return await self._fail(1045, "28000", "Access denied for user '%s' (using password: %s)"
                                    % (hello.user, "YES" if answer else "NO"))
        refusal = self.server.connection_limit(self, user)
        if refusal:
            return await self._fail(1203, "42000", refusal)
        self.executor.user = user
        self.server.logged_in(self)
        if hello.db:
            try:
                await self._work(self.executor.use, hello.db)
            except DorisError as e:
                return await self._fail(e.code, e.state, e.text)
        await self._send(p.ok_packet())
        return True

    async def _native_answer(self, hello, salt):
        if not hello.caps & p.CLIENT_PLUGIN_AUTH or hello.plugin in ("", "mysql_native_password"):
            return hello.answer
        await self._send(b"\xfemysql_native_password\0" + salt + b"\0")
        return await self.stream.read()

    # --- commands ---

    async def _commands(self):
        while not self.killed:
            self.stream.seq = 0
            payload = await self.stream.read()
            if payload is None or not payload:
                return
            code, body = payload[0], payload[1:]
            name = p.COMMANDS.get(code)
            if name == "COM_QUIT":
                await self._send(p.ok_packet())
                return
            if name not in self.profile.commands:
                text = "Unsupported command(%s)" % name if name else "Unknown command(%d)" % code
                await self._fail(1047, "08S01", text)
                continue
            self.server.log_statement(self, name, body)
            await HANDLERS[name](self, body)

    async def _ok(self, _body):
        await self._send(p.ok_packet())

    async def _init_db(self, body):
        await self._guard(self._work(self.executor.use, body.decode("utf-8", "replace")))

    async def _guard(self, work):
        """Runs something whose success is a plain OK."""
        try:
            await work
        except DorisError as e:
            await self._error(e)
        else:
            await self._send(p.ok_packet())

    async def _error(self, e):
        await self._send(p.err_packet(e.code, e.state,
                                      e.wire_text(self.server.knobs.coded_prefix)))

    async def _reset_connection(self, body):
        self.executor.db = ""
        await self._ok(body)

    async def _change_user(self, body):
        ask = auth.ChangeUser(body)
        salt, answer = auth.scramble(), None
        if ask.user in ("root", "admin"):
            return await self._fail(1045, "28000", "Change to root or admin is forbidden")
        await self._send(b"\xfemysql_native_password\0" + salt + b"\0")
        answer = await self.stream.read()
        user = self.server.engine.users.get(ask.user)
        if answer is None or user is None or not auth.verify_native(user.secret, salt, answer):
            return await self._fail(1045, "28000", "Authentication failed.")
        self.executor.user = user
        if ask.db:
            return await self._guard(self._work(self.executor.use, ask.db))
        return await self._ok(body)

    async def _field_list(self, body):
        name = body.split(b"\0", 1)[0].decode("utf-8", "replace")
        try:
            tab = await self._work(self.executor.find_table, None, name)
        except DorisError as e:
            return await self._error(e)
        for col in tab.columns:
            shown = duck_col(col.name, col.duck)
            self.stream.write(p.column_packet(col.name, shown.kind, shown.scale, tab.db.encode(),
                                              tab.name.encode(), True))
        await self._send(p.eof_packet())

    # --- text queries ---

    async def _query(self, body):
        text = body.decode("utf-8", "surrogateescape")
        try:
            parts = await self._work(statements, text, self.profile)
        except DorisError as e:
            return await self._error(e)
        if not parts:
            return await self._ok(body)
        await self._run_all([(text, tokens) for _, tokens in parts], False)

    async def _run_all(self, parts, binary):
        """With MULTI_STATEMENTS every result is sent, without it only the last one."""
        many = bool(self.caps & p.CLIENT_MULTI_STATEMENTS)
        for i, (text, tokens) in enumerate(parts):
            last = i == len(parts) - 1
            try:
                result = await self._work(self.executor.execute, text, tokens)
            except DorisError as e:
                await self._work(self.executor.finished)
                return await self._error(e)
            except LinkCut:
                await self._work(self.executor.finished)
                self.stream.cut()
                raise
            if last or many:
                await self._result(result, 0 if last else p.SERVER_MORE_RESULTS_EXISTS, binary)
            await self._work(self.executor.finished)

    async def _result(self, result, status, binary):
        if isinstance(result, Ok):
            return await self._send(p.ok_packet(result.affected, result.warnings, result.info, status))
        kinds = [c.kind for c in result.cols]
        scales = [c.scale for c in result.cols]
        first = await self._work(result.next, CHUNK)
        self.stream.write(p.lenenc_int(len(kinds)))
        for col in result.cols:
            self.stream.write(p.column_packet(col.name, col.kind, col.scale))
        self.stream.write(p.eof_packet(status))
        rows = first
        while rows:
            for row in rows:
                self.stream.write(p.binary_row(row, kinds, scales) if binary
                                  else p.text_row(row, scales))
            await self.stream.drain()
            if self.stream.dead or len(rows) < CHUNK:
                break
            rows = await self._work(result.next, CHUNK)
        await self._send(p.eof_packet(status))

    # --- prepared statements ---

    async def _prepare(self, body):
        text = body.decode("utf-8", "surrogateescape")
        try:
            parts, cols = await self._work(self._plan_prepare, text)
        except DorisError as e:
            return await self._error(e)
        stmt_id = self.next_stmt
        self.next_stmt += 1
        tokens = parts[0][1]
        count = sum(1 for t in tokens if t.kind == "op" and t.text == "?")
        self.prepared[stmt_id] = [text, tokens, count, None]
        head = b"\0" + stmt_id.to_bytes(4, "little") + len(cols).to_bytes(2, "little")
        head += count.to_bytes(2, "little") + b"\0"
        if self.profile.prepare_any and (count or cols):
            head += b"\0\0\1"
        self.stream.write(head)
        self._prepare_block([p.column_packet("$%d" % i, p.STRING) for i in range(count)])
        self._prepare_block([p.column_packet(c.name, c.kind, c.scale) for c in cols])
        await self.stream.drain()

    def _prepare_block(self, packets):
        """
        FE/qe/StmtExecutor.java, sendStmtPrepareOK: for a client that claims DEPRECATE_EOF, which
        the FE did not offer, both blocks end with an OK packet in the EOF's place. It is the only
        place where the claim counts: sendFields sends its EOF always (until PR 61050), and
        libmysqlclient, which claims it to any server, relies on that.
        """
        for packet in packets:
            self.stream.write(packet)
        if packets:
            is_odd = self.caps & p.CLIENT_DEPRECATE_EOF
            self.stream.write(p.ok_packet() if is_odd else p.eof_packet())

    def _plan_prepare(self, text):
        ex = self.executor
        parts = statements(text, self.profile)
        if len(parts) != 1:
            raise DorisError("Only one statement can be prepared")
        tokens = parts[0][1]
        word = tokens[0].word()
        self._may_prepare(word, tokens)
        if word != "SELECT" or not self.profile.prepare_columns:
            return parts, []
        nulls = [Token("id", "NULL", t.pos, "NULL") if t.text == "?" and t.kind == "op" else t
                 for t in tokens]
        return parts, ex.describe_result(nulls)

    def _may_prepare(self, word, tokens):
        if self.server.knobs.not_ready:
            raise DorisError("Node catalog is not ready, please wait for a while.", raw=True)
        if word == "INSERT" and "LABEL" in [t.word() for t in tokens]:
            raise DorisError("Only support prepare Group Commit without label"
                             if self.profile.number >= (4, 0) else
                             "Only support prepare InsertStmt without label now")
        if not self.profile.prepare_any and word not in ("INSERT", "SELECT"):
            raise DorisError("Unsupported prepare statement")
        if (not self.profile.prepare_any and word == "SELECT"
                and self.server.knobs.prepare_2_0 == "insert_only"
                and not self.executor.vars.true("enable_server_side_prepared_statement")):
            raise DorisError("Only support prepare SelectStmt point query now")

    async def _execute(self, body):
        r = p.Reader(body)
        stmt_id = r.int(4)
        if stmt_id not in self.prepared:
            return await self._error(DorisError(
                "msg: Not Found prepared statement, stmtName:%d" % stmt_id, raw=True))
        text, tokens, count, kinds = self.prepared[stmt_id]
        r.take(5)
        literals = []
        if count:
            nulls = r.take((count + 7) // 8)
            if r.int(1):
                kinds = [(r.int(1), r.int(1)) for _ in range(count)]
                self.prepared[stmt_id][3] = kinds
            if kinds is None:
                raise p.Malformed("no parameter types")
            for i, (kind, flags) in enumerate(kinds):
                literals.append("NULL" if nulls[i // 8] & (1 << (i % 8))
                                else p.read_param(r, kind, bool(flags & 0x80)))
        filled = self._fill(tokens, literals)
        await self._run_all([(text, filled)], True)

    def _fill(self, tokens, literals):
        out, values = [], iter(literals)
        for t in tokens:
            if t.kind == "op" and t.text == "?":
                part = statements(next(values), self.profile)[0][1]
                out += [Token(x.kind, x.text, t.pos, x.value) for x in part]
            else:
                out.append(t)
        return out

    async def _close(self, body):
        self.prepared.pop(int.from_bytes(body[:4], "little"), None)


HANDLERS = {
    "COM_INIT_DB": Session._init_db, "COM_QUERY": Session._query, "COM_PING": Session._ok,
    "COM_FIELD_LIST": Session._field_list, "COM_STMT_PREPARE": Session._prepare,
    "COM_STMT_EXECUTE": Session._execute, "COM_STMT_CLOSE": Session._close,
    "COM_STMT_RESET": Session._ok, "COM_STATISTICS": Session._ok, "COM_DEBUG": Session._ok,
    "COM_SET_OPTION": Session._ok, "COM_CHANGE_USER": Session._change_user,
    "COM_RESET_CONNECTION": Session._reset_connection,
}
