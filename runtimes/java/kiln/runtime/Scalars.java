package kiln.runtime;

import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.ZonedDateTime;
import java.time.temporal.ChronoField;
import java.time.temporal.TemporalAccessor;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Calendar;
import java.util.Date;
import java.util.List;

/** Values that JSON writes as a string, a number or a boolean. */
final class Scalars {
    private static final int NANO_DIGITS = 9;

    private Scalars() {}

    static boolean isScalar(Class<?> type) {
        return type.isPrimitive() || type.isEnum() || CharSequence.class.isAssignableFrom(type)
                || Number.class.isAssignableFrom(type) || type == Boolean.class || type == Character.class
                || Date.class.isAssignableFrom(type) || Calendar.class.isAssignableFrom(type)
                || ByteBuffer.class.isAssignableFrom(type) || type == byte[].class || type == Class.class
                || type.getName().startsWith("java.") || type.getName().startsWith("org.joda.time.")
                || type.getSuperclass() != null && type.getSuperclass().isEnum();
    }

    /** `json` is no `null` and, for a type that is a scalar, may still be anything. */
    static Object read(Object json, Class<?> type) {
        boolean isText = json instanceof String;
        if (json instanceof java.util.Map || json instanceof List) {
            if (json instanceof List && ((List<?>) json).size() == 1 && ((List<?>) json).get(0) != null) {
                return read(((List<?>) json).get(0), type);
            }
            throw mismatch(json, type);
        }
        if (type == String.class || type == CharSequence.class) {
            return json.toString();
        }
        if (isText && ((String) json).isEmpty() && !type.isPrimitive()) {
            return null;
        }
        if (type == boolean.class || type == Boolean.class) {
            if (json instanceof Boolean) {
                return json;
            }
            if (json instanceof Number) {
                return ((Number) json).doubleValue() != 0;
            }
            return bool((String) json, type);
        }
        if (type == char.class || type == Character.class) {
            if (isText && ((String) json).length() == 1) {
                return ((String) json).charAt(0);
            }
            throw mismatch(json, type);
        }
        if (type.isPrimitive() || Number.class.isAssignableFrom(type)) {
            return number(json, type);
        }
        if (type.isEnum()) {
            return constant(json, type);
        }
        if (type == byte[].class || type == ByteBuffer.class) {
            byte[] bytes = Base64.getDecoder().decode(json.toString());
            return type == byte[].class ? bytes : ByteBuffer.wrap(bytes);
        }
        if (type == Date.class) {
            return json instanceof Number ? date((Number) json) : Date.from(instant((String) json));
        }
        if (type == Instant.class && json instanceof Number) {
            BigDecimal seconds = new BigDecimal(json.toString());
            return Instant.ofEpochSecond(seconds.longValue(),
                    seconds.remainder(BigDecimal.ONE).movePointRight(NANO_DIGITS).longValue());
        }
        if (isText) {
            return parsed((String) json, type);
        }
        throw mismatch(json, type);
    }

    private static Boolean bool(String text, Class<?> type) {
        if (text.equalsIgnoreCase("true") || text.equalsIgnoreCase("false")) {
            return text.equalsIgnoreCase("true");
        }
        throw mismatch(text, type);
    }

    /** Streams of DynamoDB and Kinesis tell seconds with a fraction, other times are in milliseconds. */
    private static Date date(Number time) {
        return time instanceof BigDecimal ? new Date(((BigDecimal) time).movePointRight(3).longValue()) : new Date(time.longValue());
    }

    private static Instant instant(String text) {
        return text.length() > 10 ? OffsetDateTime.parse(text).toInstant() : LocalDate.parse(text).atStartOfDay(java.time.ZoneOffset.UTC).toInstant();
    }

    private static Object number(Object json, Class<?> type) {
        if (json instanceof Boolean) {
            throw mismatch(json, type);
        }
        BigDecimal value;
        try {
            if (json instanceof Double) {
                return type == float.class || type == Float.class ? (Object) Float.NaN : json;
            }
            value = new BigDecimal(json.toString().trim());
        } catch (NumberFormatException e) {
            throw mismatch(json, type);
        }
        if (type == double.class || type == Double.class || type == Number.class && json instanceof BigDecimal) {
            return value.doubleValue();
        }
        if (type == Number.class) {
            return json instanceof Number ? json : (Object) value;
        }
        if (type == float.class || type == Float.class) {
            return value.floatValue();
        }
        if (type == BigDecimal.class) {
            return value;
        }
        BigInteger whole = value.toBigInteger();
        if (type == BigInteger.class) {
            return whole;
        }
        int bits = type == long.class || type == Long.class ? Long.SIZE
                : type == int.class || type == Integer.class ? Integer.SIZE
                : type == short.class || type == Short.class ? Short.SIZE
                : type == byte.class || type == Byte.class ? Byte.SIZE : 0;
        if (bits == 0) {
            return parsed(json.toString(), type);
        }
        if (whole.bitLength() >= bits) {
            throw new IllegalArgumentException("Numeric value (" + json + ") out of range of " + type.getSimpleName());
        }
        return bits == Long.SIZE ? (Object) whole.longValue()
                : bits == Integer.SIZE ? (Object) whole.intValue()
                : bits == Short.SIZE ? (Object) whole.shortValue() : (Object) whole.byteValue();
    }

