use std::fmt;
use std::str::FromStr;

use crate::{InvalidName, Region};

/// An identifier of the Lambda API such as `python3.13`.  [Lambda guide: runtimes]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Runtime(&'static Row);

#[derive(PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Row {
    name: &'static str,
    family: RuntimeFamily,
    status: RuntimeStatus,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RuntimeFamily {
    Python,
    NodeJs,
    Java,
    DotNet,
    Ruby,
    Go,
    /// A `bootstrap` executable of the function's own.
    Provided,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum RuntimeStatus {
    Supported,
    /// No function may be created or updated with it any more.
    Deprecated,
}

use RuntimeFamily::{DotNet, Go, Java, NodeJs, Provided, Python, Ruby};
use RuntimeStatus::{Deprecated, Supported};

const fn row(name: &'static str, family: RuntimeFamily, status: RuntimeStatus) -> Row {
    Row {
        name,
        family,
        status,
    }
}

/// In the order of the service model's enumeration.
static RUNTIMES: &[Row] = &[
    row("nodejs", NodeJs, Deprecated),
    row("nodejs4.3", NodeJs, Deprecated),
    row("nodejs6.10", NodeJs, Deprecated),
    row("nodejs8.10", NodeJs, Deprecated),
    row("nodejs10.x", NodeJs, Deprecated),
    row("nodejs12.x", NodeJs, Deprecated),
    row("nodejs14.x", NodeJs, Deprecated),
    row("nodejs16.x", NodeJs, Deprecated),
    row("java8", Java, Deprecated),
    row("java8.al2", Java, Supported),
    row("java11", Java, Supported),
    row("python2.7", Python, Deprecated),
    row("python3.6", Python, Deprecated),
    row("python3.7", Python, Deprecated),
    row("python3.8", Python, Deprecated),
    row("python3.9", Python, Supported),
    row("dotnetcore1.0", DotNet, Deprecated),
    row("dotnetcore2.0", DotNet, Deprecated),
    row("dotnetcore2.1", DotNet, Deprecated),
    row("dotnetcore3.1", DotNet, Deprecated),
    row("dotnet6", DotNet, Supported),
    row("dotnet8", DotNet, Supported),
    row("nodejs4.3-edge", NodeJs, Deprecated),
    row("go1.x", Go, Deprecated),
    row("ruby2.5", Ruby, Deprecated),
    row("ruby2.7", Ruby, Deprecated),
    row("provided", Provided, Deprecated),
    row("provided.al2", Provided, Supported),
    row("nodejs18.x", NodeJs, Supported),
    row("python3.10", Python, Supported),
    row("java17", Java, Supported),
    row("ruby3.2", Ruby, Supported),
    row("ruby3.3", Ruby, Supported),
    row("ruby3.4", Ruby, Supported),
    row("python3.11", Python, Supported),
    row("nodejs20.x", NodeJs, Supported),
    row("provided.al2023", Provided, Supported),
    row("python3.12", Python, Supported),
    row("java21", Java, Supported),
    row("python3.13", Python, Supported),
    row("nodejs22.x", NodeJs, Supported),
    row("nodejs24.x", NodeJs, Supported),
    row("python3.14", Python, Supported),
    row("java25", Java, Supported),
    row("dotnet10", DotNet, Supported),
    row("ruby4.0", Ruby, Supported),
];

impl Runtime {
    pub fn all() -> impl Iterator<Item = Runtime> {
        RUNTIMES.iter().map(Runtime)
    }

    pub fn as_str(self) -> &'static str {
        self.0.name
    }

    pub fn family(self) -> RuntimeFamily {
        self.0.family
    }

    pub fn status(self) -> RuntimeStatus {
        self.0.status
    }

    /// The version of the language, such as `3.13` or `22`; empty for `provided.*`.
    pub fn language_version(self) -> &'static str {
        let name = self.0.name;
        let start = name
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(name.len());
        let text = name.get(start..).unwrap_or_default();
        match self.0.family {
            Provided => "",
            _ => text.strip_suffix(".x").unwrap_or(text),
        }
    }
}

impl Runtime {
    /// The version as INIT_START names it, such as `python:3.13.v1`. `v1`: Kiln runs the host's
    /// interpreter and has no releases of its own to count.
    pub fn version_label(self) -> String {
        let family = match self.0.family {
            Python => "python",
            NodeJs => "nodejs",
            Java => "java",
            DotNet => "dotnet",
            Ruby => "ruby",
            Go => "go",
            Provided => return format!("{}.v1", self.0.name.replacen('.', ":", 1)),
        };
        format!("{family}:{}.v1", self.language_version())
    }

    /// `arn:aws:lambda:REGION::runtime:<64 hex>`, the same for the same runtime everywhere.
    /// [Lambda API: RuntimeVersionConfig]
    pub fn version_arn(self, region: &Region) -> String {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let part = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (self.0.name, salt).hash(&mut hasher);
            hasher.finish()
        };
        let [a, b, c, d] = [0, 1, 2, 3].map(part);
        format!("arn:aws:lambda:{region}::runtime:{a:016x}{b:016x}{c:016x}{d:016x}")
    }
}

impl FromStr for Runtime {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Runtime, InvalidName> {
        Runtime::all()
            .find(|r| r.as_str() == text)
            .ok_or_else(|| InvalidName {
                what: "runtime",
                text: text.chars().take(64).collect(),
            })
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

/// The instruction set that the code was built for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Architecture {
    X86_64,
    Arm64,
}

impl Architecture {
    /// What this machine runs.
    pub fn host() -> Architecture {
        if cfg!(target_arch = "aarch64") {
            Architecture::Arm64
        } else {
            Architecture::X86_64
        }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Architecture::X86_64 => "x86_64",
            Architecture::Arm64 => "arm64",
        }
    }
}

impl FromStr for Architecture {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Architecture, InvalidName> {
        match text {
            "x86_64" => Ok(Architecture::X86_64),
            "arm64" => Ok(Architecture::Arm64),
            _ => Err(InvalidName {
                what: "architecture",
                text: text.chars().take(64).collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_language_version_is_what_an_operator_looks_for() {
        let version = |name: &str| name.parse::<Runtime>().unwrap().language_version();
        assert_eq!(version("python3.13"), "3.13");
        assert_eq!(version("nodejs22.x"), "22");
        assert_eq!(version("provided.al2023"), "");
        assert!("python3.99".parse::<Runtime>().is_err());
    }

    #[test]
    fn every_runtime_has_a_version_arn_of_its_own() {
        let region = "us-east-1".parse().unwrap();
        let arns: std::collections::HashSet<_> =
            Runtime::all().map(|r| r.version_arn(&region)).collect();
        assert_eq!(arns.len(), Runtime::all().count());
        assert!(
            arns.iter()
                .all(|arn| arn.len() == "arn:aws:lambda:us-east-1::runtime:".len() + 64)
        );
        assert_eq!(
            "python3.13".parse::<Runtime>().unwrap().version_label(),
            "python:3.13.v1"
        );
        let provided = "provided.al2023".parse::<Runtime>().unwrap();
        assert_eq!(provided.version_label(), "provided:al2023.v1");
    }
}
