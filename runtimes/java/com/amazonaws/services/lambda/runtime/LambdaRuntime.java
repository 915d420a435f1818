package com.amazonaws.services.lambda.runtime;

/** Gives libraries the logger where they have no context. */
public final class LambdaRuntime {
    private static volatile LambdaLogger logger = new kiln.runtime.Logs();

    private LambdaRuntime() {}

    public static LambdaLogger getLogger() {
        return logger;
    }
}
