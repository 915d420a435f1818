package com.amazonaws.services.lambda.crac;

import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;

/** The hooks of SnapStart, under the name by which org.crac looks for them.  [Lambda guide: SnapStart hooks] */
public final class Core {
    private static final Context<Resource> GLOBAL = new Hooks();

    private Core() {}

    public static Context<Resource> getGlobalContext() {
        return GLOBAL;
    }

    public static void checkpointRestore() {
        throw new UnsupportedOperationException();
    }

    /** Runs hooks in the reverse order of registration before a snapshot, in that order after it. */
    private static final class Hooks extends Context<Resource> {
        private final List<WeakReference<Resource>> resources = new ArrayList<>();

        @Override
        public synchronized void register(Resource resource) {
            resources.add(new WeakReference<>(resource));
        }

        @Override
        public synchronized void beforeCheckpoint(Context<? extends Resource> context) throws CheckpointException {
            List<Resource> reversed = alive();
            Collections.reverse(reversed);
            CheckpointException failed = new CheckpointException();
            for (Resource resource : reversed) {
                try {
                    resource.beforeCheckpoint(this);
                } catch (Exception e) {
                    failed.addSuppressed(e);
                }
            }
            if (failed.getSuppressed().length > 0) {
                throw failed;
            }
        }

        @Override
        public synchronized void afterRestore(Context<? extends Resource> context) throws RestoreException {
            RestoreException failed = new RestoreException();
            for (Resource resource : alive()) {
                try {
                    resource.afterRestore(this);
                } catch (Exception e) {
                    failed.addSuppressed(e);
                }
            }
            if (failed.getSuppressed().length > 0) {
                throw failed;
            }
        }

        private List<Resource> alive() {
            List<Resource> alive = new ArrayList<>();
            for (WeakReference<Resource> reference : resources) {
                Resource resource = reference.get();
                if (resource != null) {
                    alive.add(resource);
                }
            }
            return alive;
        }
    }
}
