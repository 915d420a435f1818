package kiln.runtime;

import java.lang.reflect.AccessibleObject;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Member;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** The properties of a class: getters, setters, public fields, and the components of a record. */
final class Beans {
    private static final Map<Class<?>, Beans> KNOWN = new ConcurrentHashMap<>();

    /** How a property is read; in the order of the fields, then of the getters. */
    final Map<String, Member> readers = new LinkedHashMap<>();
    /** How a property is written: a setter or a public field. */
    private final Map<String, Member> writers = new HashMap<>();
    private final Map<String, Member> writersInAnyCase = new HashMap<>();
    /** The components of a record with their types, and what makes one; `null` for other classes. */
    final Map<String, Type> components;
    final Constructor<?> maker;

    static Beans of(Class<?> type) {
        Beans known = KNOWN.get(type);
        if (known == null) {
            known = new Beans(type);
            KNOWN.put(type, known);
        }
        return known;
    }

    private Beans(Class<?> type) {
        boolean isRecord = type.getSuperclass() != null && type.getSuperclass().getName().equals("java.lang.Record");
        components = isRecord ? new LinkedHashMap<String, Type>() : null;
        List<Field> fields = fields(type);
        for (Field field : fields) {
            readers.put(field.getName(), null);
        }
        for (Field field : fields) {
            if (isRecord) {
                components.put(field.getName(), field.getGenericType());
                addReader(field.getName(), method(type, field.getName()));
            } else if (Modifier.isPublic(field.getModifiers())) {
                addReader(field.getName(), open(field));
                addWriter(field.getName(), open(field));
            }
        }
        for (Method method : type.getMethods()) {
            if (!Modifier.isStatic(method.getModifiers()) && !method.isBridge() && method.getDeclaringClass() != Object.class) {
                add(method);
            }
        }
        readers.values().removeAll(Collections.singleton(null));
        maker = isRecord ? recordMaker(type, components.size()) : null;
    }

    private static List<Field> fields(Class<?> type) {
        List<Field> all = new ArrayList<>();
        for (Class<?> at = type; at != null && at != Object.class; at = at.getSuperclass()) {
            List<Field> own = new ArrayList<>();
            for (Field field : at.getDeclaredFields()) {
                int skipped = Modifier.STATIC | Modifier.TRANSIENT;
                if ((field.getModifiers() & skipped) == 0 && !field.isSynthetic()) {
                    own.add(field);
                }
            }
            all.addAll(0, own);
        }
        return all;
    }

    private void add(Method method) {
        String name = method.getName();
        Class<?> result = method.getReturnType();
        int parameters = method.getParameterTypes().length;
        if (parameters == 0 && result != void.class && name.startsWith("get") && name.length() > 3) {
            addReader(property(name.substring(3)), open(method));
        } else if (parameters == 0 && (result == boolean.class || result == Boolean.class) && name.startsWith("is") && name.length() > 2) {
            addReader(property(name.substring(2)), open(method));
        } else if (parameters == 1 && name.startsWith("set") && name.length() > 3) {
            addWriter(property(name.substring(3)), open(method));
        }
    }

    private void addReader(String name, Member member) {
        if (member instanceof Method || readers.get(name) == null) {
            readers.put(name, member);
        }
    }

    /** Among several setters, the one for what the getter gives is meant. */
    private void addWriter(String name, Member member) {
        Member other = writers.get(name);
        if (other instanceof Method && member instanceof Method) {
            Member reader = readers.get(name);
            Class<?> wanted = reader instanceof Method ? ((Method) reader).getReturnType() : String.class;
            if (((Method) member).getParameterTypes()[0] != wanted) {
                return;
            }
        }
        if (member instanceof Method || other == null) {
            writers.put(name, member);
            writersInAnyCase.put(name.toLowerCase(Locale.ROOT), member);
        }
    }

    /** Events of AWS write `Records` and `eventSourceARN` where their classes say `setRecords` and `setEventSourceArn`. */
    Member writer(String name) {
        Member exact = writers.get(name);
        return exact != null ? exact : writersInAnyCase.get(name.toLowerCase(Locale.ROOT));
    }

    /** `URL` stays, `Name` becomes `name`: the rule of JavaBeans. */
    private static String property(String name) {
        if (name.length() > 1 && Character.isUpperCase(name.charAt(0)) && Character.isUpperCase(name.charAt(1))) {
            return name;
        }
        return Character.toLowerCase(name.charAt(0)) + name.substring(1);
    }

    private static Method method(Class<?> type, String name) {
        try {
            return open(type.getMethod(name));
        } catch (NoSuchMethodException e) {
            throw new IllegalStateException(e);
        }
    }

    private static Constructor<?> recordMaker(Class<?> type, int components) {
        for (Constructor<?> constructor : type.getDeclaredConstructors()) {
            if (constructor.getParameterTypes().length == components) {
                return open(constructor);
            }
        }
        throw new IllegalStateException("no constructor of " + type.getName());
    }

    /** Members of classes that are not public are reached too, where the module lets us. */
    static <T extends AccessibleObject> T open(T member) {
        try {
            member.setAccessible(true);
        } catch (RuntimeException e) {
            return member;
        }
        return member;
    }

    static Object get(Member member, Object from) throws ReflectiveOperationException {
        return member instanceof Field ? ((Field) member).get(from) : ((Method) member).invoke(from);
    }

    static void set(Member member, Object in, Object value) throws ReflectiveOperationException {
        if (member instanceof Field) {
            ((Field) member).set(in, value);
        } else {
            ((Method) member).invoke(in, value);
        }
    }

    static Type type(Member writer) {
        return writer instanceof Field ? ((Field) writer).getGenericType() : ((Method) writer).getGenericParameterTypes()[0];
    }

    static Object make(Class<?> type) throws ReflectiveOperationException {
        try {
            return open(type.getDeclaredConstructor()).newInstance();
        } catch (NoSuchMethodException e) {
            throw new IllegalArgumentException("Cannot construct instance of `" + type.getName()
                    + "` (no Creators, like default constructor, exist)", e);
        } catch (InvocationTargetException e) {
            throw new IllegalArgumentException("Cannot construct instance of `" + type.getName() + "`", e.getCause());
        }
    }
}
