//! Names and pages among the constraints of the service model.  [EventBridge Scheduler API]

use wire::Checks;

use crate::fault::Fault;

const NAME_PATTERN: &str = "^[0-9a-zA-Z-_.]+$";

pub(crate) trait Names {
    /// Names of schedules and groups.
    fn name(&mut self, value: &str, member: &str);
}

impl Names for Checks {
    fn name(&mut self, value: &str, member: &str) {
        self.pattern(is_name(value), value, member, NAME_PATTERN);
        self.length(value, member, 1, 64);
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
