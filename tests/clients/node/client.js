'use strict';
/* Drives mysql2 or mariadb by the lines of README.md: client.js DRIVER PORT USER PASSWORD DATABASE [multi] */

const readline = require('readline');

const ESCAPES = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };
const escape = (text) => text.replace(/[\\\t\n\r]/g, (c) => ESCAPES[c]);
const say = (...fields) => process.stdout.write(fields.join('\t') + '\n');

function param(text) {
  const at = text.indexOf(':');
  const kind = at < 0 ? text : text.slice(0, at);
  const value = text.slice(at + 1);
  switch (kind) {
    case 'null': return null;
    case 'int': return Number(value);
    case 'str': return Buffer.from(value, 'hex').toString();
    case 'bin': return Buffer.from(value, 'hex');
    case 'time': return new Date(value.replace(' ', 'T').slice(0, 23) + 'Z');
    case 'dec': case 'date': return value;
    default: throw new Error('no such parameter: ' + text);
  }
}

function cell(value) {
  if (value === null) return 'NULL';
  if (Buffer.isBuffer(value)) return '0x' + value.toString('hex');
  return escape(String(value));
}

function show(result) {
  if (!Array.isArray(result)) {
    say('ok', Number(result.affectedRows));
    return;
  }
  for (const row of result) say('row', ...row.map(cell));
  say('end', result.length);
}

/* Of a row the first element is a cell, of a result it is a row. */
const isResult = (value) => !Array.isArray(value) || value.length === 0 || Array.isArray(value[0]);
const isSeveral = (result) => Array.isArray(result) && result.length > 0 && result.every(isResult);

async function mysql2Session(options, multi) {
  const driver = require('mysql2/promise');
  const c = await driver.createConnection({
    ...options, multipleStatements: multi, dateStrings: true, supportBigNumbers: true,
    bigNumberStrings: true, rowsAsArray: true, timezone: 'Z',
  });
  let statement = null;
  let prepared = '';
  /* Not statement.close(): that leaves the closed statement in the driver's cache. */
  const close = async () => {
    if (statement !== null) await c.unprepare(prepared);
    statement = null;
  };
  return {
    text: async (sql) => { await close(); return (await c.query(sql))[0]; },
    prep: async (sql, values) => {
      await close();
      statement = await c.prepare(sql);
      prepared = sql;
      return (await statement.execute(values))[0];
    },
    again: async (values) => (await statement.execute(values))[0],
    end: async () => { await close(); await c.end(); },
  };
}

async function mariadbSession(options, multi) {
  const driver = require('mariadb');
  const c = await driver.createConnection({
    ...options, multipleStatements: multi, dateStrings: true, rowsAsArray: true, timezone: 'Z',
    checkDuplicate: false,
  });
  c.on('error', () => {});
  let statement = null;
  const close = () => {
    if (statement !== null) statement.close();
    statement = null;
  };
  return {
    text: async (sql) => { close(); return c.query(sql); },
    prep: async (sql, values) => {
      close();
      statement = await c.prepare(sql);
      return statement.execute(values);
    },
    again: async (values) => statement.execute(values),
    end: async () => { close(); await c.end(); },
  };
}

function sayError(e) {
  say('err', e.errno || 0, e.sqlState || '-', escape(e.sqlMessage || e.message));
}

async function step(session, [verb, ...rest]) {
  if (verb === 'text') {
    const result = await session.text(rest[0]);
    if (isSeveral(result)) result.forEach(show);
    else show(result);
  } else if (verb === 'prep') {
    show(await session.prep(rest[0], rest.slice(1).map(param)));
  } else {
    show(await session.again(rest.map(param)));
  }
}

async function main([driver, port, user, password, database, multi]) {
  const connect = { mysql2: mysql2Session, mariadb: mariadbSession }[driver];
  const session = await connect(
    { host: '127.0.0.1', port: Number(port), user, password, database }, multi === 'multi');
  for await (const line of readline.createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    try {
      await step(session, line.split('\t'));
    } catch (e) {
      sayError(e);
    }
    say('--');
  }
  await session.end();
}

main(process.argv.slice(2)).catch(sayError);
