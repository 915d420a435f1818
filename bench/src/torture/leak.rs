//! S7: a function leaves secrets behind, and the function that takes its slot looks for them.

use std::fs;
use std::time::Instant;

use anyhow::{Result, bail};

use super::page::Finding;
use super::{Torture, secret, strings};
use crate::client::Client;
use crate::kiln::{Function, Kiln};
use crate::measures::{Bench, Language};

/// Pairs of functions: full, short.
const TIMES: (u64, u64) = (10_000, 100);

/// One pair in so many runs Python, which may be forked from a template.
const PYTHON_EACH: u64 = 20;

/// The host is searched after so many pairs.
const HOST_EACH: u64 = 100;

/// Files of the host that are searched at once.
const HOST_FILES_MAX: usize = 20_000;

/// Longest file of the host that is read.
const HOST_FILE_BYTES_MAX: u64 = 1 << 20;

/// Where the search must find what it planted itself.
const BITES: [&str; 3] = ["memory", "/tmp/", "descriptor"];

pub(super) fn run(torture: &Torture) -> Result<Vec<Finding>> {
    let until = torture.until();
    let times = torture.times(TIMES.0, TIMES.1);
    // Room for one environment: the next function takes the slot.
    let kiln = torture
        .bench
        .setup()
        .with("KILN_ENVIRONMENTS_MAX", 1)
        .start()?;
    let native = torture.victim()?;
    let mut pairs = vec![Pair::deploy(&kiln, "native", &native)?];
    if let Some(python) = python(&torture.bench)? {
        pairs.push(Pair::deploy(&kiln, "python", &python)?);
    }
    for pair in &mut pairs {
        pair.bite()?;
    }
    let mut inside = Finding::new("S7", "secret found by the next function", times);
    let mut outside = Finding::new(
        "S7",
        "secret found on the host afterwards",
        times / HOST_EACH,
    );
    let bar = torture.progress("S7 leak", times);
    for turn in 0..times {
        if Instant::now() > until {
            break;
        }
        let is_python = turn % PYTHON_EACH == PYTHON_EACH - 1;
        let at = if is_python { pairs.len() - 1 } else { 0 };
        let Some(pair) = pairs.get_mut(at) else {
            bail!("no pair");
        };
        let (planted, found) = pair.once()?;
        inside.tried(found);
        if turn % HOST_EACH == HOST_EACH - 1 {
            outside.tried(on_host(&kiln, &planted));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(vec![
        inside.noted("native and Python; the search found its own secret"),
        outside,
    ])
}

/// One function that plants and one that hunts.
struct Pair<'a> {
    kiln: &'a Kiln,
    client: Client,
    plant: String,
    hunt: String,
}

impl Pair<'_> {
    fn deploy<'a>(kiln: &'a Kiln, name: &str, function: &Function) -> Result<Pair<'a>> {
        let pair = Pair {
            kiln,
            client: kiln.client()?,
            plant: format!("{name}-plants"),
            hunt: format!("{name}-hunts"),
        };
        kiln.deploy(&pair.plant, function)?;
        kiln.deploy(&pair.hunt, function)?;
        Ok(pair)
    }

    /// A search that finds nothing proves something only if it can find.
    fn bite(&mut self) -> Result<()> {
        let secret = self.planted()?;
        let found = self.hunted(&secret, true)?;
        for place in BITES {
            if !found.iter().any(|found| found.starts_with(place)) {
                bail!("the search does not see {place}: {found:?}");
            }
        }
        Ok(())
    }

    /// The secret, and what the next function saw of it.
    fn once(&mut self) -> Result<(String, Option<String>)> {
        let secret = self.planted()?;
        let found = self.hunted(&secret, false)?;
        let wrong = (!found.is_empty()).then(|| format!("found in {}", found.join(", ")));
        Ok((secret, wrong))
    }

    fn planted(&mut self) -> Result<String> {
        let secret = secret()?;
        let event = format!("{{\"do\":\"plant\",\"secret\":\"{secret}\"}}");
        let places = strings(self.kiln, &mut self.client, &self.plant, &event)?;
        if !places.iter().any(|place| place == "/tmp") {
            bail!("nothing could be planted: {places:?}");
        }
        Ok(secret)
    }

    fn hunted(&mut self, secret: &str, at_home: bool) -> Result<Vec<String>> {
        let backwards: String = secret.chars().rev().collect();
        let event = format!("{{\"do\":\"hunt\",\"secret\":\"{backwards}\"}}");
        let name = if at_home { &self.plant } else { &self.hunt };
        strings(self.kiln, &mut self.client, name, &event)
    }
}

