use std::collections::BTreeMap;
use std::fmt::Display;

use wire::Fault;

use crate::rules::{Pattern, TAG};

/// Longest key of a tag, in characters.  [Lambda API: TagKey]
const TAG_KEY_MAX: usize = 128;
/// Longest value of a tag, in characters.  [Lambda API: TagValue]
const TAG_VALUE_MAX: usize = 256;

/// Collects what in a request breaks the service model. AWS tells all of it at once.
///
/// Fields are named as AWS names them in errors: `functionName`, `vpcConfig.subnetIds`.
#[derive(Default)]
pub(crate) struct Violations(Vec<String>);

impl Violations {
    pub(crate) fn new() -> Violations {
        Violations::default()
    }

    /// Ends the checks.
    pub(crate) fn check(self) -> Result<(), Fault> {
        match self.0.len() {
            0 => Ok(()),
            1 => Err(Fault::invalid(format!(
                "1 validation error detected: {}",
                self.0.concat()
            ))),
            n => Err(Fault::invalid(format!(
                "{n} validation errors detected: {}",
                self.0.join("; ")
            ))),
        }
    }

    fn add(&mut self, value: impl Display, field: &str, constraint: impl Display) {
        self.0.push(format!(
            "Value '{value}' at '{field}' failed to satisfy constraint: Member must {constraint}"
        ));
    }

    pub(crate) fn required<T>(&mut self, field: &str, value: Option<&T>) {
        if value.is_none() {
            self.0.push(format!(
                "Value null at '{field}' failed to satisfy constraint: Member must not be null"
            ));
        }
    }

    pub(crate) fn pattern(&mut self, field: &str, value: Option<&str>, pattern: Pattern) {
        if let Some(text) = value.filter(|text| !(pattern.matches)(text)) {
            let rule = format!("satisfy regular expression pattern: {}", pattern.text);
            self.add(text, field, rule);
        }
    }

    /// A text with a form and a length; what breaks both breaks the form first.
    /// [observed: names of connections, stacks and role sessions]
    pub(crate) fn text(
        &mut self,
        field: &str,
        value: Option<&str>,
        (min, max): (usize, usize),
        pattern: Pattern,
    ) {
        self.pattern(field, value, pattern);
        self.length(field, value, min, max);
    }

    /// The keys of tags that are to go.
    pub(crate) fn tag_keys(&mut self, keys: Option<&Vec<String>>) {
        let rules = format!("{}, Member must not be null", tag_rules(1, TAG_KEY_MAX));
        self.each("tagKeys", keys, &rules, |key| is_tag(key, 1, TAG_KEY_MAX));
    }

    /// Keys and values of tags.
    pub(crate) fn tags(&mut self, tags: Option<&BTreeMap<String, String>>) {
        let Some(tags) = tags else { return };
        let pairs: Vec<String> = tags.iter().map(|(k, v)| format!("{k}={v}")).collect();
        let shown = format!("{{{}}}", pairs.join(", "));
        if !tags.keys().all(|key| is_tag(key, 1, TAG_KEY_MAX)) {
            let rules = tag_rules(1, TAG_KEY_MAX);
            self.other(format!(
                "Value '{shown}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [{rules}]"
            ));
        }
        if !tags.values().all(|value| is_tag(value, 0, TAG_VALUE_MAX)) {
            let rules = tag_rules(0, TAG_VALUE_MAX);
            self.other(format!(
                "Value '{shown}' at 'tags' failed to satisfy constraint: Map value must satisfy constraint: [{rules}, Member must not be null]"
            ));
        }
    }

    /// Length in characters.
    pub(crate) fn length(&mut self, field: &str, value: Option<&str>, min: usize, max: usize) {
        let Some(text) = value else { return };
        let length = text.chars().count();
        if length > max {
            self.add(
                text,
                field,
                format!("have length less than or equal to {max}"),
            );
        } else if length < min {
            self.add(
                text,
                field,
                format!("have length greater than or equal to {min}"),
            );
        }
    }

    pub(crate) fn range(&mut self, field: &str, value: Option<i64>, min: i64, max: i64) {
        let Some(number) = value else { return };
        if number > max {
            self.add(
                number,
                field,
                format!("have value less than or equal to {max}"),
            );
        } else if number < min {
            self.add(
                number,
                field,
                format!("have value greater than or equal to {min}"),
            );
        }
    }

