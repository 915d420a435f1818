use std::fmt;

use crate::{Account, Arn, FunctionName, Qualifier, Region};

/// A function as a caller names it: account, region, name and perhaps a qualifier.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FunctionRef {
    pub account: Account,
    pub region: Region,
    pub name: FunctionName,
    pub qualifier: Option<Qualifier>,
}

/// Why a text names no function.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefError {
    /// Neither a name, a partial ARN nor an ARN.
    #[error("not a function name or ARN")]
    Malformed,
    /// The ARN's qualifier and the one given beside it differ.
    #[error("The derived qualifier from the function name does not match the specified qualifier.")]
    QualifiersDiffer,
}

impl FunctionRef {
    /// Reads `name`, `name:qualifier`, `account:function:name[:qualifier]` or an ARN.
    ///
    /// What the text leaves out comes from `account` and `region`; a qualifier given beside it must
    /// equal one inside it.  [Lambda API: FunctionName]
    pub fn parse(
        text: &str,
        qualifier: Option<Qualifier>,
        account: &Account,
        region: &Region,
    ) -> Result<FunctionRef, RefError> {
        let (account, region, rest) = if text.starts_with("arn:") {
            let arn: Arn = text.parse().map_err(|_| RefError::Malformed)?;
            let rest = arn
                .resource
                .strip_prefix("function:")
                .ok_or(RefError::Malformed)?;
            if arn.service != "lambda" {
                return Err(RefError::Malformed);
            }
            let account = arn.account.parse().map_err(|_| RefError::Malformed)?;
            let region = arn.region.parse().map_err(|_| RefError::Malformed)?;
            (account, region, rest.to_owned())
        } else if let Some((owner, rest)) = text.split_once(":function:") {
            let owner = owner.parse().map_err(|_| RefError::Malformed)?;
            (owner, region.clone(), rest.to_owned())
        } else {
            (account.clone(), region.clone(), text.to_owned())
        };
        let (name, inside) = match rest.split_once(':') {
            Some((name, q)) => (name, Some(q.parse().map_err(|_| RefError::Malformed)?)),
            None => (rest.as_str(), None),
        };
        let name = name.parse().map_err(|_| RefError::Malformed)?;
        let qualifier = match (inside, qualifier) {
            (Some(a), Some(b)) if a != b => return Err(RefError::QualifiersDiffer),
            (a, b) => a.or(b),
        };
        Ok(FunctionRef {
            account,
            region,
            name,
            qualifier,
        })
    }

    /// The ARN without qualifier.
    pub fn unqualified_arn(&self) -> String {
        self.unqualified_parts().concat()
    }

    /// The pieces of [`FunctionRef::unqualified_arn`].
    pub fn unqualified_parts(&self) -> [&str; 6] {
        let (region, account, name) = (&self.region, &self.account, &self.name);
        [
            "arn:aws:lambda:",
            region.as_str(),
            ":",
            account.as_str(),
            ":function:",
            name.as_str(),
        ]
    }

    /// The same function under another qualifier.
    pub fn with_qualifier(&self, qualifier: Option<Qualifier>) -> FunctionRef {
        FunctionRef {
            qualifier,
            ..self.clone()
        }
    }
}

/// The ARN, with the qualifier if one was given.
impl fmt::Display for FunctionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in self.unqualified_parts() {
            f.write_str(part)?;
        }
        match &self.qualifier {
            Some(q) => write!(f, ":{q}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, qualifier: Option<&str>) -> Result<String, RefError> {
        let qualifier = qualifier.map(|q| q.parse().unwrap());
        let (account, region) = (
            "000000000000".parse().unwrap(),
            "us-east-1".parse().unwrap(),
        );
        FunctionRef::parse(text, qualifier, &account, &region).map(|f| f.to_string())
    }

    #[test]
    fn every_form_of_a_name_gives_one_arn() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        assert_eq!(parse("f", None).unwrap(), arn);
        assert_eq!(parse("000000000000:function:f", None).unwrap(), arn);
        assert_eq!(parse(arn, None).unwrap(), arn);
        assert_eq!(parse("f", Some("3")).unwrap(), format!("{arn}:3"));
        assert_eq!(parse("f:3", None).unwrap(), format!("{arn}:3"));
        assert_eq!(
            parse(&format!("{arn}:$LATEST"), None).unwrap(),
            format!("{arn}:$LATEST")
        );
        assert_eq!(
            parse(
                "arn:aws:lambda:eu-west-1:111111111111:function:g:live",
                Some("live")
            )
            .unwrap(),
            "arn:aws:lambda:eu-west-1:111111111111:function:g:live"
        );
    }

    #[test]
    fn qualifiers_that_differ_are_refused() {
        assert_eq!(parse("f:3", Some("4")), Err(RefError::QualifiersDiffer));
    }

    #[test]
    fn other_texts_are_malformed() {
        for bad in [
            "",
            "a b",
            "arn:aws:sqs:us-east-1:000000000000:q",
            "x:function:f",
            "f:1:2",
        ] {
            assert_eq!(parse(bad, None), Err(RefError::Malformed), "{bad}");
        }
    }
}