/// The secret in command lines of the host, names and contents of its temporary files, or the server's log.
fn on_host(kiln: &Kiln, secret: &str) -> Option<String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut files: Vec<_> = processes.map(|p| p.path().join("cmdline")).collect();
    for folder in ["/tmp", "/dev/shm", "/var/tmp"] {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            files.push(entry.path());
        }
    }
    files.push(kiln.log().to_path_buf());
    files.into_iter().take(HOST_FILES_MAX).find_map(|path| {
        let is_named = path.to_string_lossy().contains(secret);
        let is_short =
            fs::metadata(&path).is_ok_and(|m| m.is_file() && m.len() < HOST_FILE_BYTES_MAX);
        let holds = || {
            let bytes = fs::read(&path).unwrap_or_default();
            bytes.windows(secret.len()).any(|w| w == secret.as_bytes())
        };
        (is_named || (is_short && holds())).then(|| format!("found in {}", path.display()))
    })
}

/// The same for Python, as far as it goes from there.
const PYTHON: &[u8] = br#"
import os, socket, sys
kept = []
PLACES = ["/tmp", "/dev/shm", "/dev/mqueue", "/var/tmp", "/run", "/mnt", "/var/task", "/home"]

def handler(event, context):
    return plant(event["secret"]) if event["do"] == "plant" else hunt(event["secret"])

def plant(secret):
    places = ["memory", "log", "environment"]
    print("planted", secret)
    content = secret * 64
    kept.append(content)
    os.environ["PLANTED"] = secret
    sys.modules["left_" + secret] = sys
    for place in PLACES:
        try:
            with open(f"{place}/left-{secret}", "w") as f:
                f.write(content)
            places.append(place)
        except OSError:
            pass
    unnamed = open("/tmp/unnamed", "w")
    unnamed.write(content)
    unnamed.flush()
    os.unlink("/tmp/unnamed")
    kept.append(unnamed)
    try:
        s = socket.socket(socket.AF_UNIX)
        s.bind("\0" + secret)
        kept.append(s)
        places.append("abstract socket")
    except OSError:
        pass
    return places

def hunt(backwards):
    needle = backwards.encode()
    found = set()
    def holds(data):
        return needle in data[::-1]
    def read(path):
        try:
            with open(path, "rb") as f:
                return f.read(1 << 20)
        except OSError:
            return b""
    for place in PLACES:
        for folder, folders, files in os.walk(place):
            for name in folders + files:
                path = os.path.join(folder, name)
                if holds(path.encode(errors="replace")) or (os.path.isfile(path) and holds(read(path))):
                    found.add(folder + "/")
    for pid in os.listdir("/proc"):
        if not pid.isdigit():
            continue
        for file in ("environ", "cmdline"):
            if holds(read(f"/proc/{pid}/{file}")):
                found.add(file)
        try:
            links = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for link in links:
            try:
                target = os.readlink(f"/proc/{pid}/fd/{link}")
            except OSError:
                continue
            if target.startswith("/") and not target.startswith("/dev") and holds(read(f"/proc/{pid}/fd/{link}")):
                found.add("descriptor")
    for table in ("/proc/net/unix", "/proc/sysvipc/shm", "/proc/sysvipc/msg", "/proc/keys"):
        if holds(read(table)):
            found.add(table)
    if any(holds(name.encode()) for name in list(sys.modules)):
        found.add("modules")
    try:
        with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
            for line in maps.read().splitlines():
                if " rw" not in line or "[v" in line:
                    continue
                start, end = (int(x, 16) for x in line.split(" ")[0].split("-"))
                try:
                    memory.seek(start)
                    if holds(memory.read(min(end - start, 16 << 20))):
                        found.add("memory")
                        break
                except (OSError, ValueError, OverflowError):
                    continue
    except OSError:
        found.add("unreadable memory")
    return sorted(found)
"#;

fn python(bench: &Bench) -> Result<Option<Function>> {
    let mut languages = Language::all(&bench.binary)?.into_iter();
    let python = languages.find(|language| language.name == "Python");
    python
        .map(|python| Function::new(&python.runtime, "main.handler", &[("main.py", PYTHON)]))
        .transpose()
}