    /** An unknown name is none. */
    private static Object constant(Object json, Class<?> type) {
        Object[] constants = type.getEnumConstants();
        if (json instanceof Integer) {
            int at = (Integer) json;
            return at >= 0 && at < constants.length ? constants[at] : null;
        }
        for (Object constant : constants) {
            if (((Enum<?>) constant).name().equals(json)) {
                return constant;
            }
        }
        return null;
    }

    /** Many types tell by themselves how their text is read: UUID, URI, those of java.time and of Joda-Time. */
    private static Object parsed(String text, Class<?> type) {
        for (String name : new String[] {"parse", "fromString", "valueOf", "of", "create"}) {
            for (Class<?> parameter : new Class<?>[] {String.class, CharSequence.class}) {
                try {
                    Method method = type.getMethod(name, parameter);
                    if (Modifier.isStatic(method.getModifiers()) && type.isAssignableFrom(method.getReturnType())) {
                        return Beans.open(method).invoke(null, text);
                    }
                } catch (NoSuchMethodException e) {
                    continue;
                } catch (InvocationTargetException e) {
                    throw new IllegalArgumentException(mismatch(text, type).getMessage(), e.getCause());
                } catch (IllegalAccessException e) {
                    continue;
                }
            }
        }
        try {
            Constructor<?> constructor = Beans.open(type.getDeclaredConstructor(String.class));
            return constructor.newInstance(text);
        } catch (ReflectiveOperationException e) {
            throw mismatch(text, type);
        }
    }

    static IllegalArgumentException mismatch(Object json, Class<?> type) {
        String value = json instanceof java.util.Map ? "Object value (token `JsonToken.START_OBJECT`)"
                : json instanceof List ? "Array value (token `JsonToken.START_ARRAY`)"
                : json instanceof String ? "String \"" + json + "\"" : "value " + json;
        return new IllegalArgumentException("Cannot deserialize value of type `" + type.getTypeName() + "` from " + value);
    }

    /** Times are numbers, as AWS's runtime writes them. */
    static Object tree(Object value) {
        if (value instanceof Date) {
            return ((Date) value).getTime();
        }
        if (value instanceof Calendar) {
            return ((Calendar) value).getTimeInMillis();
        }
        if (value instanceof ByteBuffer) {
            ByteBuffer copy = ((ByteBuffer) value).duplicate();
            byte[] bytes = new byte[copy.remaining()];
            copy.get(bytes);
            return Base64.getEncoder().encodeToString(bytes);
        }
        if (value instanceof Class) {
            return ((Class<?>) value).getName();
        }
        if (value instanceof Enum) {
            return ((Enum<?>) value).name();
        }
        if (value instanceof Instant) {
            return seconds(((Instant) value).getEpochSecond(), ((Instant) value).getNano());
        }
        if (value instanceof ZonedDateTime) {
            return tree(((ZonedDateTime) value).toInstant());
        }
        if (value instanceof OffsetDateTime) {
            return tree(((OffsetDateTime) value).toInstant());
        }
        if (value instanceof Duration) {
            return seconds(((Duration) value).getSeconds(), ((Duration) value).getNano());
        }
        if (value instanceof LocalDate || value instanceof LocalTime || value instanceof LocalDateTime) {
            return parts((TemporalAccessor) value);
        }
        return value;
    }

    private static BigDecimal seconds(long whole, int nanos) {
        return BigDecimal.valueOf(whole).add(BigDecimal.valueOf(nanos, NANO_DIGITS)).setScale(NANO_DIGITS);
    }

    private static List<Object> parts(TemporalAccessor time) {
        List<Object> parts = new ArrayList<>();
        for (ChronoField field : new ChronoField[] {
            ChronoField.YEAR, ChronoField.MONTH_OF_YEAR, ChronoField.DAY_OF_MONTH, ChronoField.HOUR_OF_DAY, ChronoField.MINUTE_OF_HOUR
        }) {
            if (time.isSupported(field)) {
                parts.add(time.get(field));
            }
        }
        if (time.isSupported(ChronoField.SECOND_OF_MINUTE)) {
            int second = time.get(ChronoField.SECOND_OF_MINUTE);
            int nano = time.get(ChronoField.NANO_OF_SECOND);
            if (second > 0 || nano > 0) {
                parts.add(second);
            }
            if (nano > 0) {
                parts.add(nano);
            }
        }
        return parts;
    }
}
