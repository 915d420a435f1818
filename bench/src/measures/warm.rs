//! Warm calls: native against a bare echo, interpreters against a minimal mock.

use std::time::Instant;

use anyhow::Result;

use super::{Bench, Language, payload};
use crate::client::Client;
use crate::controls::echo::{self, Echo};
use crate::controls::mock::Mock;
use crate::kiln::Kiln;
use crate::paired::{self, Plan};
use crate::report::{Goal, Row};

/// Calls before anything is measured.
const WARM_UP: usize = 200;

pub(crate) fn run(bench: &Bench) -> Result<Vec<Row>> {
    let plan = Plan {
        rounds: bench.some(20),
        block: 100,
    };
    let kiln = bench.kiln()?;
    let mut rows = vec![native(bench, &kiln, plan)?];
    for language in Language::all(&bench.binary)? {
        rows.push(interpreted(bench, &kiln, &language, plan)?);
    }
    Ok(rows)
}

fn native(bench: &Bench, kiln: &Kiln, plan: Plan) -> Result<Row> {
    kiln.deploy("native", &bench.native()?)?;
    let invoke = kiln.invocation("native", &payload())?;
    let mut invoker = kiln.client()?;
    let server = Echo::start()?;
    let ask = echo::request(server.address, &payload());
    let mut echoer = Client::connect(server.address)?;
    for _ in 0..WARM_UP {
        invoker.succeed(&invoke)?;
        echoer.succeed(&ask)?;
    }
    let pairs = paired::durations(
        plan,
        || timed(&mut invoker, &invoke),
        || timed(&mut echoer, &ask),
    )?;
    Ok(
        Row::new("P1", "warm call, native", "bare HTTP echo", &pairs)
            .micros(&pairs)
            .goal(Goal::AtMost(3.0))
            .stretch(Goal::AtMost(2.2)),
    )
}

fn interpreted(bench: &Bench, kiln: &Kiln, language: &Language, plan: Plan) -> Result<Row> {
    let name = language.name.to_lowercase().replace('.', "");
    kiln.deploy(&name, &language.function()?)?;
    let invoke = kiln.invocation(&name, &payload())?;
    let mut invoker = kiln.client()?;

    let task = tempfile::tempdir_in(bench.folder.path())?;
    language.write_to(task.path())?;
    let mock = Mock::start(
        &language.bootstrap(&bench.root),
        &environment(language, task.path()),
        task.path(),
    )?;
    let ask = echo::request(mock.address, &payload());
    let mut asker = Client::connect(mock.address)?;
    for _ in 0..WARM_UP {
        invoker.succeed(&invoke)?;
        asker.succeed(&ask)?;
    }
    let pairs = paired::durations(
        plan,
        || timed(&mut invoker, &invoke),
        || timed(&mut asker, &ask),
    )?;
    let what = format!("warm call, {}", language.runtime);
    Ok(
        Row::new("P2", &what, "same runtime on a minimal mock", &pairs)
            .micros(&pairs)
            .goal(Goal::AtMost(1.4))
            .stretch(Goal::AtMost(1.2)),
    )
}

/// What a runtime finds among its environment variables, as far as it looks.
fn environment(language: &Language, task: &std::path::Path) -> Vec<(String, String)> {
    let task = task.to_string_lossy().into_owned();
    [
        ("_HANDLER", "main.handler"),
        ("LAMBDA_TASK_ROOT", &task),
        ("AWS_EXECUTION_ENV", &language.runtime),
        ("AWS_LAMBDA_FUNCTION_NAME", "mock"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/mock"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "mock"),
        ("AWS_REGION", "us-east-1"),
        ("PATH", "/usr/local/bin:/usr/bin:/bin"),
        ("LANG", "en_US.UTF-8"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect()
}

fn timed(client: &mut Client, request: &[u8]) -> Result<std::time::Duration> {
    let started = Instant::now();
    client.succeed(request)?;
    Ok(started.elapsed())
}
