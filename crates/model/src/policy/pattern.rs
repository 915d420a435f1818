use super::Keys;

/// How the characters of two texts are compared.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Case {
    Exact,
    Ignored,
}

impl Case {
    fn same(self, a: char, b: char) -> bool {
        match self {
            Case::Exact => a == b,
            Case::Ignored => a.eq_ignore_ascii_case(&b),
        }
    }
}

/// One character of a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Token {
    /// `*`: any characters, or none.
    Many,
    /// `?`: one character.
    One,
    Char(char),
}

/// A text with `*`, `?` and policy variables.  [IAM guide: policy variables]
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Part {
    Token(Token),
    /// `${key}` or `${key, 'default'}`.
    Variable {
        key: String,
        default: Option<String>,
    },
}

impl Pattern {
    pub(super) fn read(text: &str) -> Pattern {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let inside = rest.strip_prefix("${").and_then(|r| r.split_once('}'));
            if let Some((name, after)) = inside {
                parts.push(variable(name));
                rest = after;
                continue;
            }
            parts.push(Part::Token(match first {
                '*' => Token::Many,
                '?' => Token::One,
                c => Token::Char(c),
            }));
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
        Pattern(parts)
    }

    /// With its variables replaced; `None` if one of them has no value in this request.
    fn tokens(&self, keys: &Keys) -> Option<Vec<Token>> {
        let mut tokens = Vec::with_capacity(self.0.len());
        for part in &self.0 {
            match part {
                Part::Token(token) => tokens.push(*token),
                Part::Variable { key, default } => {
                    let value = keys.get(key).and_then(|values| match values {
                        [one] => Some(one),
                        _ => None,
                    });
                    let text = value.or(default.as_ref())?;
                    tokens.extend(text.chars().map(Token::Char));
                }
            }
        }
        Some(tokens)
    }

    /// Whether the pattern covers the whole of `text`.
    pub(super) fn covers(&self, text: &str, case: Case, keys: &Keys) -> bool {
        let Some(tokens) = self.tokens(keys) else {
            return false;
        };
        covers(&tokens, &text.chars().collect::<Vec<_>>(), case)
    }

    /// Whether the pattern without its wildcards is `text`: `*` and `?` mean themselves.
    pub(super) fn is(&self, text: &str, case: Case, keys: &Keys) -> bool {
        let Some(tokens) = self.tokens(keys) else {
            return false;
        };
        let literal = tokens.iter().map(|token| match token {
            Token::Many => '*',
            Token::One => '?',
            Token::Char(c) => *c,
        });
        let mut text = text.chars();
        let all = literal
            .into_iter()
            .all(|a| text.next().is_some_and(|b| case.same(a, b)));
        all && text.next().is_none()
    }

    /// As [`Pattern::covers`] for ARNs: no wildcard reaches over one of the first five colons.
    pub(super) fn covers_arn(&self, arn: &str, keys: &Keys) -> bool {
        let Some(tokens) = self.tokens(keys) else {
            return false;
        };
        let pattern: Vec<&[Token]> = tokens.splitn(6, |t| *t == Token::Char(':')).collect();
        let parts: Vec<Vec<char>> = arn.splitn(6, ':').map(|p| p.chars().collect()).collect();
        if parts.len() < 6 {
            return covers(&tokens, &arn.chars().collect::<Vec<_>>(), Case::Exact);
        }
        // What an incomplete pattern leaves out may be anything.
        pattern
            .iter()
            .zip(&parts)
            .all(|(p, text)| covers(p, text, Case::Exact))
    }
}

fn variable(name: &str) -> Part {
    match name {
        // How a policy writes the three characters themselves.
        "*" | "?" | "$" => Part::Token(Token::Char(name.chars().next().unwrap_or('$'))),
        _ => {
            let (key, default) = match name.split_once(',') {
                Some((key, default)) => (key, Some(default.trim().trim_matches('\''))),
                None => (name, None),
            };
            Part::Variable {
                key: key.trim().to_owned(),
                default: default.map(str::to_owned),
            }
        }
    }
}

/// Takes steps of the order of pattern times text at most.
fn covers(pattern: &[Token], text: &[char], case: Case) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on if what follows the last `*` does not fit.
    let mut retry: Option<(usize, usize)> = None;
    while let Some(c) = text.get(t) {
        let fits = match pattern.get(p) {
            Some(Token::Many) => {
                p += 1;
                retry = Some((p, t));
                continue;
            }
            Some(Token::One) => true,
            Some(Token::Char(own)) => case.same(*own, *c),
            None => false,
        };
        if fits {
            (p, t) = (p + 1, t + 1);
            continue;
        }
        match retry.as_mut() {
            Some((after, from)) => {
                *from += 1;
                (p, t) = (*after, *from);
            }
            None => return false,
        }
    }
    let rest = pattern.get(p..).unwrap_or_default();
    rest.iter().all(|token| *token == Token::Many)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_cover_what_they_stand_for() {
        let keys = Keys::new().with("aws:username", "bob*");
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a*c", "abbc", true),
            ("a*c", "abcb", false),
            ("a*b*c", "axbxbxc", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a?", "aü", true),
            ("home/${aws:username}/*", "home/bob*/x", true),
            ("home/${aws:username}/*", "home/bobby/x", false),
            ("${aws:userid}", "x", false),
            ("${aws:userid, 'nobody'}", "nobody", true),
            ("${*}${?}${$}", "*?$", true),
            ("${*}", "x", false),
            ("${open", "${open", true),
        ] {
            let found = Pattern::read(pattern).covers(text, Case::Exact, &keys);
            assert_eq!(found, expected, "{pattern} {text}");
        }
    }

    #[test]
    fn a_wildcard_in_an_arn_stays_between_its_colons() {
        let keys = Keys::new();
        for (pattern, arn, expected) in [
            ("*", "arn:aws:s3:::b", true),
            ("arn:aws:s3:::*", "arn:aws:s3:::b/k:v", true),
            (
                "arn:aws:sqs:*:000000000000:q",
                "arn:aws:sqs:eu-west-1:000000000000:q",
                true,
            ),
            (
                "arn:aws:sqs:*:q",
                "arn:aws:sqs:eu-west-1:000000000000:q",
                false,
            ),
            ("arn:aws:sqs:*:*:q", "arn:aws:sqs:eu-west-1:0:0:q", false),
            ("arn:aws:sqs:*:0:*", "arn:aws:sqs:eu-west-1:0:0:q", true),
            (
                "arn:aws:sqs:*",
                "arn:aws:sqs:eu-west-1:000000000000:q",
                true,
            ),
        ] {
            let found = Pattern::read(pattern).covers_arn(arn, &keys);
            assert_eq!(found, expected, "{pattern} {arn}");
        }
    }

    #[test]
    fn a_pattern_of_many_stars_ends() {
        let pattern = "*a".repeat(200);
        let text = "a".repeat(5_000) + "b";
        assert!(!Pattern::read(&pattern).covers(&text, Case::Exact, &Keys::new()));
    }
}
