//! How often each function ran in one chain of calls, told in the trace header. Pure.
//!
//! The header goes along wherever a function sends something, so that a loop over queues, topics and buses
//! is one chain too.
//! [Lambda guide: recursive loop detection]
//!
//! `Lineage=1:<hash of the function>:<times>|1:…`, newest last.

use std::fmt;

use crate::FunctionRef;

/// A function that ran so often in one chain is not run again.
pub const RUNS_MAX: u32 = 16;
/// Functions of a chain that are remembered; the ones that ran longest ago are forgotten.
const FUNCTIONS_MAX: usize = 16;

/// Who ran in a chain of calls.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Lineage(Vec<(u32, u32)>);

impl Lineage {
    /// Reads it from a trace header; what cannot be read is left out.
    pub fn of(trace: Option<&str>) -> Lineage {
        let mut parts = trace.unwrap_or_default().split(';');
        let text = parts.find_map(|part| part.trim().strip_prefix("Lineage="));
        let entry = |entry: &str| {
            let mut fields = entry.split(':').skip(1);
            let function = u32::from_str_radix(fields.next()?, 16).ok()?;
            Some((function, fields.next()?.parse().ok()?))
        };
        let entries = text.unwrap_or_default().split('|').filter_map(entry);
        Lineage(entries.take(FUNCTIONS_MAX).collect())
    }

    /// How often the function has run, whatever its qualifier.
    pub fn runs(&self, function: &FunctionRef) -> u32 {
        if self.0.is_empty() {
            return 0;
        }
        self.runs_of(hash(function.unqualified_parts()))
    }

    fn runs_of(&self, function: u32) -> u32 {
        let found = self.0.iter().find(|(f, _)| *f == function);
        found.map_or(0, |(_, runs)| *runs)
    }

    /// The chain with one more run of the function.
    pub fn and(self, function: &FunctionRef) -> Lineage {
        self.with(hash(function.unqualified_parts()))
    }

    fn with(mut self, function: u32) -> Lineage {
        let runs = self.runs_of(function).saturating_add(1);
        self.0.retain(|(f, _)| *f != function);
        self.0.push((function, runs));
        let forgotten = self.0.len().saturating_sub(FUNCTIONS_MAX);
        self.0.drain(..forgotten);
        self
    }

    /// The longer of both chains, function by function.
    pub fn joined(mut self, other: &Lineage) -> Lineage {
        for (function, runs) in &other.0 {
            if let Some((_, known)) = self.0.iter_mut().find(|(f, _)| f == function) {
                *known = (*known).max(*runs);
            } else if self.0.len() < FUNCTIONS_MAX {
                self.0.push((*function, *runs));
            }
        }
        self
    }

    /// The trace header with this chain in it.
    pub fn put(&self, trace: &str) -> String {
        let parts = trace
            .split(';')
            .filter(|part| !part.trim().starts_with("Lineage="));
        let mut text: String = parts
            .filter(|p| !p.is_empty())
            .collect::<Vec<_>>()
            .join(";");
        if !text.is_empty() {
            text.push(';');
        }
        text + "Lineage=" + &self.to_string()
    }
}

impl fmt::Display for Lineage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (function, runs)) in self.0.iter().enumerate() {
            let bar = if at == 0 { "" } else { "|" };
            write!(f, "{bar}1:{function:08x}:{runs}")?;
        }
        Ok(())
    }
}

/// The root of a trace header: the same for all that follows from one request.
pub fn root(trace: &str) -> Option<&str> {
    let mut parts = trace.split(';');
    parts.find_map(|part| part.trim().strip_prefix("Root=").filter(|r| !r.is_empty()))
}

/// The trace header of what the caller sends: the one it gave, which belongs to the caller's own chain whatever
/// it says. `caller` is the header of the call that the caller runs in; empty if it is none.
pub fn chained(given: Option<&str>, caller: &str) -> Option<String> {
    let given = given.unwrap_or_default();
    if given == caller || root(given).is_none() {
        let own = Some(caller).filter(|caller| root(caller).is_some());
        return match own {
            Some(caller) => Some(caller.to_owned()),
            None => Some(given).filter(|g| !g.is_empty()).map(str::to_owned),
        };
    }
    let before = Lineage::of(Some(caller));
    match before.0.is_empty() {
        true => Some(given.to_owned()),
        false => Some(Lineage::of(Some(given)).joined(&before).put(given)),
    }
}

