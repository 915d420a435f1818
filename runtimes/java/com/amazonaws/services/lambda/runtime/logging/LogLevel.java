package com.amazonaws.services.lambda.runtime.logging;

/** How grave a log message is; `UNDEFINED` where the caller did not say. */
public enum LogLevel {
    UNDEFINED,
    TRACE,
    DEBUG,
    INFO,
    WARN,
    ERROR,
    FATAL;

    public static LogLevel fromString(String text) {
        for (LogLevel level : values()) {
            if (level.name().equalsIgnoreCase(text)) {
                return level;
            }
        }
        throw new IllegalArgumentException("no log level " + text);
    }
}
