//! Drives mysql_async by the lines of README.md: client PORT USER PASSWORD DATABASE

use mysql_async::consts::ColumnType;
use mysql_async::prelude::{Protocol, Queryable};
use mysql_async::{Conn, Error, OptsBuilder, Params, QueryResult, Row, Statement, Value};
use std::io::BufRead;

const BINARY_CHARSET: u16 = 63;

fn escape(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\t', "\\t").replace('\n', "\\n").replace('\r', "\\r")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("0x"), |out, b| out + &format!("{:02x}", b))
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap()).collect()
}

fn date_part(text: &str, from: usize, to: usize) -> u32 {
    text.get(from..to).map_or(0, |part| part.parse().unwrap())
}

fn param(text: &str) -> Value {
    let (kind, value) = text.split_once(':').unwrap_or((text, ""));
    match kind {
        "null" => Value::NULL,
        "int" => Value::Int(value.parse().unwrap()),
        "str" | "bin" => Value::Bytes(unhex(value)),
        "dec" => Value::Bytes(value.as_bytes().to_vec()),
        "date" | "time" => Value::Date(
            date_part(value, 0, 4) as u16,
            date_part(value, 5, 7) as u8,
            date_part(value, 8, 10) as u8,
            date_part(value, 11, 13) as u8,
            date_part(value, 14, 16) as u8,
            date_part(value, 17, 19) as u8,
            date_part(value, 20, 26),
        ),
        _ => panic!("no such parameter: {}", text),
    }
}

fn params(fields: &[&str]) -> Params {
    if fields.is_empty() {
        Params::Empty
    } else {
        Params::Positional(fields.iter().map(|text| param(text)).collect())
    }
}

fn is_binary(row: &Row, at: usize) -> bool {
    let column = &row.columns_ref()[at];
    let is_string = matches!(
        column.column_type(),
        ColumnType::MYSQL_TYPE_BLOB
            | ColumnType::MYSQL_TYPE_LONG_BLOB
            | ColumnType::MYSQL_TYPE_MEDIUM_BLOB
            | ColumnType::MYSQL_TYPE_TINY_BLOB
            | ColumnType::MYSQL_TYPE_STRING
            | ColumnType::MYSQL_TYPE_VAR_STRING
    );
    is_string && column.character_set() == BINARY_CHARSET
}

fn cell(row: &Row, at: usize) -> String {
    match row.as_ref(at).unwrap() {
        Value::NULL => "NULL".into(),
        Value::Bytes(b) if is_binary(row, at) => hex(b),
        Value::Bytes(b) => escape(&String::from_utf8_lossy(b)),
        Value::Int(n) => n.to_string(),
        Value::UInt(n) => n.to_string(),
        Value::Float(x) => x.to_string(),
        Value::Double(x) => x.to_string(),
        Value::Date(y, m, d, 0, 0, 0, 0)
            if row.columns_ref()[at].column_type() == ColumnType::MYSQL_TYPE_DATE =>
        {
            format!("{:04}-{:02}-{:02}", y, m, d)
        }
        Value::Date(y, m, d, h, i, s, us) => {
            format!("{:04}-{:02}-{:02} {:02}:{:02}:{:02}.{:06}", y, m, d, h, i, s, us)
        }
        other => format!("{:?}", other),
    }
}

async fn show_all<P: Protocol>(mut result: QueryResult<'_, '_, P>) -> Result<(), Error> {
    loop {
        let has_rows = !result.columns_ref().is_empty();
        let affected = result.affected_rows();
        let rows: Vec<Row> = result.collect().await?;
        for row in &rows {
            let cells: Vec<String> = (0..row.len()).map(|at| cell(row, at)).collect();
            println!("row\t{}", cells.join("\t"));
        }
        if has_rows {
            println!("end\t{}", rows.len());
        } else {
            println!("ok\t{}", affected);
        }
        if result.is_empty() {
            return Ok(());
        }
    }
}

async fn step(c: &mut Conn, kept: &mut Option<Statement>, line: &str) -> Result<(), Error> {
    let fields: Vec<&str> = line.split('\t').collect();
    if fields[0] == "again" {
        let statement = kept.clone().ok_or_else(|| Error::Other("nothing is prepared".into()))?;
        return show_all(c.exec_iter(&statement, params(&fields[1..])).await?).await;
    }
    if let Some(old) = kept.take() {
        c.close(old).await?;
    }
    if fields[0] == "prep" {
        let statement = c.prep(fields[1]).await?;
        *kept = Some(statement.clone());
        show_all(c.exec_iter(&statement, params(&fields[2..])).await?).await
    } else {
        show_all(c.query_iter(fields[1]).await?).await
    }
}

fn say_error(e: Error) {
    match e {
        Error::Server(e) => println!("err\t{}\t{}\t{}", e.code, e.state, escape(&e.message)),
        e => println!("err\t0\t-\t{}", escape(&e.to_string())),
    }
}

async fn run(args: &[String]) -> Result<(), Error> {
    let options = OptsBuilder::default()
        .ip_or_hostname("127.0.0.1")
        .tcp_port(args[1].parse().expect("a port"))
        .user(Some(args[2].clone()))
        .pass(Some(args[3].clone()))
        .db_name(Some(args[4].clone()))
        .prefer_socket(false)
        .stmt_cache_size(0);
    let mut c = Conn::new(options).await?;
    let mut kept = None;
    for line in std::io::stdin().lock().lines() {
        if let Err(e) = step(&mut c, &mut kept, &line.expect("a line of UTF-8")).await {
            say_error(e);
        }
        println!("--");
    }
    c.disconnect().await
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    if let Err(e) = runtime.block_on(run(&args)) {
        say_error(e);
    }
}
