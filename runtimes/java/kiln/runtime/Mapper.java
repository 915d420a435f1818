package kiln.runtime;

import java.lang.reflect.Array;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.Member;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.lang.reflect.WildcardType;
import java.math.BigDecimal;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;

/** Makes objects of the function's types out of JSON.  [Lambda guide: Java handler input types] */
final class Mapper {
    /** What the variables of a generic class stand for. */
    private final Map<TypeVariable<?>, Type> bound;

    private Mapper(Map<TypeVariable<?>, Type> bound) {
        this.bound = bound;
    }

    static Object read(String text, Type type) {
        return new Mapper(new HashMap<TypeVariable<?>, Type>()).to(Json.read(text), type);
    }

    private Object to(Object json, Type type) {
        if (type instanceof TypeVariable) {
            Type known = bound.get(type);
            return to(json, known != null ? known : ((TypeVariable<?>) type).getBounds()[0]);
        }
        if (type instanceof WildcardType) {
            return to(json, ((WildcardType) type).getUpperBounds()[0]);
        }
        if (type instanceof GenericArrayType) {
            return array(json, ((GenericArrayType) type).getGenericComponentType());
        }
        if (type instanceof ParameterizedType) {
            ParameterizedType generic = (ParameterizedType) type;
            return to(json, (Class<?>) generic.getRawType(), generic.getActualTypeArguments());
        }
        return to(json, (Class<?>) type, new Type[0]);
    }

    private Object to(Object json, Class<?> type, Type[] arguments) {
        if (type == Optional.class) {
            return Optional.ofNullable(json == null ? null : to(json, arguments[0]));
        }
        if (json == null) {
            return type.isPrimitive() ? Array.get(Array.newInstance(type, 1), 0) : null;
        }
        if (type == Object.class || type == java.io.Serializable.class) {
            return natural(json);
        }
        if (Map.class.isAssignableFrom(type)) {
            return map(json, type, arguments);
        }
        if (Collection.class.isAssignableFrom(type) || type == Iterable.class) {
            return collection(json, type, arguments.length > 0 ? arguments[0] : Object.class);
        }
        if (type.isArray() && !(type == byte[].class && json instanceof String)) {
            return array(json, type.getComponentType());
        }
        if (json instanceof List && ((List<?>) json).size() < 2 && !Scalars.isScalar(type)) {
            // An array of one is the one, an empty one is none.
            return ((List<?>) json).isEmpty() ? null : to(((List<?>) json).get(0), type, arguments);
        }
        if (json instanceof Map && !Scalars.isScalar(type)) {
            return object((Map<?, ?>) json, type, arguments);
        }
        return Scalars.read(json, type);
    }

