//! The error types of functions (section 4.8 of the specification) and the tests that produce them.

use std::fmt::Write as _;

use super::{NAMED_MAX, Test};

/// Every error type that the specification names, in its order; beside them is what users raise.
const TYPES: [&str; 28] = [
    "Sandbox.Timedout",
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
    "Runtime.HandlerNotFound",
    "Runtime.ImportModuleError",
    "Runtime.MalformedHandlerName",
    "Runtime.UserCodeSyntaxError",
    "Runtime.MarshalError",
    "Runtime.UnmarshalError",
    "Runtime.UnhandledPromiseRejection",
    "Runtime.NodeJsExit",
    "Runtime.InvalidEntrypoint",
    "Runtime.InvalidWorkingDir",
    "Runtime.InvalidTaskConfig",
    "Function.ResponseSizeTooLarge",
    "Runtime.TruncatedResponse",
    "Runtime.InvalidResponseModeHeader",
    "Runtime.StreamError",
    "Extension.InitError",
    "Extension.ExitError",
    "Extension.Crash",
    "Extension.LaunchError",
    "TooManyExtensions",
    "PermissionDenied",
    "Runtime.Unknown",
    "Function.Unknown",
    "Sandbox.Failure",
    "Sandbox.TimeoutResponseTrailer",
];

/// What a test has to cite beside the type.
const SECTION: &str = "4.8";

/// The tests of each type, in the order of [`TYPES`].
pub(super) struct Shown([Vec<String>; TYPES.len()]);

impl Shown {
    pub(super) fn new() -> Shown {
        Shown(std::array::from_fn(|_| Vec::new()))
    }

    /// Notes what a test of `file` says that it produces, as `Type` in backticks. `text`: the whole file,
    /// in which the type must stand once more: nobody checks for what is only in a comment.
    pub(super) fn note(&mut self, file: &str, text: &str, test: &Test) {
        if !test.says.contains(SECTION) {
            return;
        }
        for (kind, tests) in TYPES.iter().zip(&mut self.0) {
            let is_said = test.says.contains(&format!("`{kind}`"));
            if is_said && text.matches(kind).count() > text.matches(&format!("`{kind}`")).count() {
                tests.push(format!("`{file}`: {}", test.name));
            }
        }
    }

    /// The types that no test produces.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let all = TYPES.into_iter().zip(&self.0);
        all.filter(|(_, tests)| tests.is_empty())
            .map(|(kind, _)| kind)
            .collect()
    }

    /// The section of the page.
    pub(super) fn section(&self) -> String {
        let mut text = "\n## Error types of functions (section 4.8)\n\nEach is produced by a test; \
                        `cargo xtask rows --check` fails otherwise.\n\n| Type | Tests |\n| --- | --- |\n"
            .to_owned();
        for (kind, tests) in TYPES.iter().zip(&self.0) {
            let named: Vec<&str> = tests.iter().take(NAMED_MAX).map(String::as_str).collect();
            let more = match tests.len().saturating_sub(NAMED_MAX) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            // Writing into a text cannot fail.
            let _ = writeln!(text, "| `{kind}` | {}{more} |", named.join("; "));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_counts_if_its_test_says_and_checks_it() {
        let says = |says: &str| Test {
            name: "t".to_owned(),
            says: says.to_owned(),
        };
        for (text, test, counts) in [
            (
                "`Runtime.ExitError` 'Runtime.ExitError'",
                "4.8: `Runtime.ExitError`",
                true,
            ),
            ("`Runtime.ExitError`", "4.8: `Runtime.ExitError`", false),
            ("'Runtime.ExitError'", "4.8: of a runtime", false),
            (
                "`Runtime.ExitError` 'Runtime.ExitError'",
                "`Runtime.ExitError`",
                false,
            ),
        ] {
            let mut shown = Shown::new();
            shown.note("f.py", text, &says(test));
            let is_missing = shown.missing().contains(&"Runtime.ExitError");
            assert_eq!(is_missing, !counts, "{text} {test}");
            assert_eq!(shown.section().contains("`f.py`: t"), counts);
        }
    }
}