/// FNV-1a of the ARN: short and the same over restarts.
fn hash<'a>(arn: impl IntoIterator<Item = &'a str>) -> u32 {
    let bytes = arn.into_iter().flat_map(str::bytes);
    bytes.fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Lineage {
        fn one(self, arn: &str) -> Lineage {
            self.with(hash([arn]))
        }

        fn times(&self, arn: &str) -> u32 {
            self.runs_of(hash([arn]))
        }
    }

    #[test]
    fn a_function_is_known_by_its_arn() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        let region = "us-east-1".parse().unwrap();
        let account = "000000000000".parse().unwrap();
        let function = FunctionRef::parse(&format!("{arn}:2"), None, &account, &region).unwrap();
        let chain = Lineage::default().and(&function);
        assert_eq!(chain, Lineage::default().one(arn));
        assert_eq!(chain.runs(&function), 1);
    }

    #[test]
    fn every_run_counts_for_its_function() {
        let chain = Lineage::default().one("a").one("b").one("a");
        assert_eq!(
            (chain.times("a"), chain.times("b"), chain.times("c")),
            (2, 1, 0)
        );
        let trace = chain.put("Root=1-a-b;Lineage=1:00000001:9;Sampled=0");
        assert!(
            trace.starts_with("Root=1-a-b;Sampled=0;Lineage=1:"),
            "{trace}"
        );
        assert_eq!(Lineage::of(Some(&trace)), chain);
        assert_eq!(
            Lineage::default().one("a").put(""),
            format!("Lineage={}", Lineage::default().one("a"))
        );
    }

    #[test]
    fn the_root_is_found() {
        assert_eq!(root("Parent=a;Root=1-b"), Some("1-b"));
        assert_eq!(root("Parent=a"), None);
    }

    #[test]
    fn what_a_caller_sends_belongs_to_its_chain() {
        let caller = "Root=1-a;Lineage=1:00000001:9";
        for (given, caller, expected) in [
            (None, "", None),
            (Some("Root=1-b"), "", Some("Root=1-b")),
            (None, caller, Some(caller)),
            (Some("Sampled=0"), caller, Some(caller)),
            (Some(caller), caller, Some(caller)),
            (
                Some("Root=1-b;Lineage=1:00000001:2"),
                caller,
                Some("Root=1-b;Lineage=1:00000001:9"),
            ),
            (Some("Root=1-b"), "Root=1-a", Some("Root=1-b")),
            (Some("Sampled=0"), "", Some("Sampled=0")),
        ] {
            let told = chained(given, caller);
            assert_eq!(told.as_deref(), expected, "{given:?} {caller:?}");
        }
    }

    #[test]
    fn the_longer_chain_counts() {
        let (long, short) = (
            Lineage::default().one("a").one("a"),
            Lineage::default().one("a"),
        );
        assert_eq!(short.clone().joined(&long).times("a"), 2);
        assert_eq!(long.joined(&short.one("b")).times("b"), 1);
    }

    #[test]
    fn what_cannot_be_read_is_no_chain() {
        for trace in [
            None,
            Some(""),
            Some("Lineage="),
            Some("Lineage=x|1:zz:1|1:1"),
            Some("Root=1"),
        ] {
            assert_eq!(Lineage::of(trace), Lineage::default(), "{trace:?}");
        }
        let long = "1:00000001:1|".repeat(1_000);
        assert!(Lineage::of(Some(&format!("Lineage={long}"))).0.len() <= FUNCTIONS_MAX);
        let many = (0..100).fold(Lineage::default(), |chain, n| chain.one(&n.to_string()));
        assert_eq!(
            (many.0.len(), many.times("99"), many.times("0")),
            (FUNCTIONS_MAX, 1, 0)
        );
    }
}
