package com.amazonaws.services.lambda.crac;

/** Hooks failed before the snapshot; each failure is a suppressed exception. */
public class CheckpointException extends Exception {
    private static final long serialVersionUID = 1L;
}
