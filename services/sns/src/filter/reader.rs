//! Reads JSON token by token and knows where it is, as the parser behind SNS does: its places are part
//! of the error messages.

/// Deepest nesting of a policy.
const DEPTH_MAX: usize = 64;

/// Most characters of the text that a message repeats.
const SHOWN_MAX: usize = 500;

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Token {
    StartObject,
    EndObject,
    StartArray,
    EndArray,
    Name(String),
    Text(String),
    Number(f64, String),
    True,
    False,
    Null,
    End,
}

impl Token {
    /// As messages spell the token.
    pub(super) fn text(&self) -> String {
        match self {
            Token::StartObject => "{".to_owned(),
            Token::EndObject => "}".to_owned(),
            Token::StartArray => "[".to_owned(),
            Token::EndArray => "]".to_owned(),
            Token::Name(text) | Token::Text(text) | Token::Number(_, text) => text.clone(),
            Token::True => "true".to_owned(),
            Token::False => "false".to_owned(),
            Token::Null | Token::End => "null".to_owned(),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Level {
    Object,
    Array,
}

/// A token that was read ahead: the parser looks at the value together with its name.
struct Ahead {
    token: Token,
    here: usize,
    behind: usize,
}

pub(super) struct Reader {
    letters: Vec<char>,
    at: usize,
    levels: Vec<Level>,
    /// Whether something came before on this level, so that a comma is due.
    is_first: bool,
    ahead: Option<Ahead>,
    /// Letters that the parser has consumed: a text counts as its opening quote until it is looked at.
    here: usize,
    /// The same after the text was looked at.
    behind: usize,
}

impl Reader {
    pub(super) fn new(source: &str) -> Reader {
        Reader {
            letters: source.chars().collect(),
            at: 0,
            levels: Vec::new(),
            is_first: true,
            ahead: None,
            here: 0,
            behind: 0,
        }
    }

    /// The parser has looked at the text of the last token.
    pub(super) fn looked(&mut self) {
        self.here = self.behind;
    }

    /// A message with the place where the parser is.
    pub(super) fn wrong(&self, message: &str) -> String {
        let shown: String = self.letters.iter().take(SHOWN_MAX).collect();
        let rest = self.letters.len().saturating_sub(SHOWN_MAX);
        let cut = match rest {
            0 => String::new(),
            n => format!("[truncated {n} chars]"),
        };
        let (line, column) = self.place(self.here);
        format!("{message}\n at [Source: (String)\"{shown}\"{cut}; line: {line}, column: {column}]")
    }

    /// A message about text that is no JSON.
    fn broken(&self, message: &str, at: usize) -> String {
        let (line, column) = self.place(at);
        format!(
            "failed to parse JSON. {message}\n at [Source: REDACTED \
             (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: {line}, column: {column}]"
        )
    }

    fn place(&self, consumed: usize) -> (usize, usize) {
        let before = self.letters.get(..consumed).unwrap_or(&self.letters);
        let line = before.iter().filter(|c| **c == '\n').count() + 1;
        let column = before.iter().rev().take_while(|c| **c != '\n').count() + 1;
        (line, column)
    }

    pub(super) fn next(&mut self) -> Result<Token, String> {
        if let Some(ahead) = self.ahead.take() {
            (self.here, self.behind) = (ahead.here, ahead.behind);
            return Ok(ahead.token);
        }
        let token = self.scan()?;
        if let Token::Name(_) = token {
            let value = self.value()?;
            self.ahead = Some(Ahead {
                token: value,
                here: self.here,
                behind: self.behind,
            });
        }
        Ok(token)
    }

    fn scan(&mut self) -> Result<Token, String> {
        self.skip_space();
        let Some(level) = self.levels.last().copied() else {
            return match self.peek() {
                None => Ok(Token::End),
                Some(_) => self.value(),
            };
        };
        let end = match level {
            Level::Object => '}',
            Level::Array => ']',
        };
        if self.peek() == Some(end) {
            self.at += 1;
            self.leave();
            return Ok(match level {
                Level::Object => Token::EndObject,
                Level::Array => Token::EndArray,
            });
        }
        if !self.is_first {
            self.comma(level)?;
        }
        self.is_first = false;
        match level {
            Level::Array => self.value(),
            Level::Object => self.name(),
        }
    }

    fn comma(&mut self, level: Level) -> Result<(), String> {
        let kind = match level {
            Level::Object => "Object",
            Level::Array => "Array",
        };
        match self.peek() {
            Some(',') => {
                self.at += 1;
                self.skip_space();
                Ok(())
            }
            Some(other) => Err(self.broken(
                &format!(
                    "Unexpected character ({}): was expecting comma to separate {kind} entries",
                    described(other)
                ),
                self.at,
            )),
            None => Err(self.ended(level)),
        }
    }

    fn ended(&self, level: Level) -> String {
        let kind = match level {
            Level::Object => "Object",
            Level::Array => "Array",
        };
        self.broken(
            &format!("Unexpected end-of-input: expected close marker for {kind}"),
            self.at,
        )
    }

    fn name(&mut self) -> Result<Token, String> {
        match self.peek() {
            Some('"') => {}
            Some(other) => {
                return Err(self.broken(
                    &format!(
                        "Unexpected character ({}): was expecting double-quote to start field name",
                        described(other)
                    ),
                    self.at,
                ));
            }
            None => return Err(self.ended(Level::Object)),
        }
        let name = self.string()?;
        self.skip_space();
        match self.peek() {
            Some(':') => self.at += 1,
            Some(other) => {
                return Err(self.broken(
                    &format!(
                        "Unexpected character ({}): was expecting a colon to separate field name and value",
                        described(other)
                    ),
                    self.at,
                ));
            }
            None => return Err(self.ended(Level::Object)),
        }
        self.skip_space();
        Ok(Token::Name(name))
    }

    fn value(&mut self) -> Result<Token, String> {
        let token = match self.peek() {
            Some('{') => self.enter(Level::Object)?,
            Some('[') => self.enter(Level::Array)?,
            Some('"') => {
                let quote = self.at + 1;
                let text = self.string()?;
                (self.here, self.behind) = (quote, self.at);
                return Ok(Token::Text(text));
            }
            Some(c) if c == '-' || c.is_ascii_digit() => self.number()?,
            Some(c) if c.is_alphabetic() => self.word()?,
            Some(other) => {
                return Err(self.broken(
                    &format!(
                        "Unexpected character ({}): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
                        described(other)
                    ),
                    self.at,
                ));
            }
            None => return Err(self.broken("Unexpected end-of-input", self.at)),
        };
        self.here = self.at;
        self.behind = self.at;
        Ok(token)
    }

    fn enter(&mut self, level: Level) -> Result<Token, String> {
        if self.levels.len() >= DEPTH_MAX {
            return Err(self.broken("Document nesting is too deep", self.at));
        }
        self.at += 1;
        self.levels.push(level);
        self.is_first = true;
        Ok(match level {
            Level::Object => Token::StartObject,
            Level::Array => Token::StartArray,
        })
    }

    fn leave(&mut self) {
        self.levels.pop();
        self.is_first = false;
        self.here = self.at;
        self.behind = self.at;
    }

    fn string(&mut self) -> Result<String, String> {
        let start = self.at;
        self.at += 1;
        let mut is_escaped = false;
        loop {
            match self.peek() {
                None => {
                    return Err(self.broken(
                        "Unexpected end-of-input: was expecting closing quote for a string value",
                        self.at,
                    ));
                }
                Some('"') if !is_escaped => break,
                Some(c) => is_escaped = c == '\\' && !is_escaped,
            }
            self.at += 1;
        }
        self.at += 1;
        let literal: String = self
            .letters
            .get(start..self.at)
            .unwrap_or_default()
            .iter()
            .collect();
        serde_json::from_str(&literal).map_err(|_| {
            self.broken(
                "Unrecognized character escape or control character",
                self.at,
            )
        })
    }

    fn number(&mut self) -> Result<Token, String> {
        let start = self.at;
        while self
            .peek()
            .is_some_and(|c| c.is_ascii_digit() || "+-.eE".contains(c))
        {
            self.at += 1;
        }
        let text: String = self
            .letters
            .get(start..self.at)
            .unwrap_or_default()
            .iter()
            .collect();
        // JSON's numbers are stricter than Rust's: no leading zeros, a digit behind the point.
        match serde_json::from_str::<serde_json::Number>(&text) {
            Ok(number) => Ok(Token::Number(number.as_f64().unwrap_or(f64::NAN), text)),
            Err(_) => Err(self.broken("Invalid numeric value", self.at)),
        }
    }

    fn word(&mut self) -> Result<Token, String> {
        let start = self.at;
        while self.peek().is_some_and(char::is_alphanumeric) {
            self.at += 1;
        }
        let word: String = self
            .letters
            .get(start..self.at)
            .unwrap_or_default()
            .iter()
            .collect();
        match word.as_str() {
            "true" => Ok(Token::True),
            "false" => Ok(Token::False),
            "null" => Ok(Token::Null),
            other => Err(self.broken(
                &format!(
                    "Unrecognized token '{other}': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
                ),
                self.at,
            )),
        }
    }

    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|c| " \t\r\n".contains(c)) {
            self.at += 1;
        }
    }
}

/// `'i' (code 105)`
fn described(letter: char) -> String {
    format!("'{letter}' (code {})", u32::from(letter))
}
