use model::{Account, FunctionRef, Qualifier, Region};
use wire::{Context, Fault};

use crate::Lambda;
use crate::fault;
use crate::permit;
use crate::rules::{
    ALIAS, FUNCTION_NAME, NAMESPACED_FUNCTION_NAME, Pattern, QUALIFIER, URL_FUNCTION_NAME,
    is_region,
};
use crate::violations::Violations;

/// Longest qualifier.
const QUALIFIER_MAX: usize = 128;

/// Which of the model's two shapes a `FunctionName` has.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pattern: Pattern,
    length_max: usize,
}

/// For operations that change a function.
pub(crate) const PLAIN: Shape = Shape {
    pattern: FUNCTION_NAME,
    length_max: 140,
};

/// For operations that read, invoke or delete.
pub(crate) const NAMESPACED: Shape = Shape {
    pattern: NAMESPACED_FUNCTION_NAME,
    length_max: 256,
};

/// For function URLs.
pub(crate) const OF_URL: Shape = Shape {
    pattern: URL_FUNCTION_NAME,
    length_max: 140,
};

/// A `FunctionName` taken apart by the model's pattern; what was not there is `None`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    region: Option<&'a str>,
    account: Option<&'a str>,
    name: &'a str,
    qualifier: Option<&'a str>,
}

/// Matches the whole of `text`. A namespaced name may hold dots and `$LATEST.PUBLISHED`.
pub(crate) fn parts(text: &str, is_namespaced: bool) -> Option<Parts<'_>> {
    let after_arn = text.strip_prefix("arn:").and_then(|rest| {
        let (partition, rest) = rest.split_once(':')?;
        let is_partition = partition.is_empty()
            || partition
                .strip_prefix("aws")
                .is_some_and(|r| r.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-'));
        rest.strip_prefix("lambda:").filter(|_| is_partition)
    });
    after_arn
        .and_then(|rest| segments(rest, is_namespaced))
        .or_else(|| segments(text, is_namespaced))
}

/// Whether a function URL may belong to what a name says: a function or an alias of it.
pub(crate) fn may_have_url(text: &str) -> bool {
    parts(text, false).is_some_and(|parts| {
        parts.name.len() <= 64 && parts.qualifier.is_none_or(|q| (ALIAS.matches)(q))
    })
}

fn segments(text: &str, is_namespaced: bool) -> Option<Parts<'_>> {
    // An ARN has five at most after its service; more can never match.
    let all: Vec<&str> = text.splitn(7, ':').collect();
    optional(&all, is_namespaced, None, None, 0)
}

/// Takes the optional leading segments if they fit, and goes without them if that fails later.
fn optional<'a>(
    rest: &[&'a str],
    is_namespaced: bool,
    region: Option<&'a str>,
    account: Option<&'a str>,
    stage: u8,
) -> Option<Parts<'a>> {
    let (first, after) = rest.split_first()?;
    let is_account = first.len() == 12 && first.bytes().all(|b| b.is_ascii_digit());
    let taken = match stage {
        0 if is_region(first) => optional(after, is_namespaced, Some(first), account, 1),
        1 if is_account => optional(after, is_namespaced, region, Some(first), 2),
        2 if *first == "function" => optional(after, is_namespaced, region, account, 3),
        3 => return last(rest, is_namespaced, region, account),
        _ => None,
    };
    taken.or_else(|| optional(rest, is_namespaced, region, account, stage + 1))
}

fn last<'a>(
    rest: &[&'a str],
    is_namespaced: bool,
    region: Option<&'a str>,
    account: Option<&'a str>,
) -> Option<Parts<'a>> {
    let is_word = |text: &str, more: &[u8]| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b) || more.contains(&b))
    };
    let dots: &[u8] = if is_namespaced { b"." } else { b"" };
    let (name, qualifier) = match rest {
        [name] => (*name, None),
        [name, qualifier] => (*name, Some(*qualifier)),
        _ => return None,
    };
    let is_qualifier = qualifier.is_none_or(|q| {
        q == "$LATEST" || is_word(q, b"") || (is_namespaced && q == "$LATEST.PUBLISHED")
    });
    (is_word(name, dots) && is_qualifier).then_some(Parts {
        region,
        account,
        name,
        qualifier,
    })
}

