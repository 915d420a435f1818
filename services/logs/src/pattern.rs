//! Filter patterns.  [CloudWatch Logs guide: filter pattern syntax]
//!
//! Unstructured ones (`word "a phrase" ?either ?or -never`) and JSON ones (`{ $.a.b[0] = "x*" }`).
//! Differs: regular expressions (`%…%`) and space-delimited patterns (`[a, b]`) are refused.

mod json;

use json::Condition;

/// A pattern that was understood.
#[derive(Clone, Debug)]
pub(crate) enum Pattern {
    Everything,
    Words(Words),
    Json(Condition),
}

/// Terms are looked for as text, with respect to case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Words {
    all: Vec<String>,
    any: Vec<String>,
    none: Vec<String>,
}

/// The pattern has no meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unclear;

impl Pattern {
    pub(crate) fn parse(text: &str) -> Result<Pattern, Unclear> {
        let text = text.trim();
        match text.chars().next() {
            None => Ok(Pattern::Everything),
            Some('{') => json::parse(text).map(Pattern::Json),
            Some('[' | '%') => Err(Unclear),
            Some(_) => Words::parse(text).map(Pattern::Words),
        }
    }

    pub(crate) fn matches(&self, message: &str) -> bool {
        match self {
            Pattern::Everything => true,
            Pattern::Words(words) => words.match_text(message),
            Pattern::Json(condition) => serde_json::from_str(message.trim())
                .is_ok_and(|value: serde_json::Value| condition.holds(&value)),
        }
    }
}

impl Words {
    fn parse(text: &str) -> Result<Words, Unclear> {
        let mut words = Words::default();
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let sign = matches!(first, '?' | '-').then_some(first);
            let body = sign.map_or(rest, |_| rest.get(1..).unwrap_or_default());
            let (word, left) = match body.strip_prefix('"') {
                Some(quoted) => phrase(quoted)?,
                None => {
                    let end = body.find(char::is_whitespace).unwrap_or(body.len());
                    let (word, left) = body.split_at(end);
                    (word.to_owned(), left)
                }
            };
            if word.is_empty() {
                return Err(Unclear);
            }
            match sign {
                Some('?') => words.any.push(word),
                Some(_) => words.none.push(word),
                None => words.all.push(word),
            }
            rest = left.trim_start();
        }
        Ok(words)
    }

    fn match_text(&self, message: &str) -> bool {
        let has = |word: &String| message.contains(word.as_str());
        // Beside required terms the optional ones say nothing.
        let any = self.any.is_empty() || !self.all.is_empty() || self.any.iter().any(has);
        any && self.all.iter().all(has) && !self.none.iter().any(has)
    }
}

/// The text up to the closing quote, and what stands behind it.
fn phrase(text: &str) -> Result<(String, &str), Unclear> {
    let mut word = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((word, text.get(at + 1..).unwrap_or_default())),
            '\\' => word.push(letters.next().ok_or(Unclear)?.1),
            other => word.push(other),
        }
    }
    Err(Unclear)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, cases: &[(&str, bool)]) {
        let parsed = Pattern::parse(pattern).unwrap();
        for (message, expected) in cases {
            assert_eq!(parsed.matches(message), *expected, "{pattern} on {message}");
        }
    }

    #[test]
    fn words_must_all_be_there() {
        check("", &[("anything", true), ("", true)]);
        check("ERROR", &[("[ERROR 400]", true), ("error", false)]);
        check(
            "ERROR ARGUMENTS",
            &[("ERROR bad ARGUMENTS", true), ("ERROR", false)],
        );
        check(
            "\"INTERNAL SERVER\"",
            &[("x INTERNAL SERVER y", true), ("SERVER INTERNAL", false)],
        );
        check(
            "\"say \\\"hi\\\"\"",
            &[("say \"hi\"", true), ("say hi", false)],
        );
    }

    #[test]
    fn question_marks_are_alternatives_and_minus_excludes() {
        check(
            "?ERROR ?WARN",
            &[("WARN x", true), ("ERROR", true), ("INFO", false)],
        );
        check(
            "ERROR -timeout",
            &[("ERROR a", true), ("ERROR timeout", false)],
        );
        check("-a", &[("b", true), ("a", false)]);
        check("x ?y", &[("x", true), ("y", false)]);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for pattern in [
            "\"open",
            "[a, b]",
            "%re%",
            "?",
            "- x",
            "{",
            "{ $.a }",
            "{ $.a = }",
        ] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    /// Whatever a client sends, a pattern is understood or refused.
    #[test]
    fn no_text_confuses_the_parser() {
        const PIECES: [&str; 24] = [
            "{", "}", "(", ")", "$", ".", "[", "]", "'", "\"", "\\", "=", "!=", "<", "&&", "||",
            "IS", "NOT", "EXISTS", "NULL", "a", "ü", " ", "-1.5*",
        ];
        let dice = tasks::Ids::seeded(5);
        let mut understood = 0;
        for _ in 0..20_000 {
            let count = dice.u64() % 16;
            let pick = |_| PIECES[usize::try_from(dice.u64() % 24).unwrap()];
            let text: String = (0..count).map(pick).collect();
            for text in [text.clone(), format!("{{ $.a {text} }}")] {
                if let Ok(pattern) = Pattern::parse(&text) {
                    understood += 1;
                    pattern.matches(&text);
                    pattern.matches("{\"a\": [1, \"x\"]}");
                }
            }
        }
        assert!(understood > 100, "{understood}");
    }
}
