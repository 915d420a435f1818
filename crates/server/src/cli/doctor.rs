use std::process::ExitCode;

use std::path::Path;

use invoke::Found;
use sandbox::{Enforcement, Isolation, LimitState};
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
    let mut abilities = sandbox::doctor::abilities();
    abilities.push(checkpoints(&runtimes));
    if as_json {
        let item = |i: &Enforcement| json!({"what": i.what, "state": format!("{:?}", i.state), "detail": i.detail});
        let items: Vec<_> = isolation.items.iter().map(item).collect();
        let more: Vec<_> = abilities.iter().map(item).collect();
        let found: Vec<_> = runtimes
            .iter()
            .map(|r| json!({"runtime": r.runtime, "path": r.path, "fix": r.fix}))
            .collect();
        show::json(&json!({
            "backend": isolation.backend,
            "isolation": items,
            "abilities": more,
            "runtimes": found,
        }));
    } else {
        print_isolation(&isolation);
        show::line("abilities:");
        print_items(&abilities);
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

/// Whether a JDK of this host could checkpoint (CRaC), which SnapStart of Java would need. Such a JDK names
/// the module in its file `release`.
fn checkpoints(runtimes: &[Found]) -> Enforcement {
    let java = runtimes.iter().filter(|r| r.runtime.starts_with("java"));
    let homes =
        java.filter_map(|r| Some(Path::new(r.path.as_ref()?).parent()?.parent()?.to_owned()));
    let mut homes: Vec<_> = homes.collect();
    homes.sort();
    homes.dedup();
    let can = |home: &&std::path::PathBuf| {
        let release = std::fs::read_to_string(home.join("release")).unwrap_or_default();
        release.contains("jdk.crac")
    };
    let found = match (homes.iter().find(can), homes.len()) {
        (Some(home), _) => format!("{} could, Kiln does not use it yet", home.display()),
        (None, 0) => "no JDK here".to_owned(),
        (None, n) => format!("none of {n} JDKs here has the module jdk.crac"),
    };
    Enforcement {
        what: "SnapStart by CRaC".to_owned(),
        state: LimitState::Missing,
        detail: format!("{found}; versions for Java run their init phase each time"),
    }
}

/// What a backend isolates and limits, one line each.
pub(crate) fn print_isolation(isolation: &Isolation) {
    show::line(&format!(
        "isolation: {}",
        paint(Tone::Strong, &isolation.backend)
    ));
    print_items(&isolation.items);
}

fn print_items(items: &[Enforcement]) {
    for item in items {
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
