import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Types;
import java.time.LocalDate;
import java.time.LocalDateTime;

/** Drives one JDBC driver by the lines of README.md: Client URL USER PASSWORD. */
public class Client {
    private static final PrintStream OUT =
        new PrintStream(System.out, true, StandardCharsets.UTF_8);
    private static PreparedStatement prepared;

    private static void say(String text) {
        OUT.print(text + "\n");
        OUT.flush();
    }

    private static String escape(String text) {
        return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")
            .replace("\r", "\\r");
    }

    private static byte[] unhex(String text) {
        byte[] out = new byte[text.length() / 2];
        for (int i = 0; i < out.length; i++) {
            out[i] = (byte) Integer.parseInt(text.substring(2 * i, 2 * i + 2), 16);
        }
        return out;
    }

    private static String hex(byte[] bytes) {
        StringBuilder out = new StringBuilder("0x");
        for (byte b : bytes) {
            out.append(String.format("%02x", b));
        }
        return out.toString();
    }

    private static void bind(PreparedStatement s, int at, String text) throws SQLException {
        int colon = text.indexOf(':');
        String kind = colon < 0 ? text : text.substring(0, colon);
        String value = text.substring(colon + 1);
        switch (kind) {
            case "null": s.setNull(at, Types.VARCHAR); break;
            case "int": s.setLong(at, Long.parseLong(value)); break;
            case "dec": s.setBigDecimal(at, new BigDecimal(value)); break;
            case "str": s.setString(at, new String(unhex(value), StandardCharsets.UTF_8)); break;
            case "bin": s.setBytes(at, unhex(value)); break;
            case "date": s.setObject(at, LocalDate.parse(value)); break;
            case "time": s.setObject(at, LocalDateTime.parse(value.replace(' ', 'T'))); break;
            default: throw new IllegalArgumentException(text);
        }
    }

    private static String cell(ResultSet r, int at, int type) throws SQLException {
        if (r.getObject(at) == null) {
            return "NULL";
        }
        switch (type) {
            case Types.BINARY:
            case Types.VARBINARY:
            case Types.LONGVARBINARY:
            case Types.BLOB: return hex(r.getBytes(at));
            case Types.DECIMAL: return r.getBigDecimal(at).toPlainString();
            case Types.DATE: return r.getObject(at, LocalDate.class).toString();
            case Types.TIMESTAMP: return stamp(r.getObject(at, LocalDateTime.class));
            default: return escape(r.getString(at));
        }
    }

    private static String stamp(LocalDateTime t) {
        return String.format("%s %02d:%02d:%02d.%06d", t.toLocalDate(), t.getHour(), t.getMinute(),
            t.getSecond(), t.getNano() / 1000);
    }

    private static void show(ResultSet r) throws SQLException {
        ResultSetMetaData meta = r.getMetaData();
        int n = 0;
        for (; r.next(); n++) {
            StringBuilder line = new StringBuilder("row");
            for (int i = 1; i <= meta.getColumnCount(); i++) {
                line.append('\t').append(cell(r, i, meta.getColumnType(i)));
            }
            say(line.toString());
        }
        say("end\t" + n);
    }

    private static void showAll(Statement s, boolean hasRows) throws SQLException {
        for (;;) {
            if (hasRows) {
                try (ResultSet r = s.getResultSet()) {
                    show(r);
                }
            } else {
                int count = s.getUpdateCount();
                if (count < 0) {
                    return;
                }
                say("ok\t" + count);
            }
            hasRows = s.getMoreResults();
        }
    }

    private static void closePrepared() throws SQLException {
        if (prepared != null) {
            prepared.close();
            prepared = null;
        }
    }

    private static void again(String[] fields, int first) throws SQLException {
        for (int i = first; i < fields.length; i++) {
            bind(prepared, i - first + 1, fields[i]);
        }
        showAll(prepared, prepared.execute());
    }

    private static void step(Connection c, String[] fields) throws SQLException {
        if (fields[0].equals("again")) {
            again(fields, 1);
            return;
        }
        closePrepared();
        if (fields[0].equals("prep")) {
            prepared = c.prepareStatement(fields[1]);
            again(fields, 2);
        } else {
            try (Statement s = c.createStatement()) {
                showAll(s, s.execute(fields[1]));
            }
        }
    }

    private static void sayError(SQLException e) {
        String text = e.getMessage() == null ? e.toString() : e.getMessage();
        say("err\t" + e.getErrorCode() + "\t" + e.getSQLState() + "\t" + escape(text));
    }

    public static void main(String[] args) throws Exception {
        BufferedReader in =
            new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        try (Connection c = DriverManager.getConnection(args[0], args[1], args[2])) {
            for (String line = in.readLine(); line != null; line = in.readLine()) {
                try {
                    step(c, line.split("\t", -1));
                } catch (SQLException e) {
                    sayError(e);
                }
                say("--");
            }
            closePrepared();
        } catch (SQLException e) {
            sayError(e);
        }
        System.exit(0); /* a driver's own threads do not matter */
    }
}
