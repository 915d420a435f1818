//! The type of an error as the platform's own lines name it.  [spec 4.8]

/// Longest type that is kept, in bytes.
const TYPE_BYTES_MAX: usize = 64;

/// What stands behind `Error Type:`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorType {
    /// Named by the platform.
    Own(&'static str),
    /// Named by a runtime: so many bytes of ASCII.
    Told([u8; TYPE_BYTES_MAX], usize),
}

impl ErrorType {
    /// What a runtime calls an error: `Runtime.` or `Function.` and a name stay, all else is unknown.
    /// [spec 4.8, Runtime Interface Emulator]
    pub(crate) fn reported(kind: Option<&str>) -> ErrorType {
        let kind = kind.unwrap_or_default();
        if !is_name(kind) {
            return ErrorType::Own(match kind.starts_with("Function.") {
                true => "Function.Unknown",
                false => "Runtime.Unknown",
            });
        }
        let mut text = [0; TYPE_BYTES_MAX];
        for (to, from) in text.iter_mut().zip(kind.bytes()) {
            *to = from;
        }
        ErrorType::Told(text, kind.len())
    }

    pub(crate) fn as_str(&self) -> &str {
        match self {
            ErrorType::Own(text) => text,
            ErrorType::Told(text, length) => {
                let text = text.get(..*length).unwrap_or_default();
                std::str::from_utf8(text).unwrap_or_default()
            }
        }
    }
}

/// `Runtime.Abc` or `Function.Abc`.
fn is_name(kind: &str) -> bool {
    let Some(("Runtime" | "Function", name)) = kind.split_once('.') else {
        return false;
    };
    kind.len() <= TYPE_BYTES_MAX
        && name.len() > 1
        && name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_error_types_reach_the_log() {
        let long = format!("Runtime.{}", "A".repeat(TYPE_BYTES_MAX));
        for (told, said) in [
            (
                Some("Runtime.ImportModuleError"),
                "Runtime.ImportModuleError",
            ),
            (Some("Runtime.OutOfMemory"), "Runtime.OutOfMemory"),
            (Some("Function.Mine"), "Function.Mine"),
            (Some("Function.mine"), "Function.Unknown"),
            (Some("Function."), "Function.Unknown"),
            (Some("Runtime.<script>"), "Runtime.Unknown"),
            (Some("Runtime.A"), "Runtime.Unknown"),
            (Some("Runtime.A\tB"), "Runtime.Unknown"),
            (Some("Extension.Crash"), "Runtime.Unknown"),
            (Some("ValueError"), "Runtime.Unknown"),
            (Some(long.as_str()), "Runtime.Unknown"),
            (None, "Runtime.Unknown"),
        ] {
            assert_eq!(ErrorType::reported(told).as_str(), said, "{told:?}");
        }
    }
}