    /** What a handler gets that asks for any object. */
    private static Object natural(Object json) {
        if (json instanceof BigDecimal) {
            return ((BigDecimal) json).doubleValue();
        }
        if (json instanceof List) {
            List<Object> list = new ArrayList<>();
            for (Object item : (List<?>) json) {
                list.add(natural(item));
            }
            return list;
        }
        if (json instanceof Map) {
            Map<Object, Object> map = new LinkedHashMap<>();
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) json).entrySet()) {
                map.put(entry.getKey(), natural(entry.getValue()));
            }
            return map;
        }
        return json;
    }

    @SuppressWarnings("unchecked")
    private Object map(Object json, Class<?> type, Type[] arguments) {
        if ("".equals(json)) {
            return null;
        }
        if (!(json instanceof Map)) {
            throw Scalars.mismatch(json, type);
        }
        Type[] types = arguments.length == 2 ? arguments : new Type[] {Object.class, Object.class};
        Map<Object, Object> map =
                (Map<Object, Object>) container(type, LinkedHashMap.class, TreeMap.class, java.util.concurrent.ConcurrentHashMap.class);
        for (Map.Entry<?, ?> entry : ((Map<?, ?>) json).entrySet()) {
            map.put(to(entry.getKey(), types[0]), to(entry.getValue(), types[1]));
        }
        return map;
    }

    @SuppressWarnings("unchecked")
    private Object collection(Object json, Class<?> type, Type itemType) {
        if ("".equals(json)) {
            return null;
        }
        Collection<Object> all =
                (Collection<Object>) container(type, ArrayList.class, LinkedHashSet.class, TreeSet.class, ArrayDeque.class);
        for (Object item : items(json)) {
            all.add(to(item, itemType));
        }
        return all;
    }

    private Object array(Object json, Type itemType) {
        List<?> items = items(json);
        Type known = itemType instanceof TypeVariable && bound.containsKey(itemType) ? bound.get(itemType) : itemType;
        Class<?> raw = known instanceof Class ? (Class<?>) known
                : known instanceof ParameterizedType ? (Class<?>) ((ParameterizedType) known).getRawType() : Object.class;
        Object array = Array.newInstance(raw, items.size());
        for (int at = 0; at < items.size(); at++) {
            Array.set(array, at, to(items.get(at), known));
        }
        return array;
    }

    /** A single value is a list of one. */
    private static List<?> items(Object json) {
        return json instanceof List ? (List<?>) json : java.util.Collections.singletonList(json);
    }

    /** The type itself, or the first usual class that is one. */
    private static Object container(Class<?> type, Class<?>... usual) {
        try {
            if (!type.isInterface() && !Modifier.isAbstract(type.getModifiers())) {
                return Beans.make(type);
            }
            for (Class<?> candidate : usual) {
                if (type.isAssignableFrom(candidate)) {
                    return Beans.make(candidate);
                }
            }
        } catch (ReflectiveOperationException e) {
            throw new IllegalArgumentException(e);
        }
        throw new IllegalArgumentException("Cannot construct instance of `" + type.getName() + "`");
    }

    private Object object(Map<?, ?> json, Class<?> type, Type[] arguments) {
        Mapper inner = this;
        if (arguments.length > 0) {
            inner = new Mapper(new HashMap<>(bound));
            for (int at = 0; at < arguments.length; at++) {
                Type argument = arguments[at];
                Type known = argument instanceof TypeVariable ? bound.get(argument) : argument;
                inner.bound.put(type.getTypeParameters()[at], known != null ? known : Object.class);
            }
        }
        if (type.isInterface() || Modifier.isAbstract(type.getModifiers())) {
            throw new IllegalArgumentException("Cannot construct instance of `" + type.getName()
                    + "` (no Creators, like default constructor, exist): abstract types either need to be mapped to concrete"
                    + " types, have custom deserializer, or contain additional type information");
        }
        Beans beans = Beans.of(type);
        try {
            if (beans.components != null) {
                List<Object> values = new ArrayList<>();
                for (Map.Entry<String, Type> component : beans.components.entrySet()) {
                    values.add(inner.to(json.get(component.getKey()), component.getValue()));
                }
                return beans.maker.newInstance(values.toArray());
            }
            Object made = Beans.make(type);
            for (Map.Entry<?, ?> entry : json.entrySet()) {
                Member writer = beans.writer((String) entry.getKey());
                if (writer != null) {
                    Beans.set(writer, made, inner.to(entry.getValue(), Beans.type(writer)));
                }
            }
            return made;
        } catch (ReflectiveOperationException e) {
            throw new IllegalArgumentException("Cannot construct instance of `" + type.getName() + "`", e.getCause() == null ? e : e.getCause());
        }
    }

    /** What `Json` can write.  [Lambda guide: Java handler output types] */
    static Object tree(Object value) {
        return tree(value, 0);
    }

    private static Object tree(Object value, int depth) {
        if (depth > Json.DEPTH_MAX) {
            throw new IllegalArgumentException("Document nesting depth (" + depth + ") exceeds the maximum allowed");
        }
        if (value instanceof Optional) {
            return tree(((Optional<?>) value).orElse(null), depth);
        }
        if (value instanceof Map) {
            Map<String, Object> map = new LinkedHashMap<>();
            for (Map.Entry<?, ?> entry : ((Map<?, ?>) value).entrySet()) {
                map.put(String.valueOf(entry.getKey()), tree(entry.getValue(), depth + 1));
            }
            return map;
        }
        if (value instanceof Iterable && !(value instanceof java.nio.file.Path)) {
            List<Object> list = new ArrayList<>();
            for (Object item : (Iterable<?>) value) {
                list.add(tree(item, depth + 1));
            }
            return list;
        }
        if (value instanceof byte[]) {
            return Base64.getEncoder().encodeToString((byte[]) value);
        }
        if (value instanceof char[]) {
            return new String((char[]) value);
        }
        if (value != null && value.getClass().isArray()) {
            List<Object> list = new ArrayList<>();
            for (int at = 0; at < Array.getLength(value); at++) {
                list.add(tree(Array.get(value, at), depth + 1));
            }
            return list;
        }
        if (value == null || Scalars.isScalar(value.getClass())) {
            return Scalars.tree(value);
        }
        return properties(value, depth);
    }

    private static Map<String, Object> properties(Object value, int depth) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (Map.Entry<String, Member> reader : Beans.of(value.getClass()).readers.entrySet()) {
            Object property;
            try {
                property = Beans.get(reader.getValue(), value);
            } catch (ReflectiveOperationException e) {
                throw new IllegalArgumentException(
                        "(was " + (e.getCause() == null ? e : e.getCause()) + ") (through reference chain: "
                                + value.getClass().getName() + "[\"" + reader.getKey() + "\"])",
                        e.getCause() == null ? e : e.getCause());
            }
            if (property == value) {
                throw new IllegalArgumentException("Direct self-reference leading to cycle (through reference chain: "
                        + value.getClass().getName() + "[\"" + reader.getKey() + "\"])");
            }
            map.put(reader.getKey(), tree(property, depth + 1));
        }
        return map;
    }
}
