//! The patterns of the service model: what matches, and the text that an error shows.

/// Longest text of a member for which AWS has no limit of its own.  [Lambda API: RoleArn and others]
pub(crate) const TEXT_MAX: usize = 10_000;

/// A constraint on text: the model's pattern and a check that means the same.
#[derive(Clone, Copy)]
pub(crate) struct Pattern {
    /// As it stands in the model, for the error message.
    pub(crate) text: &'static str,
    pub(crate) matches: fn(&str) -> bool,
}

fn all(text: &str, ok: impl Fn(u8) -> bool) -> bool {
    !text.is_empty() && text.bytes().all(ok)
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'-' || b == b'_'
}

/// `(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}`
pub(crate) fn is_region(text: &str) -> bool {
    let text = text.strip_prefix("eusc-").unwrap_or(text);
    let mut parts: Vec<&str> = text.split('-').collect();
    let is_letters = |t: &str| all(t, |b| b.is_ascii_lowercase());
    if parts.len() == 4 {
        let middle = parts.remove(1);
        let is_iso = middle
            .strip_prefix("iso")
            .is_some_and(|r| r.len() <= 1 && (r.is_empty() || is_letters(r)));
        if middle != "gov" && !is_iso {
            return false;
        }
    }
    matches!(parts.as_slice(), [country, place, digit]
        if country.len() == 2 && is_letters(country) && is_letters(place)
            && digit.len() == 1 && all(digit, |b| b.is_ascii_digit()))
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && all(text, |b| b.is_ascii_digit())
}

/// `aws[a-zA-Z-]*`
fn is_partition(text: &str) -> bool {
    text.strip_prefix("aws")
        .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-'))
}

/// `arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*` or nothing.
fn is_resource_arn(text: &str) -> bool {
    let mut parts = text.splitn(4, ':');
    text.is_empty()
        || matches!((parts.next(), parts.next(), parts.next(), parts.next()),
            (Some("arn"), Some(partition), Some(service), Some(_))
                if (partition.is_empty() || is_partition(partition))
                    && all(service, |b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b)))
}

pub(crate) const FUNCTION_NAME: Pattern = Pattern {
    text: r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]+)(:(\$LATEST|[a-zA-Z0-9-_]+))?",
    matches: |text| crate::name::parts(text, false).is_some(),
};

pub(crate) const NAMESPACED_FUNCTION_NAME: Pattern = Pattern {
    text: r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?",
    matches: |text| crate::name::parts(text, true).is_some(),
};

pub(crate) const URL_FUNCTION_NAME: Pattern = Pattern {
    text: r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_]{1,64})(:((?!\d+$)[0-9a-zA-Z-_]+))?",
    matches: crate::name::may_have_url,
};

pub(crate) const QUALIFIER: Pattern = Pattern {
    text: r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+",
    matches: |text| text == "$LATEST.PUBLISHED" || all(text, |b| is_word(b) || b == b'$'),
};

pub(crate) const ROLE: Pattern = Pattern {
    text: r"arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
    matches: |text| {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().unwrap_or_default();
        let (arn, partition, service, region, account, resource) =
            (next(), next(), next(), next(), next(), next());
        arn == "arn"
            && (partition.is_empty() || is_partition(partition))
            && service == "iam"
            && region.is_empty()
            && is_account(account)
            && resource.strip_prefix("role").is_some_and(|name| {
                all(name, |b| {
                    b.is_ascii_alphanumeric() || b"+=,.@-_/".contains(&b)
                }) && name != "/"
            })
    },
};

pub(crate) const HANDLER: Pattern = Pattern {
    text: r"[^\s]+",
    matches: |text| !text.is_empty() && !text.contains(char::is_whitespace),
};

pub(crate) const RESOURCE_ARN: Pattern = Pattern {
    text: r"(arn:(aws[a-zA-Z-]*)?:[a-z0-9-.]+:.*)|()",
    matches: is_resource_arn,
};

