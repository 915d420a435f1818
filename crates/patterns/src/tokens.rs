use crate::InvalidPattern;

/// Letters of the pattern that a refusal repeats.
const EXCERPT_MAX: usize = 500;
/// Objects and arrays inside each other.
const DEPTH_MAX: usize = 100;

/// A piece of JSON. Texts of names and values are asked for with [`Tokens::text`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Token {
    StartObject,
    EndObject,
    StartArray,
    EndArray,
    Name,
    Text,
    Number,
    True,
    False,
    Null,
    End,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Object,
    Array,
}

/// Reads JSON piece by piece and knows where it is, in the way of the parser whose places AWS
/// shows: behind a name it has begun to read the value already, and a text is read to its end only
/// when somebody asks for it.
pub(crate) struct Tokens<'t> {
    source: &'t str,
    at: usize,
    stack: Vec<Inside>,
    /// A value is over: a comma or an end must follow.
    is_behind_value: bool,
    pending: Option<Token>,
    /// The text that `at` stands inside of, unread.
    is_open: bool,
    text: String,
    /// The text of the pending token.
    next_text: String,
}

impl<'t> Tokens<'t> {
    pub(crate) fn new(source: &'t str) -> Tokens<'t> {
        Tokens {
            source,
            at: 0,
            stack: Vec::new(),
            is_behind_value: false,
            pending: None,
            is_open: false,
            text: String::new(),
            next_text: String::new(),
        }
    }

    /// What follows the bracket that was read last, with the bracket.
    pub(crate) fn array_ahead(&self) -> &'t str {
        let bracket = self.at.saturating_sub(1);
        self.source.get(bracket..).unwrap_or_default()
    }

    /// A refusal at the place reached.
    pub(crate) fn refuse(&self, reason: impl Into<String>) -> InvalidPattern {
        self.refuse_at(reason, self.at)
    }

    /// The place is told twice where the parser wraps its own refusal.
    pub(crate) fn twice(&self, refused: InvalidPattern) -> InvalidPattern {
        InvalidPattern::new(format!("{refused}{}", self.place(self.at)))
    }

    fn refuse_at(&self, reason: impl Into<String>, at: usize) -> InvalidPattern {
        InvalidPattern::new(format!("{}{}", reason.into(), self.place(at)))
    }

    fn place(&self, at: usize) -> String {
        let before = self.source.get(..at).unwrap_or(self.source);
        let line = before.matches('\n').count() + 1;
        let row = before.rsplit('\n').next().unwrap_or_default();
        let column = row.encode_utf16().count() + 1;
        let letters = self.source.chars().count();
        let excerpt: String = self.source.chars().take(EXCERPT_MAX).collect();
        let cut = match letters.checked_sub(EXCERPT_MAX) {
            None | Some(0) => String::new(),
            Some(more) => format!("[truncated {more} chars]"),
        };
        format!("\n at [Source: (String)\"{excerpt}\"{cut}; line: {line}, column: {column}]")
    }

    fn peek(&self) -> Option<char> {
        self.source.get(self.at..)?.chars().next()
    }

    fn skip_space(&mut self) {
        while let Some(c) = self.peek()
            && matches!(c, ' ' | '\t' | '\n' | '\r')
        {
            self.at += 1;
        }
    }

    fn unexpected(&self, c: char, wanted: &str) -> InvalidPattern {
        let code = u32::from(c);
        self.refuse(format!(
            "Unexpected character ('{c}' (code {code})): {wanted}"
        ))
    }

    fn end_of_input(&self, wanted: &str) -> InvalidPattern {
        self.refuse(format!("Unexpected end-of-input{wanted}"))
    }

    /// The text of the name or value that came last.
    pub(crate) fn text(&mut self) -> Result<&str, InvalidPattern> {
        self.finish_text()?;
        Ok(&self.text)
    }

    /// The raw text of the last token, for refusals.
    pub(crate) fn shown(&mut self, token: Token) -> Result<String, InvalidPattern> {
        Ok(match token {
            Token::StartObject => "{".to_owned(),
            Token::EndObject => "}".to_owned(),
            Token::StartArray => "[".to_owned(),
            Token::EndArray => "]".to_owned(),
            Token::True => "true".to_owned(),
            Token::False => "false".to_owned(),
            Token::Null => "null".to_owned(),
            Token::End => String::new(),
            Token::Name | Token::Text | Token::Number => self.text()?.to_owned(),
        })
    }

    pub(crate) fn next(&mut self) -> Result<Token, InvalidPattern> {
        self.finish_text()?;
        if let Some(token) = self.pending.take() {
            self.text = std::mem::take(&mut self.next_text);
            return Ok(token);
        }
        self.skip_space();
        let Some(c) = self.peek() else {
            if self.stack.is_empty() {
                return Ok(Token::End);
            }
            return Err(self.end_of_input(": expected close marker"));
        };
        match (self.stack.last(), c) {
            (Some(Inside::Object), '}') => Ok(self.leave(Token::EndObject)),
            (Some(Inside::Array), ']') => Ok(self.leave(Token::EndArray)),
            (inside, ',') if inside.is_some() && self.is_behind_value => {
                self.at += 1;
                self.is_behind_value = false;
                self.skip_space();
                self.item()
            }
            (Some(inside), c) if self.is_behind_value => {
                let what = match inside {
                    Inside::Object => "Object",
                    Inside::Array => "Array",
                };
                let wanted = format!("was expecting comma to separate {what} entries");
                Err(self.unexpected(c, &wanted))
            }
            _ => self.item(),
        }
    }