    pub(crate) fn one_of(&mut self, field: &str, value: Option<&str>, words: &[&str]) {
        if let Some(word) = value.filter(|word| !words.contains(word)) {
            self.add(
                word,
                field,
                format!("satisfy enum value set: [{}]", words.join(", ")),
            );
        }
    }

    /// The number of elements of a list.
    pub(crate) fn count(
        &mut self,
        field: &str,
        list: Option<&Vec<String>>,
        min: usize,
        max: usize,
    ) {
        let Some(list) = list else { return };
        if list.len() > max {
            self.add(
                bracketed(list),
                field,
                format!("have length less than or equal to {max}"),
            );
        } else if list.len() < min {
            self.add(
                bracketed(list),
                field,
                format!("have length greater than or equal to {min}"),
            );
        }
    }

    /// Every element of a list keeps `rules`, which are told all together.
    pub(crate) fn each(
        &mut self,
        field: &str,
        list: Option<&Vec<String>>,
        rules: &str,
        ok: impl Fn(&str) -> bool,
    ) {
        if let Some(list) = list.filter(|list| !list.iter().all(|item| ok(item))) {
            self.add(
                bracketed(list),
                field,
                format!("satisfy constraint: [{rules}]"),
            );
        }
    }

    /// A violation that fits none of the forms above; `text` is the whole of it.
    pub(crate) fn other(&mut self, text: String) {
        self.0.push(text);
    }
}

fn tag_rules(min: usize, max: usize) -> String {
    format!(
        "Member must have length less than or equal to {max}, Member must have length greater than or equal to {min}, Member must satisfy regular expression pattern: {}",
        TAG.text
    )
}

fn is_tag(text: &str, min: usize, max: usize) -> bool {
    (min..=max).contains(&text.chars().count()) && (TAG.matches)(text)
}

fn bracketed(list: &[String]) -> String {
    format!("[{}]", list.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::ROLE;

    #[test]
    fn what_keeps_all_rules_passes() {
        let mut v = Violations::new();
        v.required("role", Some(&1));
        v.length("description", Some("ä"), 0, 1);
        v.range("timeout", Some(900), 1, 900);
        assert!(v.check().is_ok());
    }

    #[test]
    fn violations_are_counted_and_joined() {
        let mut v = Violations::new();
        v.pattern("role", Some("r1"), ROLE);
        v.range("timeout", Some(901), 1, 900);
        v.required::<u8>("code", None);
        assert_eq!(
            v.check().unwrap_err().message(),
            r"3 validation errors detected: Value 'r1' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+; Value '901' at 'timeout' failed to satisfy constraint: Member must have value less than or equal to 900; Value null at 'code' failed to satisfy constraint: Member must not be null"
        );
    }

    #[test]
    fn what_breaks_form_and_length_breaks_the_form_first() {
        let mut v = Violations::new();
        v.text("handler", Some(""), (1, 2), crate::rules::HANDLER);
        assert_eq!(
            v.check().unwrap_err().message(),
            r"2 validation errors detected: Value '' at 'handler' failed to satisfy constraint: Member must satisfy regular expression pattern: [^\s]+; Value '' at 'handler' failed to satisfy constraint: Member must have length greater than or equal to 1"
        );
    }

    #[test]
    fn tags_are_words_of_a_certain_length() {
        let check = |key: &str, value: &str| {
            let mut v = Violations::new();
            v.tags(Some(&BTreeMap::from([(key.to_owned(), value.to_owned())])));
            v.check().map_err(|fault| fault.message().to_owned())
        };
        assert_eq!(check("größe:1", ""), Ok(()));
        let keys = check("!", "a").unwrap_err();
        assert!(keys.starts_with("1 validation error detected: Value '{!=a}' at 'tags' failed to satisfy constraint: Map keys must satisfy constraint: [Member must have length less than or equal to 128, "), "{keys}");
        assert!(keys.ends_with(r"_.:/=+\-@]*)]"), "{keys}");
        let value = check("a", &"v".repeat(257)).unwrap_err();
        assert!(value.contains("Map value must satisfy constraint: [Member must have length less than or equal to 256, "), "{value}");
        assert!(value.ends_with("Member must not be null]"), "{value}");
    }

    #[test]
    fn a_list_is_shown_whole() {
        let mut v = Violations::new();
        let list = vec!["X86_64".to_owned()];
        v.each(
            "architectures",
            Some(&list),
            "Member must not be null",
            |_| false,
        );
        assert_eq!(
            v.check().unwrap_err().message(),
            "1 validation error detected: Value '[X86_64]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: [Member must not be null]"
        );
    }
}
