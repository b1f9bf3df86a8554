// Drives go-sql-driver by the lines of README.md: client PORT USER PASSWORD DATABASE [multi]
package main

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
)

var escaper = strings.NewReplacer("\\", "\\\\", "\t", "\\t", "\n", "\\n", "\r", "\\r")

var out = bufio.NewWriter(os.Stdout)

func say(fields ...string) {
	out.WriteString(strings.Join(fields, "\t") + "\n")
	out.Flush()
}

func sayError(err error) {
	var server *mysql.MySQLError
	if errors.As(err, &server) {
		say("err", strconv.Itoa(int(server.Number)), string(server.SQLState[:]),
			escaper.Replace(server.Message))
		return
	}
	say("err", "0", "-", escaper.Replace(err.Error()))
}

func param(text string) (any, error) {
	kind, value, _ := strings.Cut(text, ":")
	switch kind {
	case "null":
		return nil, nil
	case "int":
		return strconv.ParseInt(value, 10, 64)
	case "str":
		raw, err := hex.DecodeString(value)
		return string(raw), err
	case "bin":
		return hex.DecodeString(value)
	case "time":
		return time.Parse("2006-01-02 15:04:05.000000", value)
	case "dec", "date":
		return value, nil
	}
	return nil, fmt.Errorf("no such parameter: %s", text)
}

func params(texts []string) ([]any, error) {
	found := []any{}
	for _, text := range texts {
		value, err := param(text)
		if err != nil {
			return nil, err
		}
		found = append(found, value)
	}
	return found, nil
}

func cell(value any, kind string) string {
	raw, isBytes := value.([]byte)
	switch {
	case value == nil:
		return "NULL"
	case isBytes && (strings.Contains(kind, "BLOB") || strings.Contains(kind, "BINARY")):
		return "0x" + hex.EncodeToString(raw)
	case isBytes:
		return escaper.Replace(string(raw))
	}
	return escaper.Replace(fmt.Sprint(value))
}

func showOne(rows *sql.Rows) error {
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	n := 0
	for ; rows.Next(); n++ {
		values, places := make([]any, len(types)), make([]any, len(types))
		for i := range values {
			places[i] = &values[i]
		}
		if err := rows.Scan(places...); err != nil {
			return err
		}
		line := []string{"row"}
		for i, value := range values {
			line = append(line, cell(value, types[i].DatabaseTypeName()))
		}
		say(line...)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	say("end", strconv.Itoa(n))
	return nil
}

func show(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	defer rows.Close()
	for {
		if err := showOne(rows); err != nil {
			return err
		}
		if !rows.NextResultSet() {
			return rows.Err()
		}
	}
}

func showResult(result sql.Result, err error) error {
	if err != nil {
		return err
	}
	n, err := result.RowsAffected()
	say("ok", strconv.FormatInt(n, 10))
	return err
}

func isQuery(text string) bool {
	return strings.HasPrefix(text, "SELECT")
}

type session struct {
	conn *sql.Conn
	stmt *sql.Stmt
	text string
}

func (s *session) text_(text string) error {
	ctx := context.Background()
	if isQuery(text) {
		return show(s.conn.QueryContext(ctx, text))
	}
	return showResult(s.conn.ExecContext(ctx, text))
}

func (s *session) again(texts []string) error {
	values, err := params(texts)
	if err != nil {
		return err
	}
	if s.stmt == nil {
		return errors.New("nothing is prepared")
	}
	if isQuery(s.text) {
		return show(s.stmt.Query(values...))
	}
	return showResult(s.stmt.Exec(values...))
}

func (s *session) step(fields []string) error {
	if fields[0] == "again" {
		return s.again(fields[1:])
	}
	s.close()
	if fields[0] != "prep" {
		return s.text_(fields[1])
	}
	stmt, err := s.conn.PrepareContext(context.Background(), fields[1])
	if err != nil {
		return err
	}
	s.stmt, s.text = stmt, fields[1]
	return s.again(fields[2:])
}

func (s *session) close() {
	if s.stmt != nil {
		s.stmt.Close()
		s.stmt = nil
	}
}

func run(args []string) error {
	config := mysql.NewConfig()
	config.Net, config.Addr = "tcp", "127.0.0.1:"+args[1]
	config.User, config.Passwd, config.DBName = args[2], args[3], args[4]
	config.MultiStatements = len(args) > 5 && args[5] == "multi"
	db, err := sql.Open("mysql", config.FormatDSN())
	if err != nil {
		return err
	}
	defer db.Close()
	conn, err := db.Conn(context.Background())
	if err != nil {
		return err
	}
	defer conn.Close()
	s := &session{conn: conn}
	defer s.close()
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<16), 64<<20)
	for lines.Scan() {
		if err := s.step(strings.Split(lines.Text(), "\t")); err != nil {
			sayError(err)
		}
		say("--")
	}
	return lines.Err()
}

func main() {
	mysql.SetLogger(mysql.Logger(quiet{}))
	if err := run(os.Args); err != nil {
		sayError(err)
	}
}

type quiet struct{}

func (quiet) Print(...any) {}
