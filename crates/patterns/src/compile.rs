//! From the text of a pattern to its rules, with the refusals of AWS.

use serde_json::{Number, Value};

use crate::InvalidPattern;
use crate::complexity::is_too_complex;
use crate::matcher::{Matcher, Piece, Range, Text};
use crate::number::compare;
use crate::pattern::Rule;
use crate::tokens::{Token, Tokens};
use crate::values;

/// Rules that alternatives may multiply out to.  [EventBridge guide: $or]
const RULES_MAX: usize = 1_000;

const IN_LIST: &str = "Inside anything but list, start|null|boolean is not supported.";
const MIXED_LIST: &str =
    "Inside anything but list, either all values are number or string, mixed type is not supported";
const IN_NO_CASE: &str =
    "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported.";
const NOT_SCALAR: &str = "Value of anything-but must be an array or single string/number value.";

pub(crate) fn compile(text: &str) -> Result<Vec<Rule>, InvalidPattern> {
    let mut compiler = Compiler {
        tokens: Tokens::new(text),
    };
    if compiler.tokens.next()? != Token::StartObject {
        return Err(compiler.tokens.refuse("Filter is not an object"));
    }
    let mut rules = vec![Rule::new()];
    compiler.object("", &mut rules)?;
    Ok(rules)
}

struct Compiler<'t> {
    tokens: Tokens<'t>,
}