pub(crate) const DESTINATION: Pattern = Pattern {
    text: r"$|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)",
    matches: |text| {
        if let Some(topic) = text.strip_prefix("kafka://") {
            return (1..=249).contains(&topic.len())
                && !topic.starts_with('.')
                && topic.bytes().skip(1).all(|b| is_word(b) || b == b'.');
        }
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        text.is_empty()
            || matches!(parts.as_slice(), ["arn", partition, service, region, account, _]
                if partition.strip_prefix("aws").is_some_and(|r| r.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
                    && all(service, |b| b.is_ascii_alphanumeric() || b == b'-')
                    && (region.is_empty() || is_region(region))
                    && (account.is_empty() || is_account(account)))
    },
};

pub(crate) const ENVIRONMENT_NAME: Pattern = Pattern {
    text: r"[a-zA-Z]([a-zA-Z0-9_])+",
    matches: |text| {
        text.len() >= 2
            && text.starts_with(|c: char| c.is_ascii_alphabetic())
            && all(text, |b| b.is_ascii_alphanumeric() || b == b'_')
    },
};

pub(crate) const LOG_GROUP: Pattern = Pattern {
    text: r"[\.\-_/#A-Za-z0-9]+",
    matches: |text| all(text, |b| b.is_ascii_alphanumeric() || b".-_/#".contains(&b)),
};

pub(crate) const LAYER_VERSION_ARN: Pattern = Pattern {
    text: r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]+:[0-9]+)|(arn:[a-zA-Z0-9-]+:lambda:::awslayer:[a-zA-Z0-9-_]+)",
    matches: |text| {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            [
                "arn",
                partition,
                "lambda",
                region,
                account,
                "layer",
                name,
                version,
            ] => {
                (partition.is_empty() || is_partition(partition))
                    && is_region(region)
                    && is_account(account)
                    && all(name, is_word)
                    && all(version, |b| b.is_ascii_digit())
            }
            ["arn", partition, "lambda", "", "", "awslayer", name] => {
                all(partition, |b| b.is_ascii_alphanumeric() || b == b'-') && all(name, is_word)
            }
            _ => false,
        }
    },
};

pub(crate) const LAYER_NAME: Pattern = Pattern {
    text: r"(arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:layer:[a-zA-Z0-9-_]{1,140}|[a-zA-Z0-9-_]{1,140})",
    matches: |text| {
        let is_name = |name: &str| name.len() <= 140 && all(name, is_word);
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            ["arn", partition, "lambda", region, account, "layer", name] => {
                (partition.is_empty() || is_partition(partition))
                    && is_region(region)
                    && is_account(account)
                    && is_name(name)
            }
            [name] => is_name(name),
            _ => false,
        }
    },
};

pub(crate) const LAYER_ACTION: Pattern = Pattern {
    text: "lambda:GetLayerVersion",
    matches: |text| text == "lambda:GetLayerVersion",
};

pub(crate) const LAYER_PRINCIPAL: Pattern = Pattern {
    text: r"\d{12}|\*|arn:(aws[a-zA-Z-]*):iam::\d{12}:root",
    matches: |text| {
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            ["arn", partition, "iam", "", account, "root"] => {
                is_partition(partition) && is_account(account)
            }
            [one] => *one == "*" || is_account(one),
            _ => false,
        }
    },
};

