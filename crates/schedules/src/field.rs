/// One field of a cron expression: its range and the names of its values.
pub(crate) struct Field {
    pub(crate) min: u16,
    pub(crate) max: u16,
    /// The first one names `min`.
    pub(crate) names: &'static [&'static str],
    /// A range may go over the end: `FRI-MON`.
    pub(crate) is_round: bool,
}

pub(crate) const MINUTE: Field = Field {
    min: 0,
    max: 59,
    names: &[],
    is_round: false,
};
pub(crate) const HOUR: Field = Field {
    min: 0,
    max: 23,
    names: &[],
    is_round: false,
};
pub(crate) const DAY: Field = Field {
    min: 1,
    max: 31,
    names: &[],
    is_round: false,
};
pub(crate) const MONTH: Field = Field {
    min: 1,
    max: 12,
    names: &[
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ],
    is_round: true,
};
pub(crate) const WEEKDAY: Field = Field {
    min: 1,
    max: 7,
    names: &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
    is_round: true,
};
pub(crate) const YEAR: Field = Field {
    min: 1970,
    max: 2199,
    names: &[],
    is_round: false,
};

impl Field {
    /// The values that `text` lists, sorted: `*`, `5`, `1,2`, `8-17`, `0/15`, `*/15`, `1-31/30`.
    pub(crate) fn list(&self, text: &str) -> Option<Vec<u16>> {
        let mut values = Vec::new();
        for part in text.split(',') {
            values.extend(self.part(part)?);
        }
        values.sort_unstable();
        values.dedup();
        Some(values)
    }

    fn part(&self, text: &str) -> Option<Vec<u16>> {
        let (range, step) = match text.split_once('/') {
            Some((range, step)) => (range, Some(number(step).filter(|s| *s > 0)?)),
            None => (text, None),
        };
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (self.min, self.max),
            Some((first, last)) => (self.value(first)?, self.value(last)?),
            None => {
                let first = self.value(range)?;
                (first, if step.is_some() { self.max } else { first })
            }
        };
        let step = usize::from(step.unwrap_or(1));
        if first <= last {
            return Some((first..=last).step_by(step).collect());
        }
        let round = (first..=self.max).chain(self.min..=last);
        self.is_round.then(|| round.step_by(step).collect())
    }

    /// A number or a name.
    pub(crate) fn value(&self, text: &str) -> Option<u16> {
        let is_named = |name: &&&str| name.eq_ignore_ascii_case(text);
        if let Some(at) = self.names.iter().position(|name| is_named(&name)) {
            return u16::try_from(at).ok()?.checked_add(self.min);
        }
        number(text).filter(|n| (self.min..=self.max).contains(n))
    }
}

fn number(text: &str) -> Option<u16> {
    let is_plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_part_by_part() {
        let some = |values: &[u16]| Some(values.to_vec());
        assert_eq!(MINUTE.list("5,35"), some(&[5, 35]));
        assert_eq!(MINUTE.list("0/15"), some(&[0, 15, 30, 45]));
        assert_eq!(MINUTE.list("*/20"), some(&[0, 20, 40]));
        assert_eq!(MINUTE.list("1-31/30"), some(&[1, 31]));
        assert_eq!(HOUR.list("8-8"), some(&[8]));
        assert_eq!(WEEKDAY.list("MON-FRI"), some(&[2, 3, 4, 5, 6]));
        assert_eq!(WEEKDAY.list("FRI-MON"), some(&[1, 2, 6, 7]));
        assert_eq!(MONTH.list("jan,DEC"), some(&[1, 12]));
        for bad in ["60", "-1", "", "1,", "a", "5-2", "1/0", "1-", "*/x", "+1"] {
            assert_eq!(MINUTE.list(bad), None, "{bad}");
        }
    }
}
