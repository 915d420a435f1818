package kiln.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.CustomPojoSerializer;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Comparator;
import java.util.HashMap;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;

/**
 * The code that `_HANDLER` names: `package.Class::method`, or `package.Class` that implements a handler
 * interface.  [Lambda guide: Java handler]
 */
abstract class Handler {
    private static final byte[] NULL = "null".getBytes(StandardCharsets.UTF_8);

    /** Writes the answer to `out`. */
    abstract void call(byte[] event, OutputStream out, Context context) throws Throwable;

    /**
     * Finds the handler. One that is not there is told to each call; an error of the function's own
     * code while it is loaded is thrown.
     */
    static Handler find(String name, ClassLoader loader) {
        int colons = name.lastIndexOf("::");
        String className = colons < 0 ? name : name.substring(0, colons);
        String method = colons < 0 ? null : name.substring(colons + 2);
        if (className.isEmpty() || method != null && method.isEmpty()) {
            return failing(Fault.of("Invalid handler: `" + name + "'"));
        }
        Class<?> type;
        try {
            type = Class.forName(className, true, loader);
        } catch (ClassNotFoundException e) {
            return failing(Fault.of("Class not found: " + className, e, false));
        } catch (NoClassDefFoundError e) {
            return failing(loading(className, e));
        } catch (Throwable e) {
            throw loading(className, e);
        }
        try {
            return method == null ? ofInterface(type, loader) : ofMethod(type, method, loader);
        } catch (Fault e) {
            if (e.isFatal) {
                throw e;
            }
            return failing(e);
        }
    }

    private static Fault loading(String className, Throwable cause) {
        String why = cause.getMessage() == null ? "" : ": " + cause.getMessage();
        return Fault.of("Error loading class " + className + why, cause, true);
    }

    private static Handler failing(final Fault fault) {
        return new Handler() {
            @Override
            void call(byte[] event, OutputStream out, Context context) {
                throw fault;
            }
        };
    }

    private static Object make(Class<?> type) {
        try {
            return Beans.open(type.getConstructor()).newInstance();
        } catch (NoSuchMethodException e) {
            boolean isInner = type.getEnclosingClass() != null && !Modifier.isStatic(type.getModifiers());
            throw Fault.of(new Exception("Class " + type.getName() + (isInner
                    ? " cannot be instantiated because it is a non-static inner class"
                    : " has no public zero-argument constructor"), isInner ? null : e), false);
        } catch (InvocationTargetException e) {
            throw Fault.of(e.getCause(), true);
        } catch (ReflectiveOperationException e) {
            throw Fault.of(e, false);
        }
    }

    private static Handler ofInterface(Class<?> type, ClassLoader loader) {
        if (RequestStreamHandler.class.isAssignableFrom(type)) {
            final RequestStreamHandler handler = (RequestStreamHandler) make(type);
            return new Handler() {
                @Override
                void call(byte[] event, OutputStream out, Context context) throws Throwable {
                    handler.handleRequest(new ByteArrayInputStream(event), out, context);
                }
            };
        }
        if (!RequestHandler.class.isAssignableFrom(type)) {
            throw Fault.of("Class does not implement an appropriate handler interface: " + type.getName());
        }
        Type[] types = Generics.arguments(type, RequestHandler.class);
        if (types == null) {
            throw Fault.of("Class " + type.getName() + " does not implement RequestHandler with concrete type parameters");
        }
        for (Type argument : types) {
            if (argument instanceof TypeVariable && ((TypeVariable<?>) argument).getBounds()[0] == Object.class) {
                throw Fault.of("Class " + type.getName()
                        + " does not implement RequestHandler with concrete type parameters: parameter " + argument
                        + " has no upper bound.");
            }
        }
        @SuppressWarnings("unchecked")
        final RequestHandler<Object, Object> handler = (RequestHandler<Object, Object>) make(type);
        return new Mapped(types[0], types[1], loader) {
            @Override
            Object run(Object input, Context context) {
                return handler.handleRequest(input, context);
            }
        };
    }

    /** Among several methods of the name the longest counts, one with a context before one without. */
    private static Handler ofMethod(Class<?> type, String name, ClassLoader loader) {
        List<Method> methods = new ArrayList<>();
        try {
            for (Method method : type.getMethods()) {
                if (method.getName().equals(name)) {
                    methods.add(method);
                }
            }
        } catch (NoClassDefFoundError e) {
            throw Fault.of("Error loading method " + name + " on class " + type.getName(), e, false);
        }
        Collections.sort(methods, new Comparator<Method>() {
            @Override
            public int compare(Method a, Method b) {
                return a.isBridge() != b.isBridge() ? (a.isBridge() ? 1 : -1) : weight(b) - weight(a);
            }
        });
        for (Method method : methods) {
            Handler handler = ofMethod(type, method, loader);
            if (handler != null) {
                return handler;
            }
        }
        throw Fault.of("No public method named " + name + " with appropriate method signature found on class " + type.getName());
    }

