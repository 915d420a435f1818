use std::process::ExitCode;

use sandbox::{Isolation, LimitState};
use serde_json::json;
use tasks::{Clock, Ids, Tasks};

use super::show::{self, Tone, paint};
use crate::config::Config;
use crate::wiring;

/// `kiln doctor`: fails if functions could not run at all.
pub(crate) async fn run(config: &Config, as_json: bool) -> anyhow::Result<ExitCode> {
    let tasks = Tasks::new(Clock::real(), Ids::system());
    let isolation = sandbox::doctor::probe();
    let can_run = isolation
        .items
        .iter()
        .all(|i| i.state != LimitState::Missing || !i.is_essential());
    let catalog = wiring::catalog(config, &config.data);
    let mut runtimes = catalog.list(&tasks).await;
    runtimes.sort_by_key(|found| family(&found.runtime));
    if as_json {
        let items: Vec<_> = isolation
            .items
            .iter()
            .map(|i| json!({"what": i.what, "state": format!("{:?}", i.state), "detail": i.detail}))
            .collect();
        let found: Vec<_> = runtimes
            .iter()
            .map(|r| json!({"runtime": r.runtime, "path": r.path, "fix": r.fix}))
            .collect();
        show::json(&json!({"backend": isolation.backend, "isolation": items, "runtimes": found}));
    } else {
        print_isolation(&isolation);
        show::line("");
        let row = |r: &invoke::Found| {
            let (mark, detail) = match &r.path {
                Some(path) => (paint(Tone::Good, "found"), path.clone()),
                None => (paint(Tone::Warn, "absent"), r.fix.clone()),
            };
            vec![r.runtime.clone(), mark, detail]
        };
        show::table(
            &["runtime", "", "where, or how to get it"],
            &runtimes.iter().map(row).collect::<Vec<_>>(),
        );
    }
    Ok(if can_run {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Families in the order in which people look for them; within one, the older version goes first already.
const FAMILIES: [&str; 5] = ["python", "nodejs", "ruby", "java", "provided"];

fn family(runtime: &str) -> usize {
    let at = FAMILIES.iter().position(|name| runtime.starts_with(name));
    at.unwrap_or(FAMILIES.len())
}

/// What a backend isolates and limits, one line each.
pub(crate) fn print_isolation(isolation: &Isolation) {
    show::line(&format!(
        "isolation: {}",
        paint(Tone::Strong, &isolation.backend)
    ));
    for item in &isolation.items {
        let mark = match item.state {
            LimitState::Enforced => paint(Tone::Good, "yes "),
            LimitState::Weakened => paint(Tone::Warn, "weak"),
            LimitState::Missing => paint(Tone::Bad, "no  "),
        };
        show::line(&format!(
            "  {mark} {:<22} {}",
            item.what,
            paint(Tone::Faint, &item.detail)
        ));
    }
}