    fn leave(&mut self, token: Token) -> Token {
        self.at += 1;
        self.stack.pop();
        self.is_behind_value = true;
        token
    }

    /// A name with the beginning of its value, or a value.
    fn item(&mut self) -> Result<Token, InvalidPattern> {
        if self.stack.last() != Some(&Inside::Object) {
            return self.value();
        }
        match self.peek() {
            Some('"') => self.at += 1,
            Some(c) => {
                return Err(self.unexpected(c, "was expecting double-quote to start field name"));
            }
            None => return Err(self.end_of_input(": expected field name")),
        }
        self.read_text()?;
        let name = std::mem::take(&mut self.text);
        self.skip_space();
        match self.peek() {
            Some(':') => self.at += 1,
            Some(c) => {
                let wanted = "was expecting a colon to separate field name and value";
                return Err(self.unexpected(c, wanted));
            }
            None => return Err(self.end_of_input(": expected a colon")),
        }
        self.skip_space();
        let value = self.value()?;
        // The text of a number was read already: it comes after the name's.
        self.next_text = std::mem::replace(&mut self.text, name);
        self.pending = Some(value);
        Ok(Token::Name)
    }

    fn value(&mut self) -> Result<Token, InvalidPattern> {
        let Some(c) = self.peek() else {
            return Err(self.end_of_input(": expected a value"));
        };
        self.is_behind_value = true;
        match c {
            '{' => self.enter(Inside::Object, Token::StartObject),
            '[' => self.enter(Inside::Array, Token::StartArray),
            '"' => {
                self.at += 1;
                self.is_open = true;
                Ok(Token::Text)
            }
            '-' | '0'..='9' => self.number(),
            _ => self.word(),
        }
    }

    fn enter(&mut self, inside: Inside, token: Token) -> Result<Token, InvalidPattern> {
        self.at += 1;
        if self.stack.len() >= DEPTH_MAX {
            return Err(self.refuse("Event pattern is nested too deep"));
        }
        self.stack.push(inside);
        self.is_behind_value = false;
        Ok(token)
    }

    fn word(&mut self) -> Result<Token, InvalidPattern> {
        let rest = self.source.get(self.at..).unwrap_or_default();
        let length = rest
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$'))
            .unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        let token = match word {
            "true" => Token::True,
            "false" => Token::False,
            "null" => Token::Null,
            "" => {
                let c = self.peek().unwrap_or_default();
                return Err(self.unexpected(
                    c,
                    "expected a valid value (JSON String, Number, Array, Object or token 'null', \
                     'true' or 'false')",
                ));
            }
            word => {
                return Err(self.refuse_at(
                    format!(
                        "Unrecognized token '{word}': was expecting (JSON String, Number, Array, \
                         Object or token 'null', 'true' or 'false')"
                    ),
                    self.at + length,
                ));
            }
        };
        self.at += length;
        Ok(token)
    }

    fn number(&mut self) -> Result<Token, InvalidPattern> {
        let rest = self.source.get(self.at..).unwrap_or_default();
        let length = rest
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')))
            .unwrap_or(rest.len());
        let text = rest.get(..length).unwrap_or_default();
        if serde_json::from_str::<serde_json::Number>(text).is_err() {
            return Err(self.refuse_at(format!("Invalid numeric value: {text}"), self.at + length));
        }
        self.at += length;
        self.text = text.to_owned();
        Ok(Token::Number)
    }

    fn finish_text(&mut self) -> Result<(), InvalidPattern> {
        if self.is_open && self.pending.is_none() {
            self.is_open = false;
            self.read_text()?;
        }
        Ok(())
    }

    /// Reads to behind the closing quote.
    fn read_text(&mut self) -> Result<(), InvalidPattern> {
        let start = self.at;
        let rest = self.source.get(start..).unwrap_or_default();
        let mut is_escaped = false;
        for (i, c) in rest.char_indices() {
            match c {
                _ if is_escaped => is_escaped = false,
                '\\' => is_escaped = true,
                '"' => {
                    self.at = start + i + 1;
                    let quoted = self.source.get(start - 1..self.at).unwrap_or_default();
                    self.text = serde_json::from_str(quoted).map_err(|_| {
                        self.refuse("Unrecognized character escape or illegal character")
                    })?;
                    return Ok(());
                }
                _ => {}
            }
        }
        self.at = self.source.len();
        Err(self.end_of_input(" in VALUE_STRING: was expecting closing quote for a string value"))
    }
}
