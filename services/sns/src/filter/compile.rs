use super::condition::{Cidr, Condition, Range};
use super::fields::{Field, Fields, Scalar};
use super::reader::{Reader, Token};
use super::{Scope, Wrong};

/// [SNS guide: filter policy constraints]
const KEYS_MAX: usize = 5;
const COMBINATIONS_MAX: usize = 150;
const POLICY_BYTES_MAX: usize = 262_144;

/// Steps of the search for values of the same elements; beyond, a message does not match.
const STEPS_MAX: usize = 100_000;

/// A policy as a list of alternatives, each without `$or`.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Policy {
    pub(super) rules: Vec<Rule>,
}

/// Keys that must all hold.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Rule(Vec<Key>);

#[derive(Clone, PartialEq, Debug)]
struct Key {
    path: String,
    depth: usize,
    conditions: Vec<Condition>,
}

impl Policy {
    /// Reads and checks a policy.
    pub(crate) fn compile(text: &str, scope: Scope) -> Result<Policy, Wrong> {
        if text.len() > POLICY_BYTES_MAX {
            return Err(Wrong::Policy("Filter policy is too large".to_owned()));
        }
        let mut compiler = Compiler {
            reader: Reader::new(text),
            keys: 0,
            is_nested: false,
        };
        let rules = compiler.document().map_err(Wrong::Policy)?;
        if compiler.is_nested && scope == Scope::Attributes {
            return Err(Wrong::Scope(
                "Filter policy scope MessageAttributes does not support nested filter policy",
            ));
        }
        if compiler.keys > KEYS_MAX {
            return Err(Wrong::Policy(format!(
                "Filter policy can not have more than {KEYS_MAX} keys"
            )));
        }
        let combinations: usize = rules.iter().map(Rule::combinations).sum();
        if combinations > COMBINATIONS_MAX {
            return Err(Wrong::Policy(TOO_COMPLEX.to_owned()));
        }
        Ok(Policy { rules })
    }
}

const TOO_COMPLEX: &str = "Filter policy is too complex";

impl Rule {
    /// Each key counts its values times its depth.
    fn combinations(&self) -> usize {
        let counts = self.0.iter().map(|key| key.conditions.len() * key.depth);
        counts.fold(1, usize::saturating_mul)
    }

    pub(super) fn matches(&self, fields: &Fields) -> bool {
        let mut candidates: Vec<Vec<&Field>> = Vec::with_capacity(self.0.len());
        for key in &self.0 {
            let found = fields.at(&key.path);
            if found.is_empty() && key.conditions.contains(&Condition::Absent) {
                continue;
            }
            let good: Vec<&Field> = found
                .iter()
                .filter(|field| key.conditions.iter().any(|c| c.holds(&field.value)))
                .collect();
            if good.is_empty() {
                return false;
            }
            candidates.push(good);
        }
        // Those with the fewest choices first: the search ends sooner.
        candidates.sort_by_key(Vec::len);
        let mut steps = STEPS_MAX;
        agree(&candidates, &mut Vec::new(), &mut steps)
    }
}

/// Whether one field of each list can be taken so that no two lie in different elements of one array.
fn agree(rest: &[Vec<&Field>], taken: &mut Vec<(usize, usize)>, steps: &mut usize) -> bool {
    let Some((first, rest)) = rest.split_first() else {
        return true;
    };
    for field in first {
        if *steps == 0 {
            return false;
        }
        *steps -= 1;
        let is_other =
            |(array, index): &(usize, usize)| taken.iter().any(|(a, i)| a == array && i != index);
        if field.elements.iter().any(is_other) {
            continue;
        }
        let before = taken.len();
        taken.extend_from_slice(&field.elements);
        if agree(rest, taken, steps) {
            return true;
        }
        taken.truncate(before);
    }
    false
}

struct Compiler {
    reader: Reader,
    /// Keys of the outermost level and of alternatives there.
    keys: usize,
    is_nested: bool,
}

/// What was read, or why not.
type Read<T> = Result<T, String>;

impl Compiler {
    fn document(&mut self) -> Read<Vec<Rule>> {
        match self.reader.next()? {
            Token::StartObject => self.object("", 1),
            _ => Err(self.reader.wrong("Filter is not an object")),
        }
    }

