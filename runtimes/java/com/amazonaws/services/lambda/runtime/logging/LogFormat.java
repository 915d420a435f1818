package com.amazonaws.services.lambda.runtime.logging;

/** How log messages are written. */
public enum LogFormat {
    JSON,
    TEXT;

    public static LogFormat fromString(String text) {
        return "JSON".equalsIgnoreCase(text) ? JSON : TEXT;
    }
}
