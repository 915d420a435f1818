//! The constraints of the service model.  [EventBridge Scheduler API]

use std::fmt::Display;

use crate::fault::Fault;

const NAME_PATTERN: &str = "^[0-9a-zA-Z-_.]+$";

/// Constraints that members break, in AWS's words.
#[derive(Debug, Default)]
pub(crate) struct Checks(Vec<String>);

impl Checks {
    pub(crate) fn holds(
        &mut self,
        is_held: bool,
        value: impl Display,
        member: &str,
        constraint: impl FnOnce() -> String,
    ) {
        if !is_held {
            let constraint = constraint();
            self.0.push(format!(
                "Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
            ));
        }
    }

    pub(crate) fn length(&mut self, value: &str, member: &str, min: usize, max: usize) {
        let letters = value.chars().count();
        self.holds(letters >= min, value, member, || {
            format!("Member must have length greater than or equal to {min}")
        });
        self.holds(letters <= max, value, member, || {
            format!("Member must have length less than or equal to {max}")
        });
    }

    pub(crate) fn range(&mut self, value: i64, member: &str, min: i64, max: i64) {
        self.holds(value >= min, value, member, || {
            format!("Member must have value greater than or equal to {min}")
        });
        self.holds(value <= max, value, member, || {
            format!("Member must have value less than or equal to {max}")
        });
    }

    /// Names of schedules and groups.
    pub(crate) fn name(&mut self, value: &str, member: &str) {
        self.holds(is_name(value), value, member, || {
            format!("Member must satisfy regular expression pattern: {NAME_PATTERN}")
        });
        self.length(value, member, 1, 64);
    }

    pub(crate) fn choice(&mut self, value: &str, member: &str, choices: &[&str]) {
        self.holds(choices.contains(&value), value, member, || {
            format!(
                "Member must satisfy enum value set: [{}]",
                choices.join(", ")
            )
        });
    }

    pub(crate) fn done(self) -> Result<(), Fault> {
        let count = self.0.len();
        if count == 0 {
            return Ok(());
        }
        let plural = if count == 1 { "" } else { "s" };
        let all = self.0.join("; ");
        Err(Fault::Validation(format!(
            "{count} validation error{plural} detected: {all}"
        )))
    }
}

pub(crate) fn is_name(text: &str) -> bool {
    let is_good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
    !text.is_empty() && text.bytes().all(is_good)
}

/// The size of a page.
pub(crate) fn limit(limit: Option<i64>) -> Result<usize, Fault> {
    let limit = limit.unwrap_or(100);
    let mut checks = Checks::default();
    checks.range(limit, "maxResults", 1, 100);
    checks.done()?;
    Ok(usize::try_from(limit).unwrap_or(100))
}

/// What a page begins behind.
pub(crate) fn after(token: Option<&str>) -> Result<Option<String>, Fault> {
    let Some(token) = token else { return Ok(None) };
    let key = wire::paging::decode(token);
    key.map(Some)
        .ok_or_else(|| Fault::Validation("Invalid NextToken.".to_owned()))
}