    /// Reads an object whose brace was read; gives its alternatives.
    fn object(&mut self, path: &str, depth: usize) -> Read<Vec<Rule>> {
        let mut rules = vec![Rule::default()];
        let mut is_empty = true;
        loop {
            let name = match self.reader.next()? {
                Token::EndObject => break,
                Token::Name(name) => name,
                other => return Err(self.reader.wrong(&format!("Unexpected {}", other.text()))),
            };
            is_empty = false;
            let more = if name == "$or" {
                self.alternatives(path, depth)?
            } else {
                self.member(path, &name, depth)?
            };
            rules = both(&rules, &more)?;
        }
        if is_empty {
            return Err(self.reader.wrong("Empty objects are not allowed"));
        }
        Ok(rules)
    }

    fn member(&mut self, path: &str, name: &str, depth: usize) -> Read<Vec<Rule>> {
        if depth == 1 {
            self.keys += 1;
        }
        let path = match path {
            "" => name.to_owned(),
            path => format!("{path}.{name}"),
        };
        match self.reader.next()? {
            Token::StartObject => {
                self.is_nested = true;
                self.object(&path, depth + 1)
            }
            Token::StartArray => Ok(vec![Rule(vec![Key {
                path,
                depth,
                conditions: self.conditions()?,
            }])]),
            _ => Err(self
                .reader
                .wrong(&format!("\"{name}\" must be an object or an array"))),
        }
    }

    /// Reads the value of `$or`.
    fn alternatives(&mut self, path: &str, depth: usize) -> Read<Vec<Rule>> {
        let wrong = "\"$or\" must be an array of objects";
        if self.reader.next()? != Token::StartArray {
            return Err(self.reader.wrong(wrong));
        }
        let mut rules = Vec::new();
        loop {
            match self.reader.next()? {
                Token::EndArray if rules.is_empty() => {
                    return Err(self.reader.wrong("Empty arrays are not allowed"));
                }
                Token::EndArray => return Ok(rules),
                Token::StartObject => rules.extend(self.object(path, depth)?),
                _ => return Err(self.reader.wrong(wrong)),
            }
            if rules.len() > COMBINATIONS_MAX {
                return Err(TOO_COMPLEX.to_owned());
            }
        }
    }

    /// Reads the values of a key whose bracket was read.
    fn conditions(&mut self) -> Read<Vec<Condition>> {
        let mut conditions = Vec::new();
        loop {
            let condition = match self.reader.next()? {
                Token::EndArray => break,
                Token::StartObject => self.operator()?,
                Token::Text(text) => Condition::Is(Scalar::Text(text)),
                Token::Number(number, _) => Condition::Is(Scalar::Number(number)),
                Token::True => Condition::Is(Scalar::Truth(true)),
                Token::False => Condition::Is(Scalar::Truth(false)),
                Token::Null => Condition::Is(Scalar::Null),
                _ => {
                    let wrong = "Match value must be String, number, true, false, or null";
                    return Err(self.reader.wrong(wrong));
                }
            };
            conditions.push(condition);
        }
        if conditions.is_empty() {
            return Err(self.reader.wrong("Empty arrays are not allowed"));
        }
        Ok(conditions)
    }

    /// Reads `{"prefix": …}`, whose brace was read.
    fn operator(&mut self) -> Read<Condition> {
        let name = match self.reader.next()? {
            Token::Name(name) => name,
            _ => return Err(self.reader.wrong("Empty match expression")),
        };
        let condition = match name.as_str() {
            "prefix" => Condition::Prefix(self.pattern("prefix")?),
            "suffix" => Condition::Suffix(self.pattern("suffix")?),
            "equals-ignore-case" => {
                Condition::EqualsIgnoreCase(self.pattern("equals-ignore-case")?.to_lowercase())
            }
            "exactly" => Condition::Is(Scalar::Text(self.pattern("exact")?)),
            // The parser behind SNS says `prefix` here too.
            "cidr" => Condition::Cidr(Cidr::parse(&self.pattern("prefix")?)?),
            "exists" => match self.reader.next()? {
                Token::True => Condition::Exists,
                Token::False => Condition::Absent,
                _ => {
                    return Err(self
                        .reader
                        .wrong("exists match pattern must be either true or false."));
                }
            },
            "anything-but" => self.anything_but()?,
            "numeric" => Condition::Numeric(self.numeric()?),
            other => {
                return Err(self
                    .reader
                    .wrong(&format!("Unrecognized match type {other}")));
            }
        };
        self.close()?;
        Ok(condition)
    }

    fn close(&mut self) -> Read<()> {
        match self.reader.next()? {
            Token::EndObject => Ok(()),
            _ => Err(self
                .reader
                .wrong("Only one key allowed in match expression")),
        }
    }

    fn pattern(&mut self, kind: &str) -> Read<String> {
        match self.reader.next()? {
            Token::Text(text) => {
                self.reader.looked();
                Ok(text)
            }
            _ => Err(self
                .reader
                .wrong(&format!("{kind} match pattern must be a string"))),
        }
    }