/// A function as a request names it: well-formed, of this region and account, perhaps not existing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) account: Account,
    pub(crate) region: Region,
    pub(crate) name: String,
    pub(crate) qualifier: Option<String>,
}

impl Target {
    /// Checks name and qualifier of a request that has no other member to check.
    pub(crate) fn read(
        cx: &Context,
        shape: Shape,
        name: &str,
        qualifier: Option<&str>,
    ) -> Result<Target, Fault> {
        let mut v = Violations::new();
        Target::check(&mut v, shape, Some(name), qualifier);
        v.check()?;
        Target::resolve(cx, name, qualifier)
    }

    /// As [`Target::read`], for operations that a function's policy may open to other accounts.
    pub(crate) fn read_shared(
        lambda: &Lambda,
        cx: &Context,
        shape: Shape,
        name: &str,
        qualifier: Option<&str>,
    ) -> Result<Target, Fault> {
        let mut v = Violations::new();
        Target::check(&mut v, shape, Some(name), qualifier);
        v.check()?;
        Target::shared(lambda, cx, name, qualifier)
    }

    /// Adds what is wrong with the form.
    pub(crate) fn check(
        v: &mut Violations,
        shape: Shape,
        name: Option<&str>,
        qualifier: Option<&str>,
    ) {
        v.required("functionName", name.as_ref());
        v.text("functionName", name, (1, shape.length_max), shape.pattern);
        v.text("qualifier", qualifier, (1, QUALIFIER_MAX), QUALIFIER);
    }

    /// Reads a name whose form was checked.
    ///
    /// # Errors
    /// Fails if it belongs to another region or account, or says two qualifiers.
    pub(crate) fn resolve(
        cx: &Context,
        name: &str,
        qualifier: Option<&str>,
    ) -> Result<Target, Fault> {
        let target = Target::anywhere(cx, name, qualifier)?;
        match target.account.as_str() == cx.account() {
            true => Ok(target),
            false => Err(fault::other_account(cx, name)),
        }
    }

    /// As [`Target::resolve`], for operations that a function's policy may open to other accounts, and
    /// deny to its own.  [Lambda guide: cross-account access]
    pub(crate) fn shared(
        lambda: &Lambda,
        cx: &Context,
        name: &str,
        qualifier: Option<&str>,
    ) -> Result<Target, Fault> {
        let target = Target::anywhere(cx, name, qualifier)?;
        permit::check(&lambda.functions, cx, &target, name)?;
        Ok(target)
    }

    /// A function of any account.
    fn anywhere(cx: &Context, name: &str, qualifier: Option<&str>) -> Result<Target, Fault> {
        let (account, region) = home(cx)?;
        let Some(found) = parts(name, true) else {
            return Err(Fault::internal("a function name was not checked"));
        };
        if let Some(other) = found.region.filter(|r| *r != region.as_str()) {
            return Err(fault::other_region(other, region.as_str()));
        }
        let account = match found.account {
            Some(other) => other.parse().map_err(|_| fault::bad_scope("account id"))?,
            None => account,
        };
        let qualifier = match (found.qualifier, qualifier) {
            (Some(a), Some(b)) if a != b => return Err(fault::qualifiers_differ()),
            (a, b) => a.or(b),
        };
        Ok(Target {
            account,
            region,
            name: found.name.to_owned(),
            qualifier: qualifier.map(str::to_owned),
        })
    }

    pub(crate) fn unqualified_arn(&self) -> String {
        format!(
            "arn:aws:lambda:{}:{}:function:{}",
            self.region, self.account, self.name
        )
    }