impl Compiler<'_> {
    fn refuse<T>(&self, reason: impl Into<String>) -> Result<T, InvalidPattern> {
        Err(self.tokens.refuse(reason))
    }

    /// The members of an object whose brace was read, into each of `rules`.
    fn object(&mut self, path: &str, rules: &mut Vec<Rule>) -> Result<(), InvalidPattern> {
        let mut is_empty = true;
        loop {
            match self.tokens.next()? {
                Token::EndObject => break,
                Token::Name => {}
                _ => return self.refuse("Event pattern is not an object"),
            }
            is_empty = false;
            let name = self.tokens.text()?.to_owned();
            let below = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            match self.tokens.next()? {
                Token::StartObject => self.object(&below, rules)?,
                Token::StartArray if name == "$or" && self.is_or() => {
                    self.alternatives(path, rules)?;
                }
                Token::StartArray => {
                    let matchers = self.matchers()?;
                    for rule in rules.iter_mut() {
                        rule.insert(below.clone(), matchers.clone());
                    }
                }
                _ => return self.refuse(format!("\"{name}\" must be an object or an array")),
            }
        }
        if is_empty {
            return self.refuse("Empty objects are not allowed");
        }
        Ok(())
    }

    /// Whether `$or` means alternatives here: at least two objects, none of them a match expression.
    /// Otherwise it is a name like any other.
    fn is_or(&self) -> bool {
        let ahead = self.tokens.array_ahead();
        let mut values = serde_json::Deserializer::from_str(ahead).into_iter::<Value>();
        let Some(Ok(Value::Array(items))) = values.next() else {
            return false;
        };
        let is_alternative = |item: &Value| {
            item.as_object().is_some_and(|members| {
                !members.is_empty() && !members.keys().any(|name| is_operator(name))
            })
        };
        items.len() >= 2 && items.iter().all(is_alternative)
    }

    fn alternatives(&mut self, path: &str, rules: &mut Vec<Rule>) -> Result<(), InvalidPattern> {
        let mut all = Vec::new();
        loop {
            match self.tokens.next()? {
                Token::EndArray => break,
                Token::StartObject => {
                    let mut alternative = rules.clone();
                    self.object(path, &mut alternative)?;
                    all.extend(alternative);
                }
                _ => return self.refuse("Only objects are allowed in \"$or\" array"),
            }
            if all.len() > RULES_MAX {
                return Err(InvalidPattern::new(format!(
                    "Rule is too complex - the number of rule combinations is over {RULES_MAX}"
                )));
            }
        }
        *rules = all;
        Ok(())
    }

    /// The values of a path, whose bracket was read.
    fn matchers(&mut self) -> Result<Vec<Matcher>, InvalidPattern> {
        let mut matchers = Vec::new();
        loop {
            let matcher = match self.tokens.next()? {
                Token::EndArray => break,
                Token::StartObject => self.expression()?,
                Token::Text => Matcher::Equal(Value::from(self.tokens.text()?)),
                Token::Number => Matcher::Equal(Value::Number(self.number()?)),
                Token::True => Matcher::Equal(Value::Bool(true)),
                Token::False => Matcher::Equal(Value::Bool(false)),
                Token::Null => Matcher::Equal(Value::Null),
                _ => {
                    return self.refuse("Match value must be String, number, true, false, or null");
                }
            };
            matchers.push(matcher);
        }
        if matchers.is_empty() {
            return self.refuse("Empty arrays are not allowed");
        }
        Ok(matchers)
    }

    fn number(&mut self) -> Result<Number, InvalidPattern> {
        let text = self.tokens.text()?;
        let number = serde_json::from_str(text);
        number.map_err(|_| self.tokens.refuse("Invalid numeric value"))
    }

    fn expression(&mut self) -> Result<Matcher, InvalidPattern> {
        if self.tokens.next()? != Token::Name {
            return self.refuse("Match expression name not found");
        }
        let name = self.tokens.text()?.to_owned();
        let matcher = match name.as_str() {
            "exists" => self.exists()?,
            "equals-ignore-case" => {
                let wanted = self.text_of("equals-ignore-case")?;
                Matcher::Text(Text::EqualNoCase(wanted.to_lowercase()))
            }
            "prefix" => self.affix("prefix", Text::Prefix, Text::PrefixNoCase)?,
            "suffix" => self.affix("suffix", Text::Suffix, Text::SuffixNoCase)?,
            "wildcard" => {
                let text = self.text_of("wildcard")?;
                Matcher::Text(self.wildcard(&text)?)
            }
            "numeric" => self.numeric()?,
            "cidr" => {
                // AWS names the prefix here.
                let text = self.text_of("prefix")?;
                let cidr = values::cidr(&text).map_err(InvalidPattern::new)?;
                Matcher::Cidr(cidr)
            }
            "anything-but" => self.anything_but()?,
            other => return self.refuse(format!("Unrecognized match type {other}")),
        };
        self.end_of_expression()?;
        Ok(matcher)
    }

    fn end_of_expression(&mut self) -> Result<(), InvalidPattern> {
        match self.tokens.next()? {
            Token::EndObject => Ok(()),
            _ => self.refuse("Only one key allowed in match expression"),
        }
    }

    fn text_of(&mut self, what: &str) -> Result<String, InvalidPattern> {
        match self.tokens.next()? {
            Token::Text => Ok(self.tokens.text()?.to_owned()),
            _ => self.refuse(format!("{what} match pattern must be a string")),
        }
    }

    fn exists(&mut self) -> Result<Matcher, InvalidPattern> {
        match self.tokens.next()? {
            Token::True => Ok(Matcher::Exists),
            Token::False => Ok(Matcher::Absent),
            _ => self.refuse("exists match pattern must be either true or false."),
        }
    }

    /// A prefix or suffix: a text, or an object that names one without regard to case.
    fn affix(
        &mut self,
        what: &str,
        exact: fn(String) -> Text,
        no_case: fn(String) -> Text,
    ) -> Result<Matcher, InvalidPattern> {
        match self.tokens.next()? {
            Token::Text => Ok(Matcher::Text(exact(self.tokens.text()?.to_owned()))),
            Token::StartObject => {
                let is_known = self.tokens.next()? == Token::Name
                    && self.tokens.text()? == "equals-ignore-case";
                if !is_known {
                    return self.refuse(format!("Unsupported {what} pattern"));
                }
                let text = self.text_of("equals-ignore-case")?;
                self.end_of_expression()?;
                Ok(Matcher::Text(no_case(text.to_lowercase())))
            }
            _ => self.refuse(format!("{what} match pattern must be a string")),
        }
    }

    fn wildcard(&self, text: &str) -> Result<Text, InvalidPattern> {
        let pieces: Vec<Piece> =
            values::pieces(text).map_err(|reason| self.tokens.refuse(reason))?;
        if is_too_complex(&pieces) {
            return Err(InvalidPattern::new(
                "Rule is too complex - try using fewer wildcard characters or fewer repeating \
                 character sequences after a wildcard character",
            ));
        }
        Ok(Text::Wildcard(pieces))
    }

    fn numeric(&mut self) -> Result<Matcher, InvalidPattern> {
        if self.tokens.next()? != Token::StartArray {
            return self.refuse("Value of numeric must be an array.");
        }
        let token = self.tokens.next()?;
        if token != Token::Text {
            let shown = self.tokens.shown(token)?;
            return self.refuse(format!("Invalid member in numeric match: {shown}"));
        }
        let operator = self.tokens.text()?.to_owned();
        if !matches!(operator.as_str(), "=" | "<" | "<=" | ">" | ">=") {
            self.tokens.next()?;
            return self.refuse(format!("Unrecognized numeric range operator: {operator}"));
        }
        let value = match operator.as_str() {
            "=" => self.operand("equals")?,
            operator => self.operand(operator)?,
        };
        let range = match operator.as_str() {
            "=" => {
                if self.tokens.next()? != Token::EndArray {
                    return self.refuse("Too many elements in numeric expression");
                }
                Range {
                    bottom: Some((value.clone(), true)),
                    top: Some((value, true)),
                }
            }
            "<" | "<=" => {
                if self.tokens.next()? != Token::EndArray {
                    return self.refuse("Too many elements in numeric expression");
                }
                Range {
                    bottom: None,
                    top: Some((value, operator == "<=")),
                }
            }
            _ => self.rest_of_range(value, operator == ">=")?,
        };
        Ok(Matcher::Range(range))
    }

    fn operand(&mut self, operator: &str) -> Result<Number, InvalidPattern> {
        match self.tokens.next()? {
            Token::Number => self.number(),
            _ => self.refuse(format!("Value of {operator} must be numeric")),
        }
    }

    fn rest_of_range(&mut self, bottom: Number, is_closed: bool) -> Result<Range, InvalidPattern> {
        let bound = bottom.clone();
        let bottom = Some((bottom, is_closed));
        let token = self.tokens.next()?;
        if token == Token::EndArray {
            return Ok(Range { bottom, top: None });
        }
        if token != Token::Text {
            let shown = self.tokens.shown(token)?;
            return self.refuse(format!("Bad value in numeric range: {shown}"));
        }
        let operator = self.tokens.text()?.to_owned();
        if operator != "<" && operator != "<=" {
            return self.refuse(format!("Bad numeric range operator: {operator}"));
        }
        let top = self.operand(&operator)?;
        if self.tokens.next()? != Token::EndArray {
            return self.refuse("Too many terms in numeric range expression");
        }
        if compare(&bound, &top).is_ge() {
            return Err(InvalidPattern::new("Bottom must be less than top"));
        }
        let top = Some((top, operator == "<="));
        Ok(Range { bottom, top })
    }

    fn anything_but(&mut self) -> Result<Matcher, InvalidPattern> {
        match self.tokens.next()? {
            Token::StartObject => self.anything_but_texts(),
            Token::StartArray => {
                let values = self.list();
                let values = values.map_err(|refused| self.tokens.twice(refused))?;
                Ok(Matcher::NotValues(values))
            }
            Token::Text => Ok(Matcher::NotValues(vec![Value::from(self.tokens.text()?)])),
            Token::Number => Ok(Matcher::NotValues(vec![Value::Number(self.number()?)])),
            _ => self.refuse(NOT_SCALAR),
        }
    }

    fn list(&mut self) -> Result<Vec<Value>, InvalidPattern> {
        let mut values: Vec<Value> = Vec::new();
        loop {
            let value = match self.tokens.next()? {
                Token::EndArray => break,
                Token::Text => Value::from(self.tokens.text()?),
                Token::Number => Value::Number(self.number()?),
                _ => return self.refuse(IN_LIST),
            };
            if values
                .last()
                .is_some_and(|v| v.is_string() != value.is_string())
            {
                return self.refuse(MIXED_LIST);
            }
            values.push(value);
        }
        if values.is_empty() {
            return self.refuse("Empty arrays are not allowed");
        }
        Ok(values)
    }

    /// `anything-but` of a match expression, whose brace was read.
    fn anything_but_texts(&mut self) -> Result<Matcher, InvalidPattern> {
        if self.tokens.next()? != Token::Name {
            return self.refuse("Anything-But expression name not found");
        }
        let kind = self.tokens.text()?.to_owned();
        if !matches!(
            kind.as_str(),
            "prefix" | "suffix" | "equals-ignore-case" | "wildcard"
        ) {
            return self.refuse(format!("Unsupported anything-but pattern: {kind}"));
        }
        let texts = match self.tokens.next()? {
            Token::StartArray => {
                let texts = self.texts(&kind);
                texts.map_err(|refused| self.tokens.twice(refused))?
            }
            Token::StartObject => return self.refuse(NOT_SCALAR),
            token => vec![self.negated(&kind, token)?],
        };
        self.end_of_expression()?;
        Ok(Matcher::NotTexts(texts))
    }

    fn texts(&mut self, kind: &str) -> Result<Vec<Text>, InvalidPattern> {
        let mut texts = Vec::new();
        loop {
            match self.tokens.next()? {
                Token::EndArray => break,
                token => texts.push(self.negated(kind, token)?),
            }
        }
        if texts.is_empty() {
            return self.refuse("Empty arrays are not allowed");
        }
        Ok(texts)
    }

    fn negated(&mut self, kind: &str, token: Token) -> Result<Text, InvalidPattern> {
        if token != Token::Text {
            return self.refuse(match kind {
                "prefix" | "suffix" => "prefix/suffix match pattern must be a string",
                "wildcard" => "wildcard match pattern must be a string",
                _ => IN_NO_CASE,
            });
        }
        let text = self.tokens.text()?.to_owned();
        match kind {
            "prefix" | "suffix" if text.is_empty() => self.refuse("Null prefix/suffix not allowed"),
            "prefix" => Ok(Text::Prefix(text)),
            "suffix" => Ok(Text::Suffix(text)),
            "wildcard" => self.wildcard(&text),
            _ => Ok(Text::EqualNoCase(text.to_lowercase())),
        }
    }
}

fn is_operator(name: &str) -> bool {
    matches!(
        name,
        "exists"
            | "equals-ignore-case"
            | "prefix"
            | "suffix"
            | "numeric"
            | "anything-but"
            | "cidr"
            | "wildcard"
    )
}
