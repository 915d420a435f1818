use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// When a request was signed: the text that was signed, and what it means.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Stamp {
    /// `20261120T211000Z`
    pub(crate) text: String,
    pub(crate) unix_s: i64,
}

impl Stamp {
    /// Reads ISO 8601's basic form, the only one in which a time is signed.
    pub(crate) fn parse(text: &str) -> Option<Stamp> {
        let bytes = text.as_bytes();
        if bytes.len() != 16 || bytes.get(8) != Some(&b'T') || bytes.last() != Some(&b'Z') {
            return None;
        }
        let number = |from: usize, to: usize| -> Option<i16> {
            let digits = text.get(from..to)?;
            let is_number = digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse().ok().filter(|_| is_number)
        };
        let small = |from: usize| number(from, from + 2).and_then(|n| i8::try_from(n).ok());
        let time = DateTime::new(
            number(0, 4)?,
            small(4)?,
            small(6)?,
            small(9)?,
            small(11)?,
            small(13)?,
            0,
        )
        .ok()?;
        let time = TimeZone::UTC.to_timestamp(time).ok()?;
        Some(Stamp {
            text: text.to_owned(),
            unix_s: time.as_second(),
        })
    }

    /// Reads a `Date` header, which may have the form of e-mail instead.
    pub(crate) fn parse_date(text: &str) -> Option<Stamp> {
        Stamp::parse(text).or_else(|| {
            let time = jiff::fmt::rfc2822::DateTimeParser::new()
                .parse_timestamp(text)
                .ok()?;
            Some(Stamp::at(time.as_second()))
        })
    }

    pub(crate) fn at(unix_s: i64) -> Stamp {
        let text = jiff::Timestamp::from_second(unix_s)
            .map(|time| time.strftime("%Y%m%dT%H%M%SZ").to_string())
            .unwrap_or_default();
        Stamp { text, unix_s }
    }

    /// `20261120`
    pub(crate) fn date(&self) -> &str {
        self.text.get(..8).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_iso_8601_without_punctuation() {
        for (text, expected) in [
            ("20150830T123600Z", Some(1_440_938_160)),
            ("19700101T000000Z", Some(0)),
            ("20150830T123600", None),
            ("20150830T123660Z", None),
            ("20151330T123600Z", None),
            ("2015-08-30T12:36:00Z", None),
            ("+1508301T23600ZZ", None),
            ("2015083éT123600Z", None),
            ("", None),
        ] {
            assert_eq!(Stamp::parse(text).map(|s| s.unix_s), expected, "{text}");
        }
        assert_eq!(Stamp::at(1_440_938_160).text, "20150830T123600Z");
    }

    #[test]
    fn a_date_header_may_have_the_form_of_e_mail() {
        let stamp = Stamp::parse_date("Sun, 30 Aug 2015 12:36:00 GMT").unwrap();
        assert_eq!(stamp.text, "20150830T123600Z");
        assert_eq!(stamp.date(), "20150830");
        assert_eq!(Stamp::parse_date("yesterday"), None);
    }
}