    /// With the qualifier, if one was given.
    pub(crate) fn arn(&self) -> String {
        match &self.qualifier {
            Some(q) => format!("{}:{q}", self.unqualified_arn()),
            None => self.unqualified_arn(),
        }
    }

    /// What the platform looks for.
    ///
    /// # Errors
    /// Fails for names that no function or version can have, as for one that does not exist.
    pub(crate) fn function(&self) -> Result<FunctionRef, Fault> {
        let qualifier = match &self.qualifier {
            Some(text) => Some(
                text.parse::<Qualifier>()
                    .map_err(|_| fault::not_found(&self.arn()))?,
            ),
            None => None,
        };
        let name = self
            .name
            .parse()
            .map_err(|_| fault::not_found(&self.arn()))?;
        Ok(FunctionRef {
            account: self.account.clone(),
            region: self.region.clone(),
            name,
            qualifier,
        })
    }

    /// The function itself, whatever qualifier was given.
    pub(crate) fn unqualified(&self) -> Target {
        Target {
            qualifier: None,
            ..self.clone()
        }
    }
}

/// The account and region that the caller speaks to.
pub(crate) fn home(cx: &Context) -> Result<(Account, Region), Fault> {
    let account = cx
        .account()
        .parse()
        .map_err(|_| fault::bad_scope("account id"))?;
    let region = cx
        .region()
        .parse()
        .map_err(|_| fault::bad_scope("region"))?;
    Ok((account, region))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, qualifier: Option<&str>) -> Result<String, String> {
        let cx = Context::for_tests("000000000000", "us-east-1");
        Target::read(&cx, NAMESPACED, name, qualifier)
            .map(|t| t.arn())
            .map_err(|f| f.message().to_owned())
    }

    #[test]
    fn every_form_of_a_name_gives_one_arn() {
        let arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
        for name in [
            "f",
            "function:f",
            "000000000000:function:f",
            "us-east-1:000000000000:function:f",
            arn,
            "arn:aws:lambda:us-east-1:000000000000:f",
        ] {
            assert_eq!(read(name, None).unwrap(), arn, "{name}");
        }
        assert_eq!(read("f:3", None).unwrap(), format!("{arn}:3"));
        assert_eq!(read("f:3", Some("3")).unwrap(), format!("{arn}:3"));
        assert_eq!(
            read("f", Some("$latest")).unwrap(),
            format!("{arn}:$latest")
        );
        assert_eq!(
            read("arn:aws:lambda:us-east-1:000000000000:function", None).unwrap(),
            "arn:aws:lambda:us-east-1:000000000000:function:function"
        );
    }

    #[test]
    fn other_texts_break_the_pattern() {
        for name in [
            "my-function!",
            "*",
            "invalid-account:function:my-function",
            "arn:aws:lambda:invalid-region:000000000000:function:f",
            "arn:aws:ec2:us-east-1:000000000000:instance:i-1",
            "arn:aws:lambda:us-east-1:000000000000:function:f:1:2",
            "function:f:$LATEST:extra",
            "arn:aws:lambda::000000000000:function:f",
            "arn:aws:lambda:us-east-1::function:f",
            "arn:aws:lambda:us-east-1:000000000000:function:f:$LATES",
            "invalid:function:name",
        ] {
            let why = read(name, None).unwrap_err();
            assert!(
                why.starts_with("1 validation error detected: Value '"),
                "{name}: {why}"
            );
        }
    }

    #[test]
    fn a_name_of_elsewhere_is_refused() {
        assert_eq!(
            read("arn:aws:lambda:eu-west-1:000000000000:function:f", None).unwrap_err(),
            "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"
        );
        assert!(read("111111111111:function:f", None).is_err());
        assert_eq!(
            read("f:1", Some("2")).unwrap_err(),
            "The derived qualifier from the function name does not match the specified qualifier."
        );
    }
}
