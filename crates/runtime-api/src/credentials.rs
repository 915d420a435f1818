//! Credentials that a function asks for instead of finding them in its variables: what was started once
//! and runs in many environments must not carry the keys of one.  [Lambda guide: SnapStart]

use std::fmt;
use std::hint::black_box;

use bytes::Bytes;

/// Gives the credentials of one environment to whoever knows the token.
pub struct Credentials {
    token: String,
    content: Box<dyn Fn() -> Bytes + Send + Sync>,
}

impl Credentials {
    /// The path of the request, `Authorization: TOKEN` being the proof.
    pub const PATH: &str = "/2021-04-23/credentials";

    /// `content`: a JSON object with `AccessKeyId`, `SecretAccessKey`, `Token` and `Expiration`.
    pub fn new(token: String, content: impl Fn() -> Bytes + Send + Sync + 'static) -> Credentials {
        Credentials {
            token,
            content: Box::new(content),
        }
    }

    pub fn token(&self) -> &str {
        &self.token
    }

    /// `None` for another token.
    pub(crate) fn of(&self, token: &str) -> Option<Bytes> {
        let (own, theirs) = (self.token.as_bytes(), token.as_bytes());
        // In the same time for every token of the right length.
        let differs = own.iter().zip(theirs).fold(0, |all, (a, b)| all | (a ^ b));
        let is_right = own.len() == theirs.len() && black_box(differs) == 0;
        is_right.then(|| (self.content)())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_opens() {
        let credentials = Credentials::new("abc".to_owned(), || Bytes::from_static(b"{}"));
        assert_eq!(credentials.of("abc").unwrap(), "{}");
        for wrong in ["", "ab", "abd", "abcd"] {
            assert!(credentials.of(wrong).is_none(), "{wrong}");
        }
    }
}
