package kiln.runtime;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * JSON text as maps, lists, strings, booleans, `null` and numbers, and back. A number with a fraction is
 * a `BigDecimal`, one without the smallest of `Integer`, `Long` and `BigInteger`.
 */
final class Json {
    /** Deeper events and results are refused before they exhaust the stack. */
    static final int DEPTH_MAX = 1000;

    private final String text;
    private int at;
    private int depth;

    private Json(String text) {
        this.text = text;
    }

    static Object read(String text) {
        Json json = new Json(text);
        Object value = json.value();
        json.skipSpace();
        if (json.at < text.length()) {
            throw json.unexpected();
        }
        return value;
    }

    private Object value() {
        skipSpace();
        if (at == text.length()) {
            throw new IllegalArgumentException("No content to map due to end-of-input");
        }
        char first = text.charAt(at);
        switch (first) {
            case '{':
                return object();
            case '[':
                return array();
            case '"':
                at++;
                return string();
            case 't':
                return word("true", Boolean.TRUE);
            case 'f':
                return word("false", Boolean.FALSE);
            case 'n':
                return word("null", null);
            case 'N':
                return word("NaN", Double.NaN);
            default:
                return number();
        }
    }

    private void enter() {
        at++;
        if (++depth > DEPTH_MAX) {
            throw new IllegalArgumentException("Document nesting depth (" + depth + ") exceeds the maximum allowed");
        }
    }

    private Map<String, Object> object() {
        Map<String, Object> map = new LinkedHashMap<>();
        enter();
        if (ends('}')) {
            return map;
        }
        do {
            skipSpace();
            expect('"');
            String name = string();
            skipSpace();
            expect(':');
            map.put(name, value());
        } while (goesOn('}'));
        return map;
    }

    private List<Object> array() {
        List<Object> list = new ArrayList<>();
        enter();
        if (ends(']')) {
            return list;
        }
        do {
            list.add(value());
        } while (goesOn(']'));
        return list;
    }

    private boolean ends(char end) {
        skipSpace();
        if (at < text.length() && text.charAt(at) == end) {
            at++;
            depth--;
            return true;
        }
        return false;
    }

    private boolean goesOn(char end) {
        if (ends(end)) {
            return false;
        }
        expect(',');
        return true;
    }

    private String string() {
        int start = at;
        int end = at;
        while (end < text.length() && text.charAt(end) != '"' && text.charAt(end) != '\\') {
            end++;
        }
        if (end < text.length() && text.charAt(end) == '"') {
            at = end + 1;
            return text.substring(start, end);
        }
        StringBuilder out = new StringBuilder(text.substring(start, end));
        at = end;
        while (at < text.length()) {
            char c = text.charAt(at++);
            if (c == '"') {
                return out.toString();
            }
            out.append(c == '\\' ? escaped() : c);
        }
        throw unexpected();
    }

    private char escaped() {
        if (at == text.length()) {
            throw unexpected();
        }
        char c = text.charAt(at++);
        switch (c) {
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'u':
                if (at + 4 > text.length()) {
                    throw unexpected();
                }
                at += 4;
                return (char) Integer.parseInt(text.substring(at - 4, at), 16);
            default:
                return c;
        }
    }

    private Object word(String word, Object value) {
        if (!text.startsWith(word, at)) {
            throw unexpected();
        }
        at += word.length();
        return value;
    }

    private Number number() {
        int start = at;
        boolean isWhole = true;
        while (at < text.length() && "+-0123456789.eE".indexOf(text.charAt(at)) >= 0) {
            isWhole &= ".eE".indexOf(text.charAt(at)) < 0;
            at++;
        }
        if (start == at) {
            throw unexpected();
        }
        String digits = text.substring(start, at);
        if (!isWhole) {
            return new BigDecimal(digits);
        }
        // A sign and eighteen digits always fit.
        if (digits.length() > 18) {
            BigInteger big = new BigInteger(digits);
            return big.bitLength() < Long.SIZE ? (Number) big.longValue() : big;
        }
        long whole = Long.parseLong(digits);
        return whole == (int) whole ? (Number) (int) whole : (Number) whole;
    }

    private void expect(char c) {
        skipSpace();
        if (at == text.length() || text.charAt(at) != c) {
            throw unexpected();
        }
        at++;
    }

    private void skipSpace() {
        while (at < text.length() && text.charAt(at) <= ' ') {
            at++;
        }
    }

    private IllegalArgumentException unexpected() {
        String what = at < text.length() ? "character '" + text.charAt(at) + "'" : "end-of-input";
        return new IllegalArgumentException("Unexpected " + what + " at position " + at);
    }

    static String write(Object value) {
        StringBuilder out = new StringBuilder();
        write(value, out);
        return out.toString();
    }

    /** Entries without a value are left out, as AWS's runtime does. */
    private static void write(Object value, StringBuilder out) {
        if (value == null) {
            out.append("null");
        } else if (value instanceof Map) {
            String before = "{";
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                if (entry.getValue() != null) {
                    quote(entry.getKey().toString(), out.append(before));
                    write(entry.getValue(), out.append(':'));
                    before = ",";
                }
            }
            out.append(before.equals("{") ? "{}" : "}");
        } else if (value instanceof List) {
            String before = "[";
            for (Object item : (List<?>) value) {
                write(item, out.append(before));
                before = ",";
            }
            out.append(before.equals("[") ? "[]" : "]");
        } else if (value instanceof Boolean || value instanceof Number && isPlain((Number) value)) {
            out.append(value);
        } else {
            quote(value.toString(), out);
        }
    }

    /** Infinity and the like have no number in JSON. */
    private static boolean isPlain(Number value) {
        boolean isFloating = value instanceof Double || value instanceof Float;
        return !isFloating || !Double.isNaN(value.doubleValue()) && !Double.isInfinite(value.doubleValue());
    }

    private static void quote(String text, StringBuilder out) {
        out.append('"');
        for (int at = 0; at < text.length(); at++) {
            char c = text.charAt(at);
            if (c == '"' || c == '\\') {
                out.append('\\').append(c);
            } else if (c >= ' ') {
                out.append(c);
            } else if ("\b\t\n\f\r".indexOf(c) >= 0) {
                out.append('\\').append("btnfr".charAt("\b\t\n\f\r".indexOf(c)));
            } else {
                out.append(String.format("\\u%04X", (int) c));
            }
        }
        out.append('"');
    }
}
