//! Constraints of a service model that members of a request break.

use std::fmt::Display;

use crate::Fault;

/// Collects broken constraints, in AWS's words.
#[derive(Debug, Default)]
pub struct Checks(Vec<String>);

/// What a caller is told of all that a request broke.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violated(pub String);

impl From<Violated> for Fault {
    fn from(Violated(text): Violated) -> Fault {
        Fault::invalid(text)
    }
}

impl Checks {
    /// `constraint` is what follows after "Member must".
    pub fn holds(
        &mut self,
        is_held: bool,
        value: impl Display,
        member: &str,
        constraint: impl FnOnce() -> String,
    ) {
        if !is_held {
            let constraint = constraint();
            self.0.push(format!(
                "Value '{value}' at '{member}' failed to satisfy constraint: Member must {constraint}"
            ));
        }
    }

    /// Of a member whose value nobody may see.
    pub fn hides(&mut self, is_held: bool, member: &str, constraint: impl FnOnce() -> String) {
        if !is_held {
            let constraint = constraint();
            self.0.push(format!(
                "Value at '{member}' failed to satisfy constraint: Member must {constraint}"
            ));
        }
    }

    /// Length in characters.
    pub fn length(&mut self, value: &str, member: &str, min: usize, max: usize) {
        let letters = value.chars().count();
        self.holds(letters >= min, value, member, || {
            format!("have length greater than or equal to {min}")
        });
        self.holds(letters <= max, value, member, || {
            format!("have length less than or equal to {max}")
        });
    }

    pub fn range(&mut self, value: i64, member: &str, min: i64, max: i64) {
        self.holds(value >= min, value, member, || {
            format!("have value greater than or equal to {min}")
        });
        self.holds(value <= max, value, member, || {
            format!("have value less than or equal to {max}")
        });
    }

    pub fn pattern(&mut self, is_held: bool, value: &str, member: &str, pattern: &str) {
        self.holds(is_held, value, member, || {
            format!("satisfy regular expression pattern: {pattern}")
        });
    }

    pub fn choice(&mut self, value: &str, member: &str, choices: &[&str]) {
        self.holds(choices.contains(&value), value, member, || {
            format!("satisfy enum value set: [{}]", choices.join(", "))
        });
    }

    /// # Errors
    /// Fails if anything was broken.
    pub fn done(self) -> Result<(), Violated> {
        let count = self.0.len();
        if count == 0 {
            return Ok(());
        }
        let plural = if count == 1 { "" } else { "s" };
        let all = self.0.join("; ");
        Err(Violated(format!(
            "{count} validation error{plural} detected: {all}"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_broken_constraints_are_told_at_once() {
        let mut checks = Checks::default();
        checks.pattern(false, "! !", "name", r"[\.\-_A-Za-z0-9]+");
        checks.length("! !", "name", 1, 2);
        checks.range(7, "n", 1, 7);
        checks.choice("c", "c", &["a", "b"]);
        checks.hides(false, "secret", || "be good".to_owned());
        let Violated(text) = checks.done().unwrap_err();
        assert_eq!(
            text,
            "4 validation errors detected: Value '! !' at 'name' failed to satisfy constraint: \
             Member must satisfy regular expression pattern: [\\.\\-_A-Za-z0-9]+; Value '! !' at \
             'name' failed to satisfy constraint: Member must have length less than or equal to 2; \
             Value 'c' at 'c' failed to satisfy constraint: Member must satisfy enum value set: [a, b]; \
             Value at 'secret' failed to satisfy constraint: Member must be good"
        );
        assert_eq!(Checks::default().done(), Ok(()));
    }
}
