package kiln.runtime;

import com.amazonaws.services.lambda.runtime.Client;
import com.amazonaws.services.lambda.runtime.ClientContext;
import com.amazonaws.services.lambda.runtime.CognitoIdentity;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.LambdaLogger;
import com.amazonaws.services.lambda.runtime.LambdaRuntime;
import java.util.LinkedHashMap;
import java.util.Map;

/** The context of one event. */
final class EventContext implements Context {
    private final Api.Reply event;
    private final Map<?, ?> client;
    private final Map<?, ?> identity;

    EventContext(Api.Reply event) {
        this.event = event;
        client = parse(event.header("client-context"));
        identity = parse(event.header("cognito-identity"));
    }

    private static Map<?, ?> parse(String text) {
        return text == null || text.isEmpty() ? null : (Map<?, ?>) Json.read(text);
    }

    @Override
    public String getAwsRequestId() {
        return event.header("aws-request-id");
    }

    @Override
    public String getLogGroupName() {
        return System.getenv("AWS_LAMBDA_LOG_GROUP_NAME");
    }

    @Override
    public String getLogStreamName() {
        return System.getenv("AWS_LAMBDA_LOG_STREAM_NAME");
    }

    @Override
    public String getFunctionName() {
        return System.getenv("AWS_LAMBDA_FUNCTION_NAME");
    }

    @Override
    public String getFunctionVersion() {
        return System.getenv("AWS_LAMBDA_FUNCTION_VERSION");
    }

    @Override
    public String getInvokedFunctionArn() {
        return event.header("invoked-function-arn");
    }

    @Override
    public CognitoIdentity getIdentity() {
        final Map<?, ?> given = identity;
        return given == null ? null : new CognitoIdentity() {
            @Override
            public String getIdentityId() {
                return text(given, "cognitoIdentityId");
            }

            @Override
            public String getIdentityPoolId() {
                return text(given, "cognitoIdentityPoolId");
            }
        };
    }

    @Override
    public ClientContext getClientContext() {
        if (client == null) {
            return null;
        }
        final Map<?, ?> application = (Map<?, ?>) client.get("client");
        return new ClientContext() {
            @Override
            public Client getClient() {
                return application == null ? null : new Application(application);
            }

            @Override
            public Map<String, String> getCustom() {
                return texts(client.get("custom"));
            }

            @Override
            public Map<String, String> getEnvironment() {
                return texts(client.get("env"));
            }
        };
    }

    @Override
    public int getRemainingTimeInMillis() {
        long left = Long.parseLong(event.header("deadline-ms")) - System.currentTimeMillis();
        return (int) Math.max(0, Math.min(left, Integer.MAX_VALUE));
    }

    @Override
    public int getMemoryLimitInMB() {
        return Integer.parseInt(System.getenv("AWS_LAMBDA_FUNCTION_MEMORY_SIZE"));
    }

    @Override
    public LambdaLogger getLogger() {
        return LambdaRuntime.getLogger();
    }

    @Override
    public String getTenantId() {
        return event.header("aws-tenant-id");
    }

    @Override
    public String getXrayTraceId() {
        return event.header("trace-id");
    }

    private static String text(Map<?, ?> map, String name) {
        Object value = map == null ? null : map.get(name);
        return value == null ? null : value.toString();
    }

    private static Map<String, String> texts(Object map) {
        if (map == null) {
            return null;
        }
        Map<String, String> texts = new LinkedHashMap<>();
        for (Map.Entry<?, ?> entry : ((Map<?, ?>) map).entrySet()) {
            texts.put((String) entry.getKey(), text((Map<?, ?>) map, (String) entry.getKey()));
        }
        return texts;
    }

    private static final class Application implements Client {
        private final Map<?, ?> given;

        Application(Map<?, ?> given) {
            this.given = given;
        }

        @Override
        public String getInstallationId() {
            return text(given, "installation_id");
        }

        @Override
        public String getAppTitle() {
            return text(given, "app_title");
        }

        @Override
        public String getAppVersionName() {
            return text(given, "app_version_name");
        }

        @Override
        public String getAppVersionCode() {
            return text(given, "app_version_code");
        }

        @Override
        public String getAppPackageName() {
            return text(given, "app_package_name");
        }
    }
}
