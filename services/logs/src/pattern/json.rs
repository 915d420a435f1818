//! Patterns over JSON messages: `{ ($.a.b = "x*") && ($.n[0] >= 3) || $.c IS NULL }`.

use serde_json::Value;

use super::Unclear;

/// Brackets and conditions inside each other.
const DEPTH_MAX: u32 = 32;

#[derive(Clone, Debug)]
pub(crate) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Compare(Path, Compare, Wanted),
    Is(Path, Kind),
    NotExists(Path),
}

type Path = Vec<Step>;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Member(String),
    Item(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Null,
    True,
    False,
}

#[derive(Clone, Debug)]
pub(crate) enum Wanted {
    Number(f64),
    /// Parts between the stars.
    Text(Vec<String>),
}

impl Condition {
    pub(crate) fn holds(&self, message: &Value) -> bool {
        match self {
            Condition::All(parts) => parts.iter().all(|part| part.holds(message)),
            Condition::Any(parts) => parts.iter().any(|part| part.holds(message)),
            Condition::Is(path, kind) => find(message, path).is_some_and(|value| match kind {
                Kind::Null => value.is_null(),
                Kind::True => *value == Value::Bool(true),
                Kind::False => *value == Value::Bool(false),
            }),
            Condition::NotExists(path) => find(message, path).is_none(),
            Condition::Compare(path, compare, wanted) => {
                find(message, path).is_some_and(|value| compare.holds(value, wanted))
            }
        }
    }
}

fn find<'a>(message: &'a Value, path: &Path) -> Option<&'a Value> {
    path.iter().try_fold(message, |value, step| match step {
        Step::Member(name) => value.get(name),
        Step::Item(index) => value.get(index),
    })
}

impl Compare {
    fn holds(self, value: &Value, wanted: &Wanted) -> bool {
        match wanted {
            Wanted::Number(wanted) => value.as_f64().is_some_and(|found| match self {
                Compare::Equal => (found - wanted).abs() <= f64::EPSILON,
                Compare::NotEqual => (found - wanted).abs() > f64::EPSILON,
                Compare::Less => found < *wanted,
                Compare::LessOrEqual => found <= *wanted,
                Compare::Greater => found > *wanted,
                Compare::GreaterOrEqual => found >= *wanted,
            }),
            Wanted::Text(parts) => {
                let found = match value {
                    Value::String(text) => text.clone(),
                    Value::Number(_) | Value::Bool(_) => value.to_string(),
                    _ => return false,
                };
                match self {
                    Compare::Equal => fits(&found, parts),
                    Compare::NotEqual => !fits(&found, parts),
                    _ => false,
                }
            }
        }
    }
}

/// Whether `text` is the parts in order with anything between them.
fn fits(text: &str, parts: &[String]) -> bool {
    let Some((first, others)) = parts.split_first() else {
        return text.is_empty();
    };
    let Some(mut rest) = text.strip_prefix(first.as_str()) else {
        return false;
    };
    let Some((last, middle)) = others.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(at) = rest.find(part.as_str()) else {
            return false;
        };
        rest = rest.get(at + part.len()..).unwrap_or_default();
    }
    rest.ends_with(last.as_str())
}

/// Reads `{ … }`.
pub(crate) fn parse(text: &str) -> Result<Condition, Unclear> {
    let inner = text
        .strip_prefix('{')
        .and_then(|t| t.trim_end().strip_suffix('}'));
    let mut reader = Reader {
        rest: inner.ok_or(Unclear)?,
        depth: 0,
    };
    let condition = reader.any()?;
    reader.end()?;
    Ok(condition)
}

struct Reader<'a> {
    rest: &'a str,
    depth: u32,
}

impl<'a> Reader<'a> {
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn end(&mut self) -> Result<(), Unclear> {
        self.skip();
        self.rest.is_empty().then_some(()).ok_or(Unclear)
    }

    fn eat(&mut self, token: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn any(&mut self) -> Result<Condition, Unclear> {
        let mut parts = vec![self.all()?];
        while self.eat("||") {
            parts.push(self.all()?);
        }
        Ok(Condition::Any(parts))
    }

    fn all(&mut self) -> Result<Condition, Unclear> {
        let mut parts = vec![self.one()?];
        while self.eat("&&") {
            parts.push(self.one()?);
        }
        Ok(Condition::All(parts))
    }

    fn one(&mut self) -> Result<Condition, Unclear> {
        if !self.eat("(") {
            return self.comparison();
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Unclear);
        }
        let inner = self.any()?;
        self.depth -= 1;
        self.eat(")").then_some(inner).ok_or(Unclear)
    }

    fn comparison(&mut self) -> Result<Condition, Unclear> {
        let path = self.path()?;
        if self.eat_word("NOT") {
            let exists = self.eat_word("EXISTS");
            return exists.then_some(Condition::NotExists(path)).ok_or(Unclear);
        }
        if self.eat_word("IS") {
            let kinds = [
                ("NULL", Kind::Null),
                ("TRUE", Kind::True),
                ("FALSE", Kind::False),
            ];
            let kind = kinds.iter().find(|(word, _)| self.eat_word(word));
            return kind
                .map(|(_, kind)| Condition::Is(path, *kind))
                .ok_or(Unclear);
        }
        let signs = [
            ("!=", Compare::NotEqual),
            ("<=", Compare::LessOrEqual),
            (">=", Compare::GreaterOrEqual),
            ("=", Compare::Equal),
            ("<", Compare::Less),
            (">", Compare::Greater),
        ];
        let sign = signs.iter().find(|(sign, _)| self.eat(sign));
        let (_, compare) = sign.ok_or(Unclear)?;
        let wanted = self.wanted()?;
        let is_order = !matches!(compare, Compare::Equal | Compare::NotEqual);
        if is_order && matches!(wanted, Wanted::Text(_)) {
            return Err(Unclear);
        }
        Ok(Condition::Compare(path, *compare, wanted))
    }

