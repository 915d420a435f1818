use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;

/// The text does not have the form that the name asks for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a valid {what}")]
pub struct InvalidName {
    pub what: &'static str,
    pub text: String,
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $what:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<$name, InvalidName> {
                let valid: fn(&str) -> bool = $valid;
                if valid(text) {
                    Ok($name(text.into()))
                } else {
                    Err(InvalidName { what: $what, text: text.chars().take(256).collect() })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

fn word(text: &str) -> bool {
    text.bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

name!(
    /// An AWS account: twelve digits.
    Account,
    "account id",
    |t| t.len() == 12 && t.bytes().all(|b| b.is_ascii_digit())
);

name!(
    /// A region such as `us-east-1`; any lower-case word with hyphens, so that new regions work.
    Region,
    "region",
    |t| (2..=32).contains(&t.len())
        && t.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
);

name!(
    /// The bare name of a function, 1 to 64 characters.  [Lambda API: CreateFunction]
    FunctionName,
    "function name",
    |t| (1..=64).contains(&t.len()) && word(t)
);

name!(
    /// 1 to 128 characters, not all digits.  [Lambda API: CreateAlias]
    AliasName,
    "alias name",
    |t| (1..=128).contains(&t.len()) && word(t) && !t.bytes().all(|b| b.is_ascii_digit())
);

name!(
    /// The id of one invocation, a UUID; the same over all attempts of one asynchronous event.
    RequestId,
    "request id",
    |t| t.len() == 36 && t.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
);

/// The number of a published version; counts from 1 and is never used again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Published(NonZeroU32);

impl Published {
    pub const FIRST: Published = Published(NonZeroU32::MIN);

    pub fn from_number(number: u32) -> Option<Published> {
        NonZeroU32::new(number).map(Published)
    }

    pub fn number(self) -> u32 {
        self.0.get()
    }

    pub fn next(self) -> Published {
        Published(self.0.saturating_add(1))
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What runs: `$LATEST` or a published version.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Version {
    Latest,
    Published(Published),
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Version::Latest => f.write_str("$LATEST"),
            Version::Published(n) => n.fmt(f),
        }
    }
}

impl FromStr for Version {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Version, InvalidName> {
        if text == "$LATEST" {
            return Ok(Version::Latest);
        }
        let number = (!text.starts_with(['0', '+']))
            .then(|| text.parse().ok())
            .flatten();
        number
            .map(|n| Version::Published(Published(n)))
            .ok_or_else(|| InvalidName {
                what: "version",
                text: text.chars().take(256).collect(),
            })
    }
}

/// What a caller asks for after the function's name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Qualifier {
    Latest,
    Version(Published),
    Alias(AliasName),
}

impl fmt::Display for Qualifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Qualifier::Latest => f.write_str("$LATEST"),
            Qualifier::Version(n) => n.fmt(f),
            Qualifier::Alias(name) => name.fmt(f),
        }
    }
}

impl FromStr for Qualifier {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Qualifier, InvalidName> {
        match Version::from_str(text) {
            Ok(Version::Latest) => Ok(Qualifier::Latest),
            Ok(Version::Published(n)) => Ok(Qualifier::Version(n)),
            Err(_) => text.parse().map(Qualifier::Alias),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_qualifier_is_parsed_once_into_what_it_means() {
        assert_eq!("$LATEST".parse(), Ok(Qualifier::Latest));
        assert_eq!(
            "7".parse(),
            Ok(Qualifier::Version(Published::from_number(7).unwrap()))
        );
        assert!(matches!("blue".parse(), Ok(Qualifier::Alias(_))));
        for bad in ["", "0", "007", "a b", "$latest", "99999999999"] {
            assert!(bad.parse::<Qualifier>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_have_their_limits() {
        assert!("f".repeat(64).parse::<FunctionName>().is_ok());
        assert!("f".repeat(65).parse::<FunctionName>().is_err());
        assert!("a.b".parse::<FunctionName>().is_err());
        assert!("00000000000".parse::<Account>().is_err());
    }
}