pub(crate) const ORGANIZATION_ID: Pattern = Pattern {
    text: "o-[a-z0-9]{10,32}",
    matches: |text| {
        text.strip_prefix("o-").is_some_and(|id| {
            (10..=32).contains(&id.len())
                && all(id, |b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
    },
};

pub(crate) const LOCAL_MOUNT_PATH: Pattern = Pattern {
    text: r"/mnt/[a-zA-Z0-9-_.]+",
    matches: |text| {
        text.strip_prefix("/mnt/")
            .is_some_and(|rest| all(rest, |b| is_word(b) || b == b'.'))
    },
};

pub(crate) const SUBNET_ID: Pattern = Pattern {
    text: "subnet-[0-9a-z]*",
    matches: |text| {
        text.strip_prefix("subnet-").is_some_and(|rest| {
            rest.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        })
    },
};

pub(crate) const SECURITY_GROUP_ID: Pattern = Pattern {
    text: "sg-[0-9a-zA-Z]*",
    matches: |text| {
        text.strip_prefix("sg-")
            .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_alphanumeric()))
    },
};

pub(crate) const MASTER_REGION: Pattern = Pattern {
    text: r"ALL|(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}",
    matches: |text| text == "ALL" || is_region(text),
};

pub(crate) const ALIAS: Pattern = Pattern {
    text: "(?!^[0-9]+$)([a-zA-Z0-9-_]+)",
    matches: |text| all(text, is_word) && !all(text, |b| b.is_ascii_digit()),
};

pub(crate) const URL_QUALIFIER: Pattern = Pattern {
    text: r"((?!^\d+$)^[0-9a-zA-Z-_]+$)",
    matches: ALIAS.matches,
};

pub(crate) const VERSION: Pattern = Pattern {
    text: r"(\$LATEST(\.PUBLISHED)?|[0-9]+)",
    matches: |text| text == "$LATEST" || all(text, |b| b.is_ascii_digit()),
};

pub(crate) const VERSION_NUMBER: Pattern = Pattern {
    text: "[0-9]+",
    matches: |text| all(text, |b| b.is_ascii_digit()),
};

pub(crate) const STATEMENT_ID: Pattern = Pattern {
    text: "([a-zA-Z0-9-_]+)",
    matches: |text| all(text, is_word),
};

pub(crate) const ACTION: Pattern = Pattern {
    text: "(lambda:[*]|lambda:[a-zA-Z]+|[*])",
    matches: |text| {
        text == "*"
            || text
                .strip_prefix("lambda:")
                .is_some_and(|rest| rest == "*" || all(rest, |b| b.is_ascii_alphabetic()))
    },
};

pub(crate) const PRINCIPAL: Pattern = HANDLER;

/// Of RemovePermission, which reaches statements of other forms too.
pub(crate) const NAMESPACED_STATEMENT_ID: Pattern = Pattern {
    text: "([a-zA-Z0-9-_.]+)",
    matches: |text| all(text, |b| is_word(b) || b == b'.'),
};

pub(crate) const EVENT_SOURCE_TOKEN: Pattern = Pattern {
    text: r"[a-zA-Z0-9._\-]+",
    matches: |text| all(text, |b| is_word(b) || b == b'.'),
};

/// Of provisioned concurrency alone.
pub(crate) const EMPTY_OR_QUALIFIER: Pattern = Pattern {
    text: "(|[a-zA-Z0-9$_-]+)",
    matches: |text| text.bytes().all(|b| is_word(b) || b == b'$'),
};

pub(crate) const BUCKET: Pattern = Pattern {
    text: r"[0-9A-Za-z\.\-_]*(?<!\.)",
    matches: |text| text.bytes().all(|b| is_word(b) || b == b'.') && !text.ends_with('.'),
};

pub(crate) const FILE_SYSTEM: Pattern = Pattern {
    text: r"arn:aws[a-zA-Z-]*:elasticfilesystem:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:access-point/fsap-[a-f0-9]{17}$|^arn:aws[-a-z]*:s3files:[0-9a-z-:]+:file-system/fs-[0-9a-f]{17,40}/access-point/fsap-[0-9a-f]{17,40}",
    matches: is_file_system,
};

fn is_file_system(text: &str) -> bool {
    let is_hex = |text: &str, max: usize| {
        (17..=max).contains(&text.len())
            && all(text, |b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    let point = |text: &str, max: usize| {
        let id = text.strip_prefix("access-point/fsap-");
        id.is_some_and(|id| is_hex(id, max))
    };
    let parts: Vec<&str> = text.split(':').collect();
    match parts.as_slice() {
        [
            "arn",
            partition,
            "elasticfilesystem",
            region,
            account,
            resource,
        ] => {
            is_partition(partition)
                && is_region(region)
                && is_account(account)
                && point(resource, 17)
        }
        ["arn", partition, "s3files", place @ .., resource] => {
            let path = resource.strip_prefix("file-system/fs-");
            let ids = path.and_then(|path| path.split_once('/'));
            is_partition(partition)
                && !place.is_empty()
                && place.iter().all(|p| p.bytes().all(is_word))
                && ids.is_some_and(|(system, rest)| is_hex(system, 40) && point(rest, 40))
        }
        _ => false,
    }
}

pub(crate) const TAG: Pattern = Pattern {
    text: r"([\p{L}\p{Z}\p{N}_.:/=+\-@]*)",
    matches: |text| {
        text.chars()
            .all(|c| c.is_alphanumeric() || c == ' ' || c == '\u{a0}' || "_.:/=+-@".contains(c))
    },
};

pub(crate) const SIGNING_ARN: Pattern = Pattern {
    text: r"arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:code-signing-config:csc-[a-z0-9]{17}",
    matches: |text| text.contains(":code-signing-config:") && is_taggable(text),
};

pub(crate) const PUBLISHER: Pattern = Pattern {
    text: r"arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)",
    matches: |text| text.starts_with("arn:") && (DESTINATION.matches)(text),
};

pub(crate) const POLICY_RESOURCE: Pattern = Pattern {
    text: r"arn:(aws[a-zA-Z-]*)?:lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_])+)?|runtime/[a-zA-Z0-9-_./]+)",
    matches: |text| {
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "lambda", region, account, rest @ ..] = parts.as_slice() else {
            return false;
        };
        let is_qualifier = |q: &str| q == "$LATEST.PUBLISHED" || q == "$LATEST" || all(q, is_word);
        (partition.is_empty() || is_partition(partition))
            && is_region(region)
            && is_account(account)
            && match rest {
                ["function", name] => all(name, is_word),
                ["function", name, q] => all(name, is_word) && is_qualifier(q),
                [one] => one
                    .strip_prefix("runtime/")
                    .is_some_and(|name| all(name, |b| is_word(b) || b == b'.' || b == b'/')),
                _ => false,
            }
    },
};

pub(crate) const REVISION: Pattern = Pattern {
    text: "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
    matches: |text| is_uuid(text) && !text.bytes().any(|b| b.is_ascii_uppercase()),
};

pub(crate) const PUBLISHED_QUALIFIER: Pattern = Pattern {
    text: r"(\$LATEST\.PUBLISHED|[0-9]+)",
    matches: |text| text == "$LATEST.PUBLISHED" || all(text, |b| b.is_ascii_digit()),
};

pub(crate) const TENANT: Pattern = Pattern {
    text: r"[a-zA-Z0-9\._:\/=+\-@ ]+",
    matches: |text| {
        all(text, |b| {
            b.is_ascii_alphanumeric() || b"._:/=+-@ ".contains(&b)
        })
    },
};

pub(crate) const TOPIC: Pattern = Pattern {
    text: r"[^.]([a-zA-Z0-9\-_.]+)",
    matches: |text| {
        (2..=249).contains(&text.len())
            && !text.starts_with('.')
            && text
                .chars()
                .skip(1)
                .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    },
};

pub(crate) const BROKER: Pattern = Pattern {
    text: r"(([a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9\-]*[a-zA-Z0-9])\.)*([A-Za-z0-9]|[A-Za-z0-9][A-Za-z0-9\-]*[A-Za-z0-9]):[0-9]{1,5}",
    matches: |text| {
        let is_label = |label: &str| {
            all(label, |b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        text.len() <= 300
            && text.split_once(':').is_some_and(|(host, port)| {
                host.split('.').all(is_label)
                    && port.len() <= 5
                    && all(port, |b| b.is_ascii_digit())
            })
    },
};

pub(crate) const URI: Pattern = Pattern {
    text: r"[a-zA-Z0-9-\/*:_+=.@-]*",
    matches: |text| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-/*:_+=.@".contains(&b))
    },
};

pub(crate) const DATABASE: Pattern = Pattern {
    text: r"[^ /\.$\x22]*",
    matches: |text| !text.contains([' ', '/', '.', '$', '"']),
};

pub(crate) const COLLECTION: Pattern = Pattern {
    text: r"(^(?!(system\x2e)))(^[_a-zA-Z0-9])([^$]*)",
    matches: |text| {
        !text.starts_with("system.")
            && text.starts_with(|c: char| c == '_' || c.is_ascii_alphanumeric())
            && !text.contains('$')
    },
};

pub(crate) const POLLER_GROUP: Pattern = Pattern {
    text: "[a-zA-Z0-9-_]*",
    matches: |text| text.bytes().all(is_word),
};

pub(crate) const RUNTIME_VERSION_ARN: Pattern = Pattern {
    text: r"arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}::runtime:.+",
    matches: |text| {
        let parts: Vec<&str> = text.splitn(7, ':').collect();
        matches!(parts.as_slice(), ["arn", partition, "lambda", region, "", "runtime", id]
            if is_partition(partition) && is_region(region) && !id.is_empty())
    },
};

pub(crate) const SOURCE_ACCOUNT: Pattern = Pattern {
    text: r"\d{12}",
    matches: is_account,
};

pub(crate) const TAGGABLE: Pattern = Pattern {
    text: r"arn:(aws[a-zA-Z-]*):lambda:(eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:\d{12}:(function:[a-zA-Z0-9-_]+(:(\$LATEST|[a-zA-Z0-9-_]+))?|layer:([a-zA-Z0-9-_]+)|code-signing-config:csc-[a-z0-9]{17}|event-source-mapping:[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|capacity-provider:[a-zA-Z0-9-_]+)",
    matches: is_taggable,
};

fn is_taggable(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').collect();
    let ["arn", partition, "lambda", region, account, kind, rest @ ..] = parts.as_slice() else {
        return false;
    };
    is_partition(partition)
        && is_region(region)
        && is_account(account)
        && match (*kind, rest) {
            ("function", [name]) => all(name, is_word),
            ("function", [name, q]) => all(name, is_word) && (*q == "$LATEST" || all(q, is_word)),
            ("layer" | "capacity-provider", [name]) => all(name, is_word),
            ("code-signing-config", [id]) => id.strip_prefix("csc-").is_some_and(|id| {
                id.len() == 17 && all(id, |b| b.is_ascii_lowercase() || b.is_ascii_digit())
            }),
            ("event-source-mapping", [id]) => is_uuid(id),
            _ => false,
        }
}

fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && all(text, |b| b.is_ascii_hexdigit() || b == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: Pattern, good: &[&str], bad: &[&str]) {
        for text in good {
            assert!((pattern.matches)(text), "{text:?} is {}", pattern.text);
        }
        for text in bad {
            assert!(!(pattern.matches)(text), "{text:?} is not {}", pattern.text);
        }
    }

    #[test]
    fn regions_are_told_from_other_words() {
        for good in [
            "us-east-1",
            "us-gov-west-1",
            "us-iso-east-1",
            "us-isob-east-1",
            "eusc-de-east-1",
        ] {
            assert!(is_region(good), "{good}");
        }
        for bad in [
            "",
            "us-east",
            "us-east-11",
            "invalid-region",
            "US-east-1",
            "us-foo-east-1",
        ] {
            assert!(!is_region(bad), "{bad}");
        }
    }

    #[test]
    fn the_patterns_accept_and_refuse_what_the_model_says() {
        check(
            ROLE,
            &[
                "arn:aws:iam::000000000000:role/r",
                "arn:aws-cn:iam::000000000000:role/a/b",
            ],
            &[
                "r1",
                "arn:aws:iam::0:role/r",
                "arn:aws:iam::000000000000:user/r",
                "arn:aws:iam::000000000000:role/",
            ],
        );
        check(HANDLER, &["a.b"], &["", "a b"]);
        check(
            QUALIFIER,
            &["$LATEST", "$latest", "1", "a-b_c"],
            &["", "a!", "a.b"],
        );
        check(
            ENVIRONMENT_NAME,
            &["AB", "a_1"],
            &["A", "1A", "A-B", "_A", ""],
        );
        check(TOPIC, &["to", "_a.b"], &["t", ".to", "to pic", ""]);
        check(
            BROKER,
            &["kafka:1000", "a-1.b.example:9092", "127.0.0.1:1"],
            &["kafka", "kafka:", "-a:1", "a..b:1", "a:123456", "a:x"],
        );
        check(URI, &["", "arn:aws:x", "a@b=c"], &["a b", "a?b"]);
        check(DATABASE, &["db"], &["a.b", "a$b", "a/b"]);
        check(COLLECTION, &["_c", "a b"], &["system.x", "$a", "-a", ""]);
        check(ALIAS, &["live", "2024-01-02"], &["2024", "a.b", ""]);
        check(
            RESOURCE_ARN,
            &["", "arn:aws:sqs:us-east-1:000000000000:q"],
            &["q", "arn:aws:"],
        );
        check(
            DESTINATION,
            &[
                "",
                "arn:aws:sqs:us-east-1:000000000000:q",
                "arn:aws:s3:::bucket",
                "kafka://topic",
            ],
            &[
                "q",
                "arn:aws:_-/!lambda:us-east-1:000000000000:x",
                "kafka://.t",
            ],
        );
        check(
            LAYER_VERSION_ARN,
            &[
                "arn:aws:lambda:us-east-1:000000000000:layer:l:1",
                "arn:aws:lambda:::awslayer:X",
            ],
            &["arn:aws:lambda:us-east-1:000000000000:layer:l"],
        );
        check(
            LAYER_NAME,
            &["l", "arn:aws:lambda:us-east-1:000000000000:layer:l"],
            &["", "a.b", "arn:aws:lambda:us-east-1:000000000000:layer:l:1"],
        );
        check(
            LAYER_PRINCIPAL,
            &["*", "000000000000", "arn:aws:iam::000000000000:root"],
            &[
                "",
                "**",
                "s3.amazonaws.com",
                "arn:aws:iam::000000000000:user/u",
            ],
        );
        check(
            FILE_SYSTEM,
            &[
                "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0123456789abcdef0",
                "arn:aws:s3files:us-east-1:000000000000:file-system/fs-0123456789abcdef0/access-point/fsap-0123456789abcdef0",
            ],
            &[
                "",
                "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-0",
                "arn:aws:s3files:file-system/fs-0123456789abcdef0",
            ],
        );
        check(BUCKET, &["", "b.c-d"], &["b.", "b c"]);
        check(EMPTY_OR_QUALIFIER, &["", "$LATEST", "a-1"], &["a.b"]);
        check(NAMESPACED_STATEMENT_ID, &["a.b"], &["", "a b"]);
        check(ORGANIZATION_ID, &["o-0123456789"], &["o-1", "0123456789"]);
        check(
            TAGGABLE,
            &[
                "arn:aws:lambda:us-east-1:000000000000:function:f",
                "arn:aws:lambda:us-east-1:000000000000:function:f:1",
            ],
            &[
                "arn:aws:something",
                "arn:aws:lambda:us-east-1:000000000000:foobar:f",
            ],
        );
    }
}