    fn eat_word(&mut self, word: &str) -> bool {
        self.skip();
        let Some((head, rest)) = self.rest.split_at_checked(word.len()) else {
            return false;
        };
        let ends = !rest.starts_with(|c: char| c.is_alphanumeric());
        let is_it = ends && head.eq_ignore_ascii_case(word);
        if is_it {
            self.rest = rest;
        }
        is_it
    }

    fn path(&mut self) -> Result<Path, Unclear> {
        if !self.eat("$") {
            return Err(Unclear);
        }
        let mut path = Path::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix('.') {
                let end = rest
                    .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-')))
                    .unwrap_or(rest.len());
                let (name, rest) = rest.split_at(end);
                if name.is_empty() {
                    return Err(Unclear);
                }
                path.push(Step::Member(name.to_owned()));
                self.rest = rest;
            } else if let Some(rest) = self.rest.strip_prefix('[') {
                let (index, rest) = rest.split_once(']').ok_or(Unclear)?;
                let index = index.trim();
                let quoted = index.strip_prefix('\'').and_then(|i| i.strip_suffix('\''));
                path.push(match quoted {
                    Some(name) => Step::Member(name.to_owned()),
                    None => Step::Item(index.parse().map_err(|_| Unclear)?),
                });
                self.rest = rest;
            } else {
                return Ok(path);
            }
        }
    }

    fn wanted(&mut self) -> Result<Wanted, Unclear> {
        self.skip();
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let (text, rest) = super::phrase(quoted)?;
            self.rest = rest;
            return Ok(Wanted::Text(text.split('*').map(str::to_owned).collect()));
        }
        let end = self
            .rest
            .find(|c: char| c.is_whitespace() || matches!(c, ')' | '&' | '|' | '}'))
            .unwrap_or(self.rest.len());
        let (word, rest): (&'a str, &'a str) = self.rest.split_at(end);
        if word.is_empty() || word.starts_with('%') {
            return Err(Unclear);
        }
        self.rest = rest;
        Ok(match word.parse::<f64>() {
            Ok(number) if number.is_finite() => Wanted::Number(number),
            _ => Wanted::Text(word.split('*').map(str::to_owned).collect()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MESSAGE: &str = r#"{
        "eventType": "UpdateTrail", "n": 2.5, "ok": true, "nothing": null, "code": "200",
        "user": {"id": 1, "name": "John Stiles"}, "list": ["first", {"flag": false}]
    }"#;

    fn check(cases: &[(&str, bool)]) {
        let message = serde_json::from_str(MESSAGE).unwrap();
        for (pattern, expected) in cases {
            let condition = parse(pattern).unwrap_or_else(|_| panic!("{pattern} is refused"));
            assert_eq!(condition.holds(&message), *expected, "{pattern}");
        }
    }

    #[test]
    fn values_are_compared() {
        check(&[
            ("{ $.eventType = \"UpdateTrail\" }", true),
            ("{$.eventType=UpdateTrail}", true),
            ("{ $.eventType = \"Update*\" }", true),
            ("{ $.eventType = \"*date*il\" }", true),
            ("{ $.eventType = \"*date\" }", false),
            ("{ $.eventType != \"Other\" }", true),
            ("{ $.missing != \"Other\" }", false),
            ("{ $.n > 2 }", true),
            ("{ $.n >= 2.5 }", true),
            ("{ $.n < 2.5 }", false),
            ("{ $.n = 2.5 }", true),
            ("{ $.code = 200 }", false),
            ("{ $.code = \"200\" }", true),
            ("{ $.user.id = 1 }", true),
            ("{ $.list[0] = \"first\" }", true),
            ("{ $.list[1].flag IS FALSE }", true),
            ("{ $['user'].name = \"John*\" }", true),
        ]);
    }

    #[test]
    fn conditions_are_joined() {
        check(&[
            ("{ $.n > 2 && $.user.id = 1 }", true),
            ("{ $.n > 3 || $.user.id = 1 }", true),
            ("{ ($.n > 3 || $.n < 1) && $.user.id = 1 }", false),
            ("{ $.ok IS TRUE }", true),
            ("{ $.nothing IS NULL }", true),
            ("{ $.n IS NULL }", false),
            ("{ $.missing NOT EXISTS }", true),
            ("{ $.n NOT EXISTS }", false),
        ]);
    }

    #[test]
    fn a_message_that_is_no_json_does_not_match() {
        let pattern = super::super::Pattern::parse("{ $.a NOT EXISTS }").unwrap();
        assert!(!pattern.matches("plain text"));
        assert!(pattern.matches("{\"b\": 1}\n"));
    }

    #[test]
    fn deep_brackets_are_refused_and_not_followed() {
        let deep = format!("{{ {}$.a = 1{} }}", "(".repeat(1_000), ")".repeat(1_000));
        assert!(parse(&deep).is_err());
    }
}
