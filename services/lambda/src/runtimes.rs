use model::{Runtime, RuntimeFamily, RuntimeStatus};
use wire::Fault;

use crate::fault::invalid_parameter;

/// The runtimes that AWS names when it refuses another, in its order.  [Lambda API, observed in 2026]
pub(crate) const NAMED: &str = "nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, nodejs22.x, java25, python3.10, python3.11, java21, ruby3.3, ruby3.4, ruby3.2, python3.8, python3.9, java17, nodejs16.x, dotnet10, dotnet8, java11, dotnet6, nodejs18.x, provided.al2, java8.al2";

/// The runtimes that AWS names when it refuses to list layers for another, in its order.  [Lambda API,
/// observed in 2026]
#[rustfmt::skip]
pub(crate) const LISTED: &[&str] = &[
    "ruby3.5", "ruby2.6", "dotnetcore1.0", "python3.7", "nodejs8.10", "nasa", "ruby2.7",
    "python2.7-greengrass", "dotnetcore2.0", "python3.8", "java21", "dotnet6", "dotnetcore2.1",
    "python3.9", "java11", "nodejs6.10", "provided", "dotnetcore3.1", "dotnet8", "java25", "java17",
    "nodejs", "nodejs4.3", "java8.al2", "go1.x", "dotnet10", "nodejs20.x", "go1.9", "byol",
    "nodejs10.x", "provided.al2023", "nodejs22.x", "python3.10", "java8", "nodejs12.x", "python3.11",
    "nodejs24.x", "nodejs8.x", "python3.12", "nodejs14.x", "nodejs8.9", "nodejs26.x", "python3.13",
    "python3.14", "nodejs16.x", "python3.15", "provided.al2", "nodejs4.3-edge", "nodejs18.x",
    "ruby3.2", "python3.4", "ruby3.3", "ruby3.4", "ruby2.5", "python3.6", "python2.7",
];

/// Runtimes of [`NAMED`] which AWS still creates functions with although they are deprecated.
const TOLERATED: &[&str] = &["python3.8", "nodejs16.x"];

/// Java 11, Python 3.12, .NET 8 and what is newer.  [Lambda guide: SnapStart]
pub(crate) fn has_snap_start(runtime: Runtime) -> bool {
    let first = match runtime.family() {
        RuntimeFamily::Java => [11, 0],
        RuntimeFamily::Python => [3, 12],
        RuntimeFamily::DotNet => [8, 0],
        _ => return false,
    };
    let numbers = runtime.language_version().split('.').map(str::parse::<u32>);
    let mut version = [0, 0];
    for (to, number) in version.iter_mut().zip(numbers) {
        // A word such as `al2` or `core3` belongs to what is older.
        let Ok(number) = number else { return false };
        *to = number;
    }
    version >= first
}

/// Reads `Runtime` for a function that is created or updated.
pub(crate) fn parse(text: &str) -> Result<Runtime, Fault> {
    let Ok(runtime) = text.parse::<Runtime>() else {
        return Err(invalid_parameter(format!(
            "Value {text} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [{NAMED}] or be a valid ARN"
        )));
    };
    if runtime.status() == RuntimeStatus::Deprecated && !TOLERATED.contains(&text) {
        return Err(invalid_parameter(format!(
            "The runtime parameter of {text} is no longer supported for creating or updating AWS Lambda functions. We recommend you use a supported runtime while creating or updating functions."
        )));
    }
    Ok(runtime)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn snap_start_is_for_newer_runtimes_of_three_languages() {
        for (name, has) in [
            ("java8.al2", false),
            ("java11", true),
            ("java25", true),
            ("python3.11", false),
            ("python3.12", true),
            ("python3.14", true),
            ("dotnet6", false),
            ("dotnetcore3.1", false),
            ("dotnet8", true),
            ("nodejs22.x", false),
            ("provided.al2023", false),
        ] {
            assert_eq!(has_snap_start(name.parse().unwrap()), has, "{name}");
        }
    }

    #[test]
    fn a_runtime_is_known_supported_or_refused_with_reason() {
        assert!(parse("python3.13").is_ok());
        assert!(parse("nodejs16.x").is_ok());
        for (text, start) in [
            (
                "python3.7",
                "The runtime parameter of python3.7 is no longer supported",
            ),
            (
                "PYTHON3.9",
                "Value PYTHON3.9 at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [nodejs20.x, ",
            ),
        ] {
            let fault = parse(text).unwrap_err();
            assert!(fault.message().starts_with(start), "{}", fault.message());
            assert_eq!(fault.code(), "InvalidParameterValueException");
        }
    }
}
