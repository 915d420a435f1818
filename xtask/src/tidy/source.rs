//! Rust source with comments, texts and unit tests blanked, so that a rule sees code only.

/// Replaces comments and the insides of string literals by spaces; lines keep their numbers.
pub(super) fn code_of(source: &str) -> String {
    Blanker {
        rest: source,
        out: String::with_capacity(source.len()),
    }
    .run()
}

/// The part before `#[cfg(test)] mod tests`, which STYLE.md puts last in a file.
pub(super) fn without_tests(source: &str) -> &str {
    match source.find("\n#[cfg(test)]\nmod tests") {
        Some(at) => source.get(..at).unwrap_or(source),
        None => source,
    }
}

struct Blanker<'a> {
    rest: &'a str,
    out: String,
}

impl Blanker<'_> {
    fn run(mut self) -> String {
        while let Some(c) = self.rest.chars().next() {
            if self.rest.starts_with("//") {
                let end = self.rest.find('\n').unwrap_or(self.rest.len());
                self.blank(end);
            } else if self.rest.starts_with("/*") {
                self.block_comment();
            } else if let Some(hashes) = self.raw_string_starts() {
                self.raw_string(hashes);
            } else if c == '"' {
                self.string();
            } else if c == '\'' {
                self.quote();
            } else {
                self.keep(c.len_utf8());
            }
        }
        self.out
    }

    fn keep(&mut self, n: usize) {
        let (head, tail) = self.rest.split_at(n);
        self.out.push_str(head);
        self.rest = tail;
    }

    fn blank(&mut self, n: usize) {
        let (head, tail) = self.rest.split_at(n);
        let blanks = head.chars().map(|c| if c == '\n' { '\n' } else { ' ' });
        self.out.extend(blanks);
        self.rest = tail;
    }

    /// Block comments nest in Rust.
    fn block_comment(&mut self) {
        let mut depth = 0_usize;
        let mut at = 0;
        loop {
            let here = self.rest.get(at..).unwrap_or_default();
            if here.starts_with("/*") {
                depth += 1;
                at += 2;
            } else if here.starts_with("*/") {
                depth -= 1;
                at += 2;
            } else if let Some(c) = here.chars().next() {
                at += c.len_utf8();
            } else {
                break;
            }
            if depth == 0 {
                break;
            }
        }
        self.blank(at);
    }

    /// The number of `#` if a raw string literal begins here.
    fn raw_string_starts(&self) -> Option<usize> {
        let in_a_word = self
            .out
            .ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let byte = self.rest.strip_prefix('b').filter(|_| !in_a_word);
        let after = byte.unwrap_or(self.rest).strip_prefix('r')?;
        let hashes = after.len() - after.trim_start_matches('#').len();
        let opens = after.get(hashes..)?.starts_with('"');
        (opens && !in_a_word).then_some(hashes)
    }

    fn raw_string(&mut self, hashes: usize) {
        let open = self.rest.find('"').map_or(self.rest.len(), |at| at + 1);
        self.keep(open);
        let close = format!("\"{}", "#".repeat(hashes));
        let end = self.rest.find(&close).unwrap_or(self.rest.len());
        self.blank(end);
        self.keep(close.len().min(self.rest.len()));
    }

    fn string(&mut self) {
        self.keep(1);
        let mut escaped = false;
        let mut end = self.rest.len();
        for (at, c) in self.rest.char_indices() {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' => {
                    end = at;
                    break;
                }
                _ => {}
            }
        }
        self.blank(end);
        self.keep(1.min(self.rest.len()));
    }

    /// A character literal, or a lifetime.
    fn quote(&mut self) {
        let mut after = self.rest.chars().skip(1);
        let first = after.next();
        let closes = after.next() == Some('\'');
        if first == Some('\\') {
            let body = self.rest.get(3..).unwrap_or_default();
            let end = body.find('\'').map_or(self.rest.len(), |at| at + 4);
            self.blank(end);
        } else if let Some(c) = first.filter(|_| closes) {
            self.blank(2 + c.len_utf8());
        } else {
            self.keep(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_texts_are_blanked_and_code_stays() {
        let table = [
            ("a // unsafe", "a          "),
            ("a /* x /* y */ z */ b", "a                   b"),
            ("f(\"unsafe \\\" x\") g", "f(\"           \") g"),
            ("r#\"un\"safe\"# g", "r#\"       \"# g"),
            ("br\"x\" g", "br\" \" g"),
            ("'\"' + '\\'' + b", "    +      + b"),
            ("&'a str", "&'a str"),
            ("for\"x\"", "for\" \""),
        ];
        for (source, expected) in table {
            assert_eq!(code_of(source), expected, "{source}");
        }
    }

    #[test]
    fn lines_keep_their_numbers() {
        let source = "\"a\nb\"\n/* c\n */ d";
        assert_eq!(code_of(source).lines().count(), source.lines().count());
    }

    #[test]
    fn unit_tests_at_the_end_are_cut_off() {
        assert_eq!(without_tests("a\n#[cfg(test)]\nmod tests {\nb"), "a");
        assert_eq!(without_tests("a\nb"), "a\nb");
    }
}