    private static int weight(Method method) {
        Class<?>[] types = method.getParameterTypes();
        return types.length + (types.length > 0 && types[types.length - 1] == Context.class ? 1 : 0);
    }

    /** `null`: no handler has such parameters. */
    private static Handler ofMethod(Class<?> type, final Method method, ClassLoader loader) {
        final Class<?>[] types = method.getParameterTypes();
        final int length = types.length;
        final boolean hasContext = length > 0 && types[length - 1] == Context.class;
        int own = hasContext ? length - 1 : length;
        final boolean isIn = own > 0 && types[0] == InputStream.class;
        final boolean isOut = own > 0 && types[own - 1] == OutputStream.class;
        if (own > 2 || own == 2 && !(isIn && isOut)) {
            System.err.println("Ignoring an overload of method " + method.getName() + ": no handler has its parameters");
            return null;
        }
        Beans.open(method);
        final Object instance = Modifier.isStatic(method.getModifiers()) ? null : make(type);
        if (isIn || isOut) {
            return new Handler() {
                @Override
                void call(byte[] event, OutputStream out, Context context) throws Throwable {
                    Object[] arguments = new Object[length];
                    int at = 0;
                    if (isIn) {
                        arguments[at++] = new ByteArrayInputStream(event);
                    }
                    if (isOut) {
                        arguments[at++] = out;
                    }
                    if (hasContext) {
                        arguments[at] = context;
                    }
                    invoke(method, instance, arguments);
                    if (!isOut) {
                        out.write(NULL);
                    }
                }
            };
        }
        final boolean hasInput = own == 1;
        return new Mapped(hasInput ? method.getGenericParameterTypes()[0] : null, method.getGenericReturnType(), loader) {
            @Override
            Object run(Object input, Context context) throws Throwable {
                Object[] arguments = new Object[length];
                if (hasInput) {
                    arguments[0] = input;
                }
                if (hasContext) {
                    arguments[length - 1] = context;
                }
                return invoke(method, instance, arguments);
            }
        };
    }

    private static Object invoke(Method method, Object instance, Object[] arguments) throws Throwable {
        try {
            return method.invoke(instance, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause() == null ? e : e.getCause();
        }
    }

    /** A handler of objects; `null` for an input or output that does not count. */
    private abstract static class Mapped extends Handler {
        private final Type input;
        private final Type output;
        private final CustomPojoSerializer custom;

        Mapped(Type input, Type output, ClassLoader loader) {
            this.input = input;
            this.output = output == void.class || output == Void.class ? null : output;
            Iterator<CustomPojoSerializer> given = ServiceLoader.load(CustomPojoSerializer.class, loader).iterator();
            custom = given.hasNext() ? given.next() : null;
            if (given.hasNext()) {
                throw Fault.of("Too many serializers provided inside the META-INF/services folder, only one is allowed");
            }
        }

        abstract Object run(Object input, Context context) throws Throwable;

        @Override
        void call(byte[] event, OutputStream out, Context context) throws Throwable {
            Object value;
            try {
                value = input == null ? null
                        : custom != null ? custom.fromJson(new ByteArrayInputStream(event), input)
                        : Mapper.read(new String(event, StandardCharsets.UTF_8), input);
            } catch (Throwable e) {
                throw new RuntimeException("An error occurred during JSON parsing", Fault.cut(e));
            }
            Object result = run(value, context);
            try {
                if (output == null) {
                    out.write(NULL);
                } else if (custom != null) {
                    custom.toJson(result, out, output);
                } else {
                    out.write(Json.write(Mapper.tree(result)).getBytes(StandardCharsets.UTF_8));
                }
            } catch (Throwable e) {
                throw new RuntimeException("An error occurred during JSON serialization of response", e);
            }
        }
    }

    /** What a class makes of the type parameters of an interface above it. */
    private static final class Generics {
        static Type[] arguments(Class<?> type, Class<?> wanted) {
            return search(type, wanted, new HashMap<TypeVariable<?>, Type>());
        }

        private static Type[] search(Type at, Class<?> wanted, Map<TypeVariable<?>, Type> known) {
            if (at == null || at == Object.class) {
                return null;
            }
            Class<?> raw = (Class<?>) (at instanceof ParameterizedType ? ((ParameterizedType) at).getRawType() : at);
            if (at instanceof ParameterizedType) {
                Type[] arguments = ((ParameterizedType) at).getActualTypeArguments();
                for (int i = 0; i < arguments.length; i++) {
                    Type bound = known.get(arguments[i]);
                    arguments[i] = bound == null ? arguments[i] : bound;
                    known.put(raw.getTypeParameters()[i], arguments[i]);
                }
                if (raw == wanted) {
                    return arguments;
                }
            }
            for (Type above : raw.getGenericInterfaces()) {
                Type[] found = search(above, wanted, known);
                if (found != null) {
                    return found;
                }
            }
            return search(raw.getGenericSuperclass(), wanted, known);
        }
    }
}