    fn anything_but(&mut self) -> Read<Condition> {
        match self.reader.next()? {
            Token::Text(text) => Ok(Condition::AnythingBut(vec![Scalar::Text(text)])),
            Token::Number(number, _) => Ok(Condition::AnythingBut(vec![Scalar::Number(number)])),
            Token::StartArray => self.unwanted(),
            Token::StartObject => {
                let name = match self.reader.next()? {
                    Token::Name(name) => name,
                    other => other.text(),
                };
                if name != "prefix" {
                    return Err(self
                        .reader
                        .wrong(&format!("Unsupported anything-but pattern: {name}")));
                }
                let prefix = self.pattern("prefix")?;
                self.close()?;
                Ok(Condition::AnythingButPrefix(prefix))
            }
            _ => Err(self
                .reader
                .wrong("Value of anything-but must be an array or single string/number value.")),
        }
    }

    fn unwanted(&mut self) -> Read<Condition> {
        let mut values = Vec::new();
        loop {
            match self.reader.next()? {
                Token::EndArray if values.is_empty() => {
                    return Err(self.reader.wrong("Empty arrays are not allowed"));
                }
                Token::EndArray => return Ok(Condition::AnythingBut(values)),
                Token::Text(text) => values.push(Scalar::Text(text)),
                Token::Number(number, _) => values.push(Scalar::Number(number)),
                _ => {
                    return Err(self
                        .reader
                        .wrong("Inside anything but list, start|null|boolean is not supported."));
                }
            }
        }
    }

    fn numeric(&mut self) -> Read<Range> {
        if self.reader.next()? != Token::StartArray {
            return Err(self.reader.wrong("Value of numeric must be an array."));
        }
        let operator = match self.reader.next()? {
            Token::Text(operator) => operator,
            other => {
                let text = format!("Invalid member in numeric match: {}", other.text());
                return Err(self.reader.wrong(&text));
            }
        };
        let value = self.reader.next()?;
        let named = match operator.as_str() {
            "=" => "equals",
            ">=" | ">" | "<=" | "<" => operator.as_str(),
            other => {
                let text = format!("Unrecognized numeric range operator: {other}");
                return Err(self.reader.wrong(&text));
            }
        };
        let Token::Number(number, _) = value else {
            return Err(self
                .reader
                .wrong(&format!("Value of {named} must be numeric")));
        };
        let mut range = Range::default();
        match operator.as_str() {
            "=" => (range.bottom, range.top) = (Some((number, true)), Some((number, true))),
            "<=" => range.top = Some((number, true)),
            "<" => range.top = Some((number, false)),
            ">=" => range.bottom = Some((number, true)),
            _ => range.bottom = Some((number, false)),
        }
        let next = self.reader.next()?;
        if next == Token::EndArray {
            return Ok(range);
        }
        if range.bottom.is_none() || operator == "=" {
            return Err(self.reader.wrong("Too many elements in numeric expression"));
        }
        self.upper_end(number, next, &mut range)?;
        Ok(range)
    }

    /// Reads the second half of a range.
    fn upper_end(&mut self, bottom: f64, first: Token, range: &mut Range) -> Read<()> {
        let Token::Text(operator) = first else {
            let text = format!("Bad value in numeric range: {}", first.text());
            return Err(self.reader.wrong(&text));
        };
        self.reader.looked();
        let is_in = match operator.as_str() {
            "<=" => true,
            "<" => false,
            other => {
                let text = format!("Bad numeric range operator: {other}");
                return Err(self.reader.wrong(&text));
            }
        };
        let Token::Number(top, _) = self.reader.next()? else {
            return Err(self
                .reader
                .wrong(&format!("Value of {operator} must be numeric")));
        };
        if self.reader.next()? != Token::EndArray {
            return Err(self
                .reader
                .wrong("Too many terms in numeric range expression"));
        }
        if bottom >= top {
            return Err(self.reader.wrong("Bottom must be less than top"));
        }
        range.top = Some((top, is_in));
        Ok(())
    }
}

/// Every alternative of the one together with every one of the other.
fn both(left: &[Rule], right: &[Rule]) -> Read<Vec<Rule>> {
    if left.len().saturating_mul(right.len()) > COMBINATIONS_MAX {
        return Err(TOO_COMPLEX.to_owned());
    }
    let join = |a: &Rule, b: &Rule| Rule([a.0.as_slice(), b.0.as_slice()].concat());
    Ok(left
        .iter()
        .flat_map(|a| right.iter().map(move |b| join(a, b)))
        .collect())
}
