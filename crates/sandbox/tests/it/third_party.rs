//! An extension that was written with AWS's own crate, unmodified, beside a function.

use lambda_extension::{
    Error, Extension, LambdaEvent, LambdaTelemetry, NextEvent, SharedService, service_fn,
};
use sandbox::StopReason;

use crate::bench::{LONG, ask, mount, namespaces};

const PROGRAM: &str = "#!/bin/sh\nexec /mnt/it/NAME --ignored --exact --nocapture \
                       third_party::the_extension_of_the_child\n";

#[test]
#[ignore = "runs as an extension in an environment"]
fn the_extension_of_the_child() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let extension = Extension::new()
        .with_extension_name("watcher")
        .with_events(&["INVOKE", "SHUTDOWN"])
        .with_events_processor(service_fn(event))
        .with_telemetry_types(&["platform"])
        .with_telemetry_processor(SharedService::new(service_fn(telemetry)));
    runtime.block_on(extension.run()).unwrap();
}

#[allow(clippy::print_stdout)]
async fn event(event: LambdaEvent) -> Result<(), Error> {
    match event.next {
        NextEvent::Invoke(event) => println!("\nNOTE invoke {}", event.invoked_function_arn),
        NextEvent::Shutdown(event) => println!("\nNOTE shutdown {}", event.shutdown_reason),
    }
    Ok(())
}

async fn telemetry(_: Vec<LambdaTelemetry>) -> Result<(), Error> {
    Ok(())
}

/// RT-3, LIFE-1, section 4.2: it registers, subscribes, sees calls and is told of the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_extension_of_the_crate_lambda_extension_runs_unmodified() {
    let Some(bench) = namespaces(None).await else {
        return;
    };
    let here = std::env::current_exe().unwrap();
    let name = here.file_name().unwrap().to_str().unwrap();
    let layer = tempfile::tempdir().unwrap();
    let folder = layer.path().join("extensions");
    std::fs::create_dir(&folder).unwrap();
    for path in [layer.path(), &folder] {
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
    }
    let program = folder.join("watcher");
    std::fs::write(&program, PROGRAM.replace("NAME", name)).unwrap();
    std::fs::set_permissions(
        &program,
        std::os::unix::fs::PermissionsExt::from_mode(0o755),
    )
    .unwrap();
    let mut spec = bench.spec(&[]);
    spec.mounts.push(mount(layer.path(), "/opt"));
    spec.mounts.push(mount(here.parent().unwrap(), "/mnt/it"));
    spec.extensions.external = vec!["watcher".to_owned()];
    let mut env = bench.sandbox.start(spec).await.unwrap();
    ask(&mut env, "alive").await.ending.unwrap();
    // It has seen the call when it asks for the next one.
    env.ready().await.unwrap();
    env.stop_for(StopReason::Spindown).await;
    let notes = bench.lines.texts();
    let noted = |text: &str| notes.iter().any(|line| line == text);
    assert!(
        noted("NOTE invoke arn:aws:lambda:us-east-1:000000000000:function:f"),
        "{notes:?}"
    );
    assert!(noted("NOTE shutdown spindown"), "{notes:?}");
    bench.sandbox.shutdown(LONG).await;
}
